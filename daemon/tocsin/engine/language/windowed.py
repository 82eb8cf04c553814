"""Functions of values over time. What they read is handed in with the change: `tocsin.engine.history` fills the windows.

Windows are judged on events only: between two events of its entity a window stands still.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from tocsin.engine.language.tree import Call, Constant, span_text, text
from tocsin.engine.language.values import Build, Evaluate
from tocsin.engine.windows import Extremes, Window
from tocsin.events import EXACT, Change

History: TypeAlias = Window | Extremes
_HUNDRED = Decimal(100)
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Followed:
    """A value whose history some condition asks for; those of equal names are one.

    `length` None: for ever. `samples`: it has one of each event that takes part in the rule, which `name` says too; else
    one of each change of the entity.
    """

    name: str
    value: Evaluate = field(compare=False)
    length: timedelta | None
    samples: bool


def followed(build: Build) -> Followed:
    """What a call of a window function follows."""
    call, length = build.call, _length(build.call)
    over = "ever" if length is None else f"over {span_text(length)}"
    among = f" of {call.among}" if call.among else ""
    return Followed(f"{text(call.arguments[0])} {over}{among}", build.argument(0), length, bool(call.among))


def _length(call: Call) -> timedelta | None:
    last = call.arguments[-1]
    if isinstance(last, Constant) and isinstance(last.value, timedelta):
        return last.value
    return None


def is_length_wrong(constant: Constant) -> str:
    span = constant.value
    if not isinstance(span, timedelta) or span <= timedelta(0):
        return "a window is longer than nothing"
    return f"a window is at most {span_text(LONGEST)} long" if span > LONGEST else ""


# ---------------------------------------------------------------------------------------------------- of one value


def of_history(function: Callable[[History], Decimal | None]) -> Callable[[Build], Evaluate]:
    """What the window comes to, whatever the value is now."""

    def build(context: Build) -> Evaluate:
        name = followed(context).name

        def evaluate(change: Change, _now: datetime) -> Decimal | None:
            history = _windows(change).get(name)
            return None if history is None else function(history)

        return evaluate

    return build


def against_history(
    reference: Callable[[History], Decimal | None], compare: Callable[[Decimal, Decimal], Decimal | None]
) -> Callable[[Build], Evaluate]:
    """The value now, compared with something of its window; missing where either is."""

    def build(context: Build) -> Evaluate:
        name, value = followed(context).name, context.argument(0)

        def evaluate(change: Change, now: datetime) -> Decimal | None:
            history, current = _windows(change).get(name), value(change, now)
            then = None if history is None else reference(history)
            if then is None or current is None:
                return None
            try:
                return compare(current, then)
            except ArithmeticError:
                return None

        return evaluate

    return build


def _windows(change: Change) -> Mapping[str, History]:
    windows: Mapping[str, History] = getattr(change, "windows", {})
    return windows


def then(history: History) -> Decimal | None:
    """The value in force when the window began."""
    return history.at_start() if isinstance(history, Window) else None


def lowest(history: History) -> Decimal | None:
    return history.lowest()


def highest(history: History) -> Decimal | None:
    return history.highest()


def average(history: History) -> Decimal | None:
    return history.average() if isinstance(history, Window) else None


def total(history: History) -> Decimal | None:
    return history.total() if isinstance(history, Window) else None


def difference(now: Decimal, reference: Decimal) -> Decimal:
    return EXACT.subtract(now, reference)


def percent(now: Decimal, reference: Decimal) -> Decimal | None:
    """Of the reference's size, so that a rise is positive below zero too. Of nothing there are no percents."""
    if now == reference:
        return Decimal(0)
    if not reference:
        return None
    return EXACT.multiply(EXACT.divide(EXACT.subtract(now, reference), EXACT.abs(reference)), _HUNDRED)


def percent_below(now: Decimal, reference: Decimal) -> Decimal | None:
    found = percent(now, reference)
    return None if found is None else EXACT.minus(found)


# ------------------------------------------------------------------------------------------------------ events, groups

Aggregate: TypeAlias = Literal["sum", "min", "max", "mean"]


def count(context: Build) -> Evaluate:
    """With a length: the rule's events in it. Without: the live entities of the group."""
    length = _length(context.call) if context.call.arguments else None
    if length is None:
        return _members

    def evaluate(change: Change, _now: datetime) -> Decimal | None:
        counts: Mapping[timedelta, int] = getattr(change, "counts", {})
        counted = counts.get(length)
        return None if counted is None else Decimal(counted)

    return evaluate


def _members(change: Change, _now: datetime) -> Decimal | None:
    group = getattr(change, "group", None)
    return None if group is None else Decimal(group.members)


def aggregate(name: Aggregate) -> Callable[[Build], Evaluate]:
    def build(context: Build) -> Evaluate:
        value = text(context.call.arguments[0])

        def evaluate(change: Change, _now: datetime) -> Any:
            group = getattr(change, "group", None)
            return None if group is None else getattr(group, name)(value)

        return evaluate

    return build
