"""Where the time comes from. Everything that needs to know it is handed a `Clock`."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tocsin.events import Instant


class Clock(Protocol):
    def now(self) -> Instant: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        return Instant(datetime.now(UTC), time.monotonic())


class ManualClock:
    """A clock that stands still until it is moved: for rule tests and for tests of ours."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = Instant(start, 0.0)

    def now(self) -> Instant:
        return self._now

    def advance(self, seconds: float) -> Instant:
        self._now = self._now.later(seconds)
        return self._now

    def set_wall(self, wall: datetime) -> None:
        """The machine's clock is set: the wall jumps, the steady clock doesn't."""
        self._now = Instant(wall, self._now.steady)

    def jump_wall(self, seconds: float) -> None:
        self.set_wall(self._now.wall + timedelta(seconds=seconds))
