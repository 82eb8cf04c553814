"""State rules: an instance for each entity, judged when the entity changes, as it stands, or when its time has come.

Unknown (a missing field) neither starts nor ends anything.
"""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from operator import itemgetter
from typing import Any

from msgspec import structs

from tocsin.engine.active_hours import ActiveHours
from tocsin.engine.alert_context import end_reason, is_over, state_context, value_of, value_shown
from tocsin.engine.alert_instance import AlertInstance, asks
from tocsin.engine.instances import InstanceStore, Step, before, due, standing, transition
from tocsin.engine.keys import instance_key
from tocsin.engine.model import Told, Transition, World
from tocsin.engine.rule import Condition, Rule, Truth, Wording
from tocsin.engine.rule_health import RuleHealth
from tocsin.engine.rule_set import RuleSet
from tocsin.engine.timers import Turns
from tocsin.engine.venue_links import VenueLinks
from tocsin.events import Change, Instant, Key
from tocsin.quantities import duration_text

_NOTHING: tuple[Transition, ...] = ()


class StateRuleRuntime:
    """`rules` are those that run; `new_id` gives the ids of alerts."""

    def __init__(
        self,
        world: World,
        lives: InstanceStore,
        sight: RuleHealth,
        new_id: Callable[[], str],
        *,
        links: VenueLinks,
        hours: ActiveHours,
    ) -> None:
        self._world = world
        self._lives = lives
        self._sight = sight
        self._hours = hours
        self._links = links
        self._new_id = new_id
        self.rules = RuleSet()
        self.turns = Turns()
        self._only_seen: frozenset[str] = frozenset()

    @contextmanager
    def only_seeing(self, rules: Iterable[str]) -> Iterator[None]:
        """Meanwhile these rules are judged only to note whether they see, and which values: nothing starts or ends."""
        self._only_seen = frozenset(rules)
        try:
            yield
        finally:
            self._only_seen = frozenset()

    def restless(self, key: Key) -> Collection[str]:
        """The rules to which a change of that entity is news even if it makes their conditions false."""
        living, unseeing = self._lives.rules_of(key), self._sight.unseeing
        return {*living, *unseeing} if unseeing else living

    def judge(self, rule: Rule, key: str, change: Change, now: Instant) -> Sequence[Transition]:
        """One instance, by its key, after a change of its entity, or of the group that the change stands for."""
        life = self._lives.get(rule.id, key)
        if rule.id in self._only_seen:
            self._note(rule, verdict(rule, change, now), change, now)
            if isinstance(life, AlertInstance) and life.state != "inactive":
                life.see_value(value_of(rule, change))
            return _NOTHING
        out: list[Transition] = []
        if isinstance(life, AlertInstance) and (at := due(life)) is not None and at <= now.steady:
            # Due before this change came: what the entity was then decides.
            out += self.passed(life, before(change), now)
            life = self._lives.get(rule.id, key)
        truth = verdict(rule, change, now)
        self._note(rule, truth, change, now)
        if rule.id in self.rules.timed and not rule.is_group:
            self.turns.note(rule, key, change, now)
        if life is None and truth is not True:
            return out
        instance = life if isinstance(life, AlertInstance) else AlertInstance(rule, key, change.key)
        step = judge(instance, change, now, truth, self._new_id)
        if step is not None:
            if self._links.hold(rule, change.venue):
                instance.freeze(now)
            out.append(self._moved(instance, step, now))
        return out or _NOTHING

    def passed(self, instance: AlertInstance, change: Change | None, now: Instant) -> Iterator[Transition]:
        """The instance's time has come. `change` is what it is of, as it stands."""
        if change is None:
            # Its entity couldn't be read at the start. Nothing can be said until the venue speaks of it.
            instance.freeze(now)
            instance.remind_at = None
            self._lives.keep(instance)
        elif moved := passed(instance, change, now):
            yield self._moved(instance, moved, now)
        else:
            self._lives.keep(instance)

    def all_standing(self, rules: Collection[Rule], now: Instant) -> Iterator[Transition]:
        """Everything that lives of what these rules watch, as it stands."""
        yield from self.standing(self.live(rules), now, {rule.id for rule in rules})

    def standing(
        self, changes: Iterable[Change], now: Instant, rules: Container[str]
    ) -> Iterator[Transition]:
        """These entities as they stand, by these rules, one rule after the other.

        While a venue is away no time passes for its entities, and `on_gap: resolve` takes up nothing.
        """
        index, order, timed = self.rules.index, self.rules.order, self.rules.timed
        of_events = self.rules.of_events
        concerned: list[tuple[int, Rule, Change]] = []
        for change in changes:
            held = self._links.stops(change)
            concerned += [
                (order[rule.id], rule, change)
                for rule in index.candidates(change, self.restless(change.key))
                if rule.is_level
                and rule.id in rules
                and rule.id not in of_events
                and not (held and (rule.id in timed or self._links.resolves(rule, change.venue)))
                and self._hours.counts(rule)
            ]
        concerned.sort(key=itemgetter(0))
        for _, rule, change in concerned:
            yield from self.judge(rule, instance_key(change.key), change, now)

    def live(self, rules: Iterable[Rule]) -> Iterator[Change]:
        """Everything that lives of the kinds that these state rules watch, as it stands."""
        for kind in dict.fromkeys(kind for rule in rules if rule.is_level for kind in rule.kinds):
            yield from map(standing, self._world.live(kind))

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        """Each entity that the rule concerns, with what the rule comes to for it."""
        return [
            (change, truth)
            for kind in rule.kinds
            for change in map(standing, self._world.live(kind))
            if (truth := verdict(rule, change, now)) is not False or concerns(rule, change, now)
        ]

    def _note(self, rule: Rule, truth: Truth, change: Change, now: Instant) -> None:
        """Whether the rule sees something of what concerns it."""
        if truth is not False or concerns(rule, change, now):
            self._sight.note(rule, truth, now.steady)

    def _moved(self, instance: AlertInstance, step: Step, now: Instant) -> Transition:
        keep = instance.state != "inactive" or instance.over
        (self._lives.keep if keep else self._lives.forget)(instance)
        return transition(instance, step, now, keep=keep)


