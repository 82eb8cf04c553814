"""Calendars for tests, as a user writes them."""

import json
from collections.abc import Iterable

from support.conditions import node_of
from tocsin.calendars import Calendar, read_calendar
from tocsin.errors import Problem


def parse_calendar(tz: str, windows: Iterable[str], closed: Iterable[str] = ()) -> Calendar:
    """ValueError, with what is said of it, on a zone, window or date that is none."""
    found: list[Problem] = []
    written = {"tz": tz, "open": [*windows], "closed": [*closed]}
    calendar = read_calendar(node_of(json.dumps(written)), "UTC", "calendars.it", found.append)
    if calendar is None:
        raise ValueError(found[0].message)
    return calendar
