"""Values over time: what the window functions of the rule language are computed from.

A window holds the samples of one value of one entity over its length, in event time. Adding a sample and asking cost
amortised constant time, however many samples there are: extremes are kept in monotonic queues, the sum is carried
along (exactly: these are decimals). At most `MOST_SAMPLES` are held; beyond that the oldest go, and the window is that
much shorter than was asked. Times and lengths are whole microseconds, so that what is exactly as old as the window is
long is so whatever the clock says.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from tocsin.events import EXACT

MOST_SAMPLES = 200_000
_LATEST = 60_000_000  # microseconds: the venue's time is believed within 5 s, so nothing comes later than that by itself
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Wide enough for any sum of numbers from the wire (at most 10^400, 200 digits): what is taken away again leaves no trace.
SUMS = Context(prec=1200, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999)


def microseconds(time: datetime | timedelta) -> int:
    """A moment since 1970, or a span."""
    return (time - _EPOCH if isinstance(time, datetime) else time) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse of `microseconds` for a moment."""
    return _EPOCH + timedelta(microseconds=microseconds)


class Window:
    """Samples newer than `length`, and the one that was in force when the window began. All as of `now`, which only
    ever goes on: it moves with what is added, and with `move`.
    """

    __slots__ = (
        "_added",
        "_ahead",
        "_highest",
        "_lowest",
        "_removed",
        "_samples",
        "_sum",
        "before",
        "length",
        "now",
    )

    def __init__(self, length: int) -> None:
        self.length = length
        self.now = 0
        self.before: tuple[int, Decimal] | None = None
        self._samples: deque[tuple[int, Decimal]] = deque()
        # The numbers of the samples that can still become an extreme, each more extreme than all behind it.
        self._lowest: deque[tuple[int, Decimal]] = deque()
        self._highest: deque[tuple[int, Decimal]] = deque()
        self._sum = Decimal(0)
        self._added = self._removed = 0
        self._ahead = 0  # by how much the window's time is ahead of the clock's, since that was set back

    def add(self, at: int, value: Decimal) -> None:
        """A sample at `at`. One that comes late counts as of the latest time seen."""
        at = self._pass(at)
        self._samples.append((at, value))
        self._sum = SUMS.add(self._sum, value)
        while self._lowest and self._lowest[-1][1] >= value:
            self._lowest.pop()
        self._lowest.append((self._added, value))
        while self._highest and self._highest[-1][1] <= value:
            self._highest.pop()
        self._highest.append((self._added, value))
        self._added += 1
        self._forget()

    def move(self, now: int) -> int:
        """Forget what is `length` old or older at `now`; how many samples that were."""
        self._pass(now)
        return self._forget()

    def _pass(self, at: int) -> int:
        """Time goes on. Later than any message comes, the clock was set back: it goes on from where it was."""
        at += self._ahead
        if at < self.now - _LATEST:
            self._ahead += self.now - at
        self.now = max(at, self.now)
        return self.now

    def _forget(self) -> int:
        begins = self.now - self.length
        gone = self._removed
        while self._samples and (self._samples[0][0] <= begins or len(self._samples) > MOST_SAMPLES):
            self.before = self._samples.popleft()
            self._sum = SUMS.subtract(self._sum, self.before[1])
            for extremes in (self._lowest, self._highest):
                if extremes[0][0] == self._removed:
                    extremes.popleft()
            self._removed += 1
        return self._removed - gone

    def lowest(self) -> Decimal | None:
        return self._lowest[0][1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[0][1] if self._highest else None

    def total(self) -> Decimal | None:
        return self._sum if self._samples else None

    def average(self) -> Decimal | None:
        """Of the samples, not weighted by how long each was in force."""
        return EXACT.divide(self._sum, Decimal(len(self._samples))) if self._samples else None

    def at_start(self) -> Decimal | None:
        """The value in force `length` ago; None until so much history is there."""
        if self.before is not None and self.before[0] <= self.now - self.length:
            return self.before[1]
        return None

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[tuple[int, Decimal]]:
        """What to store: the sample in force before, and those inside; added again they make the same window."""
        if self.before is not None:
            yield self.before
        yield from self._samples

    @classmethod
    def restored(cls, length: int, samples: Iterable[tuple[int, Decimal]]) -> "Window":
        window = cls(length)
        for at, value in samples:
            window.add(at, value)
        return window


class Extremes:
    """The lowest and the highest value ever seen: a window without an end."""

    __slots__ = ("_highest", "_lowest")

    def __init__(self) -> None:
        self._lowest: tuple[int, Decimal] | None = None
        self._highest: tuple[int, Decimal] | None = None

    def add(self, at: int, value: Decimal) -> bool:
        """Whether it is an extreme."""
        lower = self._lowest is None or value < self._lowest[1]
        higher = self._highest is None or value > self._highest[1]
        if lower:
            self._lowest = (at, value)
        if higher:
            self._highest = (at, value)
        return lower or higher

    def lowest(self) -> Decimal | None:
        return self._lowest[1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[1] if self._highest else None

    def __iter__(self) -> Iterator[tuple[int, Decimal]]:
        """What to store; added again they make the same extremes."""
        yield from dict.fromkeys(filter(None, (self._lowest, self._highest)))
