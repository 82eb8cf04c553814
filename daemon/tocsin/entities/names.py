"""What happened, in words: the events behind a first sight and behind a difference.

A status event is told when the status changes, and only then, whatever a message calls itself; one more fill of a
partially filled order is one more `order.partially_filled`. An operation on a balance that has no id, a margin
call and a liquidation happened as often as they are told with another time. What a message names that comparison doesn't find is told beside
what it finds; that a position was closed by force its reason may tell too.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, structs

from tocsin.entities.merge import Updates
from tocsin.events import KINDS, Balance, Contract, Entity, Order, Position, Venue
from tocsin.events.vocabulary import ALIASES, canonical, is_last

Names = tuple[str, ...]

# What can't happen to something that is known.
_BEGINNINGS = frozenset({"order.created", "position.opened", "account.added"})
_SIGHTED: Mapping[str, Names] = {
    "account": ("account.added",),
    "trade": ("trade.executed",),
    "ticker": ("ticker.updated",),
    "book": ("book.updated",),
}
_MOVED: Mapping[str, Names] = {kind: (f"{kind}.updated",) for kind in KINDS} | {"trade": ("trade.executed",)}
_NO_EVENT = {"updated"}  # a later time of the same state
# What only a message can name, and doesn't follow from any field.
_ONLY_NAMED = frozenset({"account.margin_call", "position.liquidated"})
# The statuses that an event's name alone can tell.
_ORDER_WORDS = frozenset(
    {"pending", "open", "partially_filled", "filled", "canceled", "expired", "rejected", "unknown"}
)
_POSITION_WORDS = {"opened": "open", "closed": "closed", "liquidated": "closed"}
# How venues say that they closed a position against its owner's will: `StopOut`, `MARGIN_CALL`, `auto-deleveraging`. A
# stop loss is the owner's will.
_FORCED = re.compile(
    r"\b(?:liquidat|(?:auto )?deleverag|autodeleverag|adl\b|stop ?out\b|margin ?call|forced\b)"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
# Refused credentials or streams say nothing of a link that may live on without them.
_VENUE_WORDS = {
    "connected": "connected", "resumed": "connected", "disconnected": "disconnected", "silent": "silent",
}  # fmt: skip


def with_status(observed: Entity, event: str | None) -> Entity:
    """The message with the status (or a balance's cause) that the event named beside it implies.

    An event that ends the entity wins over what the fields say (a position comes `closed` with the fields of an open
    one); otherwise the fields win. A null for a status tells of none, so it leaves the known one.
    """
    status = getattr(observed, "status", UNSET)
    if isinstance(status, str) and (alias := ALIASES.get(status.casefold())) is not None:
        observed, status = structs.replace(observed, status=alias), alias
    elif status is None:
        observed, status = structs.replace(observed, status=UNSET), UNSET
    if event is None:
        return observed
    what = event.partition(".")[2]
    if isinstance(observed, Balance):
        return (
            structs.replace(observed, cause=what)
            if observed.cause is UNSET and what != "updated"
            else observed
        )
    word = _status_word(observed, what)
    if word is not None and (status is UNSET or (word in observed.ended and not is_last(observed, status))):
        return structs.replace(observed, status=word)
    return observed


def _status_word(observed: Entity, what: str) -> str | None:
    if isinstance(observed, Order):
        return what if what in _ORDER_WORDS else None
    if isinstance(observed, Position):
        return _POSITION_WORDS.get(what)
    if isinstance(observed, Contract):
        return what if what not in ("updated", "created") else None
    return _VENUE_WORDS.get(what) if isinstance(observed, Venue) else None


def sighted(state: Entity, named: str | None) -> Names:
    """The events of an entity that is seen for the first time, as it happens."""
    kind, status = state.kind, getattr(state, "status", None)
    if isinstance(state, Order):
        found: Names = ("order.created", f"order.{status}") if status else ("order.created",)
    elif isinstance(state, Position):
        found = _closed(state) if status == "closed" else ("position.opened",)
    elif isinstance(state, Balance):
        found = _of_balance(state)
    elif isinstance(state, Contract):
        found = (canonical(f"contract.{status}"),) if status else ("contract.updated",)
    else:
        found = _SIGHTED.get(kind, ())
    return _and_named(found, named) if not _is_status(state, named) else found


def compared(
    known: Entity, state: Entity, changed: set[str], named: str | None, *, operated: bool = False
) -> Names:
    """The events behind a difference. `changed` are the names of the fields that differ; none: nothing happened, unless
    the message tells of an operation.
    """
    still = not changed or changed == _NO_EVENT
    if still and not operated:
        return ()
    if named is None and state.market_data:
        return _MOVED[state.kind]
    if isinstance(state, Order) and isinstance(known, Order):
        found: Names = ("order.updated",)
        if _order_moved(known, state, changed):
            found += (f"order.{state.status}",)
    elif isinstance(state, Position):
        closed = "status" in changed and state.status == "closed"
        found = _closed(state) if closed else ("position.updated",)
    elif isinstance(state, Contract):
        moved = "status" in changed and state.status
        found = (canonical(f"contract.{state.status}"),) if moved else ("contract.updated",)
    elif isinstance(state, Balance):
        found = _of_balance(state)
    else:
        found = () if still else _MOVED[state.kind]
    if named is None or named in _BEGINNINGS or _is_status(state, named):
        return found
    return _and_named(found, named)


def _order_moved(known: Order, state: Order, changed: set[str]) -> bool:
    if not state.status:
        return False
    if "status" in changed:
        return True
    if state.status == "unknown":
        return "venue_status" in changed
    return state.status == "partially_filled" and _fell(known, state, changed)


def _fell(known: Order, state: Order, changed: set[str]) -> bool:
    """Whether there was another fill: more filled, or where that isn't told less remaining."""
    if "filled" in changed:
        return True
    before, now = known.remaining, state.remaining
    less = isinstance(before, Decimal) and isinstance(now, Decimal) and now < before
    return less and not isinstance(state.filled, Decimal)


def _closed(state: Position) -> Names:
    """That it was closed, and by its reason's words whether against its owner's will."""
    if isinstance(state.reason, str) and is_forced(state.reason):
        return ("position.closed", "position.liquidated")
    return ("position.closed",)


def is_forced(reason: str) -> bool:
    """Whether a venue's reason for closing a position says that the venue did it, for want of margin."""
    words = (word.casefold() for word in _WORDS.findall(reason))
    return _FORCED.search(" ".join(words)) is not None


def _of_balance(state: Balance) -> Names:
    return ("balance.updated", canonical(f"balance.{state.cause}")) if state.cause else ("balance.updated",)


def is_operation(
    observed: Entity, named: str | None, changed: set[str], time: datetime | None, known_time: datetime | None
) -> bool:
    """Whether the message tells of an operation on a balance, or of what no field shows, and not for a second time of
    the same one.
    """
    if named != "account.margin_call" and not (
        isinstance(observed, Balance) and isinstance(observed.cause, str)
    ):
        return False
    return bool(changed) or time is None or time != known_time


def _is_status(state: Entity, named: str | None) -> bool:
    if named is None or named in _ONLY_NAMED:
        return False
    return _status_word(state, named.partition(".")[2]) is not None


def _and_named(found: Names, named: str | None) -> Names:
    return found if named is None or named in found else (*found, named)


# -------------------------------------------------------------------------------------------------------------- venues


def of_venue(
    known: Venue | None, state: Venue, updates: Updates, named: str | None, *, after_outage: bool
) -> Names:
    """What of a venue's own events is news: one `disconnected` an outage, one `connected` after it (`after_outage`)."""
    if named is None:
        return ()
    same = known is not None and known.status == state.status
    if named == "venue.connected":
        return () if same and not after_outage else (named,)
    if named == "venue.disconnected":
        return () if same else (named,)
    if same and named == f"venue.{state.status}" and known is not None:
        return (named,) if "reason" in updates and known.reason != state.reason else ()
    return (named,)
