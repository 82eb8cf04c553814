"""Holding out: a store that is away, a daemon that stops while a message is on its way, a clock that is set back."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import trio

from tocsin.clock import Clock
from tocsin.delivery.channel import Channel, Outbox
from tocsin.events import Instant
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Attempt, Delivery

_T = TypeVar("_T")
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_STEP = timedelta(seconds=1)  # by less the clock isn't set but corrected
_STEPS_KEPT = 50


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


class RunClock:
    """The time of one run, by which what waits is put off and grows old, however the machine's clock is set meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        now = clock.now()
        self._began = self._seen = now.steady
        # By how much the wall-clock is ahead of the steady one, from when on; a step is known some time after it was made.
        self._steps: list[tuple[float, timedelta]] = [(now.steady, _ahead(now))]
        self._furthest = _ahead(now)

    def now(self) -> Instant:
        """The clock's own word, for what is recorded."""
        now = self._clock.now()
        ahead = _ahead(now)
        if abs(ahead - self._steps[-1][1]) > _STEP:
            self._steps = [*self._steps[-_STEPS_KEPT:], (self._seen, ahead)]
        self._seen = now.steady
        self._furthest = max(self._furthest, ahead)
        return now

    def wall(self) -> datetime:
        """A wall-clock that never goes back within this run: what is put off by a minute isn't by a day when the clock is set.

        What an earlier run put off is due when the store is opened.
        """
        return _EPOCH + self._furthest + timedelta(seconds=self.now().steady)

    def steady(self) -> float:
        return self.now().steady

    def age(self, of: datetime) -> timedelta:
        """How long ago it was what the wall-clock then called `of`; never negative.

        Within this run by the steady clock; where the clock was set back and it could be either of two moments, the later.
        """
        now = self.now().steady
        until = now
        for since, ahead in reversed(self._steps):
            at = (of - _EPOCH - ahead) / _SECOND
            if since - 1 <= at <= until + 1:
                return timedelta(seconds=max(now - at, 0.0))
            until = since
        before = min((of - _EPOCH - self._steps[0][1]) / _SECOND, self._began)  # an earlier run's
        return timedelta(seconds=now - before)


def _ahead(now: Instant) -> timedelta:
    return now.wall - _EPOCH - timedelta(seconds=now.steady)
