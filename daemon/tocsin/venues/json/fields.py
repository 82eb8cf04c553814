"""What a description says of one field, compiled: a function of a part of a message that gives the field's value.

Of every field: UNSET where the part doesn't mention it, None where it says that there is none or can't be read, which is
noted (as `venues.lenient` has it).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import UNSET

from tocsin.events import EXACT, number, shown
from tocsin.events.vocabulary import Field, did_you_mean
from tocsin.venues.base import Malformed
from tocsin.venues.json.conditions import plain, read_condition
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.paths import Pick, read_pick
from tocsin.venues.json.readers import Read, id_of, number_of, read_change, text_of, time_of
from tocsin.venues.json.templates import read_composed
from tocsin.venues.lenient import Part
from tocsin.venues.wire import cut, from_iso_text, is_word

_SOURCES = ("path", "text", "sum", "is")
_FOR: Mapping[str, tuple[str, ...]] = {
    "time": ("time",),
    "abs": ("number",),
    "negate": ("number",),
    "times": ("number",),
    "map": ("enum", "text"),
    "sign": ("enum", "text"),
    "keep": ("enum", "text"),
}
"""Of which types of fields a key says something."""
_LONGEST = 512  # characters of a text that is put together


class Defaults(NamedTuple):
    """What holds for every field of a description: the unit of its times, the words that mean none, the named maps."""

    times: str
    missing: frozenset[str]
    maps: Mapping[str, Cursor]


def read_field(field: Field, at: Cursor, defaults: Defaults) -> Read:
    """The field, compiled; what is wrong in it is noted."""
    if at.is_list:
        return _first([read_field(field, item, defaults) for item in at.items()])
    if at.is_scalar:
        return _picked(field, at, read_pick(at), None, defaults)
    return _written(field, at, defaults)


def _written(field: Field, at: Cursor, defaults: Defaults) -> Read:
    only = read_condition(at.get("only"))
    read = _source(field, at, defaults)
    if only is None:
        return read
    other = _read_else(field, at, defaults)

    def either(part: Any, whole: Any, notes: Part) -> Any:
        return read(part, whole, notes) if only(part, whole) else other(part, whole, notes)

    return either


def _source(field: Field, at: Cursor, defaults: Defaults) -> Read:
    sources = [key for key in _SOURCES if at.has(key)]
    if len(sources) != 1:
        at.refuse_whole(f"{field.name} must have one of {', '.join(_SOURCES)}")
        return _unset
    for entry in at.entries():
        types = _FOR.get(entry.key.text if entry.key is not None else "", (field.type,))
        if field.type not in types:
            entry.refuse_key(
                f"{field.name} is {_type_of(field)}, and `{entry.key.text}` is for others"
                if entry.key
                else ""
            )
    source = at.get(sources[0])
    if source is None:
        return _unset
    match sources[0]:
        case "is":
            return _constant(_read_constant(field, source))
        case "text":
            return _read_text(field, source, at)
        case "sum":
            return _read_sum(field, source, at)
    return _picked(field, source, read_pick(source), at, defaults)


def _type_of(field: Field) -> str:
    return f"one of {', '.join(field.values)}" if field.values else f"a {field.type}"


def _picked(field: Field, source: Cursor, pick: Pick, at: Cursor | None, defaults: Defaults) -> Read:
    """What stands at a path. `at` is what else is said of it, `source` the path's place."""
    none = defaults.missing | {item.text for item in (at.items_at("missing") if at is not None else ())}
    if at is not None and at.has("sign"):
        return _read_sign(field, at, pick)
    if field.type == "enum" or (at is not None and at.has("map")):
        return _read_map(field, at, pick, none, defaults)
    match field.type:
        case "number":
            return number_of(field.name, pick, none, at)
        case "time":
            unit = at.text_at("time", defaults.times) if at is not None else defaults.times
            return time_of(field.name, pick, none, unit, source)
        case "flag":
            return lambda part, whole, notes: notes.flag(pick(part, whole), field.name)
    return id_of(pick, none) if field.name == "id" else text_of(field.name, pick, none)


def _unset(part: Any, whole: Any, notes: Part) -> Any:
    return UNSET


def _constant(value: Any) -> Read:
    return lambda part, whole, notes: value


def _first(ways: list[Read]) -> Read:
    """The first of several ways to say it that says something."""

    def read(part: Any, whole: Any, notes: Part) -> Any:
        found: Any = UNSET
        for way in ways:
            said = way(part, whole, notes)
            if said is not UNSET and said is not None:
                return said
            if said is None:
                found = None
        return found

    return read


# ------------------------------------------------------------------------------------------- what stands in a description


