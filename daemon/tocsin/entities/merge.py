"""What a message says, laid over what was known: which fields it changes, and how much of it is to be believed.

A field that isn't mentioned stays, None clears, numbers that are equal are no change though the newest spelling is
kept, as are texts that differ in case alone where case tells nothing. What is provably older (see `recency`) doesn't replace what is newer:
    of a balance, an account, a ticker or a book each group of fields that a kind of message fills is as new as the
    message that filled it;
    an order, a position or a contract is as new as a whole; an older message may still carry it forward (end it; an
    order: a later status, more filled);
    what has ended comes back, or ends otherwise, only by a provably newer message;
    an order's `filled` never shrinks but by one: without times it is the clock.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import UNSET, structs

from tocsin.entities.entity_store import Record, has_ended
from tocsin.entities.recency import is_newer, is_of_earlier_life, latest_of
from tocsin.events import KINDS, Entity, Order, Stamps
from tocsin.events.vocabulary import caseless, fields_of_bits

Updates: TypeAlias = dict[str, Any]

_FIELDS = {kind: kind.__struct_fields__ for kind in KINDS.values()}
_CASELESS = {kind: caseless(kind.kind) for kind in KINDS.values()}
_MOMENTARY = {kind: tuple(kind.momentary) for kind in KINDS.values()}
BLANK: dict[str, Entity] = {name: kind() for name, kind in KINDS.items()}  # nothing known yet
_MISSING = (UNSET, None)
# How far along an order is; all that has ended is equally far.
_RANKS = {"pending": 0, "open": 1, "partially_filled": 2}
_ENDED_RANK = 3
_TRADED = ("filled", "remaining", "average", "cost")
_PROGRESS = ("status", "venue_status", "reason", *_TRADED)
# What names a thing or its message, and so is as new as the thing itself.
_NAMES = frozenset({"id", "symbol", "asset", "updated", "sequence"})
# Of the kinds whose fields are as new as the message that filled them: each field's bit; 0 where it is no value.
_BITS: dict[type[Entity], tuple[int, ...]] = {
    kind: tuple(
        0 if name in _NAMES or name in kind.momentary else 1 << place
        for place, name in enumerate(_FIELDS[kind])
    )
    for name, kind in KINDS.items()
    if name in ("account", "balance", "ticker", "book")
}


def difference(known: Entity, said: Entity) -> tuple[Updates, set[str]]:
    """The fields to replace in `known`, and which of them mean a change. Both are of one kind."""
    updates: Updates = {}
    changed: set[str] = set()
    kind = known.__class__
    for name, new, old in zip(_FIELDS[kind], structs.astuple(said), structs.astuple(known), strict=True):
        if new is UNSET or new is old:
            continue
        if new == old:
            if type(new) is not str:
                updates[name] = new
        elif new is not None or old is not UNSET:  # missing either way
            updates[name] = new
            if name not in _CASELESS[kind] or not _is_same_word(new, old):
                changed.add(name)
    for name in _MOMENTARY[kind]:
        if getattr(said, name) is UNSET and getattr(known, name) not in _MISSING:
            updates[name] = UNSET
    return updates, changed


def _is_same_word(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.casefold() == other.casefold()


# ------------------------------------------------------------------------------------------------------ how new it is


def believed(record: Record, said: Entity, stamps: Stamps | None) -> Entity | None:
    """The message without what is too old to be believed over what is known; None where that is all of it."""
    if said.__class__ in _BITS:
        return _values(record.stamps, said, stamps)
    mark = record.stamps[0] if record.stamps else None
    if is_of_earlier_life(stamps, mark):
        return None
    newer = is_newer(stamps, mark)
    if newer is True:
        return said
    if isinstance(record.state, Order) and isinstance(said, Order):
        return _order(record.state, said, older=newer is False)
    return _lasting(record.state, said, older=newer is False)


def marked(marks: tuple[Stamps, ...], said: Entity, stamps: Stamps | None) -> tuple[Stamps, ...]:
    """How new what is known is after a message of which `said` was believed."""
    if stamps is None:
        return marks
    fields = filled(said)
    others = []
    for mark in marks:
        if mark.fields == fields or mark.fields & fields:
            stamps = latest_of(mark, stamps, fields)
        if left := mark.fields & ~fields:
            others.append(mark if left == mark.fields else structs.replace(mark, fields=left))
    if stamps.fields != fields:
        stamps = structs.replace(stamps, fields=fields)
    return (stamps, *others)


def filled(said: Entity) -> int:
    """The values that a message fills, a bit each; 0 of what is as new as a whole."""
    bits = _BITS.get(said.__class__)
    if bits is None:
        return 0
    fields = 0
    for bit, value in zip(bits, structs.astuple(said), strict=True):
        if value is not UNSET:
            fields |= bit
    return fields


def latest_time(marks: tuple[Stamps, ...]) -> datetime | None:
    """The venue's time of the newest message that was believed, where one had a time."""
    return max((mark.time for mark in marks if mark.time is not None), default=None)


