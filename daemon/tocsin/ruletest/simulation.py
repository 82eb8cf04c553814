"""A simulated daemon: the production rooms on a manual clock, fake channels where messages would leave the house.

    observation -> TurnProcessor (entities, engine, who is told) -> Store -> ChannelTask -> FakeChannel

Everything runs in one task after the other, the store's calls inline: the same steps give the same results.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from tocsin.actions.model import ActionSettings, Result
from tocsin.alerts.decide import Routing
from tocsin.alerts.message import LATE, late_by
from tocsin.alerts.wording import Style
from tocsin.clock import ManualClock
from tocsin.config.settings import routes_of
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.channel_state import Notes
from tocsin.delivery.model import Message
from tocsin.delivery.stand_ins import FakeChannel, StandIn, channel_task, shared_parts
from tocsin.delivery.timing import Wake
from tocsin.engine.api import AlertContext, Transition
from tocsin.engine.rule import Rule
from tocsin.entities import Entities
from tocsin.events import KINDS, UP, Change, Instant, Key, Observation, Observed, Occurrence
from tocsin.events.synthetic import daemon_event, link
from tocsin.events.vocabulary import OURSELVES
from tocsin.explain.explanation import Answer
from tocsin.feed.model import Received
from tocsin.pipeline import Options, Targets, TurnProcessor
from tocsin.pipeline.acts import Acts, By, Target
from tocsin.pipeline.explaining import Question, explain
from tocsin.pipeline.runtime import Runtime
from tocsin.store.database import Database, RunSync, inline
from tocsin.store.model import Arrival, Attempt, Batch, Gathered, Loaded, NewDelivery, RunRow
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE, Store


class Delivered(msgspec.Struct, frozen=True):
    """What a fake channel accepted: the delivery, and the message as it arrived at that time (steady). `parts`: what a digest carries."""

    delivery: NewDelivery
    message: Message
    at: float
    late: float  # seconds; what a gap hid is late however soon it was told
    parts: tuple[NewDelivery, ...] = ()


class Outbox(Database):
    """The store's outbox, which knows what arrives, too, since all of it is committed here.

    `put` hears what is to be sent, `gathered` what goes as one.
    """

    put: Callable[[Sequence[NewDelivery]], None]
    gathered: Callable[[Gathered], None]

    def __init__(self, store: Store, run_sync: RunSync) -> None:
        super().__init__(store, run_sync)
        self._arrived: dict[tuple[str, int], list[Arrival]] = {}

    async def commit(self, batch: Batch) -> None:
        await super().commit(batch)
        self._arrive(batch.deliveries)

    async def record(self, attempts: Sequence[Attempt]) -> list[str]:
        found = await super().record(attempts)
        self._arrive([each for attempt in attempts for each in attempt.also])
        return found

    async def gather(self, gathered: Gathered) -> list[str]:
        self.gathered(gathered)
        return await super().gather(gathered)

    def arrived(self, channel: str, target: int) -> Sequence[Arrival]:
        return self._arrived.pop((channel, target), ())

    def _arrive(self, deliveries: Sequence[NewDelivery]) -> None:
        for each in deliveries:
            if each.state_told == "firing":
                arrival = Arrival(each.id, each.created_at, str(each.context.get("rule")))
                self._arrived.setdefault((each.channel, each.target), []).append(arrival)
        if deliveries:
            self.put(deliveries)


STAND_IN, DONE = ActionSettings(command=("true",)), Result(ok=True)
"""An action in a test, and what comes of it."""
_HAIR = 1e-6  # seconds: a sum of floats may fall so far beyond the time that was meant
_BLIND_EVERY = 60.0  # seconds between looks for rules that see nothing, as in the daemon
_BY = By("", "test")


class Simulation:
    """One daemon from `start` to `stop`, with as many restarts as wanted. Times are steady seconds. `channels` by their names; of names
    alone each takes all that it is to tell.
    """

    def __init__(
        self,
        *,
        rules: Sequence[Rule],
        channels: Iterable[str] | Mapping[str, StandIn],
        clock: ManualClock,
        state_dir: Path,
        nursery: trio.Nursery,
        style: Style,
    ) -> None:
        self.rules = tuple(rules)
        self.clock = clock
        self.trace: list[Transition] = []
        self.told: list[Delivered] = []
        self.ran: list[RunRow] = []
        whole = channels if isinstance(channels, Mapping) else {name: StandIn() for name in channels}
        self._stand_ins = whole
        self.fakes = {name: FakeChannel(name, self._accepted) for name in whole}
        self._runtime: Runtime
        self._database: Outbox
        self.state_dir = state_dir
        self.routing = Routing(
            channels=routes_of(
                {name: each.settings for name, each in whole.items()},
                {name: each.gates for name, each in whole.items()},
            )
        )
        self.names = style.names
        self._style = style
        self._nursery = nursery
        self._running: list[tuple[trio.CancelScope, trio.Event]] = []
        self._tasks: dict[str, ChannelTask] = {}
        self._wake = Wake()
        self._deliveries: dict[str, NewDelivery] = {}
        self._parts: dict[str, tuple[NewDelivery, ...]] = {}  # of each digest
        self._said: list[Occurrence] = []
        self._taken: list[str] = []  # alerts of which a message was taken
        self._look_at = _BLIND_EVERY
        self._count = 0

    # ------------------------------------------------------------------------------------------------------ its life

    async def start(self, venues: Iterable[str]) -> None:
        """Up, with these venues connected."""
        await self._open(venues)

    async def restart(self, down: float) -> None:
        """Stopped, and started on the same store so many seconds later; the venues are as they were."""
        await self._stop_channels()
        await self.say(OURSELVES, (daemon_event("daemon.stopping", "stopped on request"),))
        await self._close()
        self.clock.set(self.clock.now().steady + down)
        await self._open()
        await self.say(OURSELVES, (daemon_event("daemon.started"),))

    async def stop(self) -> None:
        await self._stop_channels()
        await self._close()

    async def _open(self, venues: Iterable[str] = ()) -> None:
        now = self.clock.now()
        self._database = await Outbox.open(self.state_dir, now=now.wall, run_sync=inline)
        self._database.put, self._database.gathered = self._put, self._gathered
        loaded = await self._database.load()
        self._runtime = Runtime(self.rules, self._options(), self._new_id, loaded, observe=self.trace.append)
        seen = self._reconnect(loaded, now)
        # Of a venue that has always been connected nobody was told, so this goes past the engine.
        for venue in venues:
            seen += self._runtime.entities.apply(venue, link(venue, "connected"), now, None)
        for change in seen:
            self._turn.runs.facts.link(change)
        if seen:
            await self._database.commit(Batch(at=now.wall, entities=seen))
        notes = Notes(loaded.notes)
        shared = shared_parts(self._database, self.clock, self._hear, notes, structlog.get_logger())
        self._running = []
        self._start(partial(notes.keep, self._database.note, structlog.get_logger()))
        for name in self.fakes:
            self._tasks[name] = channel_task(
                self._stand_ins[name], self.fakes[name], shared, style=self._style, wake=self._wake
            )
            self._start(self._tasks[name].run)
        batch, unreadable = self._turn.restore(loaded, now)
        if unreadable or loaded.unreadable:
            raise AssertionError(f"what was stored can't be read: {[*unreadable, *loaded.unreadable]}")
        await self._commit(batch)

    def _reconnect(self, loaded: Loaded, now: Instant) -> list[Change]:
        """Links that were up are up, and at once all that is open there is confirmed: no gap, no news. What is known by that."""
        up = {
            change.venue: change
            for change in loaded.entities
            if change.kind == "venue" and getattr(change.state, "status", None) in UP
        }
        said: list[tuple[str, Observation]] = [
            (change.venue, Observation(state=KINDS[change.kind](id=change.key.id), account=change.account))
            for change in loaded.entities
            if change.venue in up and not change.ended and change.kind in ("order", "position")
        ]
        for venue, change in up.items():
            said += [
                (venue, link(venue, "connected")),
                (venue, Observation(state=change.state, origin="synthetic")),
            ]
        return [new for venue, each in said for new in self._runtime.entities.apply(venue, each, now, None)]

    @property
    def entities(self) -> Entities:
        """All that is known now, of all venues."""
        return self._runtime.entities

    @property
    def _turn(self) -> TurnProcessor:
        return self._runtime.turn

    def _options(self) -> Options:
        return Options(
            routing=self.routing,
            targets={name: Targets(1, each.settings.expire) for name, each in self._stand_ins.items()},
            style=self._style,
            actions={name: STAND_IN for rule in self.rules for name in rule.run.all},
        )

    def _start(self, run: Callable[[], Awaitable[object]]) -> None:
        scope, ended = trio.CancelScope(), trio.Event()

        async def running() -> None:
            with scope:
                await run()
            ended.set()

        self._running.append((scope, ended))
        self._nursery.start_soon(running)

    async def _stop_channels(self) -> None:
        for scope, _ in self._running:
            scope.cancel()
        for _, ended in self._running:
            await ended.wait()

    async def _close(self) -> None:
        await self._database.alive(self.clock.now())
        await self._database.close()

    # ---------------------------------------------------------------------------------------------------- what happens

    async def say(self, venue: str, observed: tuple[Observed, ...], raw: str | None = None) -> None:
        """A venue (or the daemon itself) says something now."""
        now = self.clock.now()
        await self._commit(
            self._turn.messages((Received(venue=venue, observed=observed, at=now, raw=raw),), now)
        )

    async def run_until(self, at: float) -> None:
        """Time goes on up to and including `at`: every timer and every retry, each at its time."""
        while True:
            await self.settle()
            now = self.clock.now().steady
            due = self._turn.deadline()
            timer = due if due is not None else float("inf")
            following = min(timer, self.clock.next_wake(), self._look_at)
            if following > at + _HAIR:
                break
            self.clock.set(following)
            if timer <= following:
                await self._commit(self._turn.messages((), self.clock.now()))
                if self._turn.deadline() == due and following <= now:
                    raise AssertionError(f"the timer of {due} s stays due")
            if self._look_at <= following:
                await self._find_blind()
        self.clock.set(at)

    async def reload(self, rules: Sequence[Rule]) -> None:
        """Other rules from now on, all of them sound."""
        self.rules = tuple(rules)
        batch, _ = self._turn.reload(self.rules, self._options(), self.clock.now())
        await self._commit(batch)
        await self.say(OURSELVES, (daemon_event("daemon.reloaded"),))

    async def acknowledge(self, rule: str, entity: str, lasts: float | None = None) -> bool:
        """The latest alert of that rule for that entity, for so many seconds or until it ends; False where there was none."""
        found = [
            d.alert
            for d in self._deliveries.values()
            if (d.context["rule"], d.context["entity"]) == (rule, entity)
        ]
        alerts = [
            t.alert_id for t in self.trace if (t.rule, t.entity.id) == (rule, entity) and t.notification
        ] or found
        if not alerts:
            return False
        now = self.clock.now()
        until = now.later(lasts).wall if lasts is not None else None
        (row,) = Reader(self.state_dir / DATABASE).alerts_called(alerts[-1], limit=1)
        batch, _ = Acts(self._turn).acknowledge(Target.of(row), _BY, now, until)
        await self._commit(batch)
        return True

    async def silence(self, matchers: str, lasts: float) -> None:
        """What matches is held for so many seconds."""
        now = self.clock.now()
        batch, _ = Acts(self._turn).silence(matchers, now.later(lasts).wall, _BY, now)
        await self._commit(batch)

    async def explain(self, rule: Rule, called: str | None, limit: int) -> Answer:
        """Why the rule fires or doesn't, as `tocsin explain` tells it."""
        question = Question(rule=rule, id=called, names=self.names, limit=limit, holds=self._holds)
        reader = Reader(self.state_dir / DATABASE)
        return await explain(self._runtime, reader, question, self.clock.now(), run_sync=inline)

    def _holds(self, channel: str, told: str, severity: str) -> str:
        return self._tasks[channel].holds(told, severity) if channel in self._tasks else ""

    async def lasting(self) -> list[dict[str, str]]:
        """The state rules' alerts that are pending, firing or recovering, as the store has them."""
        loaded = await self._database.load()
        found = []
        for row in loaded.instances:
            record = row.record or {}
            if record.get("state") in ("pending", "firing", "recovering"):
                found.append({"rule": row.rule, "id": Key(*record["entity"]).id, "state": record["state"]})
        return found

    # ----------------------------------------------------------------------------------------------------------- parts

    async def _commit(self, batch: Batch) -> None:
        if not batch:
            return
        await self._database.commit(batch)
        for run in batch.runs:
            await self._take_run(run)

    async def _take_run(self, run: RunRow) -> None:
        """A run is begun at once, and succeeds; what keeps it from that is its `reason`."""
        if run.status == "pending":
            batch, begun = self._turn.run_begins(run.id, self.clock.now(), "", "")
            await self._database.commit(batch)
            if begun:
                batch = self._turn.run_finished(run.id, DONE, self.clock.now())
                (run,) = batch.runs
                await self._database.commit(batch)
            else:
                (run,) = batch.runs
        self.ran.append(run)

    def _put(self, deliveries: Sequence[NewDelivery]) -> None:
        for each in deliveries:
            self._deliveries.setdefault(each.id, each)
        self._wake.ring()

    def _gathered(self, gathered: Gathered) -> None:
        self._deliveries[gathered.digest.id] = gathered.digest
        self._parts[gathered.digest.id] = tuple(self._deliveries[id_] for id_, _ in gathered.parts)

    async def settle(self) -> None:
        """Until everything that was to be sent now has been tried."""
        while True:
            await wait_all_tasks_blocked()
            taken, self._taken = self._taken, []
            for alert in filter(self._turn.waits_for, taken):
                await self._commit(self._turn.taken([alert], self.clock.now()))
            if said := tuple(self._said):
                self._said = []
                await self.say(OURSELVES, said)
            elif not taken:
                return

    async def _hear(self, occurrence: Occurrence) -> None:
        """What a channel's task has to tell the rules (daemon.delivery_failed)."""
        await trio.lowlevel.checkpoint()
        self._said.append(occurrence)

    async def _find_blind(self) -> None:
        self._look_at += _BLIND_EVERY
        for blind in self._runtime.engine.blind(self.clock.now()):
            await self.say(OURSELVES, (daemon_event("daemon.rule_blind", blind.reason, blind.rule),))
        for crowded in self._runtime.engine.crowded(self.clock.now()):
            await self.say(OURSELVES, (daemon_event("daemon.degraded", crowded.reason, crowded.rule),))

    def _accepted(self, message: Message) -> None:
        delivery = self._deliveries[message.delivery_id]
        parts = self._parts.get(delivery.id, ())
        now = self.clock.now()
        self.told.append(Delivered(delivery, message, now.steady, _late(delivery, now.wall), parts))
        self._taken += dict.fromkeys([each.alert for each in parts] or [delivery.alert])

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._count:09d}"


def _late(delivery: NewDelivery, now: datetime) -> float:
    """By how many seconds."""
    if delivery.state_told == "digest":
        late = now - delivery.created_at
        return late.total_seconds() if late > LATE else 0.0
    context = msgspec.convert(delivery.context, AlertContext)
    late = late_by(context, now)
    if context.origin == "resync":
        late = max(late, now - min(context.time, context.at), LATE / 1e6)
    return late.total_seconds()
