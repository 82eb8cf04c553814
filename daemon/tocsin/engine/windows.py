"""Values over time: what the window functions of the rule language are computed from.

    TimeWindow      the latest 5m              keeps the samples
    SampleWindow    the latest 5 samples       keeps the samples
    SinceValues     since 00:00, of values in force: the one then, and the extremes
    SinceTotal      since 00:00, of samples: their sum and how many they are
    Extremes        ever: the lowest and the highest

A window is of one value of one entity (or of one instance of an event rule), in event time. Adding a sample and asking cost
amortised constant time, however many samples there are: extremes are kept in monotonic queues, the sum is carried
along (exactly: these are decimals). Times and lengths are whole microseconds, so that what is exactly as old as the window is
long is so whatever the clock says.
"""

from abc import ABC, abstractmethod
from collections import deque
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from tocsin.calendars import Since
from tocsin.events import EXACT, SUMS, microseconds, moment
from tocsin.quantities import SampleCount

MOST_SAMPLES = 200_000
_FEW = 16  # rows that a window which keeps no samples may leave before the store is tidied
_LATEST = 60_000_000  # microseconds: the venue's time is believed within 5 s, so nothing comes later than that by itself


Point: TypeAlias = tuple[int, Decimal]
"""A time and the value then."""


WindowSpec: TypeAlias = timedelta | SampleCount | Since
"""What a condition asks for."""


# -------------------------------------------------------------------------------------------- windows


class Window(ABC):
    """What the functions of a value over time read, and what keeps it going. What a kind has not, is None.

    `superseded` counts what `add` has said to store and is not needed any more.
    """

    __slots__ = ("superseded",)
    tidy_at = 256
    """So many superseded rows leave the store at once."""

    def __init__(self) -> None:
        self.superseded = 0

    @abstractmethod
    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        """A sample at `at`; one that comes late counts as of the latest time seen. What of it has to be stored: given to
        `restore` in this order, that makes the same window, but for how long the newest value has lasted.
        """

    def restore(self, at: int, value: Decimal) -> None:
        """What was stored, in its order."""
        self.add(at, value)

    def ends(self) -> tuple[Point, ...]:
        """The newest value is in force no more. What of it has to be stored: until when it was."""
        return ()

    def move(self, now: int) -> None:  # noqa: B027 # most do something
        """Time has passed without a sample: forget what is no longer in the window."""

    def lasts(self, now: int, value: Decimal) -> None:  # noqa: B027 # most do nothing
        """After `restore`: the value is still in force at `now`, if it is the newest one."""

    def as_of(self, now: datetime) -> "Window":  # noqa: ARG002 # most stand still
        """The window at that time, no sample having come since. Only one that begins at a time moves by itself."""
        return self

    @abstractmethod
    def tidied(self) -> tuple[int | None, tuple[Point, ...]]:
        """What can leave the store: all before this time (None: all); and what is to be stored in its place."""

    def lowest(self) -> Decimal | None:
        return None

    def highest(self) -> Decimal | None:
        return None

    def total(self) -> Decimal | None:
        return None

    def average(self) -> Decimal | None:
        """Of the samples, not weighted by how long each was in force."""
        return None

    def at_start(self) -> Decimal | None:
        """The value in force when the window began; None until so much history is there."""
        return None


