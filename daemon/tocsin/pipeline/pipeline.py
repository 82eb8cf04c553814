"""The life of an event on one screen.

    feed -> Inbox -> Turn: entities.apply -> engine.process, settle -> alerts.decide -> Batch
                                                        database.commit(batch), one transaction
                                                                     -> the channels are woken

Nothing is sent before it is committed, but in an emergency: when the disk has refused for some seconds, alerts go out
all the same. One task runs this, so the entities and the engine need no locks.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import trio

from tocsin.clock import Clock
from tocsin.pipeline.inbox import Inbox
from tocsin.pipeline.turn import Turn
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch, NewDelivery

_MOST_AT_ONCE = 200  # messages in one transaction: a commit is worth several, a person waits for none
_LONGEST_SLEEP = 60.0  # seconds
_COMMIT_AGAIN = (0.1, 0.5, 1.0)  # seconds between tries when the disk refuses; the last one goes on
_EMERGENCY_AFTER = 5.0  # seconds of refused commits
_MOST_UNWRITTEN = 2_000  # batches kept whole in memory; of what comes beyond that, events are not kept

Command = Callable[[], Batch]


class Committer(Protocol):
    async def commit(self, batch: Batch) -> None: ...

    async def free_reserve(self) -> bool: ...


class Emergency(Protocol):
    """Delivers what couldn't be committed."""

    def take_over(self, deliveries: Iterable[NewDelivery]) -> None: ...

    async def settle(self) -> None:
        """All that was taken over is committed now. Raises StoreUnavailable if the disk refuses again."""
        ...


class Pipeline:
    """Runs turns. `wake` is called with the names of the channels that have something new to send.

    `degraded` is told, with the reason, when an emergency begins.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        turn: Turn,
        database: Committer,
        clock: Clock,
        wake: Callable[[Iterable[str]], None],
        log: Any,
        emergency: Emergency | None = None,
        degraded: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._inbox = inbox
        self._turn = turn
        self._database = database
        self._clock = clock
        self._wake = wake
        self._log = log
        self._commands: list[tuple[Command, trio.Event]] = []
        self._emergency = emergency
        self._degraded = degraded
        self._unwritten: deque[Batch] = deque()  # what the disk has refused so far, in order
        self._taken_over = 0  # how many of those, from the first on, the emergency delivers
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
        self._inbox.rouse()
        await done.wait()

    async def commit(self, batch: Batch) -> None:
        """Commit, however often the disk refuses: what is not on disk is not sent, but in an emergency.

        It then returns all the same, and the batch is committed later; only of a very long one events are lost.
        """
        if batch and self._emergency is not None and len(self._unwritten) >= _MOST_UNWRITTEN:
            self._emergency.take_over(batch.deliveries)
            merge_without_events(self._unwritten[-1], batch)
        elif batch:
            self._unwritten.append(batch)
        tries = 0
        while self._unwritten:
            try:
                await self._database.commit(self._unwritten[0])
            except StoreUnavailable as error:
                await self._refused(error, tries)
                if await self._in_emergency(str(error)):
                    return
                await trio.sleep(_COMMIT_AGAIN[min(tries, len(_COMMIT_AGAIN) - 1)])
                tries += 1
            else:
                self._committed(self._unwritten.popleft())
        if self.refused_since is not None:
            await self._recovered()

    def _committed(self, batch: Batch) -> None:
        if self._taken_over:
            self._taken_over -= 1
        elif batch.deliveries:
            self._wake({delivery.channel for delivery in batch.deliveries})

    async def _refused(self, error: StoreUnavailable, tries: int) -> None:
        now = self._clock.now().steady
        if self.refused_since is None:
            self.refused_since = now
        if not self._taken_over:
            self._log.error("cannot commit, trying again", reason=str(error), tries=tries + 1)
        if error.full and await self._database.free_reserve():
            self._log.warning("the space that was put by for this is given back to the disk")

    async def _in_emergency(self, reason: str) -> bool:
        """Whether to go on without the disk. What can't be committed is then delivered from memory."""
        if self._emergency is None or self.refused_since is None:
            return False
        if self._clock.now().steady - self.refused_since < _EMERGENCY_AFTER:
            return False
        begins = self._taken_over == 0
        new = list(self._unwritten)[self._taken_over :]
        self._emergency.take_over([delivery for batch in new for delivery in batch.deliveries])
        self._taken_over = len(self._unwritten)
        if begins and self._degraded is not None:
            self._log.error(
                "nothing can be committed: alerts go out unrecorded and may repeat", reason=reason
            )
            await self._degraded(reason)
        return True

    async def _recovered(self) -> None:
        since = self.refused_since or 0.0
        if self._emergency is not None:
            try:
                await self._emergency.settle()
            except StoreUnavailable:
                return  # refused again; the next commit comes back here
        self._log.info("committing again", after=round(self._clock.now().steady - since, 1))
        self.refused_since = None

    async def _wait(self) -> None:
        """Until there is a message, a command, or a timer due."""
        if self._commands or self._inbox.waiting():
            return
        due = self._turn.deadline()
        delay = _LONGEST_SLEEP if due is None else max(0.0, due - self._clock.now().steady)
        if self._unwritten or self.refused_since is not None:
            delay = min(delay, _COMMIT_AGAIN[-1])
        with trio.move_on_after(min(delay, _LONGEST_SLEEP)):
            await self._inbox.wait()


def merge_without_events(into: Batch, batch: Batch) -> None:
    """What `batch` changed, committed with `into`: alerts and states in their order, but not what happened."""
    # Of one batch what is gone goes before its entities are put: what is gone by then was put in vain.
    gone = frozenset(batch.gone)
    into.entities = [change for change in into.entities if change.key not in gone]
    for name in Batch.__struct_fields__:
        rows = getattr(batch, name)
        if isinstance(rows, list) and name != "events":
            setattr(into, name, getattr(into, name) + rows)
    into.entities = list({change.key: change for change in into.entities}.values())
