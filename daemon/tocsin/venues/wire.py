"""Reading JSON from a venue: exact numbers, bounded, and every fault a `Malformed` that names it."""

from collections.abc import Mapping, MutableSequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.events import from_iso, json_number, number
from tocsin.venues.base import Item, Malformed, Session, SignIn, Unrecognized

T = TypeVar("T")

TimeUnit = Literal["s", "ms", "us", "ns"]
_MICROSECONDS: dict[TimeUnit, Decimal] = {
    "s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001"),
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_WORD = 64


class Reader(Generic[T]):
    """Reads messages of one shape. Fractions arrive as exact Decimals in fields typed Any; use `exact` on those."""

    def __init__(self, shape: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(shape, float_hook=json_number)

    def __call__(self, message: str | bytes | msgspec.Raw) -> T:
        try:
            return self._decoder.decode(message)
        except RecursionError:
            raise Malformed("nested too deeply") from None
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or a number out of range
            raise Malformed(str(error)) from None


def exact(wire: Any, field: str) -> Decimal:
    """A number that came as a JSON number or as a text, digit for digit."""
    if wire.__class__ is Decimal:
        return wire
    try:
        return number(wire)
    except ValueError as error:
        raise Malformed(f"{field}: {error}") from None


def from_epoch(wire: Any, unit: TimeUnit, field: str) -> datetime:
    """A time counted from 1970 in the unit that the venue's document states; never guessed from its size."""
    try:
        micro = wire if type(wire) is int and unit == "us" else int(exact(wire, field) * _MICROSECONDS[unit])
        time = _EPOCH + timedelta(0, 0, micro)
    except (OverflowError, ArithmeticError):
        raise Malformed(f"{field}: no time of this age: {wire!r:.40}") from None
    return _writable(time, wire, field)


def as_id(wire: Any, field: str) -> str:
    """An id as text, never rewritten: ids go past 2**53."""
    if isinstance(wire, bool) or not isinstance(wire, (str, int)) or wire == "":
        raise Malformed(f"{field}: not an id: {wire!r:.40}")
    return str(wire)


def from_iso_text(wire: Any, field: str) -> datetime:
    """A time as ISO 8601 text, of any precision; one without a zone is UTC."""
    try:
        time = from_iso(wire)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(f"{field}: not an ISO 8601 time: {wire!r:.40}") from None
    return _writable(time, wire, field)


def _writable(time: datetime, wire: Any, field: str) -> datetime:
    if time.year < 1000:  # such a year has no four digits when written back
        raise Malformed(f"{field}: no time of this age: {wire!r:.40}")
    return time


def as_word(wire: Any, field: str) -> str:
    """A venue's own word, verbatim; it may name an event, so it is short and printable."""
    if not isinstance(wire, str) or not 0 < len(wire) <= _LONGEST_WORD or not wire.isprintable():
        raise Malformed(f"{field}: not a word: {wire!r:.40}")
    return wire


# Of a field that may be left out: UNSET where the message doesn't mention it, None where it says null.


def number_or_missing(wire: Any, field: str) -> Decimal | UnsetType | None:
    if wire.__class__ is Decimal or wire is None or wire is UNSET:
        return wire
    return exact(wire, field)


def epoch_or_missing(wire: Any, unit: TimeUnit, field: str) -> datetime | UnsetType | None:
    return wire if wire is None or wire is UNSET else from_epoch(wire, unit, field)


def iso_or_missing(wire: Any, field: str) -> datetime | UnsetType | None:
    return wire if wire is None or wire is UNSET else from_iso_text(wire, field)


def text_or_missing(wire: Any, field: str) -> str | UnsetType | None:
    """A text as it came; an empty one is missing, a whole number (an id) becomes text."""
    if isinstance(wire, str):
        return wire or None
    if wire is None or wire is UNSET:
        return wire
    if isinstance(wire, bool) or not isinstance(wire, int):
        raise Malformed(f"{field}: not a text: {wire!r:.40}")
    return str(wire)


def flag_or_missing(wire: Any, field: str) -> bool | UnsetType | None:
    if wire is None or wire is UNSET or isinstance(wire, bool):
        return wire
    raise Malformed(f"{field}: neither true nor false: {wire!r:.40}")


def translated(
    wire: Any, words: Mapping[str, T], field: str, odd: MutableSequence[Item]
) -> T | UnsetType | None:
    """Our word for the venue's, whatever its case; one that isn't documented is missing, and told in `odd`."""
    word = text_or_missing(wire, field)
    if not isinstance(word, str):
        return word
    if word.lower() not in words:
        odd.append(Unrecognized(f"{field} {cut(word, 64)}"))
    return words.get(word.lower())


def given(wire: Any) -> bool:
    """Whether the message mentions the field, with a value other than null and ""."""
    return wire is not UNSET and wire is not None and wire != ""


# What sign-in needs to read.


def signed_in(session: Session) -> SignIn:
    """A sign-in that needs nothing from the network."""
    yield from ()
    return session


def cut(words: str, most: int = 200) -> str:
    """A venue's words, fit for one line of a message to the user."""
    line = "".join(c if c.isprintable() else " " for c in words[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
