"""Conditions that can't be meant: parts that exclude each other or are always so, an end that is there at the start.

What has no sensible reading at all is an error. What only flutters or says nothing is a warning: such rules have run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tocsin.engine.language.comparisons import Joined, Normal, normal
from tocsin.engine.language.ranges import Bound, bounds_of, exactly, implies, never, overlap
from tocsin.engine.language.report import Report
from tocsin.engine.language.tree import NEGATED, Compare, Junction, Node, conjuncts, text, walk
from tocsin.errors import Place


def find(trees: Mapping[str, Node], end: Place, report: Report) -> None:
    """Look through the rule's conditions, by their keys; `end` is where `until` stands."""
    for key, tree in trees.items():
        _always(key, tree, report)
    if len(trees) == 1 and all(
        isinstance(tree, Compare) and len(tree.operators) == 1 for tree in trees.values()
    ):
        return  # one comparison excludes nothing: the commonest rule
    bounds = {key: _alternatives(key, tree, report) for key, tree in trees.items()}
    both = [*bounds.get("where", ()), *bounds.get("when", ())]
    if "where" in trees and "when" in trees and not never(bounds["where"]) and not never(bounds["when"]):
        _together("when", both, report)
    if "until" in trees and "when" in trees and not never(both) and implies(both, conjuncts(trees["until"])):
        report.under("until").error(
            "`until` holds whenever `when` does: it would end as it starts", end,
            "write the condition at which it is over",
        )  # fmt: skip
    elif "until" in trees and "when" in trees and (shared := overlap(both, conjuncts(trees["until"]))):
        begins, ends = shared
        report.under("until").warning(
            f"`{begins}` and `{ends}` both hold in between: there each event ends the alert, and the next begins it anew", end,
            f"let `until` begin where `when` is no longer so, or beyond: `{ends.subject} {ends.operator} …` further on",
        )  # fmt: skip


def _alternatives(key: str, tree: Node, report: Report) -> list[Bound]:
    """The bounds that must hold together; each alternative that the condition offers is looked through too."""
    parts = conjuncts(tree)
    bounds = bounds_of(parts)
    _together(key, bounds, report)
    for part in parts:
        if isinstance(part, Junction):
            for alternative in part.parts:
                _alternatives(key, alternative, report)
    return bounds


def _together(key: str, bounds: Sequence[Bound], report: Report) -> None:
    if excluded := never(bounds):
        first, second = excluded
        message = f"`{first}` and `{second}` exclude each other: it can never hold"
        report.under(key).error(message, second.place)


def _always(key: str, tree: Node, report: Report) -> None:
    """Comparisons that are so whatever the values are: a value with itself, or alternatives that leave nothing out."""
    for part in walk(tree):
        if isinstance(part, Compare):
            for left, operator, right in part.pairs():
                if text(left) == text(right):
                    same = operator in ("==", "<=", ">=")
                    report.under(key).warning(
                        f"`{text(left)} {operator} {text(right)}` compares a value with itself: it is {'always' if same else 'never'} so",
                        right.place, "compare it with another value",
                    )  # fmt: skip
    _one_of_them(key, normal(tree), report)


def _one_of_them(key: str, condition: Normal, report: Report) -> None:
    if not isinstance(condition, Joined):
        return
    bounds = [exactly(part) for part in condition.parts] if condition.word == "or" else []
    if bounds and all(len(each) == 1 and len(each[0].values) == 1 for each in bounds):
        negated = [replace(each[0], operator=NEGATED[each[0].operator]) for each in bounds]
        if found := never(negated):
            first, second = (bounds[negated.index(each)][0] for each in found)
            report.under(key).warning(
                f"`{first}` or `{second}`: one of them always holds", second.place,
                "write `and` if both must hold",
            )  # fmt: skip
    for part in condition.parts:
        _one_of_them(key, part, report)
