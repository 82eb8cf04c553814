"""What some work may take of the loop: a token bucket of seconds for which it keeps the loop busy.

A burst is done as fast as can be; what goes on gets its share of the time, and a part of what nobody needs, and waits in between.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from types import coroutine
from typing import Any, TypeVar

import trio

T = TypeVar("T")

_SHORTEST_PAUSE = 0.002  # seconds; a shorter one isn't worth a sleep
_MOST_OWED = 5  # bursts; a process that stood still for an hour doesn't wait for days
_BEHIND, _OF_IDLE = 0.04, 0.5
_LONGEST_BEHIND = 0.05  # seconds, after which there may be more idle time than was thought


class LoopBudget:
    """Seconds of the loop for some work: `share` of each second, and `of_idle` of each that this process, all its threads
    together, leaves of one processor.

    `burst` are kept at most, and at the beginning; a wait is `longest` at most. Times are in seconds of a steady clock; `processor_time`
    gives those that the process has used up.
    """

    def __init__(
        self,
        now: float,
        *,
        share: float,
        burst: float,
        longest: float,
        of_idle: float = 0.0,
        processor_time: Callable[[], float] = time.process_time,
    ) -> None:
        self._left, self._since = burst, now
        self._share, self._burst, self._longest, self._of_idle = share, burst, longest, of_idle
        self._gain = share
        self._processor_time = processor_time
        self._used = processor_time()
        self._computed: deque[float] = deque()

    def spent(self, seconds: float) -> None:
        """The loop was busy for them with this work."""
        self._left = max(self._left - seconds, -_MOST_OWED * self._burst)

    def computed(self, seconds: float) -> None:
        """The same of a thread, which tells it itself. The interpreter is one: what a thread computes, the loop waits for."""
        self._computed.append(seconds)

    def left(self, now: float) -> float:
        """Seconds of the loop that this work may take now; below nothing, where it took more."""
        while self._computed:
            self.spent(self._computed.popleft())
        if (elapsed := now - self._since) > 0:
            self._gain = self._share
            if self._of_idle:
                used = self._processor_time()
                self._gain += self._of_idle * max(1 - (used - self._used) / elapsed, 0.0)
                self._used = used
            self._left = min(self._left + elapsed * self._gain, self._burst)
            self._since = now
        return self._left

    def owed(self, now: float) -> float:
        """The seconds for which this work is to wait, so that it has what it may and no more; a guess, where idle time counts."""
        return max(-self.left(now) / self._gain, 0.0)

    async def rest(self) -> bool:
        """Wait, where this work had more than its share; True where it did."""
        owed = self.owed(trio.current_time())
        if owed < _SHORTEST_PAUSE:
            return False
        await trio.sleep(min(owed, self._longest))
        return True

    async def others_turn(self) -> None:
        """Let the others have a turn; a long one, where this work had more than its share."""
        if not await self.rest():
            await trio.lowlevel.checkpoint()


def budget_behind_alerting(
    burst: float, processor_time: Callable[[], float] = time.process_time
) -> LoopBudget:
    """For work that comes behind alerting: little where that needs all of the loop, much where it is idle. `burst`: seconds."""
    return LoopBudget(  # whatever the clock says at the beginning, that is the burst
        0.0,
        share=_BEHIND,
        of_idle=_OF_IDLE,
        burst=burst,
        longest=_LONGEST_BEHIND,
        processor_time=processor_time,
    )


_meter: ContextVar[LoopBudget | None] = ContextVar("tocsin-loop-budget", default=None)


async def give_way() -> None:
    """Let the others have a turn; where what asks is metered, until it has paid what it had beyond its share."""
    used = _meter.get()
    while used is not None and await used.rest():
        pass
    await trio.lowlevel.checkpoint()


def metered_in_thread(query: Callable[[], T]) -> Callable[[], T]:
    """The query for a thread, which tells the budget of the work that asks for it what it computed; also where nobody waits for it any more."""
    used = _meter.get()
    if used is None:
        return query

    def timed() -> T:
        began = time.thread_time()
        try:
            return query()
        finally:
            used.computed(time.thread_time() - began)

    return timed


@coroutine
def metered(work: Awaitable[T], used: LoopBudget) -> Generator[Any, Any, T]:
    """Does the work, and adds to `used` the time for which it keeps the loop busy, without its waits.

    By `used` goes in it, and in the tasks that it starts, what gives way and what is `metered_in_thread`.
    """
    outer = _meter.set(used)
    try:
        return (yield from _each_step(work, used))
    finally:
        _meter.reset(outer)


def _each_step(work: Awaitable[T], used: LoopBudget) -> Generator[Any, Any, T]:
    steps, clock = work.__await__(), time.perf_counter
    given: Any = None
    raised: BaseException | None = None
    while True:
        began = clock()
        try:
            wanted = steps.send(given) if raised is None else steps.throw(raised)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            raised = None
            used.spent(clock() - began)
        try:
            given = yield wanted
        except BaseException as error:  # noqa: BLE001 - it is the work's to handle
            raised = error
