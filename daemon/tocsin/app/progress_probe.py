"""One predicate of real progress: something passes inbox, entities, engine, store and outbox, and comes back.

systemd's watchdog, `/healthz` and the heartbeat hang on it. A venue's outage or a chat service's is no reason to restart us; a
main loop that hangs, or a database that takes nothing any more, is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import trio

from tocsin.app.sdnotify import SystemdNotifier
from tocsin.clock import Clock
from tocsin.delivery.outbox import DurableOutbox
from tocsin.delivery.timing import Wake
from tocsin.events import Beat, Instant
from tocsin.events.vocabulary import OURSELVES
from tocsin.feed import Received
from tocsin.pipeline import Inbox, Pipeline
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import OVERDUE_AFTER

_EVERY = 5.0  # seconds between beats, or a third of the watchdog's patience
_TOO_LONG = 15.0  # seconds; older than that the last beat that came back may not be
_LOOK_EVERY = 1.0  # seconds; a wake-up that was missed delays no longer


class Way(Protocol):
    """What a beat passes: all that an event does which becomes a message, but for the channels."""

    @property
    def refused_since(self) -> float | None:
        """Steady: since when nothing can be committed."""
        ...

    async def send(self, beat: str) -> None:
        """May wait, for ever."""
        ...

    async def arrived(self) -> Sequence[str]:
        """Beats that came through. Waits until there is one, for ever."""
        ...


class BeatWay:
    """The real one. `wake` is that of the beats' channel."""

    def __init__(
        self, inbox: Inbox, pipeline: Pipeline, outbox: DurableOutbox, wake: Wake, clock: Clock
    ) -> None:
        self._inbox, self._pipeline, self._outbox = inbox, pipeline, outbox
        self._wake, self._clock = wake, clock

    @property
    def refused_since(self) -> float | None:
        return self._pipeline.refused_since

    async def send(self, beat: str) -> None:
        await self._inbox.put(Received(venue=OURSELVES, observed=(Beat(beat),), at=self._clock.now()))

    async def arrived(self) -> Sequence[str]:
        while True:
            seen = self._wake.count
            if found := await self._outbox.take_beats(self._clock.now().wall):
                return found
            with trio.move_on_after(_LOOK_EVERY):
                await self._wake.after(seen)


class ProgressProbe:
    """`passed_at`: when the last beat that came back was sent. `is_refused`: the database took nothing when it was asked last."""

    def __init__(
        self,
        way: Way,
        database: Database,
        clock: Clock,
        notifier: SystemdNotifier,
        log: Any,
        *,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        """`tell` takes what is wrong with the database."""
        self._way = way
        self._database = database
        self._clock = clock
        self._notifier = notifier
        self._log = log
        self._tell = tell
        self.passed_at = clock.now()
        self.is_refused = False
        watchdog = notifier.watchdog_seconds
        self._every = min(_EVERY, watchdog / 3) if watchdog else _EVERY

    async def run(self) -> None:
        """Send beats for ever; each that comes back, and the commit that follows it, shows that all is well."""
        under_way: dict[str, Instant] = {}
        for beat in map(str, count(1)):
            under_way[beat], began = self._clock.now(), trio.current_time()
            await self._way.send(beat)
            if (newest := await self._newest(under_way)) is not None:
                under_way = {each: at for each, at in under_way.items() if at.steady > newest.steady}
                await self._passed(newest)
            await self._tell_troubles()
            await trio.sleep_until(began + self._every)

    async def _newest(self, under_way: Mapping[str, Instant]) -> Instant | None:
        """When the newest beat that came back was sent; None where none has within the time."""
        newest = None
        with trio.move_on_after(self._every):
            while newest is None or newest != max(under_way.values()):
                back = [under_way[each] for each in await self._way.arrived() if each in under_way]
                newest = max((*back, *([newest] if newest else [])), default=None)
        return newest

    async def _passed(self, sent: Instant) -> None:
        try:
            await self.note_alive()
        except StoreUnavailable as error:
            self.is_refused = True
            self._log.error("the database takes nothing", reason=str(error))
            # Not healthy. But a new process has the same disk, and not the alerts that this one holds in memory.
        else:
            self.passed_at, self.is_refused = sent, False
        self._notifier.send(WATCHDOG="1")

    async def _tell_troubles(self) -> None:
        for trouble in self._database.take_troubles():
            self._log.error("the database", trouble=trouble)
            await self._tell(trouble)

    async def note_alive(self) -> None:
        """What `for` has counted so far survives a crash up to here."""
        await self._database.alive(self._clock.now())

    def wrong(self) -> list[str]:
        """What is wrong with us, in words; empty when healthy."""
        now = self._clock.now().steady
        found = []
        if (ago := now - self.passed_at.steady) > _TOO_LONG:
            found.append(f"no progress for {ago:.0f} s")
        since = self._way.refused_since
        if since is not None and now - since > OVERDUE_AFTER:
            found.append(f"nothing could be committed for {now - since:.0f} s")
        return found
