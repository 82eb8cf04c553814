"""One predicate of real progress: something passes inbox, entities, engine and store, and comes back.

systemd's watchdog and `/healthz` hang on it alone. A venue's outage or a chat service's is no reason to restart us; a
main loop that hangs, or a database that takes nothing any more, is.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tocsin.app.sdnotify import SystemdNotifier
from tocsin.clock import Clock
from tocsin.pipeline import Pipeline
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch

_EVERY = 5.0  # seconds between probes, or a third of the watchdog's patience
_TOO_LONG = 15.0  # seconds without one that passed until health says so


class ProgressProbe:
    def __init__(
        self,
        pipeline: Pipeline,
        database: Database,
        clock: Clock,
        notifier: SystemdNotifier,
        log: Any,
        *,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        """`tell` takes what is wrong with the database."""
        self._pipeline = pipeline
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
        """Probe for ever: each time a command goes through the pipeline, and a commit follows it."""
        while True:
            await self._pipeline.call(lambda: Batch(at=self._clock.now().wall))
            try:
                await self.note_alive()
            except StoreUnavailable as error:
                self.is_refused = True
                self._log.error("the database takes nothing", reason=str(error))
                # Not healthy. But a new process has the same disk, and not the alerts that this one holds in memory.
                self._notifier.send(WATCHDOG="1")
            else:
                self.passed_at, self.is_refused = self._clock.now(), False
                self._notifier.send(WATCHDOG="1")
            for trouble in self._database.take_troubles():
                self._log.error("the database", trouble=trouble)
                await self._tell(trouble)
            await trio.sleep(self._every)

    async def note_alive(self) -> None:
        """What `for` has counted so far survives a crash up to here."""
        await self._database.alive(self._clock.now())

    def wrong(self) -> list[str]:
        """What is wrong with us, in words; empty when healthy."""
        now = self._clock.now().steady
        found = []
        if now - self.passed_at.steady > _TOO_LONG:
            found.append(f"no progress for {now - self.passed_at.steady:.0f} s")
        if self._pipeline.refused_since is not None:
            found.append(f"nothing could be committed for {now - self._pipeline.refused_since:.0f} s")
        return found
