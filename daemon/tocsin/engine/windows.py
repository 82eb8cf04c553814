"""Values over time: what the window functions of the rule language are computed from.

A window holds the samples of one value of one entity over its length, in event time. Adding a sample and asking cost
amortised constant time, however many samples there are: extremes are kept in monotonic queues, the sum is carried
along (exactly: these are decimals). At most `MOST_SAMPLES` are held; beyond that the oldest go, and the window is that
much shorter than was asked.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal

from tocsin.events import EXACT

MOST_SAMPLES = 200_000


class Window:
    """Samples newer than `length` seconds, and the one that was in force when the window began."""

    __slots__ = ("_added", "_highest", "_lowest", "_removed", "_samples", "_sum", "before", "length")

    def __init__(self, length: float) -> None:
        self.length = length
        self.before: tuple[float, Decimal] | None = None
        self._samples: deque[tuple[float, Decimal]] = deque()
        # The numbers of the samples that can still become an extreme, each more extreme than all behind it.
        self._lowest: deque[tuple[int, Decimal]] = deque()
        self._highest: deque[tuple[int, Decimal]] = deque()
        self._sum = Decimal(0)
        self._added = self._removed = 0

    def add(self, at: float, value: Decimal) -> None:
        """A sample at `at` (seconds of event time). One that comes late counts as of the latest time seen."""
        if self._samples:
            at = max(at, self._samples[-1][0])
        self._samples.append((at, value))
        self._sum = EXACT.add(self._sum, value)
        while self._lowest and self._lowest[-1][1] >= value:
            self._lowest.pop()
        self._lowest.append((self._added, value))
        while self._highest and self._highest[-1][1] <= value:
            self._highest.pop()
        self._highest.append((self._added, value))
        self._added += 1
        self.move(at)

    def move(self, now: float) -> None:
        """Forget what is `length` old or older at `now`."""
        begins = now - self.length
        while self._samples and (self._samples[0][0] <= begins or len(self._samples) > MOST_SAMPLES):
            self.before = self._samples.popleft()
            self._sum = EXACT.subtract(self._sum, self.before[1])
            for extremes in (self._lowest, self._highest):
                if extremes[0][0] == self._removed:
                    extremes.popleft()
            self._removed += 1

    def lowest(self) -> Decimal | None:
        return self._lowest[0][1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[0][1] if self._highest else None

    def total(self) -> Decimal | None:
        return self._sum if self._samples else None

    def average(self) -> Decimal | None:
        """Of the samples, not weighted by how long each was in force."""
        return EXACT.divide(self._sum, Decimal(len(self._samples))) if self._samples else None

    def at_start(self, now: float) -> Decimal | None:
        """The value in force `length` ago; None until so much history is there."""
        if self.before is not None and self.before[0] <= now - self.length:
            return self.before[1]
        return None

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[tuple[float, Decimal]]:
        """What to store: the sample in force before, and those inside; `restored` takes them back."""
        if self.before is not None:
            yield self.before
        yield from self._samples

    @classmethod
    def restored(cls, length: float, samples: Iterable[tuple[float, Decimal]]) -> "Window":
        window = cls(length)
        for at, value in samples:
            window.add(at, value)
        return window
