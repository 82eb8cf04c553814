"""What the engine asks of each kind of rule, and whom it asks: a runtime for each kind, all over one store of instances.

And what all of them note in common: which rules are blind, unknown for want of some field for everything that they concern.
"""

# ruff: noqa: ARG002 - a hook that does nothing looks at nothing

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from tocsin.engine.api import AlertContext, ChangeOutcome, Transition, World
from tocsin.engine.index import RuleSet
from tocsin.engine.instances import InstanceKind, InstanceStore, RuleInstance, Step, transition
from tocsin.engine.pauses import ActiveHours, LinkTurned, VenueLinks, hangs_on_link, is_down
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.samples import MOST_INSTANCES, SampleLog
from tocsin.engine.trace import Asked, Subject
from tocsin.events import Change, Instant, Key, Sample

NOTHING: tuple[Transition, ...] = ()
# How the traces of instances begin that an edit lets go on, and that it drops before anybody was told.
GOES_ON = "rule changed, and it goes on"
DROPPED = "it was pending: "

BLIND_AFTER = 3600.0  # seconds
_BLIND = "told to be blind"
_CROWDED = "told to be crowded"
_LONG_AGO = float("-inf")

InstanceT = TypeVar("InstanceT", bound=RuleInstance)


class Blind(NamedTuple):
    """A rule that sees nothing. `lacks`: what it needs and is missing, as far as that is known."""

    rule: str
    lacks: tuple[str, ...]

    @property
    def reason(self) -> str:
        """In words, for daemon.rule_blind."""
        want = f"for want of {', '.join(self.lacks)}" if self.lacks else "for want of some field"
        return f"rule {self.rule} could judge nothing for an hour, {want}"


class Crowded(NamedTuple):
    """A rule of which so many instances are known at once that the longest idle are forgotten."""

    rule: str

    @property
    def reason(self) -> str:
        """In words, for daemon.degraded."""
        return (
            f"rule {self.rule} is about more than {MOST_INSTANCES:,} groups: the longest idle are forgotten"
        )


class RuleHealth:
    """Notes what each rule's condition came to for what it concerns; `blind` looks again at those that long saw nothing. And of which
    rules instances had to be forgotten, for there were too many.

    What was told of a rule is kept for the next run: a restart tells nothing twice.
    """

    def __init__(self, log: SampleLog) -> None:
        self._unseeing: dict[str, float] = {}  # rule -> steady time since when nothing but unknown was seen
        self._missing: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, str] = {}  # rule -> what it is kept as
        self._crowded: dict[str, bool] = {}  # whether it was told
        self._log = log

    def note_crowded(self, rule: str) -> None:
        """That many instances of the rule are known at once that one had to be forgotten."""
        self._crowded.setdefault(rule, False)

    def crowded(self, now: Instant, rules: Mapping[str, Rule]) -> list[Crowded]:
        """The rules that are newly crowded."""
        found = [rule for rule, told in self._crowded.items() if not told and rule in rules]
        for rule in found:
            self._crowded[rule] = True
            self._log.mark(_CROWDED, kept_as(rules[rule]), now.wall)
        return [Crowded(rule) for rule in found]

    def note(self, rule: Rule, truth: Truth, steady: float, missing: tuple[str, ...] = ()) -> None:
        """`missing`: what an event lacked; an entity can be asked later."""
        if truth is None:
            if self._unseeing.setdefault(rule.id, steady) == steady:
                self._missing[rule.id] = missing
        elif rule.id in self._unseeing:
            self.forget(rule.id)

    @property
    def unseeing(self) -> Collection[str]:
        """The rules that have seen nothing but unknown since some time: anything else that they come to is news."""
        return self._unseeing

    def blind(
        self, now: Instant, rules: Mapping[str, Rule], lacks: Callable[[Rule], tuple[str, ...] | None]
    ) -> list[Blind]:
        """Rules newly found blind. `lacks` judges all that lives (what is quiet may well be known, or there is nothing):
        what is missing, None where the rule sees.
        """
        found = []
        for rule_id, since in list(self._unseeing.items()):
            if now.steady - since < BLIND_AFTER or rule_id in self._found:
                continue
            rule = rules[rule_id]
            lacking = lacks(rule)
            if lacking is None:
                self.forget(rule_id)
            else:
                self._found[rule_id] = kept_as(rule)
                self._log.mark(_BLIND, kept_as(rule), now.wall)
                found.append(Blind(rule_id, lacking))
        return found

    @property
    def found_blind(self) -> Collection[str]:
        """The rules that were found blind and see nothing since."""
        return self._found

    def forget(self, rule: str) -> None:
        """It sees, or is another now."""
        self._unseeing.pop(rule, None)
        self._missing.pop(rule, None)
        if (kept := self._found.pop(rule, None)) is not None:
            self._log.drop(_BLIND, kept)

    def missing(self, rule: str) -> tuple[str, ...]:
        """What the events of an event rule lacked, the first of them."""
        return self._missing.get(rule, ())

    def restore(self, samples: Iterable[Sample], rules: Iterable[Rule]) -> Iterator[Sample]:
        """Take up what the last run had kept; the samples that aren't of it pass through."""
        running = {kept_as(rule): rule.id for rule in rules}
        for sample in samples:
            if sample.series not in (_BLIND, _CROWDED):
                yield sample
            elif (rule := running.get(sample.instance)) is None:
                self._log.drop(sample.series, sample.instance)
            elif sample.series == _CROWDED:
                self._crowded[rule] = True
            else:
                self._found[rule], self._unseeing[rule] = sample.instance, _LONG_AGO


