"""`absent: 24h`: what ought to come and hasn't, for so long; an alert that lasts until it comes.

    counting ──(absent)──> firing ──it comes──> resolved, and counting anew

There is an instance for each group of `per`: from the first event of the group, or, of groups that `where` names and of `per: []`, from
when the rule begins. Time stands still while a venue that an event may come from is away, the daemon down, and outside of `active`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from tocsin.engine.absence import Absence, words
from tocsin.engine.aggregates import label
from tocsin.engine.alert_instance import Count
from tocsin.engine.api import Notification, Transition, event_time
from tocsin.engine.index import RuleSet, named_groups, named_values
from tocsin.engine.instances import (
    Step,
    absence_key,
    asks,
    field_shown,
    group_fields,
    happens_in,
    transition,
)
from tocsin.engine.pauses import OUT_OF_HOURS, LinkTurned
from tocsin.engine.rule import Rule
from tocsin.engine.runtime import GOES_ON, RuleBefore, RuleRuntime, Shared
from tocsin.engine.samples import MOST_INSTANCES
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject, Timer, urgency, what_happened
from tocsin.events import Change, Instant, Key


class AbsenceRuleRuntime(RuleRuntime[Absence]):
    kinds = ("absence",)

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._venues: Mapping[str, Collection[str] | None] = {}  # those that a rule may hear of; None: all

    def set_rules(self, rules: RuleSet) -> None:
        running = rules.running.values()
        self._venues = {rule.id: named_values(rule, "venue") for rule in running if rule.absent is not None}

    # ------------------------------------------------------------------------------------------------- what happens

    def on_change(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """It has come, if it passes `where`; what is unknown doesn't."""
        if not happens_in(change, rule.events):
            return
        comes = True if rule.where is None else rule.where.holds(change, now.wall)
        missing = rule.where.missing(change, now.wall) if rule.where is not None and comes is None else ()
        self._health.note(rule, comes, now.steady, missing)
        if not comes:
            return
        per = tuple(field_shown(change, name) for name in group_fields(rule))
        instance = self._absence(rule, per)
        if instance is None:
            yield from self._make_room(rule, now)
            instance = Absence.begun(rule, per, now)
        if (due := instance.due()) is not None and due <= now.steady:
            yield from self.on_timer(instance, now)
        symbol = f" ({change.symbol})" if change.symbol and change.symbol != change.key.id else ""
        what = f"{what_happened(rule, change)} of {change.key.id}{symbol}"
        if instance.alert:
            yield self._resolved(instance, now, what, event=change)
        instance.heard_at, instance.last, instance.count = event_time(change), what, Count()
        self._instances.forget(instance)  # it is the last to be forgotten
        yield self._kept(instance, "it came", now, later=True)

    def on_timer(self, instance: Absence, now: Instant) -> Iterator[Transition]:
        told: Notification = "reminder" if instance.alert else "firing"
        if instance.alert:
            instance.schedule_reminder(now)
        else:
            instance.fire(self._new_id(), now)
        step = instance.notification(told, now, f"no {instance.asked}; {instance.seen}")
        self._instances.keep(instance)
        yield transition(instance, step, now)

    def on_link(self, instance: Absence, link: LinkTurned, now: Instant) -> Iterable[Transition]:  # noqa: ARG002 # whichever
        return self._let_go(instance, now)

    def on_hours_over(self, instance: Absence, now: Instant) -> Iterator[Transition]:
        if instance.alert:
            yield self._resolved(instance, now, "", reason=OUT_OF_HOURS)
            instance.count = Count()
            yield self._kept(instance, OUT_OF_HOURS, now)
        yield from self._let_go(instance, now)

    def acknowledge(self, instance: Absence) -> bool:
        if lasts := bool(instance.alert):
            instance.acked, instance.remind_at = True, None
        return lasts

    def unacknowledge(self, instance: Absence, now: Instant, *, at_once: bool) -> bool:
        if acked := instance.acked and bool(instance.alert):
            instance.acked = False
            instance.schedule_reminder(now, at_once=at_once)
        return acked

    def told(self, instance: Absence, now: Instant) -> bool:
        if reminds := instance.remind_at is not None:
            instance.schedule_reminder(now)
        return reminds

    def on_venues_removed(
        self, instance: Absence, venues: Collection[str], now: Instant
    ) -> Iterable[Transition]:
        is_gone = instance.entity.venue in venues
        return self.end(instance, now, "venue removed") if is_gone else self._let_go(instance, now)

    # ---------------------------------------------------------------------------------------------- as things stand

    def reevaluate(
        self,
        rules: Collection[Rule],
        now: Instant,
        *,
        venue: str | None = None,  # noqa: ARG002 # what stands still there is let go by `on_link`
        only_noted: Collection[str] = (),  # noqa: ARG002 # nothing fires by this
    ) -> Iterator[Transition]:
        """Rules begin, or their hours do: what is missed from then on is there, and time goes on."""
        for rule in rules:
            if rule.absent is None:
                continue
            for instance in list(self._instances.of_rule(rule.id)):
                if isinstance(instance, Absence):
                    yield from self._let_go(instance, now)
            for per in named_groups(rule):
                if self._absence(rule, per) is None:
                    yield self._kept(Absence.begun(rule, per, now), "looked for from now on", now)

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        fresh = [Absence.begun(rule, per, now) for per in named_groups(rule)]
        known = [each for each in self._instances.of_rule(rule.id) if isinstance(each, Absence)]
        found = {each.key: each for each in (*fresh, *known)}
        shown = [each for each in found.values() if asked.names(label(each.common), *each.common.values())]
        shown.sort(key=lambda each: (urgency(each.state), -each.count.read(now.steady), each.key))
        return [Subject(None, None, partial(self._trace, rule, each, now)) for each in shown]

    def _trace(self, rule: Rule, instance: Absence, now: Instant, _past: Past) -> InstanceTrace:
        lasts, passed = rule.absent or 0.0, instance.count.read(now.steady)
        runs, waits = instance.count.since is not None, rule.id in self._venues and not instance.alert
        return InstanceTrace(
            rule=rule,
            change=instance.stand_in(),
            key=instance.key,
            parts=instance.parts(now),
            state=instance.state,
            since=instance.fired_at,
            alert_id=instance.alert,
            acked=instance.acked,
            timer=Timer("absent", passed, lasts, runs) if waits else None,
            remind_at=instance.remind_at.wall if instance.remind_at is not None else None,
            waits_until=now.later(lasts - passed).wall if runs and waits else None,
            down=self._away(instance),
        )

    def lacking(self, rule: Rule, now: Instant) -> tuple[str, ...] | None:  # noqa: ARG002 # noted before
        """What the first of the events that were unknown lacked."""
        return self._health.missing(rule.id)

    # ------------------------------------------------------------------------------------ other rules, another run

    def goes_on(self, instance: Absence, before: RuleBefore, now: Instant) -> bool:  # noqa: ARG002 # whenever
        rule = instance.rule
        alike = asks(rule) == before.asked and list(group_fields(rule)) == list(before.grouped or ())
        return rule.absent is not None and alike

    def edited(self, instance: Absence, rule: Rule, before: RuleBefore, now: Instant) -> Iterator[Transition]:
        """What fires although not so much has passed as the rule says now, is over; its time goes on."""
        instance.adopt(rule, now)
        if not self.goes_on(instance, before, now):
            yield from self.end(instance, now, "rule changed")
            return
        if instance.alert and instance.count.read(now.steady) < (rule.absent or 0.0):
            yield self._resolved(instance, now, "", reason="rule changed")
        instance.asked, instance.limit = words(rule)
        yield self._kept(instance, GOES_ON, now)

    def end(
        self, instance: Absence, now: Instant, reason: str, last: Change | None = None
    ) -> Iterator[Transition]:
        if instance.alert:
            yield self._resolved(instance, now, "", reason=reason)
        yield from super().end(instance, now, reason, last)

    def revive(
        self, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> Absence:
        return Absence.from_record(rule, key, record, alive, now)

    def thaw(self, instance: Absence, now: Instant) -> None:
        if self._runs(instance):
            instance.count.go(now.steady)

    # --------------------------------------------------------------------------------------------------------- parts

    def _absence(self, rule: Rule, per: tuple[str | None, ...]) -> Absence | None:
        found = self._instances.get(rule.id, absence_key(rule, per))
        return found if isinstance(found, Absence) else None

    def _heard_of(self, instance: Absence) -> Collection[str] | None:
        """The venues that it may come from; None: all."""
        venue = instance.entity.venue
        return (venue,) if venue else self._venues.get(instance.rule.id)

    def _runs(self, instance: Absence) -> bool:
        """Whether it would be heard if it came, so that its time goes on."""
        away = self._links.away(instance.rule, self._heard_of(instance))
        return self._hours.counts(instance.rule) and not away

    def _away(self, instance: Absence) -> Change | None:
        """A venue for which it stands still."""
        away = self._links.away(instance.rule, self._heard_of(instance))
        return self._world.get(Key(away[0], "venue", "", away[0])) if away else None

    def _let_go(self, instance: Absence, now: Instant) -> Iterator[Transition]:
        """Its time goes on from now, or stands still, as it is to."""
        runs = self._runs(instance)
        if runs != (instance.count.since is not None):
            instance.count.stop(now.steady)
            yield self._kept(instance, "its time goes on" if runs else "its time stands still", now)

    def _kept(self, instance: Absence, why: str, now: Instant, *, later: bool = False) -> Transition:
        """It is as it now is; its time goes on, if it may."""
        self.thaw(instance, now)
        self._instances.keep(instance)
        return transition(instance, Step(trace=why), now, later=later)

    def _make_room(self, rule: Rule, now: Instant) -> Iterator[Transition]:
        """For one more: where there are too many, the one that was last heard of the longest ago is forgotten, and that is told once."""
        known = self._instances.of_rule(rule.id)
        if len(known) >= MOST_INSTANCES:
            named = {absence_key(rule, per) for per in named_groups(rule)}
            oldest = next(each for each in known if each.key not in named and isinstance(each, Absence))
            self._health.note_crowded(rule.id)
            yield from self.end(oldest, now, "forgotten")

    def _resolved(
        self, instance: Absence, now: Instant, says: str, *, reason: str = "", event: Change | None = None
    ) -> Transition:
        """It is over, and there goes on counting. `event`: what came."""
        step = instance.notification("resolved", now, says or f"no {instance.asked}", reason, event=event)
        alert = instance.alert
        instance.alert, instance.fired_at, instance.remind_at, instance.acked = "", None, None, False
        return transition(instance, step, now, alert_id=alert)
