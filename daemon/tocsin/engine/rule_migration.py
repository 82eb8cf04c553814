"""Instances under other rules: taken up from the last run, whose rules were others maybe, or edited while they are there.

And which rules ran last: of those a start tells only what is news.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import ValidationError, structs

from tocsin.calendars import Since
from tocsin.engine.api import FAR, Gap, Saved, Transition
from tocsin.engine.index import RuleSet
from tocsin.engine.instances import (
    InstanceStore,
    RuleInstance,
    Step,
    asks,
    group_fields,
    kind_of,
    rekeyed,
    transition,
)
from tocsin.engine.pauses import ActiveHours
from tocsin.engine.rule import Rule, Wording
from tocsin.engine.runtime import DROPPED, GOES_ON, RuleBefore, RuleRuntime, Runtimes, kept_as
from tocsin.engine.samples import SampleLog
from tocsin.events import Change, Instant, Sample


def became(moved: Transition) -> str | None:
    """In words, what became of an alert by an edit of its rule, or by the rule's end; None where nothing lasted."""
    about = moved.rule + (f" for {moved.entity.id}" if moved.entity.id else "")
    if moved.notification == "resolved" and moved.context is not None:
        return f"resolved: {about} ({moved.context.reason})"
    if moved.trace.startswith(DROPPED):
        return f"dropped, and nobody was told: {about}, {moved.trace}"
    if moved.trace == GOES_ON and moved.state != "inactive":
        return f"goes on: {about}, {moved.state}"
    return None


_RAN = "rules that ran"


