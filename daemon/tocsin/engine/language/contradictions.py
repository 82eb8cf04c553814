"""Conditions that can't be meant: parts that exclude each other, an end that is there at the start."""

from collections.abc import Mapping, Sequence

from tocsin.engine.language.ranges import Bound, bounds_of, implies, never
from tocsin.engine.language.report import Report
from tocsin.engine.language.tree import Compare, Junction, Node, conjuncts
from tocsin.errors import Place


def find(trees: Mapping[str, Node], end: Place, report: Report) -> None:
    """Look through the rule's conditions, by their keys; `end` is where `until` stands."""
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
