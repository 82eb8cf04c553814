"""What looks at more than one change stands where it means something: history, counted events, groups."""

from collections.abc import Mapping

from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.functions import function_of, needs_of
from tocsin.engine.language.report import Report
from tocsin.engine.language.tree import Name, Node, children, text, walk
from tocsin.engine.language.watch import Watch


def placed(trees: Mapping[str, Node], watch: Watch, per: tuple[str, ...] | None, report: Report) -> None:
    """`trees` are of the conditions, by their keys, whether they passed the check or not. `per` as the rule has it, the
    venue that an account brings included; None where there is none.
    """
    for key, tree in trees.items():
        report.under(key)
        if watch.events:
            _in_event_rule(key, tree, report)
        elif per is None:
            _in_state_rule(tree, report)
        elif key == "where":
            _who_takes_part(tree, report)
        else:
            _of_group(tree, per, report)


def no_memory(condition: TreeCondition, report: Report) -> None:
    """For the second event of a sequence: it is judged by itself and by the first."""
    for part in walk(condition.tree):
        if needs_of(part):
            report.error(f"`{text(part)}` can't stand here: a second event is judged by itself", part.place,
                         "look at it in the rule's own `when`")  # fmt: skip


def _in_event_rule(key: str, tree: Node, report: Report) -> None:
    for part in walk(tree):
        need = needs_of(part)
        if need == "group":
            counts = (function := function_of(part)) is not None and function.needs_in_time == "events"
            report.error(f"`{text(part)}` is of a group of entities; this rule watches an event", part.place,
                         "say how long it counts: count(10m)" if counts else "total(x, 10m) sums over time")  # fmt: skip
        elif need == "events" and key == "where":
            report.error(f"`where` says which events are counted: `{text(part)}` can't be part of it", part.place,
                         "write it in `when`")  # fmt: skip


def _in_state_rule(tree: Node, report: Report) -> None:
    for part in walk(tree):
        need = needs_of(part)
        if need == "events":
            report.error(f"`{text(part)}` counts events; this rule watches what is so", part.place,
                         "watch an event (a name with a dot); `count()` with `per` counts entities")  # fmt: skip
        elif need == "group":
            report.error(f"`{text(part)}` is of a group of entities", part.place,
                         "say which with `per`: `per: [account]`, or `per: []` for all in one")  # fmt: skip


def _who_takes_part(tree: Node, report: Report) -> None:
    for part in walk(tree):
        known = function_of(part)
        if needs_of(part) in ("events", "group"):
            report.error(f"`where` says who takes part: `{text(part)}` can't be part of it", part.place,
                         "write it in `when`")  # fmt: skip
        elif known and known.edge:
            report.error(
                f"`{text(part)}` is true for a moment only: nobody takes part for a moment", part.place
            )


def _of_group(tree: Node, per: tuple[str, ...], report: Report) -> None:
    """Outside of group functions only what all members have in common can be read."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        need, known = needs_of(part), function_of(part)
        if need == "group":
            continue
        if need == "events":
            report.error(f"`{text(part)}` counts events; this rule watches what is so", part.place,
                         "`count()` counts entities")  # fmt: skip
        elif need or (known and (known.edge or known.timed)):
            report.error(f"`{text(part)}` is of one entity; this rule is about groups of them", part.place,
                         _instead(part))  # fmt: skip
        elif isinstance(part, Name) and part.type != "?" and part.name not in per:
            report.error(f"`{part.name}` is of one entity; this rule is about groups of them", part.place, _instead(part))  # fmt: skip
        else:
            waiting += reversed(children(part))


def _instead(part: Node) -> str:
    if part.type == "number":
        spelled = text(part)
        return (
            f"write sum({spelled}), min({spelled}), max({spelled}) or mean({spelled}); or say it in `where`"
        )
    return "say in `where` who takes part"


def put_together(conditions: Mapping[str, TreeCondition]) -> tuple[str, ...]:
    """The values that the conditions sum over a group, by their spelling."""
    return tuple(dict.fromkeys(each.name for condition in conditions.values() for each in condition.summed))


def numbers_of(conditions: Mapping[str, TreeCondition]) -> dict[str, Node]:
    """The numbers of the group that the conditions speak of, by their spelling."""
    return {
        text(part): part
        for condition in conditions.values()
        for part in walk(condition.tree)
        if needs_of(part) == "group"
    }
