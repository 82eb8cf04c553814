"""Recorded events through rules: what would have fired, and what an edit of the rules would add or lose. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.message import title
from tocsin.alerts.wording import Style
from tocsin.engine.api import AlertContext, Transition, World
from tocsin.engine.rule import Rule
from tocsin.events import KINDS, Change, Instant, Key
from tocsin.events.links import LINKS, holder_of
from tocsin.pipeline import Options, Targets
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.replay.records import Faults, Record
from tocsin.store.model import Batch

_ANY = "any"  # the channel of rules that name none


@dataclass(slots=True)
class Firing:
    """One alert. `until` is None while it lasts; what happened once ends as it begins.

    `told` is when a channel would have been told, None where none was; `held_by` says what stood in the way first.
    """

    rule: str
    entity: Key
    at: datetime
    until: datetime | None
    title: str
    held_back: int = 0  # events that a cooldown held back, and that are told with this one
    told: datetime | None = None
    held_by: str = ""
    escalated: int = 0  # how often more people would have been told, had nobody acknowledged

    def meets(self, other: "Firing") -> bool:
        """Whether the two are the same alert, under rules that differ."""
        if (self.rule, self.entity) != (other.rule, other.entity):
            return False
        begins = self.until is None or other.at <= self.until
        return begins and (other.until is None or self.at <= other.until)


@dataclass(slots=True)
class Outcome:
    """What a set of rules made of the record."""

    rules: Sequence[Rule]
    firings: list[Firing] = field(default_factory=list)

    def of(self, rule: str) -> list[Firing]:
        return [firing for firing in self.firings if firing.rule == rule]


class Player:
    """Tells as in production, but that nothing is silenced, and that each channel takes all that rules tell it."""

    def __init__(self, rules: Sequence[Rule], world: World) -> None:
        ids = count(1)
        self.outcome = Outcome(rules)
        self._turn = Runtime(
            rules, _options(rules), lambda: str(next(ids)), observe=self._observe, world=world
        ).turn
        self._mute = frozenset(rule.id for rule in rules if rule.notify == ())
        self._lasting: dict[str, Firing] = {}
        self._untold: dict[str, Firing] = {}
        self._escalating: dict[str, Firing] = {}  # those whose rule escalates
        self._escalate = frozenset(rule.id for rule in rules if rule.escalate)
        self._ended: set[str] = set()  # with what is taken: those of them that waited are told to nobody

    def begin(self, now: Instant) -> None:
        """The record begins: until then nothing was, and no hours passed."""
        self._turn.restore(EMPTY, now)

    def until(self, now: Instant) -> None:
        """Every timer that comes due before what happens next, and every hour that opens, each at its time."""
        while (due := self._turn.deadline()) is not None and due <= now.steady:
            self.take((), now.later(due - now.steady))
            if self._turn.deadline() == due:
                break

    def take(self, changes: Sequence[Change], now: Instant) -> None:
        """What came at once, and what it frees."""
        self._release(now)
        self._ended.clear()
        batch = self._turn.changes(changes, now)
        for delivery in batch.deliveries:
            self._tell(delivery.context["alert"], now)
            if self._turn.waits_for(delivery.alert):
                self._turn.taken([delivery.alert], now)
        self._count_steps(batch)
        for row in batch.held:
            if row.data is None and row.alert not in self._ended:
                self._tell(row.alert, now)
            elif row.data is not None and (firing := self._untold.get(row.alert)) is not None:
                firing.held_by = firing.held_by or row.reason

    def _release(self, now: Instant) -> None:
        """Tell what nothing stands in the way of any more, before it ends."""
        batch = Batch(at=now.wall)
        self._turn.notifier.release(batch, now)
        for row in batch.held:
            self._tell(row.alert, now)
        self._count_steps(batch)

    def _count_steps(self, batch: Batch) -> None:
        """Of each alert the step of its escalation that is told, be it on several channels."""
        steps = {each.alert for each in batch.deliveries if each.context.get("unacknowledged") is not None}
        for alert in steps & self._escalating.keys():
            self._escalating[alert].escalated += 1

    def _observe(self, transition: Transition) -> None:
        if transition.state == "inactive" and transition.alert_id in self._lasting:
            self._ended.add(transition.alert_id)
        if transition.context is not None:
            self._note(transition, transition.context)

    def _note(self, transition: Transition, context: AlertContext) -> None:
        if transition.notification == "firing":
            lasting = transition.state != "inactive"
            until = None if lasting else context.at
            firing = Firing(
                transition.rule,
                transition.entity,
                context.at,
                until,
                title(context, Style(), context.at),
                context.suppressed,
            )
            self.outcome.firings.append(firing)
            self._untold[transition.alert_id] = firing
            if firing.rule in self._escalate:
                self._escalating[transition.alert_id] = firing
            if lasting:
                self._lasting[transition.alert_id] = firing
        elif transition.notification == "resolved" and (
            known := self._lasting.pop(transition.alert_id, None)
        ):
            known.until = context.at

    def _tell(self, alert: str, now: Instant) -> None:
        firing = self._untold.pop(alert, None)
        if firing is not None and firing.rule not in self._mute:
            firing.told = now.wall


def _options(rules: Sequence[Rule]) -> Options:
    """Every channel that the rules name."""
    names = {_ANY: None} | {name: None for rule in rules for name in rule.notify or ()}
    names |= {name: None for rule in rules for step in rule.escalate for name in step.notify}
    return Options(
        routing=Routing(channels={name: Route() for name in names}),
        targets={name: Targets(1, timedelta(0)) for name in names},
        style=Style(),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """The whole replay, of `count` of the record's units. `lost` fire under the first rules only, `added` under the second
    only; of what fires under both, the second alone tells anybody of the `freed`, the first alone of the `kept_back`. Of what the rules in `unsure` watch the record may hold a part only, `because`.
    """

    count: int
    unit: str
    begun: datetime | None
    ended: datetime | None
    outcomes: tuple[Outcome, ...]
    added: tuple[Firing, ...] = ()
    lost: tuple[Firing, ...] = ()
    freed: tuple[Firing, ...] = ()
    kept_back: tuple[Firing, ...] = ()
    unsure: tuple[str, ...] = ()
    because: str = ""
    faults: Sequence[Faults] = ()


def replay(record: Record, rule_sets: Sequence[Sequence[Rule]], on_progress: Callable[[int], None]) -> Told:
    """All of the record through each set of rules; of two, how they differ. `on_progress` hears of `Moment.done`."""
    players = [Player(rules, record.world) for rules in rule_sets]
    total, begun, ended = 0, None, None
    for moment in record.moments():
        total += moment.count
        if begun is None:
            begun = moment.at.wall
            for player in players:
                player.begin(moment.at)
        ended = moment.at.wall
        for player in players:
            player.until(moment.at)
        changes = list(moment.changes)
        for player in players:
            player.take(changes, moment.at)
        on_progress(moment.done)
    outcomes = tuple(player.outcome for player in players)
    told = Told(
        total,
        record.unit,
        begun,
        ended,
        outcomes,
        unsure=tuple(_unsure(rule_sets, record)),
        because=record.because,
        faults=record.faults,
    )
    if len(outcomes) < 2:
        return told
    before, after = outcomes
    added, both = _compared(after, before)
    return replace(
        told,
        added=tuple(added),
        lost=tuple(_compared(before, after)[0]),
        freed=tuple(now for now, then in both if now.told and not then.told),
        kept_back=tuple(now for now, then in both if then.told and not now.told),
    )


def _unsure(rule_sets: Sequence[Sequence[Rule]], record: Record) -> Iterable[str]:
    """The rules that run and watch something of which the record may hold a part only."""
    running = (rule for rules in rule_sets for rule in rules if rule.enabled)
    return dict.fromkeys(
        rule.id
        for rule in running
        if record.sparse & _kinds_read(rule) or (record.unpriced and _reads_prices(rule))
    )


def _fields(rule: Rule) -> frozenset[str]:
    """What its conditions read, of whichever event of a sequence."""
    conditions = [*rule.conditions, *([rule.sequence.when] if rule.sequence and rule.sequence.when else [])]
    return frozenset(name.removeprefix("first.") for condition in conditions for name in condition.fields)


def _kinds(rule: Rule) -> frozenset[str]:
    """What it watches."""
    return rule.kinds | (rule.sequence.kinds if rule.sequence else frozenset())


def _kinds_read(rule: Rule) -> frozenset[str]:
    """What it watches, and what it reads through a link of that."""
    return _kinds(rule) | rule.links | {holder for name in _fields(rule) if (holder := holder_of(name))}


def _reads_prices(rule: Rule) -> bool:
    """Whether it reads what prices move of positions and accounts."""
    priced = {name for kind in _kinds(rule) for name in KINDS[kind].priced}
    priced |= {f"{link}.{name}" for link in LINKS for name in KINDS[link].priced}
    return not priced.isdisjoint(_fields(rule))


def _compared(these: Outcome, those: Outcome) -> tuple[list[Firing], list[tuple[Firing, Firing]]]:
    """The firings without a counterpart, and the others each beside its own; each counterpart counts for one."""
    left: dict[tuple[str, Key], list[Firing]] = {}
    for firing in those.firings:
        left.setdefault((firing.rule, firing.entity), []).append(firing)
    alone, both = [], []
    for firing in these.firings:
        candidates = left.get((firing.rule, firing.entity), [])
        same = next((other for other in candidates if firing.meets(other)), None)
        if same is None:
            alone.append(firing)
        else:
            candidates.remove(same)
            both.append((firing, same))
    return alone, both