_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


def verdict(rule: Rule, change: Change, now: Instant) -> Truth:
    """What the rule's condition comes to. `where` and `when` are one in a rule that counts and sums nothing."""
    if rule.is_group:  # `where` says who takes part
        return False if change.ended else _holds(rule.when, change, now)
    truth = _holds(rule.when, change, now)
    if rule.where is None or truth is False:
        return truth
    where = _holds(rule.where, change, now)
    return truth if where is True else where


def concerns(rule: Rule, change: Change, now: Instant) -> bool:
    """Whether the entity takes part in the rule at all."""
    return rule.is_group or rule.where is None or _holds(rule.where, change, now) is not False


def lacks(rule: Rule, change: Change, now: Instant) -> tuple[str, ...]:
    """What is missing, where the rule's verdict is unknown."""
    conditions = (rule.when,) if rule.is_group else (rule.where, rule.when)
    missing = [name for one in conditions if one is not None for name in one.missing(change, now.wall)]
    return tuple(dict.fromkeys(missing))


def judge(
    instance: AlertInstance, change: Change, now: Instant, truth: Truth, new_id: Callable[[], str]
) -> Step | None:
    """One evaluation after `change`, `truth` being the verdict: the step, None where there is nothing to keep."""
    rule, worst = instance.rule, instance.worst
    value = value_of(rule, change)
    if instance.state == "inactive":
        instance.value = value
    else:
        instance.see_value(value)
    if change.ended:
        return _entity_ended(instance, change, now, truth, new_id)
    if instance.state == "inactive":
        if truth is True:
            return _start(instance, change, now, new_id)
        was_over, instance.over = instance.over, False
        return Step(trace="it lives again") if was_over else None
    if instance.state == "pending":
        step = _drop(instance, "no longer so before `for` had passed") if truth is False else None
    else:
        step = _towards_end(instance, change, now, truth)
    if step is None and instance.worst is not None and instance.worst != worst:
        return Step(trace=f"worst so far: {value_shown(rule, instance.worst)}")
    if step is None and value is None and instance.value is not None and _lost_value(rule, change):
        return Step(trace=f"the value went missing, it was {value_shown(rule, instance.value)}")
    return step


def _lost_value(rule: Rule, change: Change) -> bool:
    """Whether the entity had the rule's value until this change; without it, no restart will find it there."""
    if change.previous is None or rule.is_group:
        return False
    return value_of(rule, structs.replace(change, state=change.previous)) is not None


def has_not_ended(instance: AlertInstance, asked: Mapping[str, Any], change: Change, now: Instant) -> bool:
    """Whether an instance goes on under a rule that was edited. `asked` is what the rule wanted to be so before."""
    rule, asking = instance.rule, asks(instance.rule)
    if not rule.is_level or change.kind not in rule.kinds:
        return False
    if asking == asked:
        return True
    if instance.state == "pending" or any(
        asking[key] != asked.get(key) for key in ("watch", "where", "when")
    ):
        return verdict(rule, change, now) is not False
    return _has_ended(rule, change, now, verdict(rule, change, now)) is not True


def passed(instance: AlertInstance, change: Change, now: Instant) -> Step | None:
    """A timer of the instance has come due."""
    if instance.state == "pending" and instance.count.read(now.steady) >= instance.rule.for_ - _ROUNDING:
        return _fire(instance, change, now)
    if (
        instance.state == "recovering"
        and instance.count.read(now.steady) >= instance.rule.keep_firing_for - _ROUNDING
    ):
        return resolve(instance, change, now, reason="")
    if (
        instance.state == "firing"
        and instance.remind_at is not None
        and now.steady >= instance.remind_at.steady - _ROUNDING
    ):
        instance.schedule_reminder(now)
        return _tell(instance, change, now, "reminder", reason="")
    return None


