"""Conditions that can't be meant: parts that exclude each other, an end that is there at the start."""

from collections.abc import Mapping

from tocsin.engine.language.ranges import implies, never
from tocsin.engine.language.report import Report
from tocsin.engine.language.tree import Junction, Node, conjuncts
from tocsin.errors import Place


def find(trees: Mapping[str, Node], end: Place, report: Report) -> None:
    """Look through the rule's conditions, by their keys; `end` is where `until` stands."""
    for key, tree in trees.items():
        _alternatives(key, conjuncts(tree), report)
    where, when, until = (conjuncts(trees[key]) if key in trees else () for key in ("where", "when", "until"))
    both = (*where, *when)
    if where and when and not never(where) and not never(when):
        _together("when", both, report)
    if until and when and not never(both) and implies(both, until):
        report.under("until").error(
            "`until` holds whenever `when` does: it would end as it starts", end,
            "write the condition at which it is over",
        )  # fmt: skip


def _alternatives(key: str, parts: tuple[Node, ...], report: Report) -> None:
    """Parts that must hold together, and each alternative that they offer."""
    _together(key, parts, report)
    for part in parts:
        if isinstance(part, Junction):
            for alternative in part.parts:
                _alternatives(key, conjuncts(alternative), report)


def _together(key: str, parts: tuple[Node, ...], report: Report) -> None:
    if excluded := never(parts):
        first, second = excluded
        message = f"`{first}` and `{second}` exclude each other: it can never hold"
        report.under(key).error(message, second.place)
