"""Holding out: a store that is away, a daemon that stops while a message is on its way, a clock that is set back."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import trio

from tocsin.clock import Clock
from tocsin.delivery.channel import Channel, Outbox
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Attempt, Delivery

_T = TypeVar("_T")
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Queue:
    """What waits for one URL of one channel. Every call holds out until the store is there again."""

    def __init__(self, outbox: Outbox, channel: Channel, log: Any) -> None:
        self._outbox, self._log = outbox, log
        self._of = (channel.name, channel.target)

    async def due(self, now: datetime, limit: int) -> Sequence[Delivery]:
        return await self._stored(lambda: self._outbox.due(*self._of, now, limit))

    async def next_due(self) -> datetime | None:
        return await self._stored(lambda: self._outbox.next_due(*self._of))

    async def waiting(self, alert: str) -> Sequence[Delivery]:
        return await self._stored(lambda: self._outbox.waiting(alert, *self._of))

    async def unhanded(self, after: str | None, limit: int) -> Sequence[Delivery]:
        return await self._stored(lambda: self._outbox.unhanded(*self._of, after, limit))

    async def told(self, alert: str, channel: str) -> Sequence[Delivery]:
        """Of any channel."""
        return await self._stored(lambda: self._outbox.told(alert, channel))

    async def record(self, attempts: Sequence[Attempt]) -> None:
        await self._stored(lambda: self._outbox.record(attempts))

    async def _stored(self, call: Callable[[], Awaitable[_T]]) -> _T:
        delay = _FIRST
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                self._log.warning("the store is not available", error=error.reason)
                await trio.sleep(delay)
                delay = min(2 * delay, _LONGEST)


async def finishing(work: Callable[[], Awaitable[None]], grace: float) -> None:
    """Does `work`; when cancelled meanwhile, for up to `grace` seconds more. Cancelled is raised then all the same."""

    async def shorten(scope: trio.CancelScope) -> None:
        try:
            await trio.sleep_forever()
        finally:
            scope.deadline = min(scope.deadline, trio.current_time() + grace)

    async with trio.open_nursery() as nursery:
        with trio.CancelScope(shield=True) as scope:
            nursery.start_soon(shorten, scope)
            await work()
        nursery.cancel_scope.cancel()


class OnlyOn:
    """A clock's wall time that never goes back: what is put off by a minute isn't by a day when the machine's clock is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: timedelta | None = None  # of the wall-clock before the steady one

    def wall(self) -> datetime:
        now = self._clock.now()
        steady = timedelta(seconds=now.steady)
        ahead = now.wall - _EPOCH - steady
        self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)
        return _EPOCH + self._ahead + steady

    def steady(self) -> float:
        return self._clock.now().steady
