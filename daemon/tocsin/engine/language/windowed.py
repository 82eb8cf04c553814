"""Functions of values over time. What they read is handed in with the change: `tocsin.engine.history` fills the windows and
remembers what was last known.

Windows are judged on events only: between two events of its entity a window stands still. One that begins at a time begins
then all the same.
`crosses_above`, `crosses_below`: was on the other side when last known, and is now strictly beyond. What was last known may lie
before a hole, in which the value or its limit was missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from tocsin.calendars import Since
from tocsin.engine.language.ast import Call, Constant, Name, Node, constant_text, text, walk
from tocsin.engine.language.implementations import Build, Show
from tocsin.engine.rule import Evaluate
from tocsin.engine.windows import Window, WindowSpec
from tocsin.errors import Report
from tocsin.events import EXACT, Change
from tocsin.events.links import holder_of
from tocsin.quantities import SampleCount

_HUNDRED = Decimal(100)
_LONGEST = timedelta(days=366)
SINCE = "since"


@dataclass(frozen=True, slots=True)
class Followed:
    """See `tocsin.engine.rule.Followed`. `name` says of which events it has samples, too."""

    name: str
    value: Evaluate = field(compare=False)
    window: WindowSpec | None
    samples: bool
    keyed: bool = False
    links: frozenset[str] = frozenset()


def followed(build: Build) -> Followed:
    """What a call of a window function follows. Of a condition it is 1 where that is true, and 0 where it is false."""
    call, window = build.call, window_of_call(build.call)
    over = "ever" if window is None else f"over {constant_text(window)}"
    among = f" of {call.among}" if call.among else ""
    value = build.argument(0)
    if call.arguments[0].type == "flag":
        value = _as_number(value)
    name = f"{text(call.arguments[0])} {over}{among}"
    links = links_in(call.arguments[0])
    return Followed(name, value, window, bool(call.among), call.keyed, links=links)


def links_in(node: Node) -> frozenset[str]:
    """The links through which a value reads."""
    names = (part.name for part in walk(node) if isinstance(part, Name))
    return frozenset(filter(None, map(holder_of, names)))


def _as_number(judge: Evaluate) -> Evaluate:
    def evaluate(change: Change, now: datetime) -> Decimal | None:
        truth = judge(change, now)
        return None if truth is None else Decimal(bool(truth))

    return evaluate


def window_of_call(call: Call) -> WindowSpec | None:
    """The window that it is given; None: it is without an end."""
    last = call.arguments[-1] if call.arguments else None
    if isinstance(last, Constant) and isinstance(last.value, timedelta | SampleCount | Since):
        return last.value
    return None


def is_window_wrong(constant: Constant) -> str:
    """What is wrong with it, fit to be shown; empty where nothing is."""
    window = constant.value
    if not isinstance(window, timedelta):
        return ""
    if window <= timedelta(0):
        return "a window is longer than nothing"
    return f"a window is at most {_LONGEST.days}d long" if window > _LONGEST else ""


def beginnings(tree: Node) -> frozenset[Since]:
    """The times at which windows of a condition begin anew."""
    found = (window_of_call(part) for part in walk(tree) if isinstance(part, Call))
    return frozenset(window for window in found if isinstance(window, Since))


def is_sample_count(node: Node) -> bool:
    return isinstance(node, Constant) and isinstance(node.value, SampleCount)


def read_samples(text: str) -> SampleCount | None:
    """`5 samples` as it stands in quotes; None where it is something else. ValueError where the number is out of bounds."""
    number, _, unit = text.strip().partition(" ")
    return SampleCount.parse(number) if unit.strip() in ("sample", "samples") else None


def read_since(node: Node, tz: str, report: Report) -> Constant | None:
    """`since("00:00")`, in the zone `tz`, or `since("mon 09:00", "Europe/Prague")`; None where something else stands there."""
    if not isinstance(node, Call) or node.function != SINCE:
        return None
    given = [
        part.value for part in node.arguments if isinstance(part, Constant) and isinstance(part.value, str)
    ]
    if len(given) != len(node.arguments) or len(given) not in (1, 2):
        report.error(f"`{SINCE}` takes a time of day, and a time zone if it isn't the config's", node.place,
                     'write since("00:00") or since("mon 09:00", "Europe/Prague")')  # fmt: skip
        return Constant(text(node), "?", node.place)
    try:
        return Constant(Since.parse(given[0], given[1] if len(given) > 1 else tz), "window", node.place)
    except ValueError as error:
        report.error(f"`{text(node)}`: {error}", node.place)
        return Constant(text(node), "?", node.place)


# ---------------------------------------------------------------------------------------------------- of one value


def of_history(function: Callable[[Window], Decimal | None]) -> Callable[[Build], Evaluate]:
    """What the window comes to, whatever the value is now."""

    def build(context: Build) -> Evaluate:
        name = followed(context).name

        def evaluate(change: Change, now: datetime) -> Decimal | None:
            history = _windows(change).get(name)
            return None if history is None else function(history.as_of(now))

        return evaluate

    return build


def against_history(
    reference: Callable[[Window], Decimal | None], compare: Callable[[Decimal, Decimal], Decimal | None]
) -> Callable[[Build], Evaluate]:
    """The value now, compared with something of its window; missing where either is."""

    def build(context: Build) -> Evaluate:
        name, value = followed(context).name, context.argument(0)

        def evaluate(change: Change, now: datetime) -> Decimal | None:
            history, current = _windows(change).get(name), value(change, now)
            then = None if history is None else reference(history.as_of(now))
            if then is None or current is None:
                return None
            try:
                return compare(current, then)
            except ArithmeticError:
                return None

        return evaluate

    return build


def _windows(change: Change) -> Mapping[str, Window]:
    windows: Mapping[str, Window] = getattr(change, "windows", {})
    return windows


def then(history: Window) -> Decimal | None:
    """The value in force when the window began."""
    return history.at_start()


def lowest(history: Window) -> Decimal | None:
    return history.lowest()


def highest(history: Window) -> Decimal | None:
    return history.highest()


def average(history: Window) -> Decimal | None:
    return history.average()


def total(history: Window) -> Decimal | None:
    return history.total()


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
    length = window_of_call(context.call)
    if not isinstance(length, timedelta):
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


# ---------------------------------------------------------------------------------------------------------- crossings

Pair = tuple[Decimal, Decimal]
"""A value and the limit that it is compared with."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """See `tocsin.engine.rule.Crossing`."""

    name: str
    _now: tuple[Evaluate, Evaluate] = field(compare=False, repr=False)
    _then: tuple[Evaluate, Evaluate] = field(compare=False, repr=False)

    def pair(self, change: Change, *, before: bool = False) -> Pair | None:
        value, limit = (read(change, change.received) for read in (self._then if before else self._now))
        return None if value is None or limit is None else (value, limit)


def crossing(build: Build) -> Crossing:
    """What a call of a crossing function looks at."""
    call, compile_ = build.call, build.compile
    value, limit = call.arguments
    return Crossing(
        name_of(call),
        (compile_(value, False), compile_(limit, False)),
        (compile_(value, True), compile_(limit, True)),
    )


def name_of(call: Call) -> str:
    """All rules that compare one value with constants share what is remembered of it."""
    value, limit = call.arguments
    return text(value) if isinstance(limit, Constant) else f"{text(value)} against {text(limit)}"


def last_known(change: Change, name: str) -> tuple[datetime, Pair] | None:
    """What was known before a hole that ends with this change, and until when; None where there was none."""
    known: Mapping[str, tuple[datetime, Pair]] = getattr(change, "last_known", {})
    return known.get(name)


def crosses(beyond: Callable[[Any, Any], bool]) -> Callable[[Build], Evaluate]:
    """Was not beyond, and now is. What it was compared with then counts where that is known too."""

    def build(context: Build) -> Evaluate:
        value, limit = context.call.arguments
        name, constant = name_of(context.call), isinstance(limit, Constant)
        value_now, value_then = context.compile(value, False), context.compile(value, True)
        limit_now, limit_then = context.compile(limit, False), context.compile(limit, True)

        def evaluate(change: Change, now: datetime) -> bool | None:
            new, bound = value_now(change, now), limit_now(change, now)
            if new is None or bound is None:
                return None
            if change.previous is None or not beyond(new, bound):
                return False
            if (known := last_known(change, name)) is not None:
                old, old_bound = known[1]
                return not beyond(old, bound if constant else old_bound)
            old, old_bound = value_then(change, now), limit_then(change, now)
            return old is not None and not beyond(old, bound if old_bound is None else old_bound)

        return evaluate

    return build


def crosses_fact(direction: str) -> Callable[[Call, bool, Show], str]:
    def fact(call: Call, truth: bool, show: Show) -> str:
        value, limit = call.arguments
        said = "crosses" if truth else "doesn't cross"
        was = show.last_known(name_of(call)) or show.value(value, before=True)
        return f"{show.subject(value)} {said} {direction} {show.subject(limit)} (was {was})"

    return fact
