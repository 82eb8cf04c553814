"""Waiting: a condition that misses no signal, a grace period on cancellation, a wall-clock that never goes back."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta

import trio

from tocsin.clock import Clock
from tocsin.events import Instant


class Wake:
    """A signal that something changed. None is missed: who waits passes the `count` it saw last."""

    def __init__(self) -> None:
        self.count = 0
        self._event = trio.Event()

    def ring(self) -> None:
        self.count += 1
        self._event.set()
        self._event = trio.Event()

    async def after(self, count: int) -> None:
        while self.count == count:
            await self._event.wait()


class Wakes:
    """A `Wake` for each channel, common to all its URLs."""

    def __init__(self) -> None:
        self._of: dict[str, Wake] = {}

    def of(self, channel: str) -> Wake:
        return self._of.setdefault(channel, Wake())

    def ring(self, channels: Iterable[str] | None = None) -> None:
        """There is something new for these channels; None: it may be for any."""
        for channel in tuple(self._of) if channels is None else channels:
            self.of(channel).ring()


GRACE = 4.0  # seconds that a message on its way may take to arrive and be recorded when the daemon stops
LONGEST_REST = 60.0  # seconds; a wake-up that was missed delays no longer
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_STEP = timedelta(seconds=1)  # by less the clock isn't set but corrected
_STEPS_KEPT = 50


# ------------------------------------------------------------------------------------------------------ grace and clock


async def finishing(work: Callable[[], Awaitable[object]], grace: float) -> None:
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


async def rest(
    wake: Wake, seen: int, time: RunClock, until: datetime | None, longest: float = LONGEST_REST
) -> None:
    """Until `wake` was rung since it had counted to `seen`, or it is `until` by the run's wall-clock, or `longest` seconds have passed."""
    seconds = max(longest, 0.001)
    if until is not None:
        seconds = min(max((until - time.wall()).total_seconds(), 0.001), seconds)
    with trio.move_on_after(seconds):
        await wake.after(seen)
