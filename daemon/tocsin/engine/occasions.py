"""Event rules and edge conditions at work: what happened is told once, held back by a cooldown, repeated until acknowledged."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from tocsin.engine import happenings
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.event_counter import EventCounter
from tocsin.engine.happenings import Cooldown, Reminder, always
from tocsin.engine.instances import InstanceStore, Step, transition
from tocsin.engine.keys import cooldown_key, instance_key
from tocsin.engine.model import Context, Transition
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.rule_health import RuleHealth
from tocsin.events import Change, Instant, Key

_HELD_BACK = Step(trace="held back by cooldown")


class EventRuleRuntime:
    """`new_id` gives the ids of alerts; each occasion that is told is an alert of its own."""

    def __init__(
        self, lives: InstanceStore, sight: RuleHealth, tallies: EventCounter, new_id: Callable[[], str]
    ) -> None:
        self._lives = lives
        self._tallies = tallies
        self._sight = sight
        self._new_id = new_id

    def happened(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """One of the events that the rule watches."""
        change, truth, missing = self.verdict(rule, change, now)
        if rule.if_unknown == "ignore":
            self._sight.note(rule, truth, now.steady, missing)
        if happenings.tells(rule, truth):
            yield from self.raised(
                rule, change, partial(happenings.happened, rule, change, now, truth, missing), now
            )

    def verdict(self, rule: Rule, change: Change, now: Instant) -> tuple[Change, Truth, tuple[str, ...]]:
        """The event, counted where the rule counts events; whether its conditions hold; and what is missing for that."""
        if self._tallies.counts(rule):
            takes_part = True if rule.where is None else rule.where.holds(change, now.wall)
            if takes_part is False or (takes_part is None and rule.if_unknown == "ignore"):
                return change, takes_part, ()
            change = self._tallies.count(rule, change)
        return (change, *happenings.verdict(rule, change, now))

    def raised(
        self, rule: Rule, change: Change, context: Callable[[], Context], now: Instant
    ) -> Iterator[Transition]:
        """An alert of an event rule, that a cooldown may hold back. `change` says whose cooldown, `context` makes what is
        told of it.
        """
        self._tallies.afresh(rule, change)
        if not rule.cooldown:
            yield from self._told(rule, change.key, context(), now, "happened")
            return
        key = cooldown_key(rule, change)
        quiet = self._lives.get(rule.id, key)
        if isinstance(quiet, Cooldown) and quiet.until.steady <= now.steady:
            yield from self.quiet_over(quiet, now)
            quiet = self._lives.get(rule.id, key)
        if isinstance(quiet, Cooldown):
            if any(condition.followed for condition in rule.conditions):
                context = always(context())  # windows move on
            quiet.hold(context)
            yield transition(quiet, _HELD_BACK, now, later=True)
            return
        yield from self._told(rule, change.key, context(), now, "happened")
        quiet = Cooldown(rule, key, change.key, now.later(rule.cooldown))
        self._lives.keep(quiet)
        yield transition(quiet, Step(trace="cooldown begins"), now)

    def edge(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """A state rule on an edge: told each time it is true; unknown (a first sight) is not."""
        truth, _ = happenings.verdict(rule, change, now)
        self._sight.note(rule, truth, now.steady)
        if truth is True:
            context = happenings.happened(rule, change, now, truth, ())
            yield from self._told(rule, change.key, context, now, "edge")

    def quiet_over(self, quiet: Cooldown, now: Instant) -> Iterator[Transition]:
        """A cooldown has passed: what it held back is told with its count, and another one begins."""
        context = quiet.end(now)
        if context is None:
            self._lives.forget(quiet)
            yield transition(quiet, Step(trace="cooldown over"), now, keep=False)
            return
        self._lives.keep(quiet)
        yield transition(quiet, Step(trace="cooldown over, and begun anew"), now)
        yield from self._told(
            quiet.rule, quiet.entity, context, now, f"{context.suppressed} held back by cooldown"
        )

    def quiet_ended(self, quiet: Cooldown, now: Instant, why: str) -> Iterator[Transition]:
        """The rule is gone or has no such cooldown any more: what was held back is told all the same."""
        context = quiet.end(now)
        self._lives.forget(quiet)
        yield transition(quiet, Step(trace=why), now, keep=False)
        if context is not None:
            yield self._once(quiet.rule, quiet.entity, context, now, why)

    def remind(self, life: Reminder, now: Instant) -> Transition:
        step = Step("reminder", life.remind(now), f"reminder {life.times} of {happenings.MOST_REMINDERS}")
        (self._lives.forget if life.exhausted else self._lives.keep)(life)
        return transition(life, step, now, keep=not life.exhausted)

    def _told(
        self, rule: Rule, entity: Key, context: Context, now: Instant, trace: str
    ) -> Iterator[Transition]:
        if not rule.repeat:
            yield self._once(rule, entity, context, now, trace)
            return
        frozen = msgspec.structs.replace(context, suppressed=0)
        life = Reminder(rule, self._new_id(), frozen, entity, now.later(rule.repeat))
        self._lives.keep(life)
        yield transition(life, Step("firing", context, trace), now)

    def _once(self, rule: Rule, entity: Key, context: Context, now: Instant, trace: str) -> Transition:
        """Told, and over."""
        life = AlertInstance(rule, instance_key(entity), entity, alert_id=self._new_id())
        return transition(life, Step("firing", context, trace), now, keep=False)
