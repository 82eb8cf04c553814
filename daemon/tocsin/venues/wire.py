"""Reading JSON from a venue: exact numbers, bounded, and every fault a `Malformed` that names it.

What is read here is needed: the key of a thing, the word for what happened. Fields that may be missing are read by
`lenient.Part`.
"""

import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Generic, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import from_iso, json_number, number, shown
from tocsin.venues.base import Malformed, Session, SignIn

T = TypeVar("T")

TimeUnit = Literal["s", "ms", "us", "ns"]
_MICROSECONDS: dict[TimeUnit, Decimal] = {
    "s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001"),
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Dates that mean "none": 0 and what a time zone makes of it, 0001-01-01 (Go, .NET), 1900-01-01; 9999-12-31 (.NET, SQL).
_EARLIEST, _LATEST = 1971, 9999  # years
_LAST_DAY = datetime(9999, 12, 31, tzinfo=UTC)
_LONGEST_WORD = 64

# ------------------------------------------------------------------------------------------------------------ messages

Note: TypeAlias = Callable[[str, str, bool], None]
"""Takes what can't be read: the field, why, and whether it is a row of a list, which is left out."""


class Reader(Generic[T]):
    """Reads messages of one shape. Fractions arrive as exact Decimals in fields typed Any; use `exact` on those."""

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        self._decoder = msgspec.json.Decoder(shape, float_hook=json_number)

    def __call__(self, message: str | bytes | Raw, note: Note | None = None) -> T:
        """Raises Malformed for what is no JSON, or of another shape.

        With `note`, a shape that is wrong only in parts is read without them: a row of a list or object is left out, a field
        that may be left out (its type says UnsetType, or it has a default) is UNSET or None then.
        """
        try:
            found = self._decoder.decode(message)
        except RecursionError:
            raise Malformed("nested too deeply") from None
        except msgspec.ValidationError as error:  # also for a number out of all range
            if note is None:
                raise Malformed(str(error)) from None
            found = cast("T", _in_parts(self._shape, message, note, str(error)))
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8
            raise Malformed(str(error)) from None
        return found


@cache
def _reader(shape: Any) -> Reader[Any]:
    return Reader(shape)


def _in_parts(shape: Any, message: str | bytes | Raw, note: Note, wrong: str) -> Any:
    """What can be read of it, part by part. Malformed where a part is wrong that is needed."""
    shape = _bare(shape)
    if get_origin(shape) is list:
        rows = _reader(list[Raw])(message)
        return [row for raw in rows for row in _row(get_args(shape)[0], raw, note)]
    if get_origin(shape) is dict:
        entries = _reader(dict[str, Raw])(message)
        return {name: row for name, raw in entries.items() for row in _row(get_args(shape)[1], raw, note)}
    if isinstance(shape, type) and issubclass(shape, Struct):
        return _struct(shape, message, note)
    if shape is Any:
        try:
            return _lenient.decode(message)
        except RecursionError:
            raise Malformed("nested too deeply") from None
        except (msgspec.MsgspecError, ValueError) as error:  # behind the number that was beyond all range
            raise Malformed(str(error)) from None
    raise Malformed(wrong)


def _or_beyond(text: str) -> Decimal | float:
    """The JSON number; of one out of all range a float, which is no number, id or text to anybody who reads on."""
    try:
        return json_number(text)
    except ValueError:
        return float(text)


# As strict as `Reader` in all else: its texts are UTF-8, so that they can be stored.
_lenient = msgspec.json.Decoder(Any, float_hook=_or_beyond)


def _bare(shape: Any) -> Any:
    """Of `X | UnsetType | None` the X."""
    if get_origin(shape) in (Union, types.UnionType):
        left = [arm for arm in get_args(shape) if arm not in (types.NoneType, UnsetType)]
        return left[0] if len(left) == 1 else shape
    return shape


def _row(shape: Any, raw: Raw, note: Note) -> list[Any]:
    """The row, or nothing where it is left out."""
    try:
        return [_reader(shape)(raw, below("[]", note))]
    except Malformed as malformed:
        note("[]", str(malformed), True)
        return []