class KnownRules:
    """Kept for the next run, so that a start tells of standing things only what is news: by rules that are."""

    def __init__(self, log: SampleLog) -> None:
        self._known: set[str] = set()  # by what they are kept as
        self._log = log

    def restore(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Take up what the last run had kept; the samples that aren't of it pass through."""
        for sample in samples:
            if sample.series == _RAN:
                self._known.add(sample.instance)
            else:
                yield sample

    def knows(self, rule: Rule) -> bool:
        """Whether the rule ran last, and meant what it means now."""
        return kept_as(rule) in self._known

    def run(self, rules: Iterable[Rule], now: Instant) -> None:
        """These rules run from now on."""
        running = {kept_as(rule): None for rule in rules}
        for gone in sorted(self._known - running.keys()):
            self._log.drop(_RAN, gone)
        for new in running:
            if new not in self._known:
                self._log.mark(_RAN, new, now.wall)
        self._known = set(running)


@dataclass(slots=True)
class TakenUp:
    """What was taken up from the last run. `unreadable`: what couldn't be, and why; `torn` are the rules of that."""

    transitions: list[Transition] = field(default_factory=list)
    unreadable: list[tuple[Saved, str]] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An instance as it was saved, with the fingerprint that its rule had then."""

    runtime: RuleRuntime[Any]
    instance: RuleInstance
    before: RuleBefore
    fingerprint: str


class RuleMigration:
    def __init__(self, instances: InstanceStore, runtimes: Runtimes, hours: ActiveHours) -> None:
        self._instances = instances
        self._runtimes = runtimes
        self._hours = hours

    def take_up(self, rules: RuleSet, saved: Iterable[Saved], alive: Instant | None, now: Instant) -> TakenUp:
        """What the last run had saved when it was last seen `alive`; rules edited in between are treated as in a reload."""
        found = TakenUp()
        order = rules.order  # in which what is due at one instant is told
        for row in sorted(saved, key=lambda row: order.get(row.rule, -1)):
            rule = rules.get(row.rule)
            try:
                kept = self._read(row, rule, alive, now)
            except (KeyError, TypeError, ValueError, ValidationError) as error:
                found.torn.add(row.rule)
                found.unreadable.append((row, repr(error)))
                continue
            if rule is None:
                found.transitions += kept.runtime.end(kept.instance, now, rules.why_gone(row.rule))
            else:
                found.transitions += self._resumed(kept, row, rule, now)
        return found

    def edit(self, rules: RuleSet, now: Instant) -> Iterator[Transition]:
        """Other rules from now on. A rule whose meaning is unchanged keeps its state and notices nothing."""
        for instance in self._instances:
            was, rule, runtime = instance.rule, rules.get(instance.rule.id), self._runtimes.of(instance)
            if rule is None:
                yield from runtime.end(instance, now, rules.why_gone(was.id))
            elif rule.fingerprint == was.fingerprint:
                instance.adopt(rule, now)
                self._instances.keep(instance)
            else:
                before = RuleBefore(asks(was), group_fields(was))
                yield from runtime.edited(instance, rule, before, now)

    def close(self, rules: Iterable[Rule], now: Instant) -> Iterator[Transition]:
        """Those of these rules that don't count now have ended: their alerts are over, and nothing waits any longer."""
        closed = {rule.id for rule in rules if not self._hours.counts(rule)}
        for instance in self._instances if closed else ():
            if instance.rule.id in closed:
                yield from self._runtimes.of(instance).on_hours_over(instance, now)

    def _read(self, row: Saved, rule: Rule | None, alive: Instant | None, now: Instant) -> _Kept:
        """`rule` is None where it is gone. KeyError, TypeError, ValueError or msgspec's ValidationError where another version
        had written the record.
        """
        record = row.record
        key = row.instance if rule is None else rekeyed(rule, row.instance)
        runtime = self._runtimes.of_kind(kind_of(record, key))
        instance = runtime.revive(rule or _gone_rule(row.rule, record), key, record, alive, now)
        before = RuleBefore(record["asks"], record.get("per"))
        return _Kept(runtime, instance, before, record["fingerprint"])

    def _resumed(self, kept: _Kept, row: Saved, rule: Rule, now: Instant) -> Iterator[Transition]:
        """It goes on under its rule, edited in between or not."""
        instance, runtime = kept.instance, kept.runtime
        if instance.key != row.instance:
            if self._instances.get(rule.id, instance.key) is not None:  # two spellings, which are one now
                instance.key = row.instance
                yield from runtime.end(instance, now, "rule changed")
                return
            yield _left_behind(row, instance, now)
        runtime.thaw(instance, now)
        self._instances.keep(instance)
        if kept.fingerprint != rule.fingerprint:
            yield from runtime.edited(instance, rule, kept.before, now)
        else:
            yield from runtime.resumed(instance, rule, now)


def _left_behind(row: Saved, instance: RuleInstance, now: Instant) -> Transition:
    """The store needs no more what it had of the instance under another key."""
    gone = transition(
        instance, Step(trace="its key is another now"), now, state="inactive", alert_id="", keep=False
    )
    return structs.replace(gone, instance=row.instance)


class _Remembered:
    """The condition of a rule that is no longer there, as far as a message needs it."""

    edge = False
    looks_back_at: frozenset[str] = frozenset()
    timed = False
    drifts = False
    begins: frozenset[Since] = frozenset()
    remembers = False
    fields: tuple[str, ...] = ()
    turn: Callable[[Change, datetime], timedelta | None] | None = None
    followed = ()
    counted = ()
    crossings = ()
    summed = ()
    parts = ()

    def __init__(self, source: str) -> None:
        self.source = source

    def holds(self, _change: Change, _now: datetime) -> None:
        return None

    def missing(self, _change: Change, _now: datetime) -> tuple[str, ...]:
        return ()

    def nothing(self, _change: Change) -> None:
        return None

    def describe(self, _change: Change, _now: datetime, *, wording: Wording = "exact") -> str:  # noqa: ARG002 # it has one wording
        return self.source

    def gap(self, _change: Change, _now: datetime) -> Gap:
        return Gap(FAR)

    def bounds(self, _name: str, _change: Change, _now: datetime) -> tuple[Decimal, ...]:
        return ()


def _gone_rule(rule: str, record: Mapping[str, Any]) -> Rule:
    """What is known of a rule that was removed while we were down, from the record of one of its instances."""
    source = record["asks"]["when"]
    notify = record["notify"]
    return Rule(
        id=rule,
        kinds=frozenset(),
        when=_Remembered(source) if source else None,
        severity=record["severity"],
        notify=None if notify is None else tuple(notify),
        value_of=record["value_of"],
    )
