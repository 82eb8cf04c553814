"""What GLocalFlex says of one's own orders and contracts.

Their exact fields aren't published: ids are looked for under the names that the market uses, and what its other
messages name is taken where present.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from tocsin.events import EXACT, Contract, Observation, Order, iso
from tocsin.venues.base import Item, Malformed
from tocsin.venues.glocalflex_data import Data, Message, symbol_of, terms, time_of
from tocsin.venues.lenient import Part
from tocsin.venues.wire import as_id, exact, first_id, from_iso_text, given, is_word

_Status: TypeAlias = Literal[
    "pending", "open", "partially_filled", "filled", "canceled", "expired", "rejected", "unknown"
]
_STATUSES: Mapping[str, _Status] = {
    "pending": "pending", "awaiting_baseline_data": "pending", "selected_for_baseline_activation": "pending",
    "accepted": "open", "matching_active": "open", "partial_filled": "partially_filled",
    "partially_filled": "partially_filled", "filled": "filled", "cancelled": "canceled", "canceled": "canceled",
    "expired": "expired", "rejected": "rejected",
}  # fmt: skip
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_NO_WORDS: Mapping[str, str] = {}
_CONTRACT_WORDS = ("verification_", "settlement_")


def is_contract(message: Message, data: Data) -> bool:
    """The market's documents show a contract under `order_status_update`: its name, or else its shape, tells."""
    if message.type == "contract_status_update":
        return True
    if _is_word(message.name):
        return str(message.name).lower().startswith(_CONTRACT_WORDS)
    if isinstance(data.status, str) and data.status.lower().startswith(_CONTRACT_WORDS):
        return True
    return any(given(wire) for wire in (data.contract_id, data.settlement, data.verification_result))


def order(message: Message, data: Data, part: Part) -> tuple[Item, ...]:
    status, venue_status = part.status(_said(message, data), _STATUSES, "status", "unknown")
    state = Order(
        id=_id(data, "order", data.id, data.order_id, data.uuid),
        symbol=_symbol(data),
        side=part.word(data.side, _SIDES, "side"),
        status=status,
        venue_status=venue_status,
        created=part.iso(data.created_at, "created_at"),
        updated=part.iso(data.updated_at, "updated_at"),
        **terms(data, part),
    )
    return (Observation(state=state, time=time_of(part, created_at=message.created_at)), *part.unreadable)


def contract(message: Message, data: Data, part: Part) -> tuple[Item, ...]:
    said = _said(message, data)
    word = str(said) if _is_word(said) else None
    state = Contract(
        id=_id(data, "contract", data.id, data.contract_id, data.uuid),
        order_id=part.text(data.order_id, "order_id"),
        status=word or part.status(said, _NO_WORDS, "status", "unknown")[0],
        verification_status=_status_of(data.verification_result, "verification_result", part),
        settlement_status=_status_of(data.settlement, "settlement", part),
        side=part.word(data.side, _SIDES, "side"),
        created=part.iso(data.created_at, "created_at"),
        updated=part.iso(data.updated_at, "updated_at"),
        **terms(data, part),
    )
    return (Observation(state=state, time=time_of(part, created_at=message.created_at)), *part.unreadable)


def _said(message: Message, data: Data) -> Any:
    """The market's own word: the message's name, else the object's status; the first that is a word, if one is."""
    wires = (message.name, data.status)
    return next(filter(_is_word, wires), next(filter(given, wires), UNSET))


def _is_word(wire: Any) -> bool:
    """Whether it is short and printable, for a contract's names its event."""
    return isinstance(wire, (str, int)) and not isinstance(wire, bool) and is_word(str(wire))


def _symbol(data: Data) -> str | UnsetType | None:
    """An order's is no key of it."""
    try:
        return symbol_of(data) if data.location is not UNSET else UNSET
    except Malformed:
        return None  # told of the location itself


def _status_of(wire: Any, field: str, part: Part) -> str | UnsetType | None:
    """The `status` of an object of the contract's; also understood where it is a bare word."""
    if isinstance(wire, dict):
        return part.text(wire.get("status", UNSET), f"{field}.status")
    return part.text(wire, field)


def _id(data: Data, what: str, *wires: Any) -> str:
    """The first id that is there; without any, a hash of what an object without one is known by."""
    if any(map(given, wires)):
        return first_id(f"{what} id", *wires)
    parts = (
        _moment(data.delivery_start, "delivery_start"),
        _moment(data.delivery_end, "delivery_end"),
        as_id(data.side, "side").lower() if given(data.side) else "",
        format(EXACT.normalize(exact(data.price, "price")), "f") if given(data.price) else "",
    )
    return "hash-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]


def _moment(wire: Any, field: str) -> str:
    time = from_iso_text(wire, field) if given(wire) else None
    return iso(time) if time else ""
