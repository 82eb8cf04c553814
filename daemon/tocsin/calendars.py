"""Calendars: when a rule counts, or when people are told. Wall-clock in an IANA zone, right across both DST changes.

A user writes `{tz: Europe/Berlin, open: ["mon-fri 09:00-17:30"], closed: [2026-12-25]}`. A window that ends before it begins
(`22:00-07:00`) runs over midnight and belongs to the day on which it begins. On a closed day nothing is open, whatever window
reaches into it.

`Since` is a time of the day, or of the week, at which something begins anew; a `Schedule` is several of them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tocsin import document
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean

_BEGINS = re.compile(r"(?:(?P<day>[a-z]{3}) )?(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])", re.ASCII)
_SECOND = timedelta(seconds=1)
_WEEK = 7
_GMT = re.compile(r"(?:Etc/)?GMT(?P<sign>[+-])(?P<hours>[0-9]{1,2})")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS = re.compile(r"[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*", re.ASCII)
_TIMES = re.compile(rf"(?:(?P<days>{_DAYS.pattern}) )?(?P<clock>(?:[01][0-9]|2[0-3]):[0-5][0-9])", re.ASCII)
_WINDOW = re.compile(
    rf"(?:(?P<days>{_DAYS.pattern}) )?"
    r"(?P<from>[0-2][0-9]:[0-5][0-9])-(?P<to>[0-2][0-9]:[0-5][0-9])",
    re.ASCII,
)
_ALL_DAY = 24 * 60
_LOOK_AHEAD = 370  # days: a yearly holiday is the rarest thing that a calendar knows
_WEEKS = 16  # days within which a week's windows have opened and closed


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
        # What windows say comes again each week; a clock change can take one occasion of it away.
        closed = max((max(self.closed, default=first) - first).days, 0)
        for ahead in range(min(closed + _WEEKS, _LOOK_AHEAD)):
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


_KEYS = ("tz", "open", "closed")
_Add = Callable[[Problem], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Calendars:
    """Those that rules can name (None: one that is faulty, which has been complained of); `tz` is the zone of those that say none."""

    named: Mapping[str, Calendar | None] = field(default_factory=dict)
    tz: str = "UTC"


NO_CALENDARS = Calendars()
_OPEN_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
    "examples": [["mon-fri 09:00-17:30", "sat 10:00-12:00"], ["22:00-07:00"]],
}
_CALENDAR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "when something is open: wall-clock in a time zone, right across both changes of the clock",
    "properties": {
        "tz": {
            "type": "string",
            "description": "an IANA time zone; else the config's",
            "examples": ["Europe/Berlin", "UTC"],
        },
        "open": {"description": "when it is open; without days every day", **_OPEN_SCHEMA},
        "closed": {
            "description": "days on which it is not",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "format": "date"}}],
            "examples": [["2026-12-25"]],
        },
    },
    "required": ["open"],
    "additionalProperties": False,
}
CALENDAR_SCHEMA: dict[str, Any] = {"anyOf": [_CALENDAR_SCHEMA, *_OPEN_SCHEMA["anyOf"]]}
"""A calendar, or its windows alone."""


def read_calendar(node: document.Node, tz: str, path: str, add: _Add) -> Calendar | None:
    """The calendar, in the zone `tz` unless it says otherwise; None after adding everything that is wrong with it.

    Windows alone (a list, or one) are the short form of `{open: …}`.
    """
    found: list[Problem] = []
    if is_windows(node):
        windows = _windows(node, path, found.append)
        named = any(
            isinstance(item, document.Scalar) and ":" not in item.text for item in document.items(node)
        )
        for problem in found:
            add(
                replace(problem, hint="a calendar's name stands alone, without brackets")
                if named
                else problem
            )
        return None if found else Calendar(tz, tuple(windows))
    if not isinstance(node, document.Mapping):
        hint = 'write {tz: Europe/Berlin, open: ["mon-fri 09:00-17:30"]}, or windows alone: ["22:00-07:00"]'
        add(Problem("must be windows, or a mapping with them", node.place, path, hint))
        return None
    for entry in node:
        if entry.key.text not in _KEYS:
            hint = did_you_mean(entry.key.text, _KEYS, f"there are {', '.join(_KEYS)}")
            found.append(Problem(f"unknown key `{entry.key.text:.80}`", entry.key.place, path, hint))
    if "open" not in node.entries:
        found.append(Problem("`open` is missing", node.place, path))
    zone = node.get("tz")
    if isinstance(zone, document.Sequence):
        found.append(Problem("must be a text", zone.place, path))
        zone = None
    zones = _each(zone, _zone, path, found.append)
    windows = _windows(node.get("open"), path, found.append)
    closed = _each(node.get("closed"), _day, path, found.append)
    for doubt in doubts_of_zone(zone, path) if zones else ():
        add(doubt)
    for problem in found:
        add(problem)
    return None if found else Calendar(zones[0] if zones else tz, tuple(windows), frozenset(closed))


def calendar_text(calendar: Calendar) -> str:
    """The same for calendars that mean the same, and in every run."""
    windows = sorted((sorted(window.days), window.begins, window.ends) for window in calendar.windows)
    return f"{calendar.tz} {windows} {sorted(day.isoformat() for day in calendar.closed)}"


def is_windows(node: document.Node) -> bool:
    """Whether windows stand there by themselves, not a calendar's name or a mapping."""
    return isinstance(node, document.Sequence) or (
        isinstance(node, document.Scalar) and isinstance(node.value, str) and ":" in node.text
    )


