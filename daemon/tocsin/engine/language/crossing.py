"""`crosses_above`, `crosses_below`: was on the other side when last known, and is now strictly beyond.

What was last known may lie before a hole, in which the value or its limit was missing: `tocsin.engine.last_known` remembers it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tocsin.engine.language.tree import Call, Constant, text
from tocsin.engine.language.values import Build, Evaluate, Show
from tocsin.events import Change

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
