"""A whole daemon in this process whose clock is moved by hand: what it does over hours is seen in seconds, at its own times.

Sockets and the disk are other threads' doing, in real time; the clock stands still until they have done what is due.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

import trio

from support.in_process import Quiet
from tocsin.app.components import Components
from tocsin.app.daemon import Daemon
from tocsin.app.sdnotify import SystemdNotifier
from tocsin.clock import ManualClock
from tocsin.config.settings import Settings
from tocsin.events import Observation, iso
from tocsin.feed.model import Received
from tocsin.store.database import Database
from tocsin.store.model import Batch

_STEP = 1.0  # seconds that the clock is moved by at once while something waits to be sent
_LONGEST_STEP = 60.0  # seconds
_MOST_STEPS = 60
_LOOK_EVERY = 0.01  # real seconds between two looks at what other threads do
_REST = 0.5  # real seconds without anything new after which it is the clock that is waited for
_PATIENCE = 60.0  # real seconds
_DUE = "SELECT count(*) FROM deliveries WHERE status = 'pending' AND digest IS NULL AND next_at <= :now"
_RUNNING = "SELECT count(*) FROM actions WHERE status IN ('pending', 'begun')"


class ByHand:
    """Its `clock` must be trio's, too."""

    def __init__(self, components: Components, daemon: Daemon, clock: ManualClock) -> None:
        self._components, self.daemon, self.clock = components, daemon, clock

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings, folder: Path, clock: ManualClock) -> AsyncIterator[Self]:
        """The daemon with these settings, as long as the block lasts."""
        database = await Database.open(settings.state_dir, now=clock.now().wall)
        components = Components(settings, await database.load(), database, clock, Quiet(), folder)
        daemon = Daemon(
            settings,
            lambda: settings,
            components=components,
            clock=clock,
            log=Quiet(),
            notifier=SystemdNotifier({}),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            yield cls(components, daemon, clock)
            nursery.cancel_scope.cancel()
        await database.close()

    async def until(self, there: datetime) -> None:
        """Move the clock on, minute by minute: what comes due on the way is sent on the way."""
        while (left := (there - self.clock.now().wall).total_seconds()) > 0:
            await self.advance(min(left, _LONGEST_STEP))
            await self.settle()

    async def put(self, observation: Observation) -> None:
        """The venue `fx` says so."""
        now = self.clock.now()
        await self._components.inbox.put(Received(venue="fx", observed=(observation,), at=now))
        await self.settle()

    async def settle(self) -> None:
        """Until all is committed, and all is sent that is due."""
        await self.really(lambda: not self._components.inbox.waiting())
        for _ in range(2):  # what a call finds waiting is committed before the next one is
            await self._components.pipeline.call(partial(Batch, at=self.clock.now().wall))
        await self.clocked(lambda: not self.count(self.due(), now=iso(self.clock.now().wall)))

    def due(self) -> str:
        """The query that counts what is to be sent by `:now`."""
        return _DUE

    def count(self, query: str, **values: object) -> int:
        """What the database answers."""
        database = self._components.database.path
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as db:
            ((count,),) = db.execute(query, values).fetchall()
        return int(count)

    async def clocked(self, seen: Callable[[], object]) -> None:
        """Until it is seen; the clock is moved where nothing but that is waited for."""
        for _ in range(_MOST_STEPS):
            with suppress(TimeoutError):
                await self.really(seen, _REST)
                return
            await self.advance(_STEP)
        raise AssertionError(f"not within {_MOST_STEPS} steps of the clock")

    async def advance(self, seconds: float) -> None:
        """Not while the disk works, or what an alert started: that would look as if it took so long."""
        await self.really(lambda: not self._components.journal.waiting and not self.count(_RUNNING))
        self.clock.advance(seconds)

    async def really(self, seen: Callable[[], object], within: float = _PATIENCE) -> None:
        """Until it is seen, while the clock stands still. TimeoutError where it isn't within so many real seconds."""
        end = time.monotonic() + within
        while not seen():
            if time.monotonic() > end:
                raise TimeoutError
            await trio.to_thread.run_sync(time.sleep, _LOOK_EVERY)
