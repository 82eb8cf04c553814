"""A compiled condition: what the engine evaluates (`tocsin.engine.rule.Condition`), when time alone may change its truth, and how far
it is from its limits: of numbers and durations compared, the gap between value and limit.

    |value - limit| / max(|value|, |limit|)      `and`: that of the farthest part      `or`: that of the nearest

Met, a comparison has nothing to go. What is false without a number (a flag, a text, what is unknown) is infinitely far.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from tocsin.engine.api import FAR, Distance, Gap
from tocsin.engine.language import describe
from tocsin.engine.language.ast import (
    Call,
    Compare,
    Constant,
    Listing,
    Member,
    Name,
    Node,
    conjuncts,
    constant_text,
    text,
    walk,
)
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.describe import is_computed, unit_of_node, value_text
from tocsin.engine.language.evaluator import Absent, Judge, absences, evaluator, why
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.implementations import Build
from tocsin.engine.language.windowed import Crossing, Followed, beginnings, crossing, followed
from tocsin.engine.rule import Evaluate, Wording
from tocsin.events import EXACT, Change, Derived, readable_text, rounded_text
from tocsin.events.links import holder_of
from tocsin.quantities import duration_text

# What is a number of something other than money: members in unlike currencies may be summed.
_NO_MONEY = frozenset({
    "leverage", "amount", "filled", "remaining", "margin_level", "stop_out_level", "power", "energy", "volume", "bid_size",
    "ask_size", "bid_depth", "ask_depth", "levels", "sequence", "attempts", "unconfirmed",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summed:
    """A value that some condition sums (or takes the extremes of) over the entities of a group. `name`: its spelling."""

    name: str
    value: Evaluate
    money: bool
    extremes: bool
    absent: tuple[Absent, ...] = ()


class TreeCondition:
    """A checked tree and the function that evaluates it."""

    __slots__ = (
        "_absent", "_compiled", "_measured", "_parts", "begins", "counted", "crossings", "drifts", "edge", "fields", "followed", "holds", "looks_back_at", "remembers", "source",
        "summed", "timed", "tree", "turn",
    )  # fmt: skip

    def __init__(self, tree: Node) -> None:
        parts = walk(tree)
        calls = [part for part in parts if isinstance(part, Call)]
        functions = [FUNCTIONS[call.function] for call in calls]
        self.tree = tree
        self.source = text(tree)
        self.edge = any(function.edge for function in functions)
        self.looks_back_at = frozenset(
            holder_of(part.name)
            for call, function in zip(calls, functions, strict=True)
            if function.earlier or function.edge
            for part in walk(call)
            if isinstance(part, Name)
        )
        self.begins = beginnings(tree)
        self.drifts = any(function.timed is not None for function in functions)
        self.timed = self.drifts or bool(self.begins)
        self.turn: Turn | None = turn_of(tree)
        self.fields = tuple(dict.fromkeys(part.name for part in parts if isinstance(part, Name)))
        self.holds: Judge = evaluator(tree)
        self._absent = absences((tree,))
        self.followed: tuple[Followed, ...] = tuple(
            dict.fromkeys(
                followed(Build(call, evaluator, False)) for call in calls if needs_of(call) == "history"
            )
        )
        self.crossings: tuple[Crossing, ...] = tuple(
            dict.fromkeys(
                crossing(Build(call, evaluator, False))
                for call, function in zip(calls, functions, strict=True)
                if function.crossing
            )
        )
        self.counted: tuple[timedelta, ...] = tuple(
            dict.fromkeys(
                argument.value
                for call in calls
                if needs_of(call) == "events"
                for argument in call.arguments
                if isinstance(argument, Constant) and isinstance(argument.value, timedelta)
            )
        )
        self.summed = tuple(_summed(calls))
        self.remembers = any(needs_of(call) for call in calls)
        self._compiled: describe.Compiled = {}
        self._parts: tuple[TreeCondition, ...] | None = None
        self._measured: _Measure | None = None

    @property
    def parts(self) -> "tuple[TreeCondition, ...]":
        """Compiled when they are first asked for: most rules never fire."""
        if self._parts is None:
            trees = conjuncts(self.tree)
            self._parts = (self,) if len(trees) == 1 else tuple(map(TreeCondition, trees))
        return self._parts

    def missing(self, change: Change, now: datetime) -> tuple[str, ...]:
        return describe.missing(self.tree, change, now, self._compiled)

    def nothing(self, change: Change) -> str | None:
        return why(self._absent, change)

    def describe(self, change: Change, now: datetime, *, wording: Wording = "exact") -> str:
        return describe.describe(self.tree, change, now, self._compiled, wording=wording)

    def gap(self, change: Change, now: datetime) -> Gap:
        """Compiled when it is first asked for, as `parts` are."""
        if self._measured is None:
            self._measured = _measure(normal(self.tree))
        return self._measured(change, now)

    def bounds(self, name: str, change: Change, now: datetime) -> tuple[Decimal, ...]:
        return describe.bounds(self.tree, name, change, now, self._compiled)

    def __repr__(self) -> str:
        return f"<{self.source}>"


def _summed(calls: list[Call]) -> list[Summed]:
    found: dict[str, Summed] = {}
    for call in calls:
        if needs_of(call) != "group" or not call.arguments:
            continue
        value = call.arguments[0]
        name, fields = text(value), [part.name for part in walk(value) if isinstance(part, Name)]
        known = found.get(name)
        extremes = FUNCTIONS[call.function].chooses or (known is not None and known.extremes)
        money = not _NO_MONEY.issuperset(fields)
        found[name] = Summed(name, evaluator(value), money, extremes, absences((value,)))
    return list(found.values())


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


# -------------------------------------------------------------------------------------------- when its truth may turn

Turn: TypeAlias = Callable[[Change, datetime], timedelta | None]
"""How long after now the truth may turn, nothing else happening; None: never."""

EACH_SECOND = timedelta(seconds=1)
"""Of what reckons with a time in a way that can't be worked out."""
_JUST_AFTER = timedelta(milliseconds=1)  # `age() > 5m` is not yet so at five minutes


