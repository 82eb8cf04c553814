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

from tocsin.entities.entity_store import Record
from tocsin.entities.recency import is_newer, is_of_earlier_life, latest_of
from tocsin.events import KINDS, Entity, Order, Stamps
from tocsin.events.vocabulary import caseless, fields_of_bits, has_ended

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


def difference(known: Entity, observed: Entity) -> tuple[Updates, set[str]]:
    """The fields to replace in `known`, and which of them mean a change. Both are of one kind."""
    updates: Updates = {}
    changed: set[str] = set()
    kind = known.__class__
    for name, new, old in zip(_FIELDS[kind], structs.astuple(observed), structs.astuple(known), strict=True):
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
        if getattr(observed, name) is UNSET and getattr(known, name) not in _MISSING:
            updates[name] = UNSET
    return updates, changed


def _is_same_word(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.casefold() == other.casefold()


# ------------------------------------------------------------------------------------------------------ how new it is


def believed(record: Record, observed: Entity, stamps: Stamps | None) -> Entity | None:
    """The message without what is too old to be believed over what is known; None where that is all of it."""
    if observed.__class__ in _BITS:
        return _values(record.stamps, observed, stamps)
    mark = record.stamps[0] if record.stamps else None
    if is_of_earlier_life(stamps, mark):
        return None
    newer = is_newer(stamps, mark)
    if newer is True:
        return observed
    if isinstance(record.state, Order) and isinstance(observed, Order):
        return _order(record.state, observed, older=newer is False)
    return _lasting(record.state, observed, older=newer is False)


def marked(marks: tuple[Stamps, ...], observed: Entity, stamps: Stamps | None) -> tuple[Stamps, ...]:
    """How new what is known is after a message of which `observed` was believed."""
    if stamps is None:
        return marks
    fields = filled(observed)
    others = []
    for mark in marks:
        if mark.fields == fields or mark.fields & fields:
            stamps = latest_of(mark, stamps, fields)
        if left := mark.fields & ~fields:
            others.append(mark if left == mark.fields else structs.replace(mark, fields=left))
    if stamps.fields != fields:
        stamps = structs.replace(stamps, fields=fields)
    return (stamps, *others)


def filled(observed: Entity) -> int:
    """The values that a message fills, a bit each; 0 of what is as new as a whole."""
    bits = _BITS.get(observed.__class__)
    if bits is None:
        return 0
    fields = 0
    for bit, value in zip(bits, structs.astuple(observed), strict=True):
        if value is not UNSET:
            fields |= bit
    return fields


def latest_time(marks: tuple[Stamps, ...]) -> datetime | None:
    """The venue's time of the newest message that was believed, where one had a time."""
    return max((mark.time for mark in marks if mark.time is not None), default=None)


def _values(marks: tuple[Stamps, ...], observed: Entity, stamps: Stamps | None) -> Entity | None:
    older = 0
    for mark in marks:
        if is_newer(stamps, mark) is False:
            older |= mark.fields
    if not older:
        return observed
    told = filled(observed)
    refused = told & older
    if not refused:
        return observed
    if refused == told:
        return None
    rest: Entity = _without(observed, (*fields_of_bits(observed.kind, refused), "updated", "sequence"))
    return rest


def _lasting(known: Entity, observed: Entity, *, older: bool) -> Entity | None:
    """A position or contract, by a message that isn't provably newer."""
    if has_ended(known):
        return None if older or _ends_otherwise(known, observed) else observed
    if not older:
        return observed
    return _without(observed, ("updated",)) if has_ended(observed) else None


def _order(known: Order, observed: Order, *, older: bool) -> Order | None:
    """An order, by a message that isn't provably newer."""
    grows, shrinks = _fills(known, observed), _unfills(known, observed)
    if has_ended(known):
        if older or _ends_otherwise(known, observed):
            if not grows or known.status == "filled":
                return None
            if not older and has_ended(observed):
                return observed  # the cancel had crossed the fill
            return _only(observed, ("id", *_TRADED))
        return _without(observed, _TRADED) if shrinks else observed
    if has_ended(observed):
        kept = _without(observed, _TRADED) if shrinks else observed
        return _forward(known, kept) if older else kept
    if not older and _is_less(observed.filled, known.filled):
        return None  # without times, what has traded is the clock
    kept = _without(observed, _TRADED) if shrinks else observed
    if not older:
        return kept
    return _forward(known, kept) if grows or _rank(observed) > _rank(known) else None


def _forward(known: Order, observed: Order) -> Order:
    """Of an older message that carries the order forward: how far it is, and what wasn't known yet."""
    fresh = (name for name in _FIELDS[Order] if getattr(known, name) in _MISSING)
    return _only(observed, ("id", *_PROGRESS, *fresh))


def _ends_otherwise(known: Entity, observed: Entity) -> bool:
    """Whether the message, of something that has ended, has it live or ended in another way."""
    status, now = getattr(observed, "status", UNSET), getattr(known, "status", UNSET)
    return status not in _MISSING and status != now and not _is_same_word(status, now)


def _fills(known: Order, observed: Order) -> bool:
    """Whether more has traded than was known."""
    if not isinstance(observed.filled, Decimal):
        return False
    return observed.filled > (known.filled if isinstance(known.filled, Decimal) else 0)


def _unfills(known: Order, observed: Order) -> bool:
    """Whether less has traded than was known, or nothing any more."""
    return isinstance(known.filled, Decimal) and (
        observed.filled is None or _is_less(observed.filled, known.filled)
    )


def _only(observed: Order, names: Iterable[str]) -> Order:
    kept = frozenset(names)
    rest: Order = _without(observed, (name for name in _FIELDS[Order] if name not in kept))
    return rest


def _without(observed: Any, names: Iterable[str]) -> Any:
    told = {name: UNSET for name in names if getattr(observed, name, UNSET) is not UNSET}
    return structs.replace(observed, **told) if told else observed


def _rank(order: Order) -> int:
    return _ENDED_RANK if has_ended(order) else _RANKS.get(str(order.status), 0)


def _is_less(one: object, other: object) -> bool:
    return isinstance(one, Decimal) and isinstance(other, Decimal) and one < other