def _values(marks: tuple[Stamps, ...], said: Entity, stamps: Stamps | None) -> Entity | None:
    older = 0
    for mark in marks:
        if is_newer(stamps, mark) is False:
            older |= mark.fields
    if not older:
        return said
    told = filled(said)
    refused = told & older
    if not refused:
        return said
    if refused == told:
        return None
    rest: Entity = _without(said, (*fields_of_bits(said.kind, refused), "updated", "sequence"))
    return rest


def _lasting(known: Entity, said: Entity, *, older: bool) -> Entity | None:
    """A position or contract, by a message that isn't provably newer."""
    if has_ended(known):
        return None if older or _ends_otherwise(known, said) else said
    if not older:
        return said
    return _without(said, ("updated",)) if has_ended(said) else None


def _order(known: Order, said: Order, *, older: bool) -> Order | None:
    """An order, by a message that isn't provably newer."""
    grows, shrinks = _fills(known, said), _unfills(known, said)
    if has_ended(known):
        if older or _ends_otherwise(known, said):
            if not grows or known.status == "filled":
                return None
            if not older and has_ended(said):
                return said  # the cancel had crossed the fill
            return _only(said, ("id", *_TRADED))
        return _without(said, _TRADED) if shrinks else said
    if has_ended(said):
        kept = _without(said, _TRADED) if shrinks else said
        return _forward(known, kept) if older else kept
    if not older and _is_less(said.filled, known.filled):
        return None  # without times, what has traded is the clock
    kept = _without(said, _TRADED) if shrinks else said
    if not older:
        return kept
    return _forward(known, kept) if grows or _rank(said) > _rank(known) else None


def _forward(known: Order, said: Order) -> Order:
    """Of an older message that carries the order forward: how far it is, and what wasn't known yet."""
    fresh = (name for name in _FIELDS[Order] if getattr(known, name) in _MISSING)
    return _only(said, ("id", *_PROGRESS, *fresh))


def _ends_otherwise(known: Entity, said: Entity) -> bool:
    """Whether the message, of something that has ended, has it live or ended in another way."""
    status, now = getattr(said, "status", UNSET), getattr(known, "status", UNSET)
    return status not in _MISSING and status != now and not _is_same_word(status, now)


def _fills(known: Order, said: Order) -> bool:
    """Whether more has traded than was known."""
    if not isinstance(said.filled, Decimal):
        return False
    return said.filled > (known.filled if isinstance(known.filled, Decimal) else 0)


def _unfills(known: Order, said: Order) -> bool:
    """Whether less has traded than was known, or nothing any more."""
    return isinstance(known.filled, Decimal) and (said.filled is None or _is_less(said.filled, known.filled))


def _only(said: Order, names: Iterable[str]) -> Order:
    kept = frozenset(names)
    rest: Order = _without(said, (name for name in _FIELDS[Order] if name not in kept))
    return rest


def _without(said: Any, names: Iterable[str]) -> Any:
    told = {name: UNSET for name in names if getattr(said, name, UNSET) is not UNSET}
    return structs.replace(said, **told) if told else said


def _rank(order: Order) -> int:
    return _ENDED_RANK if has_ended(order) else _RANKS.get(str(order.status), 0)


def _is_less(one: object, other: object) -> bool:
    return isinstance(one, Decimal) and isinstance(other, Decimal) and one < other
