"""`absent: 24h`: what ought to come and hasn't, for so long; an alert that lasts until it comes.

    counting ──(absent)──> firing ──it comes──> resolved, and counting anew

There is an instance for each group of `per`: from the first event of the group, or, of groups that `where` names and of `per: []`, from
when the rule begins. Time stands still while a venue that an event may come from is away, the daemon down, and outside of `active`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msgspec import structs

from tocsin.engine.aggregates import label
from tocsin.engine.alert_instance import Count
from tocsin.engine.api import AlertState, Distance, Notification, Part, Transition, event_time
from tocsin.engine.group_rule import common_state
from tocsin.engine.index import RuleSet, named_groups, named_values
from tocsin.engine.instances import (
    InstanceKind,
    Step,
    absence_key,
    asks,
    field_shown,
    group_fields,
    happens_in,
    revive,
    tagged,
    transition,
)
from tocsin.engine.pauses import OUT_OF_HOURS, LinkTurned
from tocsin.engine.rule import Rule
from tocsin.engine.runtime import GOES_ON, RuleBefore, RuleRuntime, Shared
from tocsin.engine.samples import MOST_INSTANCES
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject, Timer, context_of, urgency, what_happened
from tocsin.events import Change, Instant, Key, from_iso, iso
from tocsin.quantities import duration_text

_NEVER = "none since the rule began"
_SHOWN = ("venue", "account", "symbol")  # of what is looked for


@dataclass(slots=True)
class Absence:
    """What one rule misses, or may come to, in one group; `common` is what is known of all that it looks for (`symbol`), as it was first
    spelled.

    `count`: for how long nothing has come, as far as that counts. `heard_at` is when something last came (UTC), `last` what that was;
    empty: nothing since the rule began, which was then. `alert` is the id of its alert while it fires.
    """

    rule: Rule
    key: str
    entity: Key
    common: Mapping[str, str | None]
    asked: str
    limit: str
    heard_at: datetime
    last: str = ""
    count: Count = field(default_factory=Count)
    alert: str = ""
    fired_at: datetime | None = None
    remind_at: Instant | None = None
    acked: bool = False

    @property
    def kind(self) -> InstanceKind:
        return "absence"

    @property
    def alert_id(self) -> str:
        return self.alert or self.key

    @property
    def state(self) -> AlertState:
        return "firing" if self.alert else "inactive"

    @property
    def indexed(self) -> None:
        return None

    def due(self) -> float | None:
        """When (steady) it fires, or reminds."""
        if not self.alert:
            return self.count.due(self.rule.absent or 0.0)
        return self.remind_at.steady if self.remind_at is not None else None

    def fire(self, alert_id: str, now: Instant) -> None:
        self.alert, self.fired_at, self.acked = alert_id, now.wall, False
        self.schedule_reminder(now)

    def schedule_reminder(self, now: Instant, *, at_once: bool = False) -> None:
        repeat = self.rule.repeat if self.alert and not self.acked else None
        self.remind_at = now.later(0.0 if at_once else repeat) if repeat else None

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: its new texts and times count from now on."""
        self.rule, due = rule, self.remind_at
        self.schedule_reminder(now)
        if due is not None and self.remind_at is not None:
            self.remind_at = min(due, self.remind_at, key=lambda at: at.steady)

    def to_record(self) -> dict[str, Any]:
        return {
            **tagged(self),
            "per": list(group_fields(self.rule)),
            "common": self.common,
            "asked": self.asked,
            "limit": self.limit,
            "state": self.state,
            "alert_id": self.alert,
            "passed": self.count.passed,
            "since_steady": self.count.since,
            "heard_at": iso(self.heard_at),
            "last": self.last,
            "fired_at": iso(self.fired_at) if self.fired_at else None,
            "remind_at": iso(self.remind_at.wall) if self.remind_at else None,
            "acked": self.acked,
        }

    @classmethod
    def from_record(
        cls, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> "Absence":
        """As it was when the last run was last seen `alive`; its time stands still."""
        reminds = record["remind_at"] and rule.repeat
        return cls(
            rule=rule,
            key=key,
            entity=Key(*record["entity"]),
            common=record["common"],
            asked=record["asked"],
            limit=record["limit"],
            heard_at=from_iso(record["heard_at"]),
            last=record["last"],
            count=Count.of_record(record, alive),
            alert=record["alert_id"],
            fired_at=from_iso(record["fired_at"]) if record["fired_at"] else None,
            remind_at=revive(record["remind_at"], now, rule.repeat or 0.0) if reminds else None,
            acked=record["acked"],
        )


def _words(rule: Rule) -> tuple[str, str]:
    """What is looked for, and that it is missed in few words: `order.filled where amount > 5 for 24h`, `no such order.filled for 24h`."""
    what, where = " or ".join(rule.events), f" where {rule.where.source}" if rule.where is not None else ""
    lasts = duration_text(timedelta(seconds=rule.absent or 0.0))
    return f"{what}{where} for {lasts}", f"no {'such ' if where else ''}{what} for {lasts}"


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
            instance = _begun(rule, per, now)
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
        since = f"the last was {instance.last}" if instance.last else _NEVER
        step = _told(instance, now, told, f"no {instance.asked}; {since}", "", event=None)
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
                    yield self._kept(_begun(rule, per, now), "looked for from now on", now)

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        fresh = [_begun(rule, per, now) for per in named_groups(rule)]
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
            change=_stand_in(instance),
            key=instance.key,
            parts=_parts(instance, now),
            state=instance.state,
            since=instance.fired_at,
            alert_id=instance.alert,
            acked=instance.acked,
            timer=Timer("absent", passed, lasts, runs) if waits else None,
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
        instance.asked, instance.limit = _words(rule)
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
        step = _told(instance, now, "resolved", says or f"no {instance.asked}", reason, event=event)
        alert = instance.alert
        instance.alert, instance.fired_at, instance.remind_at, instance.acked = "", None, None, False
        return transition(instance, step, now, alert_id=alert)


def _begun(rule: Rule, per: tuple[str | None, ...], now: Instant) -> Absence:
    """Nothing has come, and its time stands still until it is let go."""
    named = {name: named_values(rule, name) or () for name in _SHOWN}
    common: dict[str, str | None] = {
        name: next(iter(values)) for name, values in named.items() if len(values) == 1
    }
    common |= dict(zip(group_fields(rule), per, strict=True))
    kind, (asked, limit) = rule.events[0].partition(".")[0], _words(rule)
    return Absence(
        rule=rule,
        key=absence_key(rule, per),
        entity=Key(common.get("venue") or "", kind, common.get("account") or "", label(common)),
        common=common,
        asked=asked,
        limit=limit,
        heard_at=now.wall,
    )


def _parts(instance: Absence, now: Instant) -> tuple[Part, ...]:
    """What is looked for and how far that is from being missed; nothing where the rule is gone."""
    if instance.rule.absent is None:
        return ()
    lasts = timedelta(seconds=instance.rule.absent)
    passed = timedelta(seconds=round(instance.count.read(now.steady)))
    part = Part(
        of="absent",
        asks=instance.asked,
        holds=bool(instance.alert),
        saw=f"the last was {instance.last}" if instance.last else _NEVER,
        distance=Distance(
            value=duration_text(passed),
            limit=duration_text(lasts),
            gap=duration_text(abs(lasts - passed)),
            relative=abs(lasts - passed) / max(lasts, passed),
            met=bool(instance.alert),
        ),
        as_of=instance.heard_at,
    )
    return (part,)


def _stand_in(instance: Absence, event: Change | None = None) -> Change:
    """What has not come, as messages see it: what its group has in common, as if it were one of it. `event`: what came then."""
    state = common_state(instance.entity.kind, instance.common, None)
    return Change(
        key=instance.entity,
        events=(),
        state=state,
        previous=state,
        origin=event.origin if event is not None else "synthetic",
        time=event.time if event is not None else instance.heard_at,
        received=instance.heard_at,
        known_since=instance.heard_at,
        symbol=instance.common.get("symbol"),
    )


def _told(
    instance: Absence, now: Instant, told: Notification, says: str, reason: str, *, event: Change | None
) -> Step:
    """`says`: what is so, in words. `event`: what came."""
    context = context_of(
        instance.rule,
        _stand_in(instance, event),
        now,
        state=told,
        condition=says,
        words=says,
        limit=instance.limit,
        reason=reason,
        value=None,
        value_at_start=None,
        worst=None,
        started_at=instance.heard_at,
        fired_at=instance.fired_at,
        parts=_parts(instance, now),
    )
    context = structs.replace(context, group=instance.common)
    return Step(told, context, f"{told}: {says}" + (f" ({reason})" if reason else ""))
