"""What is so, seen as the page sees it: entities, engine and turn as in a daemon, without disk, sockets and tasks."""

from collections import Counter, deque
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec import structs

from support.daemon_parts import Lines
from support.measured import measured
from support.story import compiled, options
from tocsin.alerts.silences import Silences
from tocsin.app.sampling import Sampling
from tocsin.app.snapshots import Snapshots
from tocsin.clock import ManualClock
from tocsin.control.measures import VenueMeasures
from tocsin.control.snapshot import Snapshot
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.engine.api import Transition
from tocsin.events import Change, Observation
from tocsin.events.synthetic import link
from tocsin.events.vocabulary import from_plain
from tocsin.feed.model import Received
from tocsin.meters import Meters
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.store.journal import Entry
from tocsin.store.model import Batch


class World:
    """Rules as YAML has them at work; the venue `fx` is connected."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        self.clock = ManualClock()
        ids = count(1)
        self.told: deque[Transition] = deque()
        self.written: list[Batch] = []
        self.meters = Meters()
        self.runtime = Runtime(
            compiled(list(rules)), options(), lambda: f"alert{next(ids)}", observe=self._note_told
        )
        self.runtime.turn.restore(EMPTY, self.clock.now())
        self.outages = Outages(Notes({}))
        self.heard_at = {"fx": self.clock.now().wall}
        self.status = {"fx": "connected"}
        self.changes: Counter[str] = Counter()
        self.measuring: Any = SimpleNamespace(measures=self._measures, reloads=0)
        parts = self.parts()
        self.log = Lines()
        self.sampling = Sampling(parts, self.log)
        self.snapshots = Snapshots(parts, self.measuring, self.sampling)
        self.link("connected")

    def parts(self) -> Any:
        """As much of the daemon's components as snapshots are made of."""
        runtime = self.runtime
        return SimpleNamespace(
            clock=self.clock,
            entities=runtime.entities,
            engine=runtime.engine,
            turn=runtime.turn,
            outages=self.outages,
            journal=SimpleNamespace(changes=self.changes, put=self._put),
            told=self.told,
            database=SimpleNamespace(path=Path("nowhere")),
            meters=self.meters,
            acts=SimpleNamespace(silences=lambda: Silences(runtime.turn.notifier.silences)),
            settings=SimpleNamespace(
                rules=runtime.engine.rules, channels={"phone": SimpleNamespace(urls=("",))}
            ),
        )

    def _note_told(self, transition: Transition) -> None:
        if transition.notification in ("firing", "resolved"):
            self.told.append(transition)

    def _put(self, batch: Batch) -> Any:
        self.written.append(batch)
        entry = Entry(batch, self.clock.now().steady)
        entry.done.set()
        return entry

    def _measures(self) -> Any:
        venues = tuple(
            VenueMeasures(name=name, status=status, last_message=self.heard_at[name], shown={}, entities={})
            for name, status in self.status.items()
        )
        return structs.replace(measured(now=self.clock.now().wall), venues=venues)

    def link(self, status: str, venue: str = "fx") -> None:
        self.status[venue] = status
        self.heard_at.setdefault(venue, self.clock.now().wall)
        self._take(venue, link(venue, status))

    def say(self, kind: str, *, venue: str = "fx", account: str | None = "a1", **fields: Any) -> None:
        state = from_plain(kind, {"id": "p1", **fields})
        self._take(venue, Observation(state=state, account=None if kind == "account" else account))

    def _take(self, venue: str, observation: Observation) -> None:
        now = self.clock.now()
        self.runtime.turn.messages([Received(venue=venue, observed=(observation,), at=now)], now)

    def reload(self, *rules: dict[str, Any]) -> None:
        self.runtime.turn.reload(compiled(list(rules)), options(), self.clock.now())

    def alert(self, rule: str) -> str:
        """The id of the first alert of that rule."""
        return next(watched.alert for watched in self.look().alerts if watched.rule == rule)

    def pass_(self, seconds: float) -> None:
        """Time passes, and what is due by then comes about."""
        now = self.clock.advance(seconds)
        self.runtime.turn.messages([], now)

    async def sample(self, seconds: float = 1.0, step: float = 1.0) -> None:
        """Time passes, and each second (`step`) it is looked at what is due."""
        for _ in range(int(seconds / step)):
            self.pass_(step)
            await self.sampling.step()

    def look(self) -> Snapshot:
        """A new one: the last was made long enough ago."""
        self.pass_(1.0)
        return self.snapshots.snapshot()

    def entity(self, snapshot: Snapshot, kind: str, id_: str = "p1") -> Change:
        return next(change for change in snapshot.entities[kind] if change.key.id == id_)
