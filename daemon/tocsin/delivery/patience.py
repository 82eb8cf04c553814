"""Holding out: a store that is away, a daemon that stops while a message is on its way, a clock that is set back."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import trio

from tocsin.clock import Clock
from tocsin.store.errors import StoreUnavailable

_T = TypeVar("_T")
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def stored(call: Callable[[], Awaitable[_T]], log: Any) -> _T:
    """The store's answer, however long it takes to be there again: what was sent must be recorded, once."""
    delay = _FIRST
    while True:
        try:
            return await call()
        except StoreUnavailable as error:
            log.warning("the store is not available", error=error.reason)
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
