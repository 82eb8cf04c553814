"""The section `calendars`: hours by names that rules can use."""

from tocsin.config.reading import Reading
from tocsin.document import Mapping, Node
from tocsin.engine.calendars import Calendar
from tocsin.engine.language import calendar
from tocsin.errors import Problem


def read_calendars(reading: Reading, node: Node | None) -> dict[str, Calendar | None]:
    """Every calendar by its name; None in the place of one that is faulty. What is wrong is noted."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        reading.add(Problem("must be a mapping (lines of name: calendar)", node.place, "calendars"))
        return {}
    found: dict[str, Calendar | None] = {}
    for entry in node:
        name, path = entry.key.text, f"calendars.{entry.key.text:.80}"
        well_named = reading.check_name(entry, "calendar", ("calendars", name))
        read = calendar.read(entry.value, path, reading.add)
        found[name] = read if well_named else None
    return found