class _Kept(Window):
    """A window that keeps its samples, and what was in force when it began. All as of `now`, which only ever goes on: it moves
    with what is added, and with `move`.

    `each`: every sample counts by itself. Else it is the value over time that counts: samples that follow each other with
    the same value are one, from the first to the last of them.
    """

    __slots__ = (
        "_added", "_ahead", "_each", "_end_stored", "_highest", "_lowest", "_samples", "_sum", "before", "now",
    )  # fmt: skip

    def __init__(self, *, each: bool) -> None:
        super().__init__()
        self.now = 0
        self.before: Point | None = None
        self._each = each
        self._samples: deque[tuple[int, int, Decimal]] = deque()  # from, to, value
        # The numbers of the samples that can still become an extreme, each more extreme than all behind it.
        self._lowest: deque[tuple[int, Decimal]] = deque()
        self._highest: deque[tuple[int, Decimal]] = deque()
        self._sum = Decimal(0)
        self._added = 0
        self._end_stored: int | None = None  # the end of the newest sample, where it was handed out
        self._ahead = 0  # by how much the window's time is ahead of the clock's, since that was set back

    @abstractmethod
    def _is_out(self, last: int) -> bool:
        """Whether the oldest sample, which lasted until then, is no longer in the window."""

    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        at = self._pass(at)
        ended: tuple[Point, ...] = ()
        if self._samples and not self._each:
            first, _, newest = self._samples[-1]
            if newest == value:
                self._samples[-1] = (first, at, newest)
                self._forget()
                return ()
            ended = self.ends()
        self._put(at, value)
        self._forget()
        return (*ended, (at, value))

    def ends(self) -> tuple[Point, ...]:
        if self._each or not self._samples:
            return ()
        first, last, newest = self._samples[-1]
        if last in (first, self._end_stored):
            return ()
        self._end_stored = last
        return ((last, newest),)

    def move(self, now: int) -> None:
        self._pass(now)
        self._forget()

    def tidied(self) -> tuple[int | None, tuple[Point, ...]]:
        return (self.before[0] if self.before is not None else 0), ()

    def lasts(self, now: int, value: Decimal) -> None:
        if self._samples and not self._each and self._samples[-1][2] == value:
            self.add(now, value)

    def _put(self, at: int, value: Decimal) -> None:
        self._samples.append((at, at, value))
        self._sum = SUMS.add(self._sum, value)
        while self._lowest and self._lowest[-1][1] >= value:
            self._lowest.pop()
        self._lowest.append((self._added, value))
        while self._highest and self._highest[-1][1] <= value:
            self._highest.pop()
        self._highest.append((self._added, value))
        self._added += 1

    def _pass(self, at: int) -> int:
        """Time goes on. Later than any message comes, the clock was set back: it goes on from where it was."""
        at += self._ahead
        if at < self.now - _LATEST:
            self._ahead += self.now - at
        self.now = max(at, self.now)
        return self.now

    def _forget(self) -> None:
        while self._samples and self._is_out(self._samples[0][1]):
            _, last, value = self._samples.popleft()
            self.before = (last, value)
            self._sum = SUMS.subtract(self._sum, value)
            for extremes in (self._lowest, self._highest):
                if extremes[0][0] == self.superseded:
                    extremes.popleft()
            self.superseded += 1

    def lowest(self) -> Decimal | None:
        return self._lowest[0][1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[0][1] if self._highest else None

    def total(self) -> Decimal | None:
        return self._sum if self._samples else None

    def average(self) -> Decimal | None:
        return EXACT.divide(self._sum, Decimal(len(self._samples))) if self._samples else None

    def __len__(self) -> int:
        return len(self._samples)


class TimeWindow(_Kept):
    """What is newer than `length`. At most `MOST_SAMPLES` are held; beyond that the oldest go, and the window is that much
    shorter than was asked.
    """

    __slots__ = ("length",)

    def __init__(self, length: int, *, each: bool = False) -> None:
        super().__init__(each=each)
        self.length = length

    def _is_out(self, last: int) -> bool:
        return last <= self.now - self.length or len(self._samples) > MOST_SAMPLES

    def at_start(self) -> Decimal | None:
        begins = self.now - self.length
        if self._samples and self._samples[0][0] <= begins:
            return self._samples[0][2]
        if self.before is not None and self.before[0] <= begins:
            return self.before[1]
        return None


class SampleWindow(_Kept):
    """The latest `number` samples, however long ago they came. What was in force when it began is the one before them."""

    __slots__ = ("number",)
    tidy_at = 64

    def __init__(self, number: int) -> None:
        super().__init__(each=True)
        self.number = number

    def _is_out(self, last: int) -> bool:  # noqa: ARG002 # they don't grow old
        return len(self._samples) > self.number

    def at_start(self) -> Decimal | None:
        return self.before[1] if self.before is not None else None


# ------------------------------------------------------------------------------- windows that keep no samples


class Extremes(Window):
    """The lowest and the highest value ever seen: a window without an end."""

    __slots__ = ("_highest", "_lowest")
    tidy_at = _FEW

    def __init__(self) -> None:
        super().__init__()
        self._lowest: Point | None = None
        self._highest: Point | None = None

    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        lower = self._lowest is None or value < self._lowest[1]
        higher = self._highest is None or value > self._highest[1]
        if lower:
            self._lowest = (at, value)
        if higher:
            self._highest = (at, value)
        if not (lower or higher):
            return ()
        self.superseded += 1  # those that it outdoes stay in the store for a while
        return ((at, value),)

    def tidied(self) -> tuple[int | None, tuple[Point, ...]]:
        return None, tuple(dict.fromkeys(filter(None, (self._lowest, self._highest))))

    def lowest(self) -> Decimal | None:
        return self._lowest[1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[1] if self._highest else None


class _Since(Window):
    """A window that begins anew again and again. What it has is kept at its beginning, so that no sample has to be.

    `begins`, `now`: microseconds. With the clock set back before the beginning, it begins anew with nothing known.
    """

    __slots__ = ("_ends", "_spec", "begins", "now")
    tidy_at = _FEW

    def __init__(self, spec: Since) -> None:
        super().__init__()
        self._spec = spec
        self.now = self.begins = self._ends = 0

    @abstractmethod
    def _begin(self, *, is_known: bool) -> None:
        """It begins at `begins`. `is_known`: what was in force until then is so still."""

    def move(self, now: int) -> None:
        back = now < min(self.begins, self.now - _LATEST)
        self.now = now if back else max(now, self.now)
        if self.now >= self._ends or back:
            at = moment(self.now)
            self.begins, self._ends = (
                microseconds(self._spec.latest(at)),
                microseconds(self._spec.following(at)),
            )
            self._begin(is_known=not back)
            self.superseded += self.tidy_at  # nothing that the store has of it is needed

    def as_of(self, now: datetime) -> Window:
        at = microseconds(now)
        if at < self._ends:
            return self
        moved = copy(self)
        moved.move(at)
        return moved


class SinceValues(_Since):
    """The value in force when it began (missing until the next beginning where none was known), and the extremes since then.

    Stored: the value in force, as of the very beginning; then each new extreme. The newest value is the entity's own.
    """

    __slots__ = ("_base", "_highest", "_is_over", "_latest", "_lowest")

    def __init__(self, spec: Since) -> None:
        super().__init__(spec)
        self._base: Decimal | None = None
        self._latest: Decimal | None = None
        self._lowest: Point | None = None
        self._highest: Point | None = None
        self._is_over = False

    def _begin(self, *, is_known: bool) -> None:
        self._base = self._latest if is_known else None
        self._lowest = self._highest = None if self._base is None else (self.begins, self._base)

    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        self.move(at)
        self._latest, self._is_over = value, False
        if self.now == self.begins:  # it comes at the very beginning: nothing before counts
            self._base, self._lowest, self._highest = value, None, None
        lower = self._lowest is None or value < self._lowest[1]
        higher = self._highest is None or value > self._highest[1]
        if lower:
            self._lowest = (self.now, value)
        if higher:
            self._highest = (self.now, value)
        if not (lower or higher):
            return ()
        self.superseded += 1
        return ((self.now, value),)

    def restore(self, at: int, value: Decimal) -> None:
        self.add(at, value)
        self._latest = None  # unless it lasts

    def ends(self) -> tuple[Point, ...]:
        self._is_over = True
        return ()

    def move(self, now: int) -> None:
        super().move(now)
        if self._is_over:
            self._latest, self._is_over = None, False
            if self.now == self.begins:
                self._base = self._lowest = self._highest = None

    def lasts(self, now: int, value: Decimal) -> None:
        self._latest, self.now = value, max(now, self.now)

    def tidied(self) -> tuple[int | None, tuple[Point, ...]]:
        known = () if self._base is None else ((self.begins, self._base),)
        extremes = sorted(filter(None, (self._lowest, self._highest)))
        return None, tuple(dict.fromkeys((*known, *extremes)))

    def lowest(self) -> Decimal | None:
        return self._lowest[1] if self._lowest else None

    def highest(self) -> Decimal | None:
        return self._highest[1] if self._highest else None

    def at_start(self) -> Decimal | None:
        return self._base


class SinceTotal(_Since):
    """The sum of the samples since it began, and how many they are.

    Stored: both, as of the very beginning; then each sample (one that comes at the beginning, just after it).
    """

    __slots__ = ("_count", "_restored", "_sum")

    def __init__(self, spec: Since) -> None:
        super().__init__(spec)
        self._sum, self._count = Decimal(0), 0
        self._restored = 0  # how many of those two

    def _begin(self, *, is_known: bool) -> None:  # noqa: ARG002 # no sample lasts
        self._sum, self._count, self._restored = Decimal(0), 0, 0

    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        self.move(at)
        self._sum = SUMS.add(self._sum, value)
        self._count += 1
        self.superseded += 1
        return ((max(self.now, self.begins + 1), value),)

    def restore(self, at: int, value: Decimal) -> None:
        self.move(at)
        if at != self.begins:
            self.add(at, value)
        elif self._restored == 0:
            self._sum, self._restored = value, 1
        else:
            self._count, self._restored = int(value), 2

    def tidied(self) -> tuple[int | None, tuple[Point, ...]]:
        if not self._count:
            return None, ()
        return None, ((self.begins, self._sum), (self.begins, Decimal(self._count)))

    def total(self) -> Decimal | None:
        return self._sum if self._count else None

    def average(self) -> Decimal | None:
        return EXACT.divide(self._sum, Decimal(self._count)) if self._count else None


def window_of(spec: WindowSpec | None, *, each: bool) -> Window:
    """An empty one; None: it is without an end. `each`: see `_Kept`."""
    match spec:
        case None:
            return Extremes()
        case SampleCount():
            return SampleWindow(spec.number)
        case Since():
            return SinceTotal(spec) if each else SinceValues(spec)
        case _:
            return TimeWindow(microseconds(spec), each=each)
