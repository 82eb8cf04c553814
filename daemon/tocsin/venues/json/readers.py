"""How a value of each type is read at a path: an id, a text, a number, a time. What can't be read is noted, and missing.

`none` are the words, and the numbers, that mean that there is none.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import UNSET

from tocsin.events import EXACT, number, shown
from tocsin.venues.base import Malformed
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.paths import Pick
from tocsin.venues.lenient import Part
from tocsin.venues.wire import is_word

Read: TypeAlias = Callable[[Any, Any, Part], Any]
"""Of the part, the whole message, and where is noted what can't be read."""

_NUMERIC = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_NAMES_EVENTS = "cause"  # a field whose words name events


def id_of(pick: Pick, none: frozenset[str]) -> Read:
    """The key of a thing. Raises Malformed for what is no id."""

    def read(part: Any, whole: Any, notes: Part) -> Any:
        wire = pick(part, whole)
        kind = wire.__class__
        if kind is str:
            return None if wire in none else wire
        if kind is int:
            text = str(wire)
            return None if text in none else text
        if wire is UNSET or wire is None:
            return wire
        raise Malformed(f"id: not an id: {shown(wire)}")

    return read


def text_of(name: str, pick: Pick, none: frozenset[str]) -> Read:
    names_event = name == _NAMES_EVENTS

    def read(part: Any, whole: Any, notes: Part) -> Any:
        text = notes.text(pick(part, whole), name)
        if text.__class__ is not str:
            return text
        if text in none:
            return None
        if names_event and not is_word(text):
            notes.note(name, f"not a word: {shown(text)}")
            return None
        return text

    return read


def _numeric(words: Iterable[str]) -> frozenset[Decimal]:
    return frozenset(Decimal(word) for word in words if _NUMERIC.fullmatch(word))


def number_of(name: str, pick: Pick, none: frozenset[str], at: Cursor | None) -> Read:
    numeric = _numeric(none)
    change = read_change(at)
    if not numeric and change is None:
        # What most numbers are.
        def read_plain(part: Any, whole: Any, notes: Part) -> Any:
            wire = pick(part, whole)
            return None if wire.__class__ is str and wire in none else notes.number(wire, name)

        return read_plain

    def read(part: Any, whole: Any, notes: Part) -> Any:
        wire = pick(part, whole)
        if wire.__class__ is str and wire in none:
            return None
        found = notes.number(wire, name)
        if not isinstance(found, Decimal):
            return found
        if found in numeric:
            return None
        return found if change is None else change(found)

    return read


def read_change(at: Cursor | None) -> Callable[[Decimal], Decimal] | None:
    """Exact: signs are changed without a context, which would round."""
    if at is None:
        return None
    absolute, negate, factor = at.flag("abs"), at.flag("negate"), at.get("times")
    if not (absolute or negate or factor is not None):
        return None
    by = number(factor.text) if factor is not None else None

    def change(value: Decimal) -> Decimal:
        if absolute:
            value = value.copy_abs()
        if negate and value:
            value = value.copy_negate()
        return value if by is None else EXACT.multiply(value, by)

    return change


def time_of(name: str, pick: Pick, none: frozenset[str], unit: str, source: Cursor) -> Read:
    if not unit:
        source.refuse(
            f"{name} is a time, and nothing says its unit",
            "{path: …, time: ms}; or times: ms at the top, for all: s, ms, us, ns or iso",
        )
    by: Any = unit

    def read(part: Any, whole: Any, notes: Part) -> Any:
        wire = pick(part, whole)
        if wire.__class__ is str and wire in none:
            return None
        return notes.iso(wire, name) if unit == "iso" else notes.epoch(wire, by, name)

    return read
