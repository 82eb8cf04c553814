"""Reading JSON from a venue: exact numbers, bounded, and every fault a `Malformed` that names it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

from tocsin.events import number
from tocsin.venues.base import Malformed

T = TypeVar("T")

TimeUnit = Literal["s", "ms", "us", "ns"]
_MICROSECONDS: dict[TimeUnit, Decimal] = {
    "s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001"),
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reader(Generic[T]):
    """Reads messages of one shape. Fractions arrive as exact Decimals in fields typed Any; use `exact` on those."""

    def __init__(self, shape: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(shape, float_hook=number)

    def __call__(self, message: str | bytes) -> T:
        try:
            return self._decoder.decode(message)
        except RecursionError:
            raise Malformed("nested too deeply") from None
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8, or a number out of range
            raise Malformed(str(error)) from None


def exact(wire: Any, field: str) -> Decimal:
    """A number that came as a JSON number or as a text, digit for digit."""
    try:
        return number(wire)
    except ValueError as error:
        raise Malformed(f"{field}: {error}") from None


def from_epoch(wire: Any, unit: TimeUnit, field: str) -> datetime:
    """A time counted from 1970 in the unit that the venue's document states; never guessed from its size."""
    try:
        return _EPOCH + timedelta(microseconds=int(exact(wire, field) * _MICROSECONDS[unit]))
    except (OverflowError, ArithmeticError):
        raise Malformed(f"{field}: no time of this age: {wire!r:.40}") from None


def as_id(wire: Any, field: str) -> str:
    """An id as text, never rewritten: ids go past 2**53."""
    if isinstance(wire, bool) or not isinstance(wire, (str, int)) or wire == "":
        raise Malformed(f"{field}: not an id: {wire!r:.40}")
    return str(wire)
