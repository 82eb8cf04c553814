"""The store as async calls for the daemon's tasks: each runs in a worker thread, one at a time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

import trio

from tocsin.events import Instant
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import (
    Arrival,
    Attempt,
    Batch,
    ButtonRow,
    Delivery,
    Gathered,
    Loaded,
    NewDelivery,
    Questions,
    Recent,
    Retention,
    SessionRow,
)
from tocsin.store.retention import Pruned
from tocsin.store.store import Store

_T = TypeVar("_T")
_PATIENCE = 2.0  # seconds, with what can be done without


class RunSync(Protocol):
    """Runs a blocking call. Once begun the call is finished and its result given, also where the caller is cancelled.

    With `abandon` the caller is let go when it is cancelled; the call goes on by itself, and others wait for its end.
    """

    def __call__(self, call: Callable[[], _T], /, *, abandon: bool = False) -> Awaitable[_T]: ...


def in_thread() -> RunSync:
    """Calls run in a worker thread, one at a time, apart from all other threads' limits."""
    limiter = trio.CapacityLimiter(1)

    async def run(call: Callable[[], _T], /, *, abandon: bool = False) -> _T:
        # A caller that is cancelled while it waits for its turn has changed nothing; one whose call has begun gets its
        # answer, unless it only wants to know something: a disk that hangs answers nobody.
        return await trio.to_thread.run_sync(call, abandon_on_cancel=abandon, limiter=limiter)

    return run


async def inline(call: Callable[[], _T], /, *, abandon: bool = False) -> _T:  # noqa: ARG001 - never needed
    """Calls run here and now: for simulations, whose clock mustn't move meanwhile."""
    await trio.lowlevel.checkpoint_if_cancelled()
    result = call()
    await trio.lowlevel.cancel_shielded_checkpoint()
    return result


