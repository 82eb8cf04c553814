"""What is so, seen as the page sees it: entities, engine and turn as in a daemon, without disk, sockets and tasks."""

from itertools import count
from types import SimpleNamespace
from typing import Any

from msgspec import structs

from support.measured import measured
from support.story import compiled, options
from tocsin.alerts.silences import Silences
from tocsin.app.snapshots import Snapshots
from tocsin.clock import ManualClock
from tocsin.control.measures import VenueMeasures
from tocsin.control.snapshot import Snapshot
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.events import Change, Observation
from tocsin.events.synthetic import link
from tocsin.events.vocabulary import from_plain
from tocsin.feed.model import Received
from tocsin.pipeline.runtime import EMPTY, Runtime


class World:
    """Rules as YAML has them at work; the venue `fx` is connected."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        self.clock = ManualClock()
        ids = count(1)
        self.runtime = Runtime(compiled(list(rules)), options(), lambda: f"alert{next(ids)}")
        self.runtime.turn.restore(EMPTY, self.clock.now())
        self.outages = Outages(Notes({}))
        self.heard_at = {"fx": self.clock.now().wall}
        self.status = {"fx": "connected"}
        self.snapshots = Snapshots(self.parts(), self._measures)
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
            journal=SimpleNamespace(changes={}),
            acts=SimpleNamespace(silences=lambda: Silences(runtime.turn.notifier.silences)),
            settings=SimpleNamespace(channels={"phone": SimpleNamespace(urls=("",))}),
        )

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

    def pass_(self, seconds: float) -> None:
        """Time passes, and what is due by then comes about."""
        now = self.clock.advance(seconds)
        self.runtime.turn.messages([], now)

    def look(self) -> Snapshot:
        """A new one: the last was made long enough ago."""
        self.pass_(1.0)
        return self.snapshots.snapshot()

    def entity(self, snapshot: Snapshot, kind: str, id_: str = "p1") -> Change:
        return next(change for change in snapshot.entities[kind] if change.key.id == id_)
