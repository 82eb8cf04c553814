"""One set of rules on what a record has: what fires, who would be told, and in how many messages."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeAlias

from tocsin.alerts.decide import Route, Routing, decide
from tocsin.alerts.message import title
from tocsin.alerts.wording import Style
from tocsin.delivery.stand_ins import StandIn
from tocsin.engine.api import AlertContext, Severity, Transition, World
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key
from tocsin.meters import HELD_BY, PipelineMeters
from tocsin.pipeline import Options, Targets
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.replay.channels import Channels, Dropped, Sent
from tocsin.replay.records import Acknowledged, Silenced
from tocsin.replay.runs import NO_ACTIONS, DryRuns, KnownActions, ReplayedRun
from tocsin.store.model import ACTION, Batch, HeldRow, NewDelivery

_ANY = "any"  # the channel of rules that name none


@dataclass(frozen=True, slots=True)
class KnownChannels:
    """The channels of a config, and by severity those of rules that name none; where it has none, rules are told on one."""

    channels: Mapping[str, StandIn] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    defaults: Mapping[Severity, tuple[str, ...]] = field(default_factory=dict)

    def stand_ins(self, rules: Sequence[Rule]) -> dict[str, StandIn]:
        """Those, and what else the rules name."""
        named = [name for rule in rules for name in rule.notify or ()]
        named += [name for rule in rules for step in rule.escalate for name in step.notify]
        whole = dict(self.channels or {_ANY: StandIn()})
        return whole | {name: StandIn() for name in named if name not in whole}

    def routing(self, stand_ins: Iterable[str]) -> Routing:
        return Routing(
            channels={name: self.routes.get(name, Route()) for name in stand_ins}, defaults=self.defaults
        )


NO_CHANNELS = KnownChannels()
Start: TypeAlias = Callable[[Mapping[str, StandIn]], Channels]


@dataclass(slots=True)
class Firing:
    """One alert. `until` is None while it lasts; what happened once ends as it begins. `worst`: of what is `measured` (in people's words),
    as far as there is such; of an alert without an end up to the record's. What doesn't last has none: `event` (None: something crossed) and
    `time` (as the venue dates it) say what happened there.

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
    escalated: int = 0  # how often more people would have been told
    acknowledged: datetime | None = None  # when somebody did, as the record has it
    runs: list[ReplayedRun] = field(default_factory=list)
    symbol: str | None = None
    side: str | None = None
    measured: str | None = None
    worst: str | None = None
    lasts: bool = True
    event: str | None = None
    time: datetime | None = None

    def meets(self, other: "Firing") -> bool:
        """Whether there is a time at which both go on."""
        begins = self.until is None or other.at <= self.until
        return begins and (other.until is None or self.at <= other.until)


@dataclass(slots=True)
class Outcome:
    """What a set of rules made of the record: what fired, the messages by which channels would have told of it, and what they dropped.
    `muted`: how much each gate held back or dropped, by the names of `meters.HELD_BY`.
    """

    rules: Sequence[Rule]
    firings: list[Firing] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    muted: Counter[str] = field(default_factory=Counter)

    @property
    def held_back(self) -> dict[str, int]:
        """By what how much was held back or dropped."""
        return {by: self.muted[by] for by in HELD_BY if self.muted[by]}

    def of(self, rule: str) -> list[Firing]:
        return [firing for firing in self.firings if firing.rule == rule]

    @property
    def runs(self) -> dict[str, list[ReplayedRun]]:
        """Of each action that a rule would run, in the order in which it would have been."""
        found: dict[str, list[ReplayedRun]] = {
            name: [] for rule in self.rules if rule.enabled for name in rule.run.all
        }
        for run in sorted((run for firing in self.firings for run in firing.runs), key=lambda run: run.at):
            found[run.action].append(run)
        return found

    def messages(self, rule: str) -> list[Sent]:
        """Those that tell of a firing of that rule."""
        return [sent for sent in self.sent if any(_is_firing_of(each, rule) for each in sent.told)]


class Player:
    """Tells as in production: by the channels, and under what people did, as far as the record has that."""

    def __init__(
        self,
        rules: Sequence[Rule],
        world: World,
        known: KnownChannels,
        start: Start,
        actions: KnownActions = NO_ACTIONS,
    ) -> None:
        ids = count(1)
        stand_ins = known.stand_ins(rules)
        self._routing = known.routing(stand_ins)
        self._channels = start(stand_ins)
        outbox = self._channels.outbox
        meters = PipelineMeters()
        self.outcome = Outcome(rules, sent=outbox.sent, dropped=outbox.dropped, muted=meters.held)
        self._turn = Runtime(
            rules,
            Options(
                routing=self._routing,
                targets={name: Targets(1, each.settings.expire) for name, each in stand_ins.items()},
                style=Style(),
                actions=actions.dry(rules),
            ),
            lambda: str(next(ids)),
            observe=self._observe,
            world=world,
            meters=meters,
        ).turn
        self._runners = frozenset(rule.id for rule in rules if rule.run.all)
        self._runs = DryRuns(actions, self._turn, world) if self._runners else None
        self._running: dict[str, Firing] = {}  # those whose rule runs something
        self._mute = frozenset(rule.id for rule in rules if rule.notify == ())
        self._lasts = frozenset(rule.id for rule in rules if rule.lasts)
        self._lasting: dict[str, Firing] = {}
        self._last: dict[str, Transition] = {}  # of each of those, of what it remembers
        # By rule and entity, as people acknowledge: the id and the alert.
        self._latest: dict[tuple[str, str, str | None, str], tuple[str, Firing]] = {}
        self._silences: dict[str, str] = {}  # our ids by the record's
        self._untold: dict[str, Firing] = {}
        self._new: dict[str, Transition] = {}  # of those what was only now raised
        self._tells: dict[str, list[str]] = {}  # of each delivery that waits the alerts that it tells of
        self._put: list[NewDelivery] = []  # that the channels haven't seen yet
        self._seen = 0  # of what was sent
        self._escalating: dict[str, Firing] = {}  # those whose rule escalates
        self._escalate = frozenset(rule.id for rule in rules if rule.escalate)
        self._ended: set[str] = set()  # with what is taken: those of them that waited are told to nobody

    def begin(self, now: Instant) -> None:
        """The record begins: until then nothing was, and no hours passed."""
        self._turn.restore(EMPTY, now)

    def deadline(self) -> float | None:
        """The steady time at which a timer is due, if one runs."""
        return self._turn.deadline()

    @property
    def is_idle(self) -> bool:
        """Whether its channels would do nothing, however the time went on."""
        return self._channels.is_idle

    def take(self, changes: Sequence[Change], now: Instant) -> None:
        """What came at once, and what it frees."""
        batch = Batch(at=now.wall)
        # What nothing stands in the way of any more is told before it ends.
        self._turn.notifier.release(batch, now)
        self._hand_out(batch)
        self._ended.clear()
        if self._runs is not None:
            self._runs.hear(changes)
        batch = self._turn.changes(changes, now)
        if self._runs is not None:
            for alert, run in self._runs.take(batch, now):
                self._running[alert].runs.append(run)
        self._hand_out(batch)

    def do(self, act: Silenced | Acknowledged, now: Instant) -> None:
        """What somebody did then, done to what is so now."""
        batch: Batch | None = None
        match act:
            case Acknowledged() if act.of in self._latest:
                alert, firing = self._latest[act.of]
                if act.holds:
                    batch, _ = self._turn.acknowledge(alert, now, by=act.by, until=act.until)
                    firing.acknowledged = firing.acknowledged or now.wall
                else:
                    batch, _ = self._turn.unacknowledge(alert, now)
            case Silenced(until=None):
                batch = self._turn.unsilence(self._silences.get(act.id, ""), now)
            case Silenced(until=until) if until is not None and until > now.wall:
                batch, begun = self._turn.silence(act.matchers, until, now)
                self._silences[act.id] = begun.id
        if batch is not None:
            self._hand_out(batch)

    def finish(self) -> None:
        """The record ends: what still fires has been as bad as it has been."""
        for alert, firing in self._lasting.items():
            if (last := self._last.get(alert)) is not None and last.record is not None:
                record = last.record() if callable(last.record) else last.record
                firing.worst = record.get("worst")

    def settled(self, now: Instant) -> bool:
        """The channels have done what is to be done now. Whether more is by that."""
        outbox = self._channels.outbox
        taken: list[str] = []
        for sent in outbox.sent[self._seen :]:
            for delivery in sent.told:
                for alert in self._tells.pop(delivery.id, ()):
                    if (firing := self._untold.pop(alert, None)) is not None:
                        firing.told = sent.at
                taken.append(delivery.alert)
        self._seen = len(outbox.sent)
        new, self._put = self._put, []
        for delivery in filter(outbox.waits, new):
            reason = self._channels.reason(delivery)
            self.outcome.muted[reason.partition(":")[0]] += 1
            for alert in self._tells[delivery.id]:
                firing = self._untold.get(alert)
                if firing is not None:
                    firing.held_by = firing.held_by or reason
        if waited := [alert for alert in dict.fromkeys(taken) if self._turn.waits_for(alert)]:
            self._hand_out(self._turn.taken(waited, now))
        return bool(waited)

    def _hand_out(self, batch: Batch) -> None:
        for each in batch.deliveries:
            self._tells[each.id] = [each.context["alert"]]
        told = {each.context["alert"] for each in batch.deliveries}
        for row in batch.held:
            if row.data is not None:
                if (firing := self._untold.get(row.alert)) is not None:
                    firing.held_by = firing.held_by or row.reason
            elif row.alert not in self._ended | told and row.rule not in self._mute:
                for each in _carriers(row, batch.deliveries):  # it goes with others
                    self._tells[each.id].append(row.alert)
        if batch.deliveries:
            self._put += batch.deliveries
            self._channels.outbox.put(batch.deliveries)
        for alert, transition in self._new.items():
            firing = self._untold.get(alert)
            if firing is not None and alert not in told and not firing.held_by:
                firing.held_by = self._left_out(transition)
        self._new.clear()
        self._count_steps(batch)

    def _left_out(self, transition: Transition) -> str:
        """Why no channel tells it."""
        if transition.context is None:
            return ""
        decision = decide(
            "firing",
            severity=transition.context.severity,
            notify=transition.notify,
            announced=None,
            routing=self._routing,
        )
        return "; ".join(f"channel {name}: {why}" for name, why in decision.held.items())

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
        if transition.alert_id in self._lasting:
            self._last[transition.alert_id] = transition

    def _note(self, transition: Transition, context: AlertContext) -> None:
        if transition.notification == "firing":
            lasting = transition.state != "inactive"
            until = None if lasting else context.at
            firing = Firing(
                transition.rule,
                transition.entity if context.event is None else _key(context),
                context.at,
                until,
                title(context, Style(), context.at),
                context.suppressed,
                symbol=context.symbol,
                side=context.fields.get("side"),
                measured=context.value_called or context.value_of,
                worst=context.worst if transition.rule in self._lasts else None,
                lasts=transition.rule in self._lasts,
                event=context.event,
                time=context.time,
            )
            self.outcome.firings.append(firing)
            of = (transition.rule, context.venue, context.account, context.entity)
            self._latest[of] = transition.alert_id, firing
            self._untold[transition.alert_id] = firing
            self._new[transition.alert_id] = transition
            if firing.rule in self._runners:
                self._running[transition.alert_id] = firing
            if firing.rule in self._escalate:
                self._escalating[transition.alert_id] = firing
            if lasting:
                self._lasting[transition.alert_id] = firing
        elif transition.notification == "resolved" and (
            known := self._lasting.pop(transition.alert_id, None)
        ):
            known.until = context.at
            known.worst = context.worst
            self._last.pop(transition.alert_id, None)


def _key(context: AlertContext) -> Key:
    """What happened there: what a cooldown held back may be another's than that which the cooldown began with."""
    return Key(context.venue, context.kind, context.account or "", context.entity)


def _carriers(freed: HeldRow, deliveries: Sequence[NewDelivery]) -> Iterable[NewDelivery]:
    """The messages that tell of an alert that is free, and of others: of the same rule, or of what a silence held."""
    return [
        each for each in deliveries if each.context["rule"] == freed.rule or each.context.get("after_silence")
    ]


def _is_firing_of(delivery: NewDelivery, rule: str) -> bool:
    told = delivery.context["rule"], delivery.context["state"]
    return told == (rule, "firing") and delivery.state_told != ACTION