def _read_constant(field: Field, at: Cursor) -> Any:
    """A value of ours that stands in the description itself."""
    word = at.word
    if word is None:
        return None
    try:
        if field.type == "number":
            return number(word)
        if field.type == "time":
            return from_iso_text(word, field.name)
    except (ValueError, Malformed):
        at.refuse(f"{field.name} is {_type_of(field)}")
        return None
    if field.type == "flag":
        if word not in ("true", "false"):
            at.refuse(f"{field.name} is true or false")
        return word == "true"
    if field.type == "enum" and word not in field.values:
        hint = did_you_mean(word, field.values)
        at.refuse(f"{field.name} is one of {', '.join(field.values)}", hint)
    return word


def _read_ours(field: Field, at: Cursor, defaults: Defaults) -> Any:
    """What stands for a word of theirs: a value of ours, or another way to read the field."""
    return read_field(field, at, defaults) if at.is_mapping else _constant(_read_constant(field, at))


def _read_else(field: Field, at: Cursor, defaults: Defaults) -> Read:
    otherwise = at.get("else")
    return _unset if otherwise is None else _read_ours(field, otherwise, defaults)


# ------------------------------------------------------------------------------------------------ put together, mapped


def _read_text(field: Field, source: Cursor, at: Cursor) -> Read:
    if field.type != "text":
        at.refuse(f"{field.name} is {_type_of(field)}, and a text is put together for others")
    composed = read_composed(source)
    return lambda part, whole, notes: (
        UNSET if (said := composed.say_all(part, whole, _LONGEST)) is None else said
    )


def _read_sum(field: Field, source: Cursor, at: Cursor) -> Read:
    if field.type != "number":
        at.refuse(f"{field.name} is {_type_of(field)}, and a sum is a number")
    picks = [read_pick(item) for item in source.items()]
    change = read_change(at)

    def read(part: Any, whole: Any, notes: Part) -> Any:
        total = Decimal(0)
        for pick in picks:
            found = notes.number(pick(part, whole), field.name)
            if not isinstance(found, Decimal):
                return UNSET
            total = EXACT.add(total, found)
        return total if change is None else change(total)

    return read


def _read_map(field: Field, at: Cursor | None, pick: Pick, none: frozenset[str], defaults: Defaults) -> Read:
    """A word that isn't listed is `unknown`, or missing where there is no such word, and noted, but for `else` and `keep`."""
    name, keep = field.name, at is not None and at.flag("keep")
    if keep and field.type == "enum" and at is not None:
        at.refuse(
            f"{name} is {_type_of(field)}: no word of theirs can stay", "write `else:` instead of `keep:`"
        )
    ours = _read_table(field, at.get("map") if at is not None else None, defaults)
    otherwise, told = _constant("unknown" if "unknown" in field.values else None), True
    if at is not None and at.has("else") and not at.has("only"):
        otherwise, told = _read_else(field, at, defaults), False

    def read(part: Any, whole: Any, notes: Part) -> Any:
        wire = pick(part, whole)
        if wire is UNSET:
            return UNSET
        word = "" if wire is None else wire if wire.__class__ is str else plain(wire)
        if word in ours:
            return ours[word](part, whole, notes)
        if wire is None or word in none:
            return None
        if word is None:
            notes.note(name, f"not a word: {shown(wire)}")
        elif keep and is_word(word):
            return word
        elif told:
            notes.note(name, f"not documented: {cut(word, 64)}")
        return otherwise(part, whole, notes)

    return read


def _read_table(field: Field, at: Cursor | None, defaults: Defaults) -> dict[Any, Read]:
    """What each word of theirs is for us; where no table is named, our own words."""
    if at is None:
        return {word: _constant(word) for word in field.values}
    table: Cursor | None = at
    if not at.is_mapping and (table := defaults.maps.get(at.text)) is None:
        names = sorted(defaults.maps)
        hint = did_you_mean(at.text, names, f"maps: {', '.join(names) or 'none'}")
        at.refuse(f"no map is called `{at.text:.60}`", hint)
    if table is None:
        return {}
    if table is not at:
        # Tables that name tables could name each other, without end.
        defaults = defaults._replace(maps={})
    return {word.key.text: _read_ours(field, word, defaults) for word in table.entries() if word.key}


def _read_sign(field: Field, at: Cursor, pick: Pick) -> Read:
    words = at.get("sign")
    if words is None:
        return _unset
    said = {entry.key.text: _read_constant(field, entry) for entry in words.entries() if entry.key}
    negative, zero, positive = (said.get(key, said.get("else")) for key in ("negative", "zero", "positive"))

    def read(part: Any, whole: Any, notes: Part) -> Any:
        found = notes.number(pick(part, whole), field.name)
        if not isinstance(found, Decimal):
            return UNSET
        return zero if not found else negative if found < 0 else positive

    return read
