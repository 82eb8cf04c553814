"""Instances from outside: taken up from the last run, under rules that were edited, or ended whatever they have come to."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from msgspec import structs

from tocsin.engine import state_rule
from tocsin.engine.active_hours import OUT_OF_HOURS, ActiveHours
from tocsin.engine.alert_context import value_of
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.group_rule import GroupRuleRuntime, is_group_key
from tocsin.engine.happenings import Cooldown, Reminder
from tocsin.engine.instances import InstanceStore, RuleInstance, Step, revive, standing, transition
from tocsin.engine.keys import group_fields, rekeyed
from tocsin.engine.model import Saved, Transition, World
from tocsin.engine.occasions import EventRuleRuntime
from tocsin.engine.partial_match import PartialMatch
from tocsin.engine.rule import Rule, Wording
from tocsin.engine.sequence_rule import sign
from tocsin.engine.venue_links import VenueLinks
from tocsin.events import Change, Instant

_GOES_ON = "rule changed, and it goes on"
_DROPPED = "it was pending: "


def became(moved: Transition) -> str | None:
    """In words, what became of an alert by an edit of its rule, or by the rule's end; None where nothing lasted."""
    about = f"{moved.rule} for {moved.entity.id}"
    if moved.tell == "resolved" and moved.context is not None:
        return f"resolved: {about} ({moved.context.reason})"
    if moved.trace.startswith(_DROPPED):
        return f"dropped, and nobody was told: {about}, {moved.trace}"
    if moved.trace == _GOES_ON and moved.state != "inactive":
        return f"goes on: {about}, {moved.state}"
    return None


class Kept(NamedTuple):
    """A life as it was stored: what its rule wanted, by which fields it grouped, and its fingerprint."""

    life: RuleInstance
    asked: Mapping[str, Any]
    grouped: Sequence[str] | None
    fingerprint: str


def read(row: Saved, rule: Rule | None, alive: Instant | None, now: Instant) -> Kept:
    """What the last run kept of a life; `alive` is when it was last seen to run, `rule` is None where it is gone.

    KeyError, TypeError, ValueError or msgspec's ValidationError where another version had written it.
    """
    record = row.record
    key = row.instance if rule is None else rekeyed(rule, row.instance)
    life = revive(rule or gone_rule(row.rule, record), key, record, alive, now)
    return Kept(life, record["asks"], record.get("per"), record["fingerprint"])


def left_behind(row: Saved, life: RuleInstance, now: Instant) -> Transition:
    """The store needs no more what it had of the life under another key."""
    gone = transition(
        life, Step(trace="its key is another now"), now, state="inactive", alert_id="", keep=False
    )
    return structs.replace(gone, instance=row.instance)