def kept_as(rule: Rule) -> str:
    """The rule as what it means, in one text."""
    return f"{rule.id} {rule.fingerprint}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What all runtimes work with. `new_id` gives the ids of alerts."""

    instances: InstanceStore
    world: World
    links: VenueLinks
    hours: ActiveHours
    health: RuleHealth
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class RuleBefore:
    """What a rule wanted before it was edited: what had to be so, and its `per`."""

    asked: Mapping[str, Any]
    grouped: Sequence[str] | None


class RuleRuntime(ABC, Generic[InstanceT]):
    """One kind of rules at work. What a kind has nothing to do with, it leaves as it is here.

    Hooks with an instance are called for those of its own `kinds`. All give what is started, ended and told, in order.
    """

    kinds: tuple[InstanceKind, ...]

    def __init__(self, shared: Shared) -> None:
        self._instances = shared.instances
        self._world = shared.world
        self._links = shared.links
        self._hours = shared.hours
        self._health = shared.health
        self._new_id = shared.new_id

    # ------------------------------------------------------------------------------------------------- what happens

    def on_change(self, rule: Rule, change: Change, now: Instant) -> Iterable[Transition]:
        """A change that may concern the rule, whose hours have begun. Groups take in all of a message first: see their own."""
        return NOTHING

    def on_linked(self, link: str, changes: Sequence[Change], outcome: ChangeOutcome, now: Instant) -> None:
        """What these belong to by that link has changed, nothing having happened to themselves."""

    @abstractmethod
    def on_timer(self, instance: InstanceT, now: Instant) -> Iterable[Transition]:
        """Its timer is due."""

    def on_time(self, now: Instant) -> Iterable[Transition]:
        """Time has passed: what may have turned by that alone is judged again."""
        return NOTHING

    def deadline(self) -> float | None:
        """The steady time at which `on_time` next has something to do."""
        return None

    def on_link(self, instance: InstanceT, link: LinkTurned, now: Instant) -> Iterable[Transition]:
        """A venue's link went down, was lost or came up, and the instance's rule hangs on links."""
        return NOTHING

    def on_hours_over(self, instance: InstanceT, now: Instant) -> Iterable[Transition]:
        """The hours of its rule are over."""
        return NOTHING

    def acknowledge(self, instance: InstanceT) -> bool:
        """Its alert is to remind no more. Whether there is one."""
        return False

    def unacknowledge(self, instance: InstanceT, now: Instant, *, at_once: bool) -> bool:
        """Its alert, if it is acknowledged, is to remind again: `at_once`, or in its time. Whether that changes anything."""
        return False

    def told(self, instance: InstanceT, now: Instant) -> bool:
        """Its firing, which was held back, is told now: the time to its next reminder counts from here. As `unacknowledge`."""
        return False

    def reminder(self, instance: InstanceT, now: Instant) -> AlertContext | None:
        """What a reminder would say of its alert now; None where there is none, or nothing that the firing didn't say."""
        return None

    def on_forgotten(self, instance: InstanceT, keys: Collection[Key], now: Instant) -> Iterable[Transition]:
        """These entities are to be no longer known."""
        return NOTHING

    def on_venues_removed(
        self, instance: InstanceT, venues: Collection[str], now: Instant
    ) -> Iterable[Transition]:
        """These venues are no longer configured."""
        return NOTHING

    # --------------------------------------------------------------------------------------------------- other rules

    def set_rules(self, rules: RuleSet) -> None:
        """These rules run from now on."""

    @abstractmethod
    def goes_on(self, instance: InstanceT, before: RuleBefore, now: Instant) -> bool:
        """Whether it goes on now that its rule, as it already has it, means something else."""

    def edited(
        self, instance: InstanceT, rule: Rule, before: RuleBefore, now: Instant
    ) -> Iterable[Transition]:
        """Its rule means something else now."""
        instance.adopt(rule, now)
        if self.goes_on(instance, before, now):
            self._instances.keep(instance)
            yield transition(instance, Step(trace=GOES_ON), now)
        else:
            yield from self.end(instance, now, "rule changed")

    def end(
        self, instance: InstanceT, now: Instant, reason: str, last: Change | None = None
    ) -> Iterable[Transition]:
        """End it from outside; what was announced as firing is announced as resolved. `last`: what it was of, as that
        stood, where something else has its place by now.
        """
        self._instances.forget(instance)
        yield transition(instance, Step(trace=reason), now, state="inactive", keep=False)

    # --------------------------------------------------------------------------------------------------- another run

    @abstractmethod
    def revive(
        self, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> InstanceT:
        """What `to_record` of an instance had written; its time stands still until `thaw`. KeyError, TypeError, ValueError or
        msgspec's ValidationError where another version had written it otherwise.
        """

    def thaw(self, instance: InstanceT, now: Instant) -> None:
        """Its time goes on, but for what hangs on a link that is down."""

    def started(self, now: Instant) -> None:
        """A run begins, and nothing was taken up yet."""

    def resumed(self, instance: InstanceT, rule: Rule, now: Instant) -> Iterable[Transition]:
        """It goes on from the last run, its rule meaning what it meant."""
        instance.adopt(rule, now)
        self._instances.keep(instance)
        yield transition(instance, Step(trace="restored"), now)

    # ------------------------------------------------------------------------------------------------ what is asked

    def reevaluate(
        self,
        rules: Collection[Rule],
        now: Instant,
        *,
        venue: str | None = None,
        only_noted: Collection[str] = (),
    ) -> Iterable[Transition]:
        """All that these rules are about, as it stands; with a venue, of that one. `only_noted`: the ids of those of which it is
        only noted whether they see anything, and which values.
        """
        return NOTHING

    @abstractmethod
    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        """All that the rule is about, of what is asked about: what fires first, or what happened last. The rule needn't run.

        Nothing is evaluated before a subject is traced.
        """

    def _down(self, rule: Rule, venue: str) -> Change | None:
        """The venue, where it is away and the rule hangs on it."""
        found = self._world.get(Key(venue, "venue", "", venue)) if hangs_on_link(rule) else None
        return found if found is not None and is_down(found) else None

    @abstractmethod
    def lacking(self, rule: Rule, now: Instant) -> tuple[str, ...] | None:
        """What is missing where the rule is unknown for all that it concerns; None where it isn't."""


class Runtimes:
    """All kinds at work: whom to ask, by rule and by instance, and what all are asked for."""

    def __init__(
        self,
        instances: InstanceStore,
        *,
        state: RuleRuntime[Any],
        group: RuleRuntime[Any],
        event: RuleRuntime[Any],
        sequence: RuleRuntime[Any],
        absence: RuleRuntime[Any],
    ) -> None:
        self._instances = instances
        self._state, self._group, self._event, self._sequence = state, group, event, sequence
        self._absence = absence
        self._all = (state, group, event, sequence, absence)
        self._of_kind = {kind: each for each in self._all for kind in each.kinds}

    def of_rule(self, rule: Rule) -> RuleRuntime[Any]:
        if not rule.events:
            return self._state if rule.per is None else self._group
        if rule.absent is not None:
            return self._absence
        return self._event if rule.sequence is None else self._sequence

    def of_kind(self, kind: InstanceKind) -> RuleRuntime[Any]:
        """KeyError where there is none."""
        return self._of_kind[kind]

    def of(self, instance: RuleInstance) -> RuleRuntime[Any]:
        return self._of_kind[instance.kind]

    def set_rules(self, rules: RuleSet) -> None:
        for each in self._all:
            each.set_rules(rules)

    def started(self, now: Instant) -> None:
        for each in self._all:
            each.started(now)

    # ------------------------------------------------------------------------------------------------- what happens

    def on_linked(self, link: str, changes: Sequence[Change], outcome: ChangeOutcome, now: Instant) -> None:
        for each in self._all:
            each.on_linked(link, changes, outcome, now)

    def on_timers(self, steady: float, now: Instant) -> Iterator[Transition]:
        """The timers that are due by that time, in their order."""
        for instance in self._instances.pop_due(steady):
            yield from self.of(instance).on_timer(instance, now)

    def on_time(self, now: Instant) -> Iterator[Transition]:
        for each in self._all:
            yield from each.on_time(now)

    def deadline(self) -> float | None:
        """The steady time at which `on_timers` or `on_time` next has something to do."""
        times = [self._instances.next_due(), *(each.deadline() for each in self._all)]
        return min((at for at in times if at is not None), default=None)

    def on_link(self, link: LinkTurned, now: Instant) -> Iterator[Transition]:
        for instance in self._instances:
            if hangs_on_link(instance.rule):
                yield from self.of(instance).on_link(instance, link, now)

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        return self._moved(alert_id, "acknowledged", now, lambda each: self.of(each).acknowledge(each))

    def unacknowledge(self, alert_id: str, now: Instant, *, at_once: bool) -> list[Transition]:
        return self._moved(
            alert_id,
            "no longer acknowledged",
            now,
            lambda each: self.of(each).unacknowledge(each, now, at_once=at_once),
        )

    def told(self, alert_id: str, now: Instant) -> list[Transition]:
        return self._moved(alert_id, "told", now, lambda each: self.of(each).told(each, now))

    def _moved(
        self, alert_id: str, trace: str, now: Instant, moves: Callable[[RuleInstance], bool]
    ) -> list[Transition]:
        """The instance of that alert which moved, if one did."""
        for instance in self._instances.of_alert(alert_id):
            if moves(instance):
                self._instances.keep(instance)
                return [transition(instance, Step(trace=trace), now)]
        return []

    def reminder(self, alert_id: str, now: Instant) -> AlertContext | None:
        found = (self.of(each).reminder(each, now) for each in self._instances.of_alert(alert_id))
        return next((each for each in found if each is not None), None)

    def fires(self, alert_id: str) -> bool:
        return any(each.state == "firing" for each in self._instances.of_alert(alert_id))

    def on_forgotten(self, keys: Collection[Key], now: Instant) -> Iterator[Transition]:
        for instance in self._instances:
            yield from self.of(instance).on_forgotten(instance, keys, now)

    def on_venues_removed(self, venues: Collection[str], now: Instant) -> Iterator[Transition]:
        for instance in self._instances:
            yield from self.of(instance).on_venues_removed(instance, venues, now)

    # ------------------------------------------------------------------------------------------------ what is asked

    def reevaluate(
        self,
        rules: Collection[Rule],
        now: Instant,
        *,
        venue: str | None = None,
        only_noted: Collection[str] = (),
    ) -> Iterator[Transition]:
        for each in self._all:
            yield from each.reevaluate(rules, now, venue=venue, only_noted=only_noted)