def _struct(shape: type[Struct], message: str | bytes | Raw, note: Note) -> Struct:
    fields = msgspec.structs.fields(shape)
    if shape.__struct_config__.array_like:
        elements = _reader(list[Raw])(message)
        given = {field.encode_name: raw for field, raw in zip(fields, elements, strict=False)}
    else:
        given = _reader(dict[str, Raw])(message)
    values: dict[str, Any] = {}
    for field in fields:
        name = field.encode_name
        if name not in given:
            if field.required:
                raise Malformed(f"Object missing required field `{name}`")
            continue
        try:
            values[field.name] = _reader(field.type)(given[name], below(name, note))
        except Malformed as malformed:
            may_lack = UnsetType in get_args(field.type)
            if field.required and not may_lack:
                raise Malformed(f"{name}: {malformed}") from None
            note(name, str(malformed), False)
            values[field.name] = UNSET if may_lack else None
    return shape(**values)


def below(name: str, note: Note) -> Note:
    """`note` for the parts of the part of this name."""
    return lambda field, reason, row: note(
        f"{name}{'' if field.startswith('[]') else '.'}{field}", reason, row
    )


# -------------------------------------------------------------------------------------------------------------- values


def exact(wire: Any, field: str) -> Decimal:
    """A number that came as a JSON number or as a text, digit for digit."""
    if wire.__class__ is Decimal:
        return wire
    try:
        return number(wire)
    except ValueError as error:
        raise Malformed(f"{field}: {error}") from None


def from_epoch(wire: Any, unit: TimeUnit, field: str) -> datetime | None:
    """A time counted from 1970 in the unit that the venue's document states; never guessed from its size.

    None for a date by which servers mean none: 0, what lies before 1971, 9999-12-31.
    """
    try:
        micro = wire if type(wire) is int and unit == "us" else int(exact(wire, field) * _MICROSECONDS[unit])
        time = _EPOCH + timedelta(0, 0, micro)
    except (OverflowError, ArithmeticError):
        raise Malformed(f"{field}: no time of this age: {shown(wire)}") from None
    return time if _EARLIEST <= time.year < _LATEST else _dated(time)


def as_id(wire: Any, field: str) -> str:
    """An id as text, never rewritten: ids go past 2**53."""
    if wire.__class__ is str and wire:
        return wire
    if wire.__class__ is not int:
        raise Malformed(f"{field}: not an id: {shown(wire)}")
    return str(wire)


def first_id(field: str, *wires: Any) -> str:
    """The first that is an id, of the names under which one may stand. Malformed where none is."""
    for wire in wires:
        if given(wire) and wire.__class__ in (str, int):
            return str(wire)
    return as_id(next(filter(given, wires), UNSET), field)


def from_iso_text(wire: Any, field: str) -> datetime | None:
    """A time as ISO 8601 text, of any precision; one without a zone is UTC. None for a date by which servers mean none."""
    try:
        return _dated(from_iso(wire))
    except OverflowError:  # the calendar's first or last day, moved out of it by its zone
        return None
    except (TypeError, ValueError):
        if isinstance(wire, str) and wire.startswith("0000-"):  # SQL's zero date
            return None
        raise Malformed(f"{field}: not an ISO 8601 time: {shown(wire)}") from None


def _dated(time: datetime) -> datetime | None:
    """The time, unless it is a date by which servers mean none."""
    return time if time.year >= _EARLIEST and time < _LAST_DAY else None


def as_word(wire: Any, field: str) -> str:
    """A venue's own word, verbatim; it may name an event, so it is short and printable."""
    if not isinstance(wire, str) or not is_word(wire):
        raise Malformed(f"{field}: not a word: {shown(wire)}")
    return wire


def is_word(text: str) -> bool:
    """Whether the text may name an event."""
    return 0 < len(text) <= _LONGEST_WORD and text.isprintable()


def given(wire: Any) -> bool:
    """Whether the message mentions the field, with a value other than null and ""."""
    return wire is not UNSET and wire is not None and wire != ""


def signed_in(session: Session) -> SignIn:
    """A sign-in that needs nothing from the network."""
    yield from ()
    return session


def cut(words: str, most: int = 200) -> str:
    """A venue's words, fit for one line of a message to the user."""
    line = "".join(c if c.isprintable() else " " for c in words[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