class _Meeting(NamedTuple):
    """A time function beside what it is compared with, which time leaves alone. `falls`: it counts down. `mentioned`: it
    goes by when the entity was last mentioned, which moves without a change that anybody is told of.
    """

    function: Evaluate
    other: Evaluate
    falls: bool
    mentioned: bool


def turn_of(tree: Node) -> Turn | None:
    """None where the condition reads no time."""
    timed, begins = [part for part in walk(tree) if _is_timed(part)], beginnings(tree)
    if not timed and not begins:
        return None
    meetings = list(_meetings(tree))
    if len(meetings) < len(timed):
        return lambda _change, _now: EACH_SECOND

    def turn(change: Change, now: datetime) -> timedelta | None:
        times = [after for each in meetings if (after := _after(each, change, now)) is not None]
        return min([*times, *(each.following(now) - now for each in begins)], default=None)

    return turn


def _meetings(tree: Node) -> Iterator[_Meeting]:
    for part in walk(tree):
        if not isinstance(part, Compare):
            continue
        for left, _, right in part.pairs():
            for one, other in ((left, right), (right, left)):
                if _is_timed(one) and not any(map(_is_timed, walk(other))):
                    falls = isinstance(one, Call) and FUNCTIONS[one.function].timed == "down"
                    mentioned = any(isinstance(part, Name) and part.name == "last_seen" for part in walk(one))
                    yield _Meeting(evaluator(one), evaluator(other), falls, mentioned)


def _is_timed(node: Node) -> bool:
    return isinstance(node, Call) and FUNCTIONS[node.function].timed is not None


def _after(meeting: _Meeting, change: Change, now: datetime) -> timedelta | None:
    """Until the two are equal, or just beyond that where they are."""
    value, limit = meeting.function(change, now), meeting.other(change, now)
    if value is None or limit is None:
        return None
    left: timedelta = value - limit if meeting.falls else limit - value
    if left > timedelta(0):
        return left
    if left > -_JUST_AFTER:
        return _JUST_AFTER
    return EACH_SECOND if meeting.mentioned else None