class Database:
    """`Store` for trio. Every method is the store's method of that name and raises what that raises.

    Cancellation: of what writes, either Cancelled is raised and nothing has happened, or the call returns and all has;
    what reads is given up at once, also while the disk hangs.
    """

    def __init__(self, store: Store, run_sync: RunSync) -> None:
        self._store = store
        self._run = run_sync

    @classmethod
    async def open(cls, state_dir: Path, *, now: datetime, run_sync: RunSync | None = None) -> Self:
        run = run_sync or in_thread()
        return cls(await run(partial(Store.open, state_dir, now=now)), run)

    @property
    def path(self) -> Path:
        return self._store.path

    async def load(self) -> Loaded:
        return await self._run(self._store.load)

    async def commit(self, batch: Batch) -> None:
        await self._run(partial(self._store.commit, batch))

    async def _soon(self, call: Callable[[], _T]) -> _T:
        """Raises StoreUnavailable also where there is no answer within two seconds."""
        with trio.move_on_after(_PATIENCE):
            return await self._run(call, abandon=True)
        raise StoreUnavailable("the disk doesn't answer")

    async def alive(self, now: Instant) -> None:
        """Also raises StoreUnavailable where there is no answer soon."""
        return await self._soon(partial(self._store.alive, now))

    async def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> list[Delivery]:
        return await self._run(
            partial(self._store.outbox.due, channel, target, now, limit, prompt), abandon=True
        )

    async def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        return await self._run(partial(self._store.outbox.next_due, channel, target, after), abandon=True)

    async def is_waited_on(self, channel: str, target: int) -> bool:
        return await self._run(partial(self._store.outbox.is_waited_on, channel, target), abandon=True)

    async def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, limit: int, *, critical: bool
    ) -> list[Delivery]:
        gatherable = self._store.outbox.gatherable
        return await self._run(
            partial(gatherable, channel, target, now, after, limit, critical=critical), abandon=True
        )

    async def ends_behind(self, digest: str, channel: str, target: int) -> list[Delivery]:
        return await self._run(partial(self._store.outbox.ends_behind, digest, channel, target), abandon=True)

    async def recent(self, channel: str, target: int, since: datetime, until: datetime) -> Recent:
        return await self._run(
            partial(self._store.outbox.recent, channel, target, since, until), abandon=True
        )

    def arrived(self, channel: str, target: int) -> Sequence[Arrival]:  # noqa: ARG002 - who writes here isn't known
        """None: storms are looked for by who knows what was committed, the outbox that outlasts the store."""
        return ()

    async def gather(self, gathered: Gathered) -> list[str]:
        return await self._run(partial(self._store.outbox.gather, gathered))

    async def waiting(self, alert: str, channel: str, target: int) -> list[Delivery]:
        return await self._run(partial(self._store.outbox.waiting, alert, channel, target), abandon=True)

    async def not_escalated(self, channel: str, target: int, after: str | None, limit: int) -> list[Delivery]:
        return await self._run(
            partial(self._store.outbox.not_escalated, channel, target, after, limit), abandon=True
        )

    async def history(self, alert: str, channel: str) -> list[Delivery]:
        return await self._run(partial(self._store.outbox.history, alert, channel), abandon=True)

    async def editable(self, alert: str | None) -> list[Delivery]:
        """Also raises StoreUnavailable where there is no answer soon."""
        return await self._soon(partial(self._store.outbox.editable, alert))

    async def questions_left(self) -> Questions:
        """Also raises StoreUnavailable where there is no answer soon."""
        return await self._soon(self._store.outbox.questions_left)

    async def told_by(self, digest: str) -> list[str]:
        """Also raises StoreUnavailable where there is no answer soon."""
        return await self._soon(partial(self._store.outbox.told_by, digest))

    async def button(self, id_: str) -> ButtonRow | None:
        """Also raises StoreUnavailable where there is no answer soon."""
        return await self._soon(partial(self._store.button, id_))

    async def pending_targets(self) -> dict[tuple[str, int], int]:
        return await self._run(self._store.outbox.pending_targets, abandon=True)

    async def record(self, attempts: Sequence[Attempt]) -> list[str]:
        return await self._run(partial(self._store.outbox.record, attempts))

    async def note(self, notes: Mapping[str, str | None]) -> None:
        await self._run(partial(self._store.note, notes))

    async def keep_sessions(self, sessions: Mapping[str, SessionRow | None]) -> None:
        """Also raises StoreUnavailable where there is no answer soon; it may have been done all the same, and may be done again."""
        await self._soon(partial(self._store.keep_sessions, sessions))

    async def apply_retention(
        self, retention: Retention, now: datetime, removed: Callable[[Pruned], Awaitable[None]]
    ) -> Pruned:
        """All that has had its time, chunk by chunk: commits come in between. Cancelled, it has done some of them.

        `removed` is told of each chunk when it is gone for good, whatever becomes of the next.
        """
        total = Pruned(more=True)
        while total.more:
            pruned = await self._run(partial(self._store.apply_retention, retention, now))
            await removed(pruned)
            total += pruned
        return total

    async def checkpoint(self) -> bool:
        return await self._run(self._store.checkpoint)

    def take_troubles(self) -> list[str]:
        """Problems found since the last call, as sentences for `daemon.degraded`; each is returned once. Doesn't block."""
        return self._store.take_troubles()

    async def rebuild(self, reason: str, waiting: Sequence[NewDelivery]) -> None:
        await self._run(partial(self._store.rebuild, reason, datetime.now(UTC), waiting))

    async def check(self) -> None:
        """Check a database that was too large to be checked when it was opened; other calls don't wait. Raises Damaged."""
        if self._store.unchecked:
            await trio.to_thread.run_sync(self._store.check, abandon_on_cancel=True)

    async def free_reserve(self) -> bool:
        return await self._run(self._store.free_reserve)

    async def keep_reserve(self) -> bool:
        return await self._run(self._store.keep_reserve)

    async def close(self) -> None:
        """Closes the store, also where the caller is being cancelled."""
        with trio.CancelScope(shield=True):
            await self._run(self._store.close)
