"""The time in a rule test: stands still until it is set, for the channels' tasks and for everything else."""

from datetime import datetime, timedelta

import trio
from trio.lowlevel import current_statistics

from tocsin.events import Instant

_HAIR = 1e-6  # seconds: what sums of floats may fall short of one another, and no timer is closer to the next


class SteppedClock(trio.abc.Clock):
    """trio's clock, and the daemon's `Clock`: steady seconds from 0, wall-clock from `start`.

    trio's own reading may be hairs ahead of ours: a task's sleep that ends at the time to which we were set ends
    then, whichever way its sum was rounded.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._steady = 0.0
        self._ahead = 0.0

    def now(self) -> Instant:
        return Instant(self._start + timedelta(seconds=self._steady), self._steady)

    def set(self, steady: float) -> None:
        """It is now so many seconds from the start; never goes back."""
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
