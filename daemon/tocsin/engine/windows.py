"""Values over time, which window functions are computed from; and changes together with what is remembered beside them.

A window holds the samples of one value of one entity over its length, in event time. Adding a sample and asking cost amortised
constant time, however many samples there are: extremes are kept in monotonic queues, the sum is carried along (exactly: these are
decimals). A value that stays the same is held once. At most `MOST_SAMPLES` are held; beyond that the oldest go, and the window is
that much shorter than was asked. Times and lengths are whole microseconds, so that what is exactly as old as the window is long is
so whatever the clock says.

Conditions stay pure: what needs more than one change (windows, events counted, the group) is handed in as an `EnrichedChange`.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from msgspec import structs

from tocsin.events import EXACT, SUMS, Change

MOST_SAMPLES = 200_000
_LATEST = 60_000_000  # microseconds: the venue's time is believed within 5 s, so nothing comes later than that by itself
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(time: datetime | timedelta) -> int:
    """A moment since 1970, or a span."""
    return (time - _EPOCH if isinstance(time, datetime) else time) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse of `microseconds` for a moment."""
    return _EPOCH + timedelta(microseconds=microseconds)


Point: TypeAlias = tuple[int, Decimal]
"""A time and the value then."""


class Window:
    """Samples newer than `length`, and what was in force when the window began. All as of `now`, which only ever goes on: it
    moves with what is added, and with `move`.

    `each`: every sample counts by itself. Else it is the value over time that counts: samples that follow each other with
    the same value are one, from the first to the last of them.
    """

    __slots__ = (
        "_added", "_ahead", "_each", "_end_stored", "_highest", "_lowest", "_samples", "_sum", "before", "length", "now",
        "removed",
    )  # fmt: skip

    def __init__(self, length: int, *, each: bool = False) -> None:
        self.length = length
        self.now = 0
        self.before: Point | None = None
        self.removed = 0
        self._each = each
        self._samples: deque[tuple[int, int, Decimal]] = deque()  # from, to, value
        # The numbers of the samples that can still become an extreme, each more extreme than all behind it.
        self._lowest: deque[tuple[int, Decimal]] = deque()
        self._highest: deque[tuple[int, Decimal]] = deque()
        self._sum = Decimal(0)
        self._added = 0
        self._end_stored: int | None = None  # the end of the newest sample, where it was handed out
        self._ahead = 0  # by how much the window's time is ahead of the clock's, since that was set back

    def add(self, at: int, value: Decimal) -> tuple[Point, ...]:
        """A sample at `at`; one that comes late counts as of the latest time seen. What of it has to be stored: added
        again in this order, that makes the same window, but for how long the newest value has lasted.
        """
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
        """The newest value is in force no more. What of it has to be stored: until when it was."""
        if self._each or not self._samples:
            return ()
        first, last, newest = self._samples[-1]
        if last in (first, self._end_stored):
            return ()
        self._end_stored = last
        return ((last, newest),)

    def move(self, now: int) -> int:
        """Forget what is `length` old or older at `now`; how many samples that were."""
        self._pass(now)
        return self._forget()

    def lasts(self, now: int, value: Decimal) -> None:
        """After `restored`: the value is still in force at `now`, if it is the newest one."""
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

    def _forget(self) -> int:
        begins = self.now - self.length
        gone = self.removed
        while self._samples and (self._samples[0][1] <= begins or len(self._samples) > MOST_SAMPLES):
            _, last, value = self._samples.popleft()
            self.before = (last, value)
            self._sum = SUMS.subtract(self._sum, value)
            for extremes in (self._lowest, self._highest):
                if extremes[0][0] == self.removed:
                    extremes.popleft()
            self.removed += 1
        return self.removed - gone

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
        begins = self.now - self.length
        if self._samples and self._samples[0][0] <= begins:
            return self._samples[0][2]
        if self.before is not None and self.before[0] <= begins:
            return self.before[1]
        return None

    def __len__(self) -> int:
        return len(self._samples)

    @classmethod
    def restored(cls, length: int, stored: Iterable[Point], *, each: bool = False) -> "Window":
        window = cls(length, each=each)
        for at, value in stored:
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


# --------------------------------------------------------------------------------------------- changes that know them


EVENT_TIME_WITHIN = timedelta(seconds=5)
"""How far the venue's time may be off ours to be the one that windows go by."""


class Aggregates(Protocol):
    """What a group's live entities come to. Values are named by their canonical spelling."""

    @property
    def members(self) -> int: ...

    @property
    def entities(self) -> int:
        """How many it has, whether they take part or not."""
        ...

    @property
    def heard(self) -> datetime | None:
        """When something last happened to any of those; None where there are none."""
        ...

    @property
    def per(self) -> Mapping[str, str | None]: ...

    def shown(self, values: Sequence[str]) -> Sequence[Mapping[str, str | bool | tuple[str, ...]]]:
        """The members' fields, of the first of them, which have the lowest of these values."""
        ...

    def unconfirmed_since(self) -> datetime | None:
        """Since when it isn't known of one of the members, the longest, whether it still is so."""
        ...

    def left_out(self, values: Sequence[str] | None = None) -> Sequence[str]:
        """The members without one of these values, or of all that are put together, by their ids."""
        ...

    def sum(self, value: str) -> Decimal | None: ...

    def mean(self, value: str) -> Decimal | None: ...

    def min(self, value: str) -> Decimal | None: ...

    def max(self, value: str) -> Decimal | None: ...

    def nothing(self, value: str) -> str | None:
        """Why no member can have the value; None where one may."""
        ...

    def currencies(self, value: str) -> tuple[str, ...]:
        """The unlike currencies because of which the value can't be worked out; empty where they are alike."""
        ...


class EnrichedChange(Change, frozen=True, kw_only=True):
    """`windows`: by `Followed.name`. `counts`: events by the length of the window. `last_known`: by `Crossing.name`, what was
    known before a hole that is over with this change. Each is empty where nothing is known.
    """

    windows: Mapping[str, Window | Extremes]
    counts: Mapping[timedelta, int]
    group: Aggregates | None = None
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] = {}


_FIELDS = Change.__struct_fields__
_NO_WINDOWS: Mapping[str, Window | Extremes] = {}
_NO_COUNTS: Mapping[timedelta, int] = {}


def inform(
    change: Change,
    windows: Mapping[str, Window | Extremes] | None = None,
    counts: Mapping[timedelta, int] | None = None,
    group: Aggregates | None = None,
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] | None = None,
) -> EnrichedChange:
    """The change with these beside what it already knows."""
    known: dict[str, Any] = {}
    if windows is not None:
        known["windows"] = windows
    if counts is not None:
        known["counts"] = counts
    if group is not None:
        known["group"] = group
    if last_known is not None:
        known["last_known"] = last_known
    if isinstance(change, EnrichedChange):
        return structs.replace(change, **known)
    values = {name: getattr(change, name) for name in _FIELDS}
    return EnrichedChange(**values, **{"windows": _NO_WINDOWS, "counts": _NO_COUNTS, **known})


def event_time(change: Change) -> datetime:
    """When it happened, as windows go: when it was read, or the venue's time where it is close to that."""
    return change.time if abs(change.time - change.received) <= EVENT_TIME_WITHIN else change.received
