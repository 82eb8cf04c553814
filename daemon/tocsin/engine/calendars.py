"""Calendars: when a rule counts, or when people are told. Wall-clock in an IANA zone, right across both DST changes.

A window that ends before it begins (`22:00-07:00`) runs over midnight and belongs to the day on which it begins. On a
closed day nothing is open, whatever window reaches into it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*) )?"
    r"(?P<from>[0-2][0-9]:[0-5][0-9])-(?P<to>[0-2][0-9]:[0-5][0-9])",
    re.ASCII,
)
_ALL_DAY = 24 * 60
_LOOK_AHEAD = 370  # days: a yearly holiday is the rarest thing that a calendar knows


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes of the local day from `begins` up to and without `ends`, on these weekdays (0 is Monday)."""

    days: frozenset[int]
    begins: int
    ends: int

    @classmethod
    def parse(cls, text: str) -> "Window":
        """`mon-fri 09:00-17:30`, `sat,sun 10:00-12:00`, `22:00-07:00`, `00:00-24:00`. ValueError, fit to be shown."""
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise ValueError(
                "not a window; write it like mon-fri 09:00-17:30, sat,sun 10:00-12:00 or 22:00-07:00"
            )
        begins, ends = _minutes(match["from"]), _minutes(match["to"])
        if begins in (_ALL_DAY, ends):
            raise ValueError("a window that is never open; all day is 00:00-24:00")
        return cls(_days(match["days"]) if match["days"] else frozenset(range(7)), begins, ends)

    def covers(self, weekday: int, minute: float) -> bool:
        """Whether it is open at that minute of a local day."""
        if self.begins < self.ends:
            return weekday in self.days and self.begins <= minute < self.ends
        return (weekday in self.days and minute >= self.begins) or (
            (weekday - 1) % 7 in self.days and minute < self.ends
        )


@dataclass(frozen=True, slots=True)
class Calendar:
    """When something is open: `windows` in the zone `tz`, but for the local days in `closed`."""

    tz: str
    windows: tuple[Window, ...]
    closed: frozenset[date] = frozenset()

    def is_open(self, at: datetime) -> bool:
        """At that moment (aware)."""
        local = at.astimezone(ZoneInfo(self.tz))
        if local.date() in self.closed:
            return False
        minute = local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 60e6
        return any(window.covers(local.weekday(), minute) for window in self.windows)

    def next_change(self, at: datetime) -> datetime | None:
        """When it next opens or closes after `at`, UTC; None if not within a year."""
        now_open = self.is_open(at)
        for moment in self._moments(at):
            if moment > at and self.is_open(moment) != now_open:
                return moment
        return None

    def _moments(self, at: datetime) -> Iterator[datetime]:
        """Moments at which something may change, in order."""
        zone = ZoneInfo(self.tz)
        first = at.astimezone(zone).date() - timedelta(days=1)
        minutes = sorted(
            {0} | {edge % _ALL_DAY for window in self.windows for edge in (window.begins, window.ends)}
        )
        for ahead in range(_LOOK_AHEAD):
            day = first + timedelta(days=ahead)
            found = {
                datetime.combine(day, time(*divmod(minute, 60)), zone).replace(fold=fold).astimezone(UTC)
                for minute in minutes
                for fold in (0, 1)  # a wall-clock time that comes twice opens, or closes, twice
            }
            yield from sorted(found | set(_clock_changes(day, zone)))


def _clock_changes(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The moment of a DST change on that local day, if there is one: a boundary in the skipped hour falls there."""
    begins = datetime.combine(day, time(), zone).astimezone(UTC)
    ends = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    before = begins.astimezone(zone).utcoffset()
    if before == ends.astimezone(zone).utcoffset():
        return
    low, high = 0, int((ends - begins).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        same = (begins + timedelta(seconds=middle)).astimezone(zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    yield begins + timedelta(seconds=high)


def parse_calendar(tz: str, windows: Iterable[str], closed: Iterable[str] = ()) -> Calendar:
    """ValueError, fit to be shown, on a zone, window or date that is none."""
    try:
        ZoneInfo(tz)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"no time zone is called {tz!r:.60}; write it like Europe/Berlin") from None
    try:
        days = frozenset(date.fromisoformat(day) for day in closed)
    except ValueError:
        raise ValueError("not a date; write it like 2026-12-25") from None
    return Calendar(tz, tuple(Window.parse(window) for window in windows), days)


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    total = hours * 60 + minutes
    if total > _ALL_DAY:
        raise ValueError("a day has 24 hours")
    return total


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"no such day; days are {' '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)
