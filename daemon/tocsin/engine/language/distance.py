"""How far a condition is from its limits: of numbers and durations compared, the gap between value and limit.

    |value - limit| / max(|value|, |limit|)      `and`: that of the farthest part      `or`: that of the nearest

Met, a comparison has nothing to go. What is false without a number (a flag, a text, what is unknown) is infinitely far.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from tocsin.engine.language.ast import Call, Compare, Constant, Listing, Member, Node, constant_text
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.describe import is_computed, unit_of_node
from tocsin.engine.language.evaluator import evaluator
from tocsin.engine.language.functions import function_of
from tocsin.engine.language.values import value_text
from tocsin.engine.model import Distance
from tocsin.events import EXACT, Change, Derived, readable_text, rounded_text
from tocsin.quantities import duration_text

_FAR = float("inf")


class _Gap(NamedTuple):
    """`to_go` is relative: 0 where it is so, infinite where no number tells. `by`: the comparison that says so, if any."""

    to_go: float
    by: Distance | None = None

    @property
    def order(self) -> tuple[float, float]:
        """Nearest first; of what is met, what is so by far comes first."""
        beyond = self.by.relative if self.by is not None and self.by.met else 0.0 if self.by else _FAR
        return self.to_go, -beyond


_Measure: TypeAlias = Callable[[Change, datetime], _Gap]
Measured: TypeAlias = Callable[[Change, datetime], Distance | None]


def measured(tree: Node) -> Measured:
    """The function that measures a checked tree; None where it is infinitely far, or no number has to do with it."""
    measure = _measure(normal(tree))

    def distance(change: Change, now: datetime) -> Distance | None:
        gap = measure(change, now)
        return gap.by if gap.to_go < _FAR else None

    return distance


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

    def measure(change: Change, now: datetime) -> _Gap:
        return choose((each(change, now) for each in measures), key=lambda gap: gap.order)

    return measure


def _stated(condition: Stated) -> _Measure:
    node, wanted = condition.node, not condition.negated
    holds = evaluator(node)
    function = function_of(node)
    if isinstance(node, Call) and function is not None and function.crossing is not None and wanted:
        value, limit = node.arguments
        return _compared(value, limit, lambda change, now: holds(change, now) is True)
    return lambda change, now: _Gap(0.0 if holds(change, now) is wanted else _FAR)


def _holds(condition: Comparison) -> Callable[[Change, datetime], Any]:
    subject, operator, other, place = condition.subject, condition.operator, condition.other, condition.place
    if isinstance(other, Listing):
        return evaluator(Member(subject, other, operator == "!=", place))
    return evaluator(Compare((subject, other), (operator,), place))


def _compared(subject: Node, other: Node, met: Callable[[Change, datetime], bool]) -> _Measure:
    """A value beside its limit; beside several, beside the nearest of them."""
    value_of = evaluator(subject)
    limits = [(each, evaluator(each)) for each in (other.items if isinstance(other, Listing) else (other,))]

    def measure(change: Change, now: datetime) -> _Gap:
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
            return _Gap(0.0 if is_met else _FAR)
        relative, gap, node, limit = min(found, key=lambda each: each[0])
        distance = Distance(
            value=_shown(subject, value, limit),
            limit=_shown(node, limit, value),
            gap=_gap_text(gap, subject, node, value, limit),
            relative=relative,
            met=is_met,
        )
        return _Gap(0.0 if is_met else relative, distance)

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