def resolve(instance: AlertInstance, change: Change, now: Instant, *, reason: str) -> Step:
    """It is over: back to inactive, told."""
    step = _tell(instance, change, now, "resolved", reason=reason)
    instance.reset()
    return step


def _start(instance: AlertInstance, change: Change, now: Instant, new_id: Callable[[], str]) -> Step:
    instance.begin(new_id(), now)
    if instance.rule.for_ <= 0:
        return _fire(instance, change, now)
    return Step(
        trace=f"{_told(instance.rule.when, change, now)}: pending for {duration_text(timedelta(seconds=instance.rule.for_))}"
    )


def _fire(instance: AlertInstance, change: Change, now: Instant) -> Step:
    instance.fire(now)
    return _tell(instance, change, now, "firing", reason="")


def _drop(instance: AlertInstance, why: str) -> Step:
    instance.reset()
    return Step(trace=why)


def _towards_end(instance: AlertInstance, change: Change, now: Instant, when: Truth) -> Step | None:
    """Firing or recovering: does the end condition (`until`, else `when` not true) hold?"""
    rule = instance.rule
    if (because := exists_no_more(rule, change, when)) is not None:
        return resolve(instance, change, now, reason=because)
    ended = _has_ended(rule, change, now, when)
    if ended is True and instance.state == "firing":
        if rule.keep_firing_for <= 0:
            return resolve(instance, change, now, reason="")
        instance.recover(now)
        return Step(trace=f"recovering for {duration_text(timedelta(seconds=rule.keep_firing_for))}")
    if ended is False and instance.state == "recovering":
        instance.relapse(now)
        return Step(trace="so again: firing on")
    return None


def exists_no_more(rule: Rule, change: Change, truth: Truth) -> str | None:
    """Why what the rule is about can't be so any more, whatever `until` says; None where it can. `truth` is its verdict."""
    if truth is not False:
        return None
    conditions = (rule.when,) if rule.is_group else (rule.where, rule.when)
    found = (condition.nothing(change) for condition in conditions if condition is not None)
    return next((because for because in found if because is not None), None)


def _has_ended(rule: Rule, change: Change, now: Instant, when: Truth) -> Truth:
    """`until`, else `when` not true."""
    if rule.until is not None:
        return _holds(rule.until, change, now)
    return None if when is None else not when


def _entity_ended(
    instance: AlertInstance, change: Change, now: Instant, truth: Truth, new_id: Callable[[], str]
) -> Step | None:
    """The order is terminal, the position closed: its instances end with it."""
    if instance.state in ("firing", "recovering"):
        step = resolve(instance, change, now, reason=end_reason(change))
        instance.over = truth is True  # what was announced for its last state is not announced again
        return step
    if instance.over:
        return None
    # Seen for the first time in an opening picture, already ended: it happened before anybody watched.
    history = change.origin == "snapshot" and change.previous is None
    if truth is True and not history:
        if instance.state == "inactive":
            instance.begin(new_id(), now)
        instance.fire(now)
        step = _tell(instance, change, now, "firing", reason=end_reason(change))
        instance.reset()
        instance.over = True
        return step
    return _drop(instance, f"{end_reason(change)} before it fired") if instance.state == "pending" else None


def _tell(instance: AlertInstance, change: Change, now: Instant, told: Told, *, reason: str) -> Step:
    rule = instance.rule
    spoken_of = rule.when
    if rule.until is not None and _speaks_until(rule, change, now, told, reason):
        spoken_of = rule.until
    # Of a condition that isn't so what is so instead is told.
    condition = _told(spoken_of, change, now)
    words = "" if is_over(change) else _told(spoken_of, change, now, wording="words")
    limit = _told(spoken_of, change, now, wording="limit")
    context = state_context(
        instance, change, now, told=told, condition=condition, words=words, limit=limit, reason=reason
    )
    return Step(told, context, f"{told}: {condition}" + (f" ({reason})" if reason else ""))


def _speaks_until(rule: Rule, change: Change, now: Instant, told: Told, reason: str) -> bool:
    """Whether it is `until` that says how it stands: it has come true, or holds the alert though `when` is no longer so."""
    if told == "resolved" and not reason:
        return _holds(rule.until, change, now) is True
    return told == "reminder" and _holds(rule.when, change, now) is False


def _holds(condition: Condition | None, change: Change, now: Instant) -> Truth:
    return True if condition is None else condition.holds(change, now.wall)


def _told(condition: Condition | None, change: Change, now: Instant, *, wording: Wording = "exact") -> str:
    return condition.told(change, now.wall, wording=wording) if condition else ""
