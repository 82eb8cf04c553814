"""What a message says, laid over what was known: which fields it changes, and whether it is too old to change any.

A field that isn't mentioned stays, None clears, numbers that are equal are no change though the newest spelling is
kept, as are texts that differ in case alone where case tells nothing. Which message is the older one
    is told by the venue's own clock: `updated` where both have it, else the messages' times where both are stated;
    an older message changes nothing, unless it carries the entity forward (ends it; an order: a later status, more
    filled);
    without times, an order's `filled` is the clock: it only grows;
    what has ended comes back to life only by a message that is provably newer.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import UNSET, structs

from tocsin.entities.shelf import Record, has_ended
from tocsin.events import KINDS, Entity, Order
from tocsin.events.vocabulary import caseless, is_last

Updates: TypeAlias = dict[str, Any]

_FIELDS = {kind: kind.__struct_fields__ for kind in KINDS.values()}
_CASELESS = {kind: caseless(kind.kind) for kind in KINDS.values()}
_MOMENTARY = {kind: tuple(kind.momentary) for kind in KINDS.values()}
BLANK: dict[str, Entity] = {name: kind() for name, kind in KINDS.items()}  # nothing known yet
_MISSING = (UNSET, None)
# How far along an order or position is; all that has ended is equally far.
_RANKS = {"pending": 0, "open": 1, "partially_filled": 2}
_ENDED_RANK = 3


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


def is_refused(record: Record, said: Entity, time: datetime | None) -> bool:
    """Whether an order's, position's or contract's message is too old to be believed over what is known (see above)."""
    known = record.state
    status = getattr(said, "status", UNSET)
    newer = _newer(record, said, time)
    if status not in _MISSING and has_ended(known) and not is_last(known, status):
        return newer is not True
    if isinstance(known, Order) and isinstance(said, Order):
        if newer is False:
            return not (_rank(said) > _rank(known) or _is_less(known.filled, said.filled))
        return newer is None and not has_ended(said) and _is_less(said.filled, known.filled)
    return newer is False and (has_ended(known) or not has_ended(said))


def _newer(record: Record, said: Entity, time: datetime | None) -> bool | None:
    """Whether the message is newer by the venue's clock; None where that can't be told, or they are of one time."""
    new, old = getattr(said, "updated", None), getattr(record.state, "updated", None)
    if not isinstance(new, datetime) or not isinstance(old, datetime):
        new, old = time, record.stated_time
    if new is None or old is None or new == old:
        return None
    return new > old


def _rank(order: Order) -> int:
    return _ENDED_RANK if has_ended(order) else _RANKS.get(str(order.status), 0)


def _is_less(one: object, other: object) -> bool:
    return isinstance(one, Decimal) and isinstance(other, Decimal) and one < other