def _windows(node: document.Node | None, path: str, add: _Add) -> list[Window]:
    if isinstance(node, document.Sequence) and not node.items:
        add(Problem("an empty list: it is never open", node.place, path))
    return _each(node, Window.parse, path, add)


def _each(node: document.Node | None, parse: Callable[[str], _T], path: str, add: _Add) -> list[_T]:
    """The values of a key that takes one text or several."""
    parsed = []
    for item in document.items(node):
        try:
            if not isinstance(item, document.Scalar) or not isinstance(item.value, str):
                raise ValueError("must be a text")  # noqa: TRY301 - said like all else that is wrong with it
            parsed.append(parse(item.value))
        except ValueError as error:
            add(Problem(str(error), item.place, path))
    return parsed


def doubts_of_zone(node: document.Node | None, path: str) -> tuple[Problem, ...]:
    """A warning where the time zone at `path` is most likely not the one that is meant.

    `Etc/GMT+2` is two hours behind UTC: POSIX counts so, and the tz database keeps it (its file `etcetera`).
    """
    match = _GMT.fullmatch(node.text) if isinstance(node, document.Scalar) else None
    if node is None or match is None or int(match["hours"]) == 0:
        return ()
    sign = "-" if match["sign"] == "+" else "+"
    doubt = f"{match[0]} is UTC{sign}{int(match['hours'])}: its sign is the other way round"
    return (Problem(doubt, node.place, path, "name the place: Europe/Berlin, America/New_York", "warning"),)


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"no time zone is called {text!r:.60}; write it like Europe/Berlin") from None
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("not a date; write it like 2026-12-25") from None


# ------------------------------------------------------------------------------------- what begins again and again


@dataclass(frozen=True, slots=True)
class Since:
    """Since the latest `clock` o'clock in the zone `tz`, on that weekday (0 is Monday) or any.

    A wall-clock time that a change of the clock skips is the first moment after it; one that comes twice is its first.
    """

    clock: time
    day: int | None
    tz: str

    def __str__(self) -> str:
        day = "" if self.day is None else f"{DAYS[self.day]} "
        return f"{day}{self.clock:%H:%M}"

    @classmethod
    def parse(cls, text: str, tz: str) -> "Since":
        """`00:00`, `mon 09:00`; `tz` an IANA zone. ValueError, fit to be shown."""
        match = _BEGINS.fullmatch(text)
        if match is None or (match["day"] and match["day"] not in DAYS):
            raise ValueError("not a time of day; write it like 00:00, or mon 09:00")
        day = DAYS.index(match["day"]) if match["day"] else None
        return cls(time(int(match["hour"]), int(match["minute"])), day, _zone(tz))

    def latest(self, at: datetime) -> datetime:
        """The beginning in whose window that moment lies; UTC."""
        return max(
            begins for begins in _around(self, at.astimezone(ZoneInfo(self.tz)).date()) if begins <= at
        )

    def following(self, at: datetime) -> datetime:
        """The first beginning after that moment; UTC."""
        return min(begins for begins in _around(self, at.astimezone(ZoneInfo(self.tz)).date()) if begins > at)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times of the day, each on any day or one of the week, at which something is to happen; never empty."""

    times: tuple[Since, ...]

    @classmethod
    def parse(cls, texts: Iterable[str], tz: str) -> "Schedule":
        """`18:00`, `mon-fri 18:00`, `sat,sun 09:30`; `tz` an IANA zone. ValueError, fit to be shown."""
        return cls(tuple(dict.fromkeys(time for text in texts for time in _times(text, tz))))

    def __str__(self) -> str:
        """The same for schedules that mean the same."""
        return f"{', '.join(sorted(map(str, self.times)))} {self.times[0].tz}"

    def latest(self, at: datetime) -> datetime:
        """The last time up to that moment; UTC."""
        return max(time.latest(at) for time in self.times)

    def following(self, at: datetime) -> datetime:
        """The first time after that moment; UTC."""
        return min(time.following(at) for time in self.times)


def _times(text: str, tz: str) -> Iterator[Since]:
    match = _TIMES.fullmatch(text)
    if match is None:
        raise ValueError("not a time of day; write it like 18:00, mon-fri 18:00 or sat,sun 09:30")
    days = [f"{DAYS[day]} " for day in sorted(_days(match["days"]))] if match["days"] else [""]
    for day in days:
        yield Since.parse(f"{day}{match['clock']}", tz)


@lru_cache(maxsize=1024)  # asked at each change of what is watched
def _around(since: Since, today: date) -> tuple[datetime, ...]:
    """A week's beginnings before and after that day, and a day more: a zone may skip one."""
    zone = ZoneInfo(since.tz)
    days = (today + timedelta(days=ahead) for ahead in range(-_WEEK - 1, _WEEK + 2))
    return tuple(_moment(day, since.clock, zone) for day in days if since.day in (None, day.weekday()))


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When it is that time on that day; the first of two, and the end of a hole in which it would be."""
    first = datetime.combine(day, clock, zone).astimezone(UTC)
    second = datetime.combine(day, clock, zone).replace(fold=1).astimezone(UTC)
    if second >= first:
        return first
    # It doesn't exist: reckoned from behind the hole it is before, and the other way round (PEP 495).
    skipped = second.astimezone(zone).utcoffset()
    low, high = 0, (first - second) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if (second + middle * _SECOND).astimezone(zone).utcoffset() == skipped:
            low = middle
        else:
            high = middle
    return second + high * _SECOND
