"""`then` and `unless` as they stand: what waits, and of what doesn't wait any more, whether the second event came. Blocks."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from tocsin.alerts.wording import time_text
from tocsin.engine import rule as rules
from tocsin.engine.event_rule import evaluate
from tocsin.engine.instances import kind_of
from tocsin.engine.partial_match import First, PartialMatch, belongs, first_key, is_first, second_key
from tocsin.engine.rule import Truth
from tocsin.events import Change, Instant
from tocsin.quantities import duration_text
from tocsin.ruletest.known import Known


class Sequel(NamedTuple):
    """What became of `then` or `unless`: what it asks, whether that is so (None: not known yet), and what came."""

    asks: str
    holds: Truth
    saw: str


class Sequels:
    """A rule with a sequel, in the store of `known`."""

    def __init__(self, known: Known, sequel: rules.SequenceSpec) -> None:
        self._known = known
        self._rule = known.rule
        self._sequel = sequel

    @property
    def _asks(self) -> str:
        """What is asked of the second event: `order.filled within 30s, when amount > first.amount`."""
        span = duration_text(timedelta(seconds=self._sequel.within))
        when = f", when {self._sequel.when.source}" if self._sequel.when is not None else ""
        return f"{' or '.join(self._sequel.events)} within {span}{when}"

    def waiting(self, now: datetime) -> list[tuple[First, str]]:
        """The first events that wait, the latest first; and for how long each will."""
        found = []
        for key, record in self._known.records.items():
            if kind_of(record, key) != "sequence":
                continue
            try:
                first = PartialMatch.from_record(self._rule, key, record, Instant(now, 0.0)).first
            except (KeyError, TypeError, ValueError):
                continue  # another version's: the daemon names it at its start, and doesn't go on with it
            if first is not None:
                found.append((first, self._waits(first)))
        return sorted(found, key=lambda each: each[0].change.received, reverse=True)

    def _waits(self, first: First) -> str:
        if first.stands:
            return "none so far; its time stands still while the venue is away"
        until = time_text(first.until.wall)
        return (
            f"none so far; waits until {until}"
            if self._sequel.awaited
            else f"none so far; told at {until} unless one comes"
        )

    def latest(self) -> Iterable[tuple[int, Change]]:
        """Of each sequence the latest first event that is asked about and kept, with its number."""
        found: dict[str, tuple[int, Change]] = {}
        for number, change in self._known.happened(self._rule.events):
            if is_first(self._rule, change):
                found.setdefault(first_key(self._rule, self._sequel, change), (number, change))
        return found.values()

    def waits(self, how_long: str, _first: Change) -> Sequel:
        """Of a first event that waits; `how_long` is what `waiting` said."""
        return Sequel(self._asks, None, how_long)

    def judged(self, number: int, now: datetime, first: Change) -> Sequel:
        """Of a first event that doesn't wait: whether it had what the rule asks for, as the kept events tell."""
        return Sequel(self._asks, *self._judged(number, now, first))

    def _judged(self, number: int, now: datetime, first: Change) -> tuple[Truth, str]:
        sequel = self._sequel
        if evaluate(self._rule, first, Instant(first.received, 0.0))[0] is False:
            return None, "not asked: such an event begins no sequence"
        second = self._second(number, first)
        if second is not None:
            return sequel.awaited, f"{second.events[-1]} of {second.key.id} came {_when(first, second)}"
        if now < first.received + timedelta(seconds=sequel.within):
            return None, "none so far"
        return not sequel.awaited, "none came"

    @cached_property
    def _seconds(self) -> list[tuple[int, Change]]:
        return list(self._known.happened(self._sequel.events, any_=True))

    def _second(self, number: int, first: Change) -> Change | None:
        """The earliest event that counts for that first one; for `unless` also one that came before it."""
        sequel, key = self._sequel, first_key(self._rule, self._sequel, first)
        earliest = None
        for other, second in self._seconds:
            apart = (second.received - first.received).total_seconds()
            if apart < -sequel.within:
                break
            if other == number or apart > sequel.within or (other < number and sequel.awaited):
                continue
            if second_key(self._rule, sequel, second) == key and self._counts(second, first):
                earliest = second
        return earliest

    def _counts(self, second: Change, first: Change) -> bool:
        at = Instant(second.received, 0.0)
        return belongs(self._rule, self._sequel, second, first, at)[0]


def _when(first: Change, second: Change) -> str:
    apart = second.received - first.received
    if not apart:
        return "at once"
    return f"{duration_text(abs(apart))} {'earlier' if apart < timedelta(0) else 'later'}"
