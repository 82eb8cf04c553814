"""Reading the fields that a message may do without: what can't be read is missing and told, and the rest counts.

Of every field: UNSET where the message doesn't mention it; None ("missing") where it is null, an empty text, or can't
be read. Only what can't be read is told. What a message can't do without (the key of a thing, the word for what
happened) is read by `wire`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tocsin.events import number, shown
from tocsin.venues.base import Malformed, Unreadable
from tocsin.venues.wire import TimeUnit, cut, exact, from_epoch, from_iso_text

T = TypeVar("T")
Meant = TypeVar("Meant")
Word = TypeVar("Word", bound=str)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class Part:
    """One thing that a message tells of, an order or a quote, whose fields are read one by one.

    `of` names the message type in our words, once it is known. `unreadable` is what couldn't be read so far, for `Decoded.items`.
    """

    __slots__ = ("of", "unreadable")

    def __init__(self, of: str = "message") -> None:
        self.of = of
        self.unreadable: tuple[Unreadable, ...] = ()

    def note(self, field: str, reason: str, row: bool = False) -> None:
        """The field couldn't be read, or (`row`) an element of this list."""
        self.unreadable += (Unreadable(f"{self.of}.{field}", cut(reason), row),)

    def number(self, wire: Any, field: str) -> Decimal | UnsetType | None:
        """A number that came as a JSON number or as a text, digit for digit."""
        if wire.__class__ is Decimal or wire is None or wire is UNSET:
            return wire
        try:
            return number(wire)
        except ValueError as error:
            return self._again(exact, wire, field, str(error))

    def epoch(self, wire: Any, unit: TimeUnit, field: str) -> datetime | UnsetType | None:
        """A time counted from 1970, in the unit that the venue's document states."""
        if wire is None or wire is UNSET:
            return wire
        try:
            return from_epoch(wire, unit, field)
        except Malformed as malformed:
            return self._again(partial(from_epoch, unit=unit), wire, field, str(malformed))

    def iso(self, wire: Any, field: str) -> datetime | UnsetType | None:
        """A time as ISO 8601 text; one without a zone is UTC."""
        if wire is None or wire is UNSET:
            return wire
        try:
            return from_iso_text(wire, field)
        except Malformed as malformed:
            return self._again(from_iso_text, wire, field, str(malformed))

    def _again(self, reading: Callable[..., T], wire: Any, field: str, why: str) -> T | None:
        """Once more, without blanks around it. Nothing but blanks is missing, what still can't be read is told besides."""
        bare = wire.strip() if isinstance(wire, str) else wire
        if bare == "":
            return None
        try:
            return reading(bare, field=field)
        except Malformed:
            self.note(field, why.removeprefix(f"{field}: "))
            return None

    def flag(self, wire: Any, field: str) -> bool | UnsetType | None:
        """true, false, 1, 0, or one of these as a text, in any case."""
        if wire.__class__ is bool or wire is None or wire is UNSET:
            return wire
        if isinstance(wire, (str, int, Decimal)):
            word = str(wire).strip().lower()
            if not word or word in _FLAGS:
                return _FLAGS.get(word)
        self.note(field, f"neither true nor false: {shown(wire)}")
        return None

    def text(self, wire: Any, field: str) -> str | UnsetType | None:
        """A text as it came; a whole number (an id) becomes text."""
        if wire.__class__ is str:
            return wire or None
        if wire is None or wire is UNSET:
            return wire
        if wire.__class__ is int:
            return str(wire)
        self.note(field, f"not a text: {shown(wire)}")
        return None

    def word(
        self, wire: Any, words: Mapping[str, Word], field: str, other: Word | None = None
    ) -> Word | UnsetType | None:
        """Our word for the venue's, whatever its case; one that isn't documented is `other`, or missing and told."""
        theirs = self.text(wire, field)
        if not isinstance(theirs, str):
            return theirs
        ours = words.get(theirs.lower(), other)
        if ours is None:
            self.note(field, f"not documented: {cut(theirs, 64)}")
        return ours

    def status(
        self, wire: Any, words: Mapping[str, Word], field: str, other: Word
    ) -> tuple[Word | UnsetType, str | UnsetType | None]:
        """Our word for a status, and the venue's own; of what is no word its JSON text. `other`: ours where none fits."""
        if wire is UNSET or wire is None:
            return UNSET, wire
        if wire == "":
            return UNSET, None
        if wire.__class__ is str or wire.__class__ is int:
            theirs = str(wire)
        else:
            theirs = cut(_encode(wire).decode())
            self.note(field, f"not a status: {theirs:.40}")
        return words.get(theirs.lower(), other), theirs

    def each(self, rows: Iterable[T], meaning: Callable[[T], Meant], field: str) -> list[Meant]:
        """What each row means; one that can't be read (Malformed) is left out."""
        found = []
        for row in rows:
            try:
                found.append(meaning(row))
            except Malformed as malformed:
                self.note(field, str(malformed), row=True)
        return found

    def price(self, wire: Any, field: str) -> Decimal | UnsetType | None:
        """A price, of which a zero means that there is none. Not for electricity, which is given away and paid to be taken."""
        return positive(self.number(wire, field))

    def levels(
        self, rows: Iterable[tuple[Any, Any]], field: str, *, zero_is_a_price: bool = False
    ) -> list[tuple[Decimal, Decimal]]:
        """Price and size of each level of a book; without those of no price, and those of which either can't be read."""
        levels = []
        for price, size in rows:
            try:
                level = exact(price, "price"), exact(size, "size")
            except Malformed as malformed:
                self.note(f"{field}[]", str(malformed), row=True)
                continue
            if level[0] or zero_is_a_price:
                levels.append(level)
        return levels


def positive(value: Decimal | UnsetType | None) -> Decimal | UnsetType | None:
    """None for a zero by which a venue means "none"."""
    return None if isinstance(value, Decimal) and not value else value
