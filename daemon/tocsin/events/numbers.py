"""Exact numbers: what the wire said, digit for digit, end to end."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal, TypeAlias

# A spelling that Decimal gives back unchanged through format(value, "f"); all others carry their text along.
_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
# What we wrote ourselves is read back however large it became: five digits are the exponent of any number in EXACT.
_OURS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,5})?", re.ASCII)
_MOST_DIGITS = 200  # no venue counts further; a hostile 1e999999 would cost a megabyte to print
_LONGEST = _MOST_DIGITS + 1  # with a sign
_TOO_LARGE = 10**_MOST_DIGITS
_LARGEST_EXPONENT = 400
# Venues say the same numbers over and over: one object for all is read, compared and kept at a fraction of the cost.
_REMEMBERED = 4096

# Arithmetic of ours (derived values, rules) runs in this context: more digits than any product of two wire numbers.
EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999)
# Wide enough for any sum of numbers from the wire (at most 10^400, 200 digits): what is taken away again leaves no trace.
SUMS = Context(prec=1200, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999)
_SHOWN = Context(prec=12)
_MOST_PLACES = 40  # that a person is shown before a power of ten is shorter
_MOST_SHOWN = 40  # characters of what can't be read
_PLACES = 2  # of money and percents that we computed
_SIGNIFICANT = 8  # digits of all else that we computed
_LEAST_SIGNIFICANT = 2  # of an amount of money below 1: it may be of a coin that is worth a house
_SMALLEST = Decimal(1).scaleb(-_LARGEST_EXPONENT)


class WireDecimal(Decimal):
    """A Decimal whose spelling on the wire (`0E-16`, `+1`, `1e-8`) is not the one that Decimal would print."""

    __slots__ = ("wire",)
    wire: str

    @classmethod
    def spelled(cls, text: str) -> "WireDecimal":
        number = cls(text)
        number.wire = text
        return number

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (WireDecimal.spelled, (self.wire,))

    def __copy__(self) -> "WireDecimal":
        return self

    def __deepcopy__(self, memo: object) -> "WireDecimal":
        return self


class Derived(Decimal):
    """A number that we worked out, exact; people are shown it rounded (`rounded_text`)."""

    __slots__ = ()


Unit: TypeAlias = Literal["percent", "money"]

_ZERO = Derived(0)


def shown(wire: Any) -> str:
    """What stood on the wire, for people, at little cost: of a list or object how long it is, else its first 40 characters."""
    if isinstance(wire, list | dict) and wire:
        return f"{'a list' if isinstance(wire, list) else 'an object'} of {len(wire)}"
    return repr(wire[:_MOST_SHOWN] if isinstance(wire, str) else wire)[:_MOST_SHOWN]


def number(wire: str | int | Decimal) -> Decimal:
    """The exact number that the wire spelled. ValueError on what is no finite number of sane size; never a float."""
    if isinstance(wire, Decimal):
        return wire
    if isinstance(wire, bool) or not isinstance(wire, (str, int)):
        raise ValueError(f"not a number: {shown(wire)}")
    return _read(wire)


@lru_cache(_REMEMBERED)
def json_number(text: str) -> Decimal:
    """`number` of what a JSON decoder has found to be one: there an exponent is all that can be uncommon."""
    if len(text) <= _MOST_DIGITS and "e" not in text and "E" not in text:
        return Decimal(text)
    return _read(text)


@lru_cache(_REMEMBERED)
def _read(wire: str | int) -> Decimal:
    if isinstance(wire, int):
        if abs(wire) >= _TOO_LARGE:
            raise ValueError("a number of too many digits")
        return Decimal(wire)
    if len(wire) > _LONGEST:
        raise ValueError("a number of too many digits")
    if _CANONICAL.fullmatch(wire):
        return Decimal(wire)
    if not _NUMBER.fullmatch(wire):
        raise ValueError(f"not a number: {shown(wire)}")
    try:
        spelled = WireDecimal.spelled(wire)
    except InvalidOperation:
        raise ValueError(f"not a number: {shown(wire)}") from None
    exponents = (spelled.adjusted(), int(spelled.as_tuple().exponent))
    if max(map(abs, exponents)) > _LARGEST_EXPONENT:
        raise ValueError(f"a number out of all range: {shown(wire)}")
    return spelled


def stored_number(text: str) -> Decimal:
    """`number` of what `number_text` wrote, whatever its size: what was computed of the wire's numbers may be beyond them."""
    try:
        return number(text)
    except ValueError:
        if not isinstance(text, str) or not _OURS.fullmatch(text):
            raise
        return WireDecimal.spelled(text)


def number_text(value: Decimal) -> str:
    """How the number is stored and shown: the wire's own text; of what we computed plain digits, unless they are too many."""
    if isinstance(value, WireDecimal):
        return value.wire
    text = format(value, "f")
    return text if len(text) <= _LONGEST else format(EXACT.normalize(value), "E")


def computed(value: Decimal) -> Decimal | None:
    """A number that we worked out, as it is kept: at 80 digits, without zeros that say nothing.

    None where it is larger than what a venue may say; 0 where it is smaller.
    """
    if not value:
        return _ZERO
    value = EXACT.normalize(value)
    if value.adjusted() < EXACT.prec - _LARGEST_EXPONENT:
        value = EXACT.normalize(EXACT.quantize(value, _SMALLEST)) or _ZERO
    return Derived(value) if value.adjusted() <= _LARGEST_EXPONENT else None


def rounded_text(value: Decimal, unit: Unit | None = None, beside: Sequence[Decimal] = ()) -> str:
    """How a person reads a number that we worked out: percents and money at two places, else at eight digits.

    Digits before the point all stay; more come behind it where with fewer the number would compare otherwise with those
    that it stands `beside`.
    """
    if not value or abs(value.adjusted()) > _MOST_PLACES:
        return computed_text(value)
    for places in range(_places(value, unit), _MOST_PLACES):
        rounded = EXACT.quantize(value, Decimal(1).scaleb(-places))
        if all(
            (rounded > other) == (value > other) and (rounded < other) == (value < other) for other in beside
        ):
            return format(EXACT.normalize(rounded) or Decimal(0), "f")
    return computed_text(value)


def readable_text(value: Decimal, unit: Unit | None = None, beside: Sequence[Decimal] = ()) -> str:
    """How a person reads a venue's own number: its digits, without zeros that say nothing.

    More than eight digits behind the point, which a binary float makes, are rounded as `rounded_text` does it.
    """
    spelled = number_text(value)
    whole, point, behind = spelled.partition(".")
    if not (whole.lstrip("-").isdigit() and (behind.isdigit() or not point)):
        return rounded_text(value, unit, beside)
    if len(behind) > _PLACES:
        behind = behind.rstrip("0")
    if len(behind) > _SIGNIFICANT:
        return rounded_text(value, unit, beside)
    return f"{whole}.{behind}" if behind else whole


def _places(value: Decimal, unit: Unit | None) -> int:
    """How many digits behind the point are shown at least."""
    if unit == "percent":
        return _PLACES
    if unit == "money":
        return max(_PLACES, _LEAST_SIGNIFICANT - 1 - value.adjusted())
    return max(0, _SIGNIFICANT - 1 - value.adjusted())


def computed_text(value: Decimal) -> str:
    """How a person reads a number that we computed: at twelve digits, without the zeros that say nothing."""
    value = _SHOWN.normalize(value) or _ZERO
    return format(value, "f" if abs(value.adjusted()) <= _MOST_PLACES else "E")
