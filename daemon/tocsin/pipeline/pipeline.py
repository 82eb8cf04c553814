"""The life of an event on one screen.

    feed -> Inbox -> Turn: entities.apply -> engine.process -> alerts.decide -> Batch
                                                        database.commit(batch), one transaction
                                                                     -> the channels are woken

Nothing is sent before it is committed. One task runs this, so the entities and the engine need no locks.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import trio

from tocsin.clock import Clock
from tocsin.pipeline.inbox import Inbox
from tocsin.pipeline.turn import Turn
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch

_MOST_AT_ONCE = 200  # messages in one transaction: a commit is worth several, a person waits for none
_LONGEST_SLEEP = 60.0  # seconds
_COMMIT_AGAIN = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds between tries when the disk refuses; the last one goes on

Command = Callable[[], Batch]


class Committer(Protocol):
    async def commit(self, batch: Batch) -> None: ...

    async def free_reserve(self) -> bool: ...


class Pipeline:
    """Runs turns. `wake` is called with the names of the channels that have something new to send."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        turn: Turn,
        database: Committer,
        clock: Clock,
        wake: Callable[[Iterable[str]], None],
        log: Any,
    ) -> None:
        self._inbox = inbox
        self._turn = turn
        self._database = database
        self._clock = clock
        self._wake = wake
        self._log = log
        self._commands: list[tuple[Command, trio.Event]] = []
        self._called = trio.Event()
        self.refused_since: float | None = None  # steady: since when the disk has been refusing commits

    async def run(self) -> None:
        """For ever. A bug raises: the state in memory is then not to be trusted, and the process restarts."""
        while True:
            await self._wait()
            commands, self._commands = self._commands, []
            for command, done in commands:
                await self.commit(command())
                done.set()
            received, now = self._inbox.take(_MOST_AT_ONCE), self._clock.now()
            await self.commit(self._turn.messages(received, now, self._inbox.earliest()))
            await trio.lowlevel.checkpoint()

    async def call(self, command: Command) -> None:
        """Run `command` between two messages, in order, and return when what it brought about is committed."""
        done = trio.Event()
        self._commands.append((command, done))
        self._called.set()
        await done.wait()

    async def commit(self, batch: Batch) -> None:
        """Commit, however often the disk refuses: what is not on disk is not sent, and nothing is thrown away."""
        if not batch:
            return
        tries = 0
        while True:
            try:
                await self._database.commit(batch)
            except StoreUnavailable as error:
                if self.refused_since is None:
                    self.refused_since = self._clock.now().steady
                self._log.error("cannot commit, trying again", reason=str(error), tries=tries + 1)
                if error.full and await self._database.free_reserve():
                    self._log.warning("the space that was put by for this is given back to the disk")
                await trio.sleep(_COMMIT_AGAIN[min(tries, len(_COMMIT_AGAIN) - 1)])
                tries += 1
            else:
                break
        if self.refused_since is not None:
            self._log.info("committing again", after=round(self._clock.now().steady - self.refused_since, 1))
            self.refused_since = None
        if batch.deliveries:
            self._wake({delivery.channel for delivery in batch.deliveries})

    async def _wait(self) -> None:
        """Until there is a message, a command, or a timer due."""
        if self._commands or self._inbox.waiting():
            return
        due = self._turn.deadline()
        delay = _LONGEST_SLEEP if due is None else max(0.0, due - self._clock.now().steady)
        self._called = trio.Event()
        with trio.move_on_after(min(delay, _LONGEST_SLEEP)):
            async with trio.open_nursery() as nursery:
                for wait in (self._inbox.wait, self._called.wait):
                    nursery.start_soon(_first, wait, nursery.cancel_scope)


async def _first(wait: Callable[[], Awaitable[None]], others: trio.CancelScope) -> None:
    await wait()
    others.cancel()
