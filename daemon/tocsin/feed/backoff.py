"""How long to wait before trying again."""

from collections.abc import Callable

import trio

_LEAST = 0.05  # of the first delay: full jitter may say nearly nothing, and that would be a hot loop


class Backoff:
    """Full jitter: a random part of a bound that doubles from `first` to `most` seconds with each failure.

    `random` gives numbers from 0 to 1.
    """

    def __init__(self, first: float, most: float, random: Callable[[], float]) -> None:
        self._first, self._most, self._random = first, most, random
        self._bound = first

    def next(self, asked: float | None = None) -> float:
        """The seconds to wait now; at least what the venue `asked` for (Retry-After)."""
        delay = max(self._bound * self._random(), self._first * _LEAST)
        self._bound = min(self._bound * 2, self._most)
        return delay if asked is None else max(asked, delay)

    def reset(self) -> None:
        self._bound = self._first


class Proof:
    """How long a connection must last before it is told as one.

    Normally not at all. After one that died young the next must last `first` seconds, then twice as long, up to
    `healthy`; so a venue that resets every second is disconnected, once, not connected and disconnected all day.
    Times are in seconds of any steady clock.
    """

    def __init__(self, first: float, healthy: float) -> None:
        self._first, self._healthy = first, healthy
        self._began: float | None = None
        self._died_young = 0

    def began(self, now: float) -> float:
        """It is up; how long it must last."""
        self._began = now
        if not self._died_young:
            return 0.0
        return float(min(self._first * 2.0 ** min(self._died_young - 1, 20), self._healthy))

    def ended(self, now: float) -> None:
        """It is down, if it was up."""
        if self._began is not None:
            self._died_young = self._died_young + 1 if now - self._began < self._healthy else 0
            self._began = None


class Retry:
    """Ends the long wait after a refusal: the user says that what was refused may be mended."""

    def __init__(self) -> None:
        self._asked = trio.Event()

    def now(self) -> None:
        """Whoever waits tries at once."""
        self._asked.set()
        self._asked = trio.Event()

    async def wait(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._asked.wait()