class Changeover:
    def __init__(
        self,
        lives: InstanceStore,
        world: World,
        occasions: EventRuleRuntime,
        grouped: GroupRuleRuntime,
        *,
        links: VenueLinks,
        hours: ActiveHours,
    ) -> None:
        self._lives = lives
        self._world = world
        self._occasions = occasions
        self._grouped = grouped
        self._links = links
        self._hours = hours

    def resumed(self, kept: Kept, rule: Rule, now: Instant) -> Iterator[Transition]:
        """A life of the last run goes on under its rule, edited in between or not."""
        life = kept.life
        if isinstance(life, PartialMatch):
            life.turn(partial(self._links.hold, rule), now)
        elif isinstance(life, AlertInstance) and not self._links.hold(rule, life.entity.venue):
            life.thaw(now)
        self._lives.keep(life)
        if kept.fingerprint != rule.fingerprint:
            yield from self.edited(life, rule, kept.asked, kept.grouped, now)
        elif (
            isinstance(life, AlertInstance) and life.state == "inactive" and self.standing(life, now) is None
        ):
            self._lives.forget(life)
            yield transition(life, Step(trace="its entity is forgotten"), now, keep=False)
        else:
            life.adopt(rule, now)
            step = None
            if isinstance(life, AlertInstance) and life.state != "inactive" and not rule.is_group:
                step = self._looked_at(life, now)
            keep = (
                step is None or not isinstance(life, AlertInstance) or life.state != "inactive" or life.over
            )
            (self._lives.keep if keep else self._lives.forget)(life)
            yield transition(life, step or Step(trace="restored"), now, keep=keep)

    def _looked_at(self, life: AlertInstance, now: Instant) -> Step | None:
        """What is kept of a life is of its latest step: since then its value may have moved. One whose value can't exist
        any more, which an earlier version held on to, is over.
        """
        if (change := self.standing(life, now)) is None:
            return None
        life.see_value(value_of(life.rule, change))
        because = state_rule.exists_no_more(life.rule, change, state_rule.verdict(life.rule, change, now))
        if because is None or life.state not in ("firing", "recovering"):
            return None
        return state_rule.resolve(life, change, now, reason=because)

    def edited(
        self,
        life: RuleInstance,
        rule: Rule,
        asked: Mapping[str, Any],
        grouped: Sequence[str] | None,
        now: Instant,
    ) -> Iterator[Transition]:
        """The rule means something else now. `asked` and `grouped` are what it wanted, and its `per`, before."""
        was = self.standing(life, now) if is_group_key(life.key) and isinstance(life, AlertInstance) else None
        life.adopt(rule, now)
        if self._goes_on(life, asked, grouped, now):
            self._lives.keep(life)
            yield transition(life, Step(trace=_GOES_ON), now)
        else:
            fits = isinstance(life, AlertInstance) and rule.is_group and self._grouped.fits(life)
            yield from self.end(life, now, "rule changed", None if fits else was)

    def end(
        self, life: RuleInstance, now: Instant, reason: str, last: Change | None = None
    ) -> Iterator[Transition]:
        """End it from outside; what was announced as firing is announced as resolved. `last`: what it was of, as that
        stood, where something else has its place by now.
        """
        if isinstance(life, Cooldown):
            yield from self._occasions.quiet_ended(life, now, reason)
            return
        self._lives.forget(life)
        pending = isinstance(life, AlertInstance) and life.state == "pending"
        step = Step(trace=f"{_DROPPED}{reason}" if pending else reason)
        if isinstance(life, AlertInstance) and life.state in ("firing", "recovering"):
            change = last or self.standing(life, now)
            if change is not None:
                step = state_rule.resolve(life, change, now, reason=reason)
        yield transition(life, step, now, state="inactive", keep=False)

    def closed(self, rules: Iterable[Rule], now: Instant) -> Iterator[Transition]:
        """Those of these rules that don't count now have ended: their alerts are over, and nothing waits any longer."""
        closed = {rule.id for rule in rules if not self._hours.counts(rule)}
        for life in self._lives if closed else ():
            if life.rule.id not in closed:
                continue
            if isinstance(life, PartialMatch) or (
                isinstance(life, AlertInstance) and life.state != "inactive"
            ):
                yield from self.end(life, now, OUT_OF_HOURS)

    def standing(self, life: RuleInstance, now: Instant) -> Change | None:
        """What the life is of, as it stands: its entity, if that is known, or its group."""
        if isinstance(life, AlertInstance) and is_group_key(life.key):
            return self._grouped.standing(life, now)
        change = self._world.get(life.entity)
        return standing(change) if change is not None else None

    def _goes_on(
        self, life: RuleInstance, asked: Mapping[str, Any], grouped: Sequence[str] | None, now: Instant
    ) -> bool:
        rule = life.rule
        if isinstance(life, Cooldown):
            return (
                rule.is_event_rule and bool(rule.cooldown) and list(group_fields(rule)) == list(grouped or ())
            )
        if isinstance(life, Reminder):
            return rule.is_event_rule and bool(rule.repeat)
        if isinstance(life, PartialMatch):
            return life.sign == sign(rule)
        if is_group_key(life.key) != rule.is_group or (rule.is_group and not self._grouped.fits(life)):
            return False
        change = self.standing(life, now)
        if change is None:  # it couldn't be read: what is so will be seen when the venue speaks of it
            return rule.is_level and life.entity.kind in rule.kinds
        if life.state == "inactive":
            return rule.is_level and change.ended
        return state_rule.has_not_ended(life, asked, change, now)


class Remembered:
    """The condition of a rule that is no longer there, as far as a message needs it."""

    edge = False
    looks_back = False
    timed = False
    remembers = False
    fields: tuple[str, ...] = ()
    turn: Callable[[Change, datetime], timedelta | None] | None = None
    followed = ()
    counted = ()
    crossings = ()
    summed = ()

    def __init__(self, source: str) -> None:
        self.source = source

    def holds(self, _change: Change, _now: datetime) -> None:
        return None

    def missing(self, _change: Change, _now: datetime) -> tuple[str, ...]:
        return ()

    def nothing(self, _change: Change) -> None:
        return None

    def told(self, _change: Change, _now: datetime, *, wording: Wording = "exact") -> str:  # noqa: ARG002 # it has one wording
        return self.source

    def bounds(self, _name: str, _change: Change, _now: datetime) -> tuple[Decimal, ...]:
        return ()


def gone_rule(rule: str, record: Mapping[str, Any]) -> Rule:
    """What is known of a rule that was removed while we were down, from the record of one of its lives."""
    source = record["asks"]["when"]
    notify = record["notify"]
    return Rule(
        id=rule,
        kinds=frozenset(),
        when=Remembered(source) if source else None,
        severity=record["severity"],
        notify=None if notify is None else tuple(notify),
        value_of=record["value_of"],
    )
