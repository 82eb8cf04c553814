"""Where the time comes from. Everything that needs to know it is handed a `Clock`."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import trio
from trio.lowlevel import current_statistics

from tocsin.events import Instant

_HAIR = 1e-6  # seconds: what sums of floats may fall short of one another, and no timer is closer to the next


class Clock(Protocol):
    def now(self) -> Instant: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        return Instant(datetime.now(UTC), time.monotonic())


class ManualClock(trio.abc.Clock):
    """A clock that stands still until it is moved, for rule tests and for tests of ours: steady seconds from 0, wall-clock from `start`.

    It may be trio's too. trio's own reading may then be hairs ahead of ours: a task's sleep that ends at the time to which we were
    set ends then, whichever way its sum was rounded.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start  # the wall-clock at steady 0
        self._steady = 0.0
        self._ahead = 0.0

    def now(self) -> Instant:
        return Instant(self._start + timedelta(seconds=self._steady), self._steady)

    def advance(self, seconds: float) -> Instant:
        self._steady += seconds
        return self.now()

    def set_wall(self, wall: datetime) -> None:
        """The machine's clock is set: the wall jumps, the steady clock doesn't."""
        self._start = wall - timedelta(seconds=self._steady)

    def jump_wall(self, seconds: float) -> None:
        self._start += timedelta(seconds=seconds)

    # ------------------------------------------------------------------------------------------------- as trio's clock

    def set(self, steady: float) -> None:
        """It is now so many steady seconds; never goes back."""
        self._steady = max(self._steady, steady)
        if 0.0 < (short := self._until_next()) <= _HAIR:
            self._ahead += 2 * short

    def next_wake(self) -> float:
        """When (steady) the next task that sleeps will be woken; infinity where none does."""
        return self._steady + max(0.0, self._until_next())

    def _until_next(self) -> float:
        return current_statistics().seconds_to_next_deadline

    def start_clock(self) -> None:
        """trio's; there is nothing to start."""

    def current_time(self) -> float:
        return self._steady + self._ahead

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """trio's: real seconds until then. Until we are set further nothing comes due, so for ever."""
        return 0.0 if deadline <= self.current_time() else 1e9
