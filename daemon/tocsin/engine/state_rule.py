"""State rules: an instance for each entity, judged when the entity changes, as it stands, or when its time has come."""

from abc import abstractmethod
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

from tocsin.engine.alert_instance import (
    AlertInstance,
    exists_no_more,
    has_not_ended,
    judge,
    passed,
    reminder,
    resolve,
)
from tocsin.engine.api import AlertContext, ChangeOutcome, Transition
from tocsin.engine.event_rule import EventRuleRuntime
from tocsin.engine.index import RuleSet
from tocsin.engine.instances import Step, Timers, before, instance_key, transition, unchanged
from tocsin.engine.pauses import OUT_OF_HOURS, LinkTurned, hangs_on_link
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.runtime import DROPPED, NOTHING, RuleBefore, RuleRuntime, Shared
from tocsin.engine.trace import (
    Asked,
    InstanceTrace,
    Members,
    Past,
    Subject,
    evaluate,
    lacks,
    parts_of,
    selects,
    urgency,
    value_of,
)
from tocsin.events import Change, Instant, Key

_REEVALUATE = 1.0  # seconds after a start until what goes by time is looked at: by then feeds have said which venues are away
_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to
_CLOCK_SET = timedelta(seconds=0.5)  # more than clocks drift between two looks


class AlertRuntime(RuleRuntime[AlertInstance]):
    """What rules on entities and on groups have in common: alerts with their states."""

    @abstractmethod
    def current(self, instance: AlertInstance, now: Instant) -> Change | None:
        """What the instance is of, as it stands; None where that isn't known."""

    @abstractmethod
    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        """All that the rule concerns, with what the rule comes to for it."""

    def judge(
        self, rule: Rule, key: str, change: Change, now: Instant, *, only_note: bool = False
    ) -> Sequence[Transition]:
        """One instance, by its key, after a change of its entity, or of the group that the change stands for."""
        instance = self._alert(rule.id, key)
        if only_note:
            self._note(rule, evaluate(rule, change, now), change, now)
            if instance is not None and instance.state != "inactive":
                instance.see_value(value_of(rule, change))
            return NOTHING
        out: list[Transition] = []
        if instance is not None and (at := instance.due()) is not None and at <= now.steady:
            # Due before this change came: what the entity was then decides.
            out += self._passed(instance, before(change), now)
            instance = self._alert(rule.id, key)
        truth = evaluate(rule, change, now)
        self._note(rule, truth, change, now)
        self._judged(rule, key, change, now)
        if instance is None and truth is not True:
            return out
        instance = instance or AlertInstance(rule, key, change.key)
        step = judge(instance, change, now, truth, self._new_id)
        if step is not None:
            if self._links.is_paused(rule, change.venue):
                instance.freeze(now)
            out.append(self._moved(instance, step, now))
        return out or NOTHING

    def on_timer(self, instance: AlertInstance, now: Instant) -> Iterator[Transition]:
        yield from self._passed(instance, self.current(instance, now), now)

    def on_link(self, instance: AlertInstance, link: LinkTurned, now: Instant) -> Iterator[Transition]:
        """`for` and `keep_firing_for` stand still, or go on; `on_gap: resolve` ends what is lost."""
        if instance.entity.venue != link.venue:
            return
        if self._links.resolves(instance.rule, link.venue) and instance.state != "inactive":
            yield from self.end(instance, now, "venue lost")
        elif not link.stays and instance.state in ("pending", "recovering"):
            (instance.freeze if link.down else instance.thaw)(now)
            self._instances.keep(instance)
            yield transition(instance, Step(trace="venue away" if link.down else "venue back"), now)

    def on_hours_over(self, instance: AlertInstance, now: Instant) -> Iterator[Transition]:
        if instance.state != "inactive":
            yield from self.end(instance, now, OUT_OF_HOURS)

    def acknowledge(self, instance: AlertInstance) -> bool:
        if lasts := instance.state != "inactive":
            instance.acked, instance.remind_at = True, None
        return lasts

    def reminder(self, instance: AlertInstance, now: Instant) -> AlertContext | None:
        change = self.current(instance, now)
        return reminder(instance, change, now) if change is not None else None

    def unacknowledge(self, instance: AlertInstance, now: Instant, *, at_once: bool) -> bool:
        if acked := instance.acked and instance.state != "inactive":
            instance.acked = False
            instance.schedule_reminder(now, at_once=at_once)
        return acked

    def told(self, instance: AlertInstance, now: Instant) -> bool:
        if reminds := instance.remind_at is not None:
            instance.schedule_reminder(now)
        return reminds

    def on_venues_removed(
        self, instance: AlertInstance, venues: Collection[str], now: Instant
    ) -> Iterator[Transition]:
        if instance.entity.venue in venues:
            yield from self.end(instance, now, "venue removed")

    def goes_on(self, instance: AlertInstance, before: RuleBefore, now: Instant) -> bool:
        rule, change = instance.rule, self.current(instance, now)
        if change is None:  # it couldn't be read: what is so will be seen when the venue speaks of it
            return rule.is_level and instance.entity.kind in rule.kinds
        if instance.state == "inactive":
            return rule.is_level and change.ended
        return has_not_ended(instance, before.asked, change, now)

    def end(
        self, instance: AlertInstance, now: Instant, reason: str, last: Change | None = None
    ) -> Iterator[Transition]:
        self._instances.forget(instance)
        step = Step(trace=f"{DROPPED}{reason}" if instance.state == "pending" else reason)
        if instance.state in ("firing", "recovering"):
            change = last or self.current(instance, now)
            if change is not None:
                step = resolve(instance, change, now, reason=reason)
        yield transition(instance, step, now, state="inactive", keep=False)

    def revive(
        self, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> AlertInstance:
        return AlertInstance.from_record(rule, key, record, alive, now)

    def thaw(self, instance: AlertInstance, now: Instant) -> None:
        if not self._links.is_paused(instance.rule, instance.entity.venue):
            instance.thaw(now)

    def lacking(self, rule: Rule, now: Instant) -> tuple[str, ...] | None:
        found = self.verdicts(rule, now)
        if not found or any(truth is not None for _, truth in found):
            return None
        return lacks(rule, found[0][0], now)

    # --------------------------------------------------------------------------------------------------------- parts

    def _trace(self, rule: Rule, key: str, change: Change, now: Instant) -> InstanceTrace:
        """What the rule sees of it as it stands, and its instance, if there is one."""
        instance = self._alert(rule.id, key) or AlertInstance(rule, key, change.key)
        fired = instance.state in ("firing", "recovering")
        return InstanceTrace(
            rule=rule,
            change=change,
            key=key,
            parts=parts_of(rule, change, now),
            state=instance.state,
            since=instance.fired_at if fired else instance.started_at,
            alert_id=instance.alert_id if instance.state != "inactive" else "",
            acked=instance.acked,
            timer=instance.timer(now.steady),
            remind_at=instance.remind_at.wall if instance.remind_at is not None else None,
            members=Members.of(change),
            down=self._down(rule, change.venue),
            unconfirmed_since=change.unconfirmed_since,
        )

    def _urgency(self, rule: Rule, key: str) -> int:
        instance = self._alert(rule.id, key)
        return urgency(instance.state if instance is not None else "inactive")

    def _alert(self, rule: str, key: str) -> AlertInstance | None:
        found = self._instances.get(rule, key)
        return found if isinstance(found, AlertInstance) else None

    def _note(self, rule: Rule, truth: Truth, change: Change, now: Instant) -> None:
        """Whether the rule sees something of what concerns it."""
        if truth is not False or selects(rule, change, now):
            self._health.note(rule, truth, now.steady)

    def _judged(self, rule: Rule, key: str, change: Change, now: Instant) -> None:
        """It was judged now, not when its time had come."""

    def _passed(self, instance: AlertInstance, change: Change | None, now: Instant) -> Iterator[Transition]:
        """The instance's time has come. `change` is what it is of, as it stands."""
        if change is None:
            # Its entity couldn't be read at the start. Nothing can be said until the venue speaks of it.
            instance.freeze(now)
            instance.remind_at = None
            self._instances.keep(instance)
        elif moved := passed(instance, change, now):
            yield self._moved(instance, moved, now)
        else:
            self._instances.keep(instance)

    def _moved(self, instance: AlertInstance, step: Step, now: Instant) -> Transition:
        keep = instance.state != "inactive" or instance.over
        (self._instances.keep if keep else self._instances.forget)(instance)
        return transition(instance, step, now, keep=keep)


class StateRuleRuntime(AlertRuntime):
    """Rules on entities. Those on an edge have no state: each time that one is true it is told, as an event is."""

    kinds = ("alert",)

    def __init__(self, shared: Shared, events: EventRuleRuntime) -> None:
        super().__init__(shared)
        self._events = events
        self._rules = RuleSet()
        self._reevaluations = Reevaluations()
        self._look_at: float | None = None  # steady: when all that goes by time is next judged
        self._steady_began: datetime | None = None  # by the wall-clock, as it is set

    def set_rules(self, rules: RuleSet) -> None:
        self._rules = rules

    # ------------------------------------------------------------------------------------------------- what happens

    def restless(self, key: Key) -> Collection[str]:
        """The rules to which a change of that entity is news even if it makes their conditions false."""
        living, unseeing = self._instances.rules_of(key), self._health.unseeing
        return {*living, *unseeing} if unseeing else living

    def living(self, rules: Iterable[str]) -> set[Key]:
        """The entities of which these rules have an instance."""
        return {
            each.entity
            for rule in rules
            for each in self._instances.of_rule(rule)
            if isinstance(each, AlertInstance)
        }

    def on_change(self, rule: Rule, change: Change, now: Instant) -> Iterable[Transition]:
        if change.passing:
            return NOTHING
        if not rule.is_level:
            return self._events.edge(rule, change, now)
        return self.judge(rule, instance_key(change.key), change, now)

    def on_linked(self, link: str, changes: Sequence[Change], outcome: ChangeOutcome, now: Instant) -> None:
        """Rules that read through the link are judged again, and what lies between before and after is seen."""
        for rule, change in self._concerned(changes, self._rules.reading[link]):
            outcome.transitions += self.on_change(rule, change, now)

    def on_time(self, now: Instant) -> Iterator[Transition]:
        """Rules whose truth changes as time passes."""
        if not self._rules.timed:
            return
        began = now.wall - timedelta(seconds=now.steady)
        if self._steady_began is None or abs(began - self._steady_began) > _CLOCK_SET:
            if self._steady_began is not None:
                self._look_at = now.steady  # the clock was set: ages are other ones now
            self._steady_began = began
        due = self._reevaluations.due(now)
        if self._look_at is not None and self._look_at <= now.steady:
            self._look_at = None
            there = [
                unchanged(change) for kind in self._rules.timed_kinds for change in self._world.live(kind)
            ]
            yield from self.reevaluate_entities(there, now, self._rules.timed)
        elif due:
            found = map(self._world.get, dict.fromkeys(key for _, key in due))
            there = [unchanged(change) for change in found if change is not None and not change.ended]
            yield from self.reevaluate_entities(there, now, {rule for rule, _ in due})

    def look_anew(self, now: Instant) -> None:
        """All that goes by time is to be judged at the next `on_time`, whenever it may turn by itself."""
        self._look_at = now.steady

    def started(self, now: Instant) -> None:
        self._look_at = now.steady + _REEVALUATE

    def deadline(self) -> float | None:
        if not self._rules.timed:
            return None
        return min((at for at in (self._look_at, self._reevaluations.next()) if at is not None), default=None)

    def another_life(self, change: Change, last: Change, now: Instant) -> Iterator[Transition]:
        """What had this entity's id before, and stood so at `last`, is over, told or not."""
        key = instance_key(change.key)
        for instance in [self._alert(rule, key) for rule in self._instances.rules_of(change.key)]:
            if instance is not None:
                yield from self.end(instance, now, f"another {change.kind} has this id", last)

    def on_forgotten(
        self, instance: AlertInstance, keys: Collection[Key], now: Instant
    ) -> Iterator[Transition]:
        if instance.entity in keys:
            yield from self.end(instance, now, "forgotten")

    # ---------------------------------------------------------------------------------------------- as things stand

    def reevaluate(
        self,
        rules: Collection[Rule],
        now: Instant,
        *,
        venue: str | None = None,
        only_noted: Collection[str] = (),
    ) -> Iterator[Transition]:
        there = self._live(rules)
        if venue is not None:
            there = (change for change in there if change.venue == venue)
        yield from self.reevaluate_entities(there, now, {rule.id for rule in rules}, only_noted)

    def reevaluate_entities(
        self, changes: Iterable[Change], now: Instant, rules: Container[str], only_noted: Collection[str] = ()
    ) -> Iterator[Transition]:
        """These entities as they stand, by these rules, one rule after the other."""
        for rule, change in self._concerned(changes, rules):
            if rule.is_level and rule.id not in self._rules.of_events:
                yield from self.judge(
                    rule, instance_key(change.key), change, now, only_note=rule.id in only_noted
                )

    def _concerned(self, changes: Iterable[Change], rules: Container[str]) -> list[tuple[Rule, Change]]:
        """Which of these rules are to look at which of these entities; one rule after the other.

        While a venue is away no time passes for its entities, and `on_gap: resolve` takes up nothing.
        """
        index, order, timed = self._rules.index, self._rules.order, self._rules.timed
        concerned: list[tuple[int, Rule, Change]] = []
        for change in changes:
            paused = self._links.pauses(change)
            concerned += [
                (order[rule.id], rule, change)
                for rule in index.candidates(change, self.restless(change.key))
                if rule.id in rules
                and not rule.is_event_rule
                and not (
                    paused
                    and (
                        (rule.id in timed and hangs_on_link(rule)) or self._links.resolves(rule, change.venue)
                    )
                )
                and self._hours.counts(rule)
            ]
        concerned.sort(key=itemgetter(0))
        return [(rule, change) for _, rule, change in concerned]

    def _live(self, rules: Iterable[Rule]) -> Iterator[Change]:
        """Everything that lives of the kinds that these state rules watch, as it stands."""
        for kind in dict.fromkeys(kind for rule in rules if rule.is_level for kind in rule.kinds):
            yield from map(unchanged, self._world.live(kind))

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        found = [key for kind in sorted(rule.kinds) for key in self._world.called(kind, asked.called)]
        found.sort(key=lambda key: (self._urgency(rule, instance_key(key)), key.kind, key))
        return [Subject(key, None, partial(self._seen_now, rule, key, now)) for key in found]

    def _seen_now(self, rule: Rule, key: Key, now: Instant, past: Past) -> InstanceTrace | None:
        change = self._world.get(key)
        return None if change is None else self._trace(rule, instance_key(key), past.before(change), now)

    def current(self, instance: AlertInstance, now: Instant) -> Change | None:  # noqa: ARG002 # as last told
        change = self._world.get(instance.entity)
        return unchanged(change) if change is not None else None

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        return [
            (change, truth)
            for kind in rule.kinds
            for change in map(unchanged, self._world.live(kind))
            if (truth := evaluate(rule, change, now)) is not False or selects(rule, change, now)
        ]

    def _judged(self, rule: Rule, key: str, change: Change, now: Instant) -> None:
        if rule.id in self._rules.timed:
            self._reevaluations.note(rule, key, change, now)

    # ------------------------------------------------------------------------------------ other rules, another run

    def goes_on(self, instance: AlertInstance, before: RuleBefore, now: Instant) -> bool:
        return not instance.rule.is_group and super().goes_on(instance, before, now)

    def resumed(self, instance: AlertInstance, rule: Rule, now: Instant) -> Iterator[Transition]:
        """What is kept is of its latest step: since then its value may have moved. One whose value can't exist any more,
        which an earlier version held on to, is over.
        """
        change = self.current(instance, now)
        if instance.state == "inactive" and change is None:
            self._instances.forget(instance)
            yield transition(instance, Step(trace="its entity is forgotten"), now, keep=False)
            return
        instance.adopt(rule, now)
        step = None
        if instance.state != "inactive" and change is not None:
            instance.see_value(value_of(rule, change))
            because = exists_no_more(rule, change, evaluate(rule, change, now))
            if because is not None and instance.state in ("firing", "recovering"):
                step = resolve(instance, change, now, reason=because)
        if step is None:
            self._instances.keep(instance)
            yield transition(instance, Step(trace="restored"), now)
        else:
            yield self._moved(instance, step, now)


class Reevaluations:
    """Of rules on entities; a group is looked at each second."""

    def __init__(self) -> None:
        self._timers = Timers()
        self._of: dict[str, tuple[str, Key]] = {}  # whom a timer wakes: rule and entity

    def note(self, rule: Rule, key: str, change: Change, now: Instant) -> None:
        """The entity was judged, by the key of its instance: when the passing of time may next matter."""
        owner = f"{rule.id}\0{key}"
        after = None
        if not change.ended:
            turns = (condition.turn(change, now.wall) for condition in rule.conditions if condition.turn)
            after = min((turn for turn in turns if turn is not None), default=None)
        if after is None:
            self._timers.set(owner, None)
            self._of.pop(owner, None)
        else:
            self._timers.set(owner, now.steady + after.total_seconds())
            self._of[owner] = (rule.id, change.key)

    def due(self, now: Instant) -> Iterable[tuple[str, Key]]:
        """The rules and entities whose time has come, each once; what is not noted anew is left alone from then on."""
        found = []
        while (owner := self._timers.pop_due(now.steady + _ROUNDING)) is not None:
            found.append(self._of.pop(owner))
        return found

    def next(self) -> float | None:
        """The steady time of the first of them."""
        return self._timers.next()
