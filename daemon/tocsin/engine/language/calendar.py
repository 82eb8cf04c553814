"""A calendar as a user writes it: `{tz: Europe/Berlin, open: ["mon-fri 09:00-17:30"], closed: [2026-12-25]}`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tocsin import document
from tocsin.engine.calendars import Calendar, Window
from tocsin.engine.language.report import Report, did_you_mean
from tocsin.errors import Problem

KEYS = ("tz", "open", "closed")
Add = Callable[[Problem], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Calendars:
    """Those that rules can name (None: one that is faulty, which has been complained of); `tz` is the zone of those that say none."""

    named: Mapping[str, Calendar | None] = field(default_factory=dict)
    tz: str = "UTC"


NO_CALENDARS = Calendars()
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "when something is open: wall-clock in a time zone, right across both changes of the clock",
    "properties": {
        "tz": {
            "type": "string",
            "description": "an IANA time zone; else the config's",
            "examples": ["Europe/Berlin", "UTC"],
        },
        "open": {
            "description": "when it is open; without days every day",
            "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "examples": [["mon-fri 09:00-17:30", "sat 10:00-12:00"], ["22:00-07:00"]],
        },
        "closed": {
            "description": "days on which it is not",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "format": "date"}}],
            "examples": [["2026-12-25"]],
        },
    },
    "required": ["open"],
    "additionalProperties": False,
}


def read(node: document.Node, tz: str, path: str, add: Add) -> Calendar | None:
    """The calendar, in the zone `tz` unless it says otherwise; None after adding everything that is wrong with it."""
    if not isinstance(node, document.Mapping):
        hint = 'write {tz: Europe/Berlin, open: ["mon-fri 09:00-17:30"]}'
        add(Problem("a calendar is a mapping", node.place, path, hint))
        return None
    found: list[Problem] = []
    for entry in node:
        if entry.key.text not in KEYS:
            hint = did_you_mean(entry.key.text, KEYS, f"there are {', '.join(KEYS)}")
            found.append(Problem(f"unknown key `{entry.key.text:.80}`", entry.key.place, path, hint))
    if "open" not in node.entries:
        found.append(Problem("`open` is missing", node.place, path))
    zones = _each(node, "tz", _zone, path, found.append)
    windows = _each(node, "open", Window.parse, path, found.append)
    closed = _each(node, "closed", _day, path, found.append)
    if zones and (doubt := upside_down(zones[0])):
        place = node.entries["tz"].value.place
        add(Problem(doubt, place, path, "name the place: Europe/Berlin, America/New_York", "warning"))
    for problem in found:
        add(problem)
    return None if found else Calendar(zones[0] if zones else tz, tuple(windows), frozenset(closed))


def named(node: document.Node, calendars: Calendars, path: str, report: Report) -> Calendar | None:
    """The calendar that a rule names or writes in place; None after complaining."""
    if not isinstance(node, document.Scalar):
        return read(node, calendars.tz, path, report.add)
    if node.text in calendars.named:
        return calendars.named[node.text]
    known = tuple(calendars.named)
    there = f"there are {', '.join(known)}" if known else "the config has no `calendars`"
    report.error(
        f"no calendar is called `{node.text:.80}`", node.place, did_you_mean(node.text, known, there)
    )
    return None


def spelled(calendar: Calendar) -> str:
    """The same for calendars that mean the same, and in every run."""
    windows = sorted((sorted(window.days), window.begins, window.ends) for window in calendar.windows)
    return f"{calendar.tz} {windows} {sorted(day.isoformat() for day in calendar.closed)}"


def _each(node: document.Mapping, key: str, parse: Callable[[str], _T], path: str, add: Add) -> list[_T]:
    """The values under a key that takes one text or several (`tz` takes one)."""
    value = node.get(key)
    if value is None:
        return []
    items = value.items if isinstance(value, document.Sequence) and key != "tz" else (value,)
    if not items and key == "open":
        add(Problem("an empty list: it is never open", value.place, path))
    parsed = []
    for item in items:
        try:
            if not isinstance(item, document.Scalar) or not isinstance(item.value, str):
                raise ValueError("must be a text")  # noqa: TRY301 - said like all else that is wrong with it
            parsed.append(parse(item.value))
        except ValueError as error:
            add(Problem(str(error), item.place, path))
    return parsed


def upside_down(zone: str) -> str:
    """Why that time zone is most likely not the one that is meant; empty where it may well be.

    `Etc/GMT+2` is two hours behind UTC: POSIX counts so, and the tz database keeps it (its file `etcetera`).
    """
    match = re.fullmatch(r"(?:Etc/)?GMT([+-])(\d{1,2})", zone)
    if match is None or int(match[2]) == 0:
        return ""
    return f"{zone} is UTC{'-' if match[1] == '+' else '+'}{int(match[2])}: its sign is the other way round"


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
