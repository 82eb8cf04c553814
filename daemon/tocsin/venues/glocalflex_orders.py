"""What GLocalFlex says of one's own orders and contracts.

Their exact fields aren't published: ids are looked for under the names that the market uses, and what its other
messages name is taken where present.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from tocsin.events import EXACT, Contract, Observation, Order, iso
from tocsin.events.kinds import OrderStatus
from tocsin.venues.base import Item
from tocsin.venues.glocalflex_data import Data, Message, symbol_of, terms, time_of
from tocsin.venues.wire import (
    as_id,
    as_word,
    from_iso_text,
    given,
    iso_or_missing,
    number_or_missing,
    text_or_missing,
    translated,
)

_STATUSES: Mapping[str, OrderStatus] = {
    "pending": "pending", "awaiting_baseline_data": "pending", "selected_for_baseline_activation": "pending",
    "accepted": "open", "matching_active": "open", "partial_filled": "partially_filled",
    "partially_filled": "partially_filled", "filled": "filled", "cancelled": "canceled", "canceled": "canceled",
    "expired": "expired", "rejected": "rejected",
}  # fmt: skip
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_CONTRACT_WORDS = ("verification_", "settlement_")


def is_contract(message: Message, data: Data) -> bool:
    """The market's documents show a contract under `order_status_update`: its name, or else its shape, tells."""
    if message.type == "contract_status_update":
        return True
    if given(message.name):
        return as_word(message.name, "name").startswith(_CONTRACT_WORDS)
    if isinstance(data.status, str) and data.status.startswith(_CONTRACT_WORDS):
        return True
    return any(given(wire) for wire in (data.contract_id, data.settlement, data.verification_result))


def order(message: Message, data: Data) -> tuple[Item, ...]:
    odd: list[Item] = []
    word = _status(message, data)
    state = Order(
        id=_id(data, "order", data.id, data.order_id, data.uuid),
        symbol=UNSET if data.location is UNSET else symbol_of(data),
        side=translated(data.side, _SIDES, "order side", odd),
        status=_STATUSES.get(word.lower(), "unknown") if isinstance(word, str) else word,
        venue_status=word,
        created=iso_or_missing(data.created_at, "data.created_at"),
        updated=iso_or_missing(data.updated_at, "data.updated_at"),
        **terms(data),
    )
    return (Observation(state=state, time=time_of(message.created_at, "created_at")), *odd)


def contract(message: Message, data: Data) -> tuple[Item, ...]:
    odd: list[Item] = []
    state = Contract(
        id=_id(data, "contract", data.id, data.contract_id, data.uuid),
        order_id=text_or_missing(data.order_id, "order_id"),
        status=_status(message, data),
        verification_status=_status_of(data.verification_result, "verification_result"),
        settlement_status=_status_of(data.settlement, "settlement"),
        side=translated(data.side, _SIDES, "contract side", odd),
        created=iso_or_missing(data.created_at, "data.created_at"),
        updated=iso_or_missing(data.updated_at, "data.updated_at"),
        **terms(data),
    )
    return (Observation(state=state, time=time_of(message.created_at, "created_at")), *odd)


def _status(message: Message, data: Data) -> str | UnsetType:
    """The market's own word: the message's name, else the object's status; verbatim."""
    for wire, field in ((message.name, "name"), (data.status, "data.status")):
        if given(wire):
            return as_word(wire, field)
    return UNSET


def _status_of(wire: Any, field: str) -> str | UnsetType | None:
    """The `status` of an object of the contract's; also understood where it is a bare word."""
    if isinstance(wire, dict):
        wire = wire.get("status", UNSET)
    return as_word(wire, f"{field}.status") if given(wire) else text_or_missing(wire, field)


def _id(data: Data, what: str, *wires: Any) -> str:
    """The first id that is there; without any, a hash of what an object without one is known by."""
    for wire in wires:
        if given(wire):
            return as_id(wire, f"{what} id")
    price = number_or_missing(data.price, "price")
    parts = (
        _moment(data.delivery_start, "delivery_start"),
        _moment(data.delivery_end, "delivery_end"),
        str(text_or_missing(data.side, "side")).lower() if given(data.side) else "",
        format(EXACT.normalize(price), "f") if isinstance(price, Decimal) else "",
    )
    return "hash-" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]


def _moment(wire: Any, field: str) -> str:
    return iso(from_iso_text(wire, field)) if given(wire) else ""