# -------------------------------------------------------------------------------------- how far it is from its limits


_Measure: TypeAlias = Callable[[Change, datetime], Gap]


def _measure(condition: Normal) -> _Measure:
    match condition:
        case Joined():
            return _joined(condition)
        case Comparison():
            holds = _holds(condition)
            return _compared(
                condition.subject, condition.other, lambda change, now: holds(change, now) is True
            )
        case Stated():
            return _stated(condition)


def _joined(condition: Joined) -> _Measure:
    measures = [_measure(part) for part in condition.parts]
    choose = max if condition.word == "and" else min

    def measure(change: Change, now: datetime) -> Gap:
        return choose((each(change, now) for each in measures), key=lambda gap: gap.order)

    return measure


def _stated(condition: Stated) -> _Measure:
    node, wanted = condition.node, not condition.negated
    holds = evaluator(node)
    function = function_of(node)
    if isinstance(node, Call) and function is not None and function.crossing is not None and wanted:
        value, limit = node.arguments
        return _compared(value, limit, lambda change, now: holds(change, now) is True)
    return lambda change, now: Gap(0.0 if holds(change, now) is wanted else FAR)


def _holds(condition: Comparison) -> Callable[[Change, datetime], Any]:
    subject, operator, other, place = condition.subject, condition.operator, condition.other, condition.place
    if isinstance(other, Listing):
        return evaluator(Member(subject, other, operator == "!=", place))
    return evaluator(Compare((subject, other), (operator,), place))


def _compared(subject: Node, other: Node, met: Callable[[Change, datetime], bool]) -> _Measure:
    """A value beside its limit; beside several, beside the nearest of them."""
    value_of = evaluator(subject)
    limits = [(each, evaluator(each)) for each in (other.items if isinstance(other, Listing) else (other,))]

    def measure(change: Change, now: datetime) -> Gap:
        value, is_met = value_of(change, now), met(change, now)
        found = [
            (relative, gap, node, limit)
            for node, limit_of in limits
            if (limit := limit_of(change, now)) is not None
            and value is not None
            and (gap := _gap(value, limit)) is not None
            and (relative := _relative(gap, value, limit)) is not None
        ]
        if not found:
            return Gap(0.0 if is_met else FAR)
        relative, gap, node, limit = min(found, key=lambda each: each[0])
        distance = Distance(
            value=_shown(subject, value, limit),
            limit=_shown(node, limit, value),
            gap=_gap_text(gap, subject, node, value, limit),
            relative=relative,
            met=is_met,
        )
        return Gap(0.0 if is_met else relative, distance)

    return measure


def _gap(value: Any, limit: Any) -> Decimal | timedelta | None:
    if isinstance(value, Decimal) and isinstance(limit, Decimal):
        return EXACT.abs(EXACT.subtract(value, limit))
    if isinstance(value, timedelta) and isinstance(limit, timedelta):
        return abs(value - limit)
    return None


def _relative(gap: Any, value: Any, limit: Any) -> float | None:
    if not gap:
        return 0.0
    larger = max(abs(value), abs(limit))
    try:
        return float(gap / larger)
    except ArithmeticError:
        return None


def _shown(node: Node, value: Any, other: Any) -> str:
    if isinstance(node, Constant):
        return constant_text(node.value)
    beside = [other] if isinstance(other, Decimal) else []
    return value_text(value, node.type, computed=is_computed(node), unit=unit_of_node(node), beside=beside)


def _gap_text(gap: Decimal | timedelta, subject: Node, other: Node, *values: Any) -> str:
    if isinstance(gap, timedelta):
        return duration_text(gap)
    unit = unit_of_node(subject)
    is_ours = (
        any(isinstance(value, Derived) for value in values) or is_computed(subject) or is_computed(other)
    )
    return rounded_text(gap, unit) if is_ours else readable_text(gap, unit)
