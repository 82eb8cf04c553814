"""The section `calendars`: hours by names that rules can use."""

from tocsin.calendars import Calendar, Calendars, read_calendar
from tocsin.config.reading import Reading
from tocsin.config.settings import DEFAULT_ZONE, is_zone
from tocsin.document import Mapping, Node, Scalar
from tocsin.errors import Problem


def read_calendars(reading: Reading, root: Mapping) -> Calendars:
    """The calendars of a config (or of a file of tests), in its time zone where they say none. What is wrong is noted."""
    node, tz = root.get("calendars"), _zone(root.get("tz"))
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return Calendars(tz=tz)
    if not isinstance(node, Mapping):
        reading.add(Problem("must be a mapping (lines of name: calendar)", node.place, "calendars"))
        return Calendars(tz=tz)
    found: dict[str, Calendar | None] = {}
    for entry in node:
        name, path = entry.key.text, f"calendars.{entry.key.text:.80}"
        well_named = reading.check_name(entry, "calendar", ("calendars", name))
        read = read_calendar(entry.value, tz, path, reading.add)
        found[name] = read if well_named else None
    return Calendars(found, tz)


def _zone(node: Node | None) -> str:
    """A zone that is none is complained of where it is read as a setting."""
    return node.text if isinstance(node, Scalar) and is_zone(node.value) else DEFAULT_ZONE
