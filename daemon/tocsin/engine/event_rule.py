"""Event rules: something happened, told once; with `cooldown`, at most once in that time; with `repeat`, until acknowledged.

What a cooldown held back is counted and told, with its count, when the time is over, and a new cooldown begins.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec

from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.api import AlertContext, EnrichedChange, Transition, inform
from tocsin.engine.instances import (
    EventInstance,
    InstanceKind,
    Step,
    cooldown_key,
    group_fields,
    happens_in,
    instance_key,
    kind_of,
    revive,
    tagged,
    transition,
)
from tocsin.engine.rule import WORDINGS, Rule, Truth
from tocsin.engine.runtime import RuleBefore, RuleRuntime, Shared
from tocsin.engine.samples import EventCounter
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject, event_context, parts_of
from tocsin.events import Change, Instant, Key, iso

MOST_REMINDERS = 24
_HELD_BACK = Step(trace="held back by cooldown")


class MakeContext(Protocol):
    """Makes the context of an alert; `traced`: with the rule's conditions part by part, which costs."""

    def __call__(self, *, traced: bool = True) -> AlertContext: ...


@dataclass(slots=True)
class Cooldown(EventInstance):
    """A rule's cooldown for one instance (`per`): until when (wall-clock), and what it has held back.

    `latest` makes the context of the last of those, which is wanted only when the time is over or a record is written.
    """

    rule: Rule
    key: str
    entity: Key
    until: Instant
    held: int = 0
    latest: Callable[[], AlertContext] | None = None

    @property
    def kind(self) -> InstanceKind:
        return "cooldown"

    def due(self) -> float:
        return self.until.steady

    def hold(self, context: Callable[[], AlertContext]) -> None:
        self.held += 1
        self.latest = context

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: what is still to be told has its new words, and no cooldown lasts longer than it says."""
        self.rule = rule
        self.until = min(self.until, now.later(rule.cooldown or 0.0), key=lambda at: at.steady)
        if self.latest is not None:
            self.latest = partial(_reworded, self.latest(), rule)

    def end(self, now: Instant) -> AlertContext | None:
        """The time is over: what to tell of what was held back (a new cooldown then begins), or None."""
        if not self.held or self.latest is None:
            return None
        context = msgspec.structs.replace(self.latest(), suppressed=self.held, at=now.wall)
        self.held, self.latest = 0, None
        self.until = now.later(self.rule.cooldown or 0.0)
        return context

    def to_record(self) -> dict[str, Any]:
        return {
            **tagged(self),
            "per": group_fields(self.rule),
            "until": iso(self.until.wall),
            "held": self.held,
            "latest": msgspec.to_builtins(self.latest()) if self.latest else None,
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "Cooldown":
        latest = always(msgspec.convert(record["latest"], AlertContext)) if record["latest"] else None
        until = revive(record["until"], now, rule.cooldown or 0.0)
        return cls(rule, key, Key(*record["entity"]), until, record["held"], latest)


@dataclass(slots=True)
class Reminder(EventInstance):
    """An event rule's alert that is repeated until acknowledged, at most 24 times."""

    rule: Rule
    key: str
    context: AlertContext
    entity: Key
    next_at: Instant
    times: int = field(default=0)
    acked: bool = False

    @property
    def kind(self) -> InstanceKind:
        return "reminder"

    def due(self) -> float:
        return self.next_at.steady

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: reminders have its new words, and come as often as it says."""
        self.rule = rule
        self.next_at = min(self.next_at, now.later(rule.repeat or 0.0), key=lambda at: at.steady)
        self.context = _reworded(self.context, rule)

    def remind(self, now: Instant) -> AlertContext:
        self.times += 1
        self.next_at = now.later(self.rule.repeat or 0.0)
        return msgspec.structs.replace(self.context, state="reminder", at=now.wall)

    @property
    def exhausted(self) -> bool:
        return self.times >= MOST_REMINDERS

    def to_record(self) -> dict[str, Any]:
        return {
            **tagged(self),
            "context": msgspec.to_builtins(self.context),
            "next_at": iso(self.next_at.wall),
            "times": self.times,
            "acked": self.acked,
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "Reminder":
        return cls(
            rule,
            key,
            msgspec.convert(record["context"], AlertContext),
            Key(*record["entity"]),
            revive(record["next_at"], now, rule.repeat or 0.0),
            record["times"],
            record.get("acked", False),
        )


class EventRuleRuntime(RuleRuntime[Cooldown | Reminder]):
    """Each event that is told is an alert of its own. Of other kinds of rules too it tells what happens and is over: a
    sequence completed, an edge.
    """

    kinds = ("cooldown", "reminder")

    def __init__(self, shared: Shared, counter: EventCounter) -> None:
        super().__init__(shared)
        self._counter = counter

    # ------------------------------------------------------------------------------------------------- what happens

    def on_change(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """One of the events that the rule watches may have happened."""
        if not happens_in(change, rule.events):
            return
        change, truth, missing = self.count_and_evaluate(rule, change, now)
        if rule.if_unknown == "ignore":
            self._health.note(rule, truth, now.steady, missing)
        if raises(rule, truth):
            yield from self.raised(rule, change, partial(happened, rule, change, now, truth, missing), now)

    def count_and_evaluate(
        self, rule: Rule, change: Change, now: Instant
    ) -> tuple[Change, Truth, tuple[str, ...]]:
        """The event, counted where the rule counts events; whether its conditions hold; and what is missing for that."""
        if self._counter.counts(rule):
            takes_part = True if rule.where is None else rule.where.holds(change, now.wall)
            if takes_part is False or (takes_part is None and rule.if_unknown == "ignore"):
                return change, takes_part, ()
            change = self._counter.count(rule, change)
        return (change, *evaluate(rule, change, now))

    def raised(
        self, rule: Rule, change: Change, context: "MakeContext", now: Instant
    ) -> Iterator[Transition]:
        """An alert of an event rule, that a cooldown may hold back. `change` says whose cooldown, `context` makes what is
        told of it.
        """
        self._counter.afresh(rule, change)
        if not rule.cooldown:
            yield from self._notified(rule, change.key, context(), now, "happened")
            return
        key = cooldown_key(rule, change)
        cooldown = self._cooldown(rule, key)
        if cooldown is not None and cooldown.until.steady <= now.steady:
            yield from self._over(cooldown, now)
            cooldown = self._cooldown(rule, key)
        if cooldown is not None:
            if any(condition.followed for condition in rule.conditions):
                cooldown.hold(always(context(traced=False)))  # windows move on
            else:
                cooldown.hold(context)
            yield transition(cooldown, _HELD_BACK, now, later=True)
            return
        yield from self._notified(rule, change.key, context(), now, "happened")
        cooldown = Cooldown(rule, key, change.key, now.later(rule.cooldown))
        self._instances.keep(cooldown)
        yield transition(cooldown, Step(trace="cooldown begins"), now)

    def edge(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """A state rule on an edge: told each time it is true; unknown (a first sight) is not."""
        truth, _ = evaluate(rule, change, now)
        self._health.note(rule, truth, now.steady)
        if truth is True:
            yield from self._notified(rule, change.key, happened(rule, change, now, truth, ()), now, "edge")

    def on_timer(self, instance: Cooldown | Reminder, now: Instant) -> Iterator[Transition]:
        """A cooldown is over, or it is time to remind: what would do so out of hours does it when they begin."""
        if isinstance(instance, Cooldown):
            yield from self._over(instance, now)
        elif self._hours.counts(instance.rule):
            context, number = instance.remind(now), f"reminder {instance.times} of {MOST_REMINDERS}"
            step = (
                Step(trace=f"{number}: acknowledged") if instance.acked else Step("reminder", context, number)
            )
            (self._instances.forget if instance.exhausted else self._instances.keep)(instance)
            yield transition(instance, step, now, keep=not instance.exhausted)
        else:
            instance.next_at = self._hours.begins(instance.rule, now)
            self._instances.keep(instance)
            yield transition(instance, Step(trace="the reminder waits for the rule's hours"), now)

    def acknowledge(self, instance: Cooldown | Reminder) -> bool:
        if lasts := isinstance(instance, Reminder):
            instance.acked = True
        return lasts

    def unacknowledge(self, instance: Cooldown | Reminder, now: Instant, *, at_once: bool) -> bool:
        if not isinstance(instance, Reminder) or not instance.acked:
            return False
        instance.acked = False
        instance.next_at = now if at_once else now.later(instance.rule.repeat or 0.0)
        return True

    def told(self, instance: Cooldown | Reminder, now: Instant) -> bool:
        if reminds := isinstance(instance, Reminder):
            instance.next_at = now.later(instance.rule.repeat or 0.0)
        return reminds

    # --------------------------------------------------------------------------------------------------- other rules

    def goes_on(self, instance: Cooldown | Reminder, before: RuleBefore, now: Instant) -> bool:  # noqa: ARG002 # whenever
        rule = instance.rule
        if isinstance(instance, Reminder):
            return rule.is_event_rule and not rule.lasts and bool(rule.repeat)
        alike = list(group_fields(rule)) == list(before.grouped or ())
        return rule.is_event_rule and bool(rule.cooldown) and alike

    def end(
        self, instance: Cooldown | Reminder, now: Instant, reason: str, last: Change | None = None
    ) -> Iterator[Transition]:
        """The rule is gone or has no such cooldown any more: what was held back is told all the same."""
        context = instance.end(now) if isinstance(instance, Cooldown) else None
        yield from super().end(instance, now, reason, last)
        if context is not None:
            yield self._once(instance.rule, instance.entity, context, now, reason)

    def revive(
        self,
        rule: Rule,
        key: str,
        record: Mapping[str, Any],
        alive: Instant | None,  # noqa: ARG002 # it goes by the wall-clock
        now: Instant,
    ) -> Cooldown | Reminder:
        kept = Cooldown if kind_of(record, key) == "cooldown" else Reminder
        return kept.from_record(rule, key, record, now)

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        """The latest events of each instance; where none are kept (market data isn't, as a rule), what they are of."""
        if asked.happened:
            return [Subject(each.key, each, partial(self._seen_then, rule, each)) for each in asked.happened]
        found = sorted(key for kind in rule.kinds for key in self._world.called(kind, asked.called))
        return [Subject(key, None, partial(self._seen_now, rule, key, now)) for key in found]

    def _seen_then(self, rule: Rule, change: Change, past: Past) -> InstanceTrace:
        return self.trace(rule, past.whole(change))

    def _seen_now(self, rule: Rule, key: Key, now: Instant, _past: Past) -> InstanceTrace | None:
        change = self._world.get(key)
        return None if change is None else self.trace(rule, change, now)

    def trace(self, rule: Rule, change: Change, at: Instant | None = None) -> InstanceTrace:
        """What the rule sees of an event as it was then (`at`: at another time), with what is remembered now."""
        at = at or Instant(change.received, 0.0)
        known = self._world.get(change.key)
        if isinstance(known, EnrichedChange):
            change = inform(change, known.windows)
        if rule.counted or rule.keyed:
            change = self._counter.counted(rule, change)
        key = cooldown_key(rule, change)
        cooldown = self._cooldown(rule, key) if rule.cooldown else None
        return InstanceTrace(
            rule=rule,
            change=change,
            key=instance_key(change.key),
            parts=parts_of(rule, change, at),
            cooldown=(cooldown.until.wall, cooldown.held) if cooldown is not None else None,
            down=self._down(rule, change.venue),
            unconfirmed_since=change.unconfirmed_since,
        )

    def lacking(self, rule: Rule, now: Instant) -> tuple[str, ...] | None:  # noqa: ARG002 # noted before
        """What the first of the events that were unknown lacked."""
        return self._health.missing(rule.id)

    # --------------------------------------------------------------------------------------------------------- parts

    def _cooldown(self, rule: Rule, key: str) -> Cooldown | None:
        found = self._instances.get(rule.id, key)
        return found if isinstance(found, Cooldown) else None

    def _over(self, cooldown: Cooldown, now: Instant) -> Iterator[Transition]:
        """A cooldown has passed: what it held back is told with its count, and another one begins."""
        context = cooldown.end(now)
        if context is None:
            self._instances.forget(cooldown)
            yield transition(cooldown, Step(trace="cooldown over"), now, keep=False)
            return
        self._instances.keep(cooldown)
        yield transition(cooldown, Step(trace="cooldown over, and begun anew"), now)
        yield from self._notified(
            cooldown.rule, cooldown.entity, context, now, f"{context.suppressed} held back by cooldown"
        )

    def _notified(
        self, rule: Rule, entity: Key, context: AlertContext, now: Instant, trace: str
    ) -> Iterator[Transition]:
        if not rule.repeat:
            yield self._once(rule, entity, context, now, trace)
            return
        frozen = msgspec.structs.replace(context, suppressed=0)
        reminder = Reminder(rule, self._new_id(), frozen, entity, now.later(rule.repeat))
        self._instances.keep(reminder)
        yield transition(reminder, Step("firing", context, trace), now)

    def _once(self, rule: Rule, entity: Key, context: AlertContext, now: Instant, trace: str) -> Transition:
        """Told, and over."""
        alert = AlertInstance(rule, instance_key(entity), entity, alert_id=self._new_id())
        return transition(alert, Step("firing", context, trace), now, keep=False)


def evaluate(rule: Rule, change: Change, now: Instant) -> tuple[Truth, tuple[str, ...]]:
    """Whether the rule's conditions hold for this event, and what was missing where that is unknown."""
    outcome: Truth = True
    missing: tuple[str, ...] = ()
    for condition in (rule.where, rule.when):
        if condition is None:
            continue
        truth = condition.holds(change, now.wall)
        if truth is False:
            return False, ()
        if truth is None:
            outcome = None
            missing += condition.missing(change, now.wall)
    return outcome, tuple(dict.fromkeys(missing))


def raises(rule: Rule, truth: Truth) -> bool:
    """Whether an event of that verdict raises an alert. Unknown does, unless the rule says to ignore it."""
    return truth is True or (truth is None and rule.if_unknown == "tell")


def happened(
    rule: Rule, change: Change, now: Instant, truth: Truth, missing: tuple[str, ...], *, traced: bool = True
) -> AlertContext:
    """The context of the alert that this event raises."""
    known = [c for c in (rule.where, rule.when) if c is not None and truth is True]
    condition, words, limit = (
        " and ".join(filter(None, (c.describe(change, now.wall, wording=wording) for c in known)))
        for wording in WORDINGS
    )
    return event_context(
        rule,
        change,
        now,
        condition=condition,
        words=words,
        limit=limit,
        missing=missing,
        parts=parts_of(rule, change, now) if traced else (),
    )


def always(context: AlertContext) -> Callable[[], AlertContext]:
    """Makes a context that is there already."""
    return lambda: context


def _reworded(context: AlertContext, rule: Rule) -> AlertContext:
    return msgspec.structs.replace(context, severity=rule.severity, title=rule.title, message=rule.message)
