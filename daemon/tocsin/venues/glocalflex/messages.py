"""What GLocalFlex's messages mean: `{type, name?, created_at, data}`.

Times are ISO 8601 with milliseconds or microseconds, with `Z` or without a zone (UTC). Power is W, price €/kWh, the
unit of energy isn't stated. The exact fields of one's own orders and contracts aren't published: ids are looked for
under the names that the market uses, and what its other messages name is taken where present.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import EXACT, Book, Contract, Observation, Occurrence, Order, Trade, iso, number_text
from tocsin.venues.base import Control, Decoded, Item, Malformed, Refused, Unrecognized
from tocsin.venues.derive import Level, full_book
from tocsin.venues.lenient import Part
from tocsin.venues.wire import Reader, as_id, as_word, cut, exact, first_id, from_iso_text, given, is_word

_MARKET = "flex"  # the symbol of what names no country, and of the one order book


class _Message(Struct, frozen=True, gc=False):
    type: str
    name: Any = UNSET
    status: Any = UNSET
    created_at: Any = UNSET
    data: Raw | UnsetType = UNSET


class _Data(Struct, frozen=True, gc=False):
    """An order, a contract, a trade or an expired order, as far as it is known."""

    id: Any = UNSET
    contract_id: Any = UNSET
    order_id: Any = UNSET
    uuid: Any = UNSET
    status: Any = UNSET
    side: Any = UNSET
    price: Any = UNSET
    power: Any = UNSET
    energy: Any = UNSET
    delivery_start: Any = UNSET
    delivery_end: Any = UNSET
    location: Any = UNSET  # any part of it may be missing: location_id may be `[null]`, country_code ""
    created_at: Any = UNSET
    updated_at: Any = UNSET
    closed_at: Any = UNSET
    expired_at: Any = UNSET
    settlement: Any = UNSET
    verification_result: Any = UNSET


class _ControlData(Struct, frozen=True, gc=False):
    """Of a control message that refuses: why."""

    message: Any = None


class _Resting(Struct, frozen=True, gc=False):
    power: Any


_Side: TypeAlias = dict[str, list[_Resting]] | UnsetType | None


class _Orderbook(Struct, frozen=True, gc=False):
    bids: _Side
    asks: _Side


_read_message = Reader(_Message)
_read_control = Reader(_ControlData)
_read_data = Reader(_Data)
_read_orderbook = Reader(_Orderbook)

_NOTHING = Decimal(0)
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


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed."""
    part = Part()
    message = _read_message(text, part.note)
    match message.type:
        case "control":
            return Decoded((_control(message),))
        case "order_status_update" | "contract_status_update":
            data = _content(message, part)
            part.of, meaning = ("contract", _contract) if _is_contract(message, data) else ("order", _order)
            return Decoded(meaning(message, data, part), "trade")
        case "ticker_update":
            part.of = "trade"
            return Decoded(_trade(message, _content(message, part), part), "ticker")
        case "expired_order_update":
            part.of = "expired_order"
            return Decoded(_expired_order(message, _content(message, part), part), "ticker")
        case "orderbook_update":
            part.of = "orderbook"
            return Decoded(_orderbook(message, part), "orderbook")
    return Decoded((Unrecognized(f"type {cut(message.type, 64)}"),))


def _control(message: _Message) -> Item:
    """The greeting of a socket, or why it won't serve us."""
    if not given(message.status):
        return Unrecognized("control without a status")
    status = as_word(message.status, "status")
    if status.lower() == "success":
        return Control()
    reason = _read_control(message.data).message if message.data is not UNSET else None
    return Refused("", cut(f"{status}: {reason}" if isinstance(reason, str) and reason else status))


# ------------------------------------------------------------------------------------ one's own orders and contracts


def _is_contract(message: _Message, data: _Data) -> bool:
    """The market's documents show a contract under `order_status_update`: its name, or else its shape, tells."""
    if message.type == "contract_status_update":
        return True
    if _is_word(message.name):
        return str(message.name).lower().startswith(_CONTRACT_WORDS)
    if isinstance(data.status, str) and data.status.lower().startswith(_CONTRACT_WORDS):
        return True
    return any(given(wire) for wire in (data.contract_id, data.settlement, data.verification_result))


def _order(message: _Message, data: _Data, part: Part) -> tuple[Item, ...]:
    status, venue_status = part.status(_status_word(message, data), _STATUSES, "status", "unknown")
    state = Order(
        id=_id(data, "order", data.id, data.order_id, data.uuid),
        symbol=_symbol(data),
        side=part.word(data.side, _SIDES, "side"),
        status=status,
        venue_status=venue_status,
        created=part.iso(data.created_at, "created_at"),
        updated=part.iso(data.updated_at, "updated_at"),
        **_terms(data, part),
    )
    return (Observation(state=state, time=_time_of(part, created_at=message.created_at)), *part.unreadable)


def _contract(message: _Message, data: _Data, part: Part) -> tuple[Item, ...]:
    wire = _status_word(message, data)
    word = str(wire) if _is_word(wire) else None
    state = Contract(
        id=_id(data, "contract", data.id, data.contract_id, data.uuid),
        order_id=part.text(data.order_id, "order_id"),
        status=word or part.status(wire, _NO_WORDS, "status", "unknown")[0],
        verification_status=_status_of(data.verification_result, "verification_result", part),
        settlement_status=_status_of(data.settlement, "settlement", part),
        side=part.word(data.side, _SIDES, "side"),
        created=part.iso(data.created_at, "created_at"),
        updated=part.iso(data.updated_at, "updated_at"),
        **_terms(data, part),
    )
    return (Observation(state=state, time=_time_of(part, created_at=message.created_at)), *part.unreadable)


def _status_word(message: _Message, data: _Data) -> Any:
    """The market's own word: the message's name, else the object's status; the first that is a word, if one is."""
    wires = (message.name, data.status)
    return next(filter(_is_word, wires), next(filter(given, wires), UNSET))


def _is_word(wire: Any) -> bool:
    """Whether it is short and printable, for a contract's names its event."""
    return isinstance(wire, (str, int)) and not isinstance(wire, bool) and is_word(str(wire))


def _symbol(data: _Data) -> str | UnsetType | None:
    """An order's is no key of it."""
    try:
        return _symbol_of(data) if data.location is not UNSET else UNSET
    except Malformed:
        return None  # told of the location itself


def _status_of(wire: Any, field: str, part: Part) -> str | UnsetType | None:
    """The `status` of an object of the contract's; also understood where it is a bare word."""
    if isinstance(wire, dict):
        return part.text(wire.get("status", UNSET), f"{field}.status")
    return part.text(wire, field)


def _id(data: _Data, what: str, *wires: Any) -> str:
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


# -------------------------------------------------------------------------------------------------------- the market


def _trade(message: _Message, data: _Data, part: Part) -> tuple[Item, ...]:
    """The last trade of a place. It has no id: the place has one, and the latest of a place is what is kept."""
    symbol = _symbol_of(data)
    state = Trade(id=symbol, symbol=symbol, **_terms(data, part))
    time = _time_of(part, closed_at=data.closed_at, created_at=message.created_at)
    return (Observation(state=state, event="trade.executed", time=time), *part.unreadable)


def _expired_order(message: _Message, data: _Data, part: Part) -> tuple[Item, ...]:
    """Somebody's order ran out, in public: it has no id, and is none of the user's own."""
    symbol = _symbol_of(data)
    state = Book(id=symbol, symbol=symbol, **_terms(data, part))
    time = _time_of(part, expired_at=data.expired_at, created_at=message.created_at)
    return (Occurrence(state=state, event="book.order_expired", time=time), *part.unreadable)


def _orderbook(message: _Message, part: Part) -> tuple[Item, ...]:
    """The whole book. A best bid above the best ask is normal: orders differ in delivery window and place."""
    if message.data is UNSET:
        raise Malformed("orderbook_update without data")
    book = _read_orderbook(message.data, part.note)
    bids, asks = _levels(book.bids, "bids", part), _levels(book.asks, "asks", part)
    observation = full_book(_MARKET, bids, asks, time=_time_of(part, created_at=message.created_at))
    return (observation, *part.unreadable)


def _levels(side: _Side, field: str, part: Part) -> list[Level] | None:
    """Price and power of each level; None of a side that couldn't be read.

    The keys are prices as text, sorted by nobody and perhaps spelled in two ways.
    """
    if side is UNSET:
        return None
    levels = ((text, order.power) for text, orders in (side or {}).items() for order in orders)
    powers: dict[Decimal, Decimal] = {}
    for price, power in part.levels(levels, field, zero_is_a_price=True):
        powers[price] = EXACT.add(powers.get(price, _NOTHING), power)
    return list(powers.items())


# ------------------------------------------------------------------------------ the parts that several messages have


def _content(message: _Message, part: Part) -> _Data:
    """The object that the message is about; one without any is an object that tells nothing."""
    if message.data is UNSET or bytes(message.data) == b"null":
        return _Data()
    return _read_data(message.data, part.note)


def _terms(data: _Data, part: Part) -> dict[str, Any]:
    """What everything that is traded here has: the fields of orders, contracts, trades and expired orders alike."""
    return {
        "price": part.number(data.price, "price"),
        "power": part.number(data.power, "power"),
        "energy": part.number(data.energy, "energy"),
        "delivery_start": part.iso(data.delivery_start, "delivery_start"),
        "delivery_end": part.iso(data.delivery_end, "delivery_end"),
        "location": _place_text(data.location, part),
    }


def _symbol_of(data: _Data) -> str:
    """The country, as far as one is named. Malformed where it can't be read."""
    if not given(data.location):
        return _MARKET
    if not isinstance(data.location, dict):
        raise Malformed("location: not an object")
    country = data.location.get("country_code")
    return as_id(country, "location.country_code") if given(country) else _MARKET


def _place_text(place: Any, part: Part) -> str | UnsetType | None:
    """`FI ean1, ean2`: the country, then the ids; where there are neither, the coordinates."""
    if place is UNSET or place is None:
        return place
    if not isinstance(place, dict):
        part.note("location", "not an object")
        return None
    wires = place.get("location_id")
    ids = [
        part.text(wire, "location.location_id") for wire in (wires if isinstance(wires, list) else [wires])
    ]
    country = part.text(place.get("country_code"), "location.country_code")
    names = (country, ", ".join(name for name in ids if isinstance(name, str)))
    return " ".join(name for name in names if isinstance(name, str) and name) or _coordinates(place, part)


def _coordinates(place: dict[str, Any], part: Part) -> str | None:
    wire = place.get("coordinates", UNSET)
    if not isinstance(wire, dict):
        if given(wire):
            part.note("location.coordinates", "not an object")
        return None
    found = [
        part.number(wire.get(name), f"location.coordinates.{name}") for name in ("latitude", "longitude")
    ]
    known = [number_text(value) for value in found if isinstance(value, Decimal)]
    return ", ".join(known) if len(known) == len(found) else None


def _time_of(part: Part, **wires: Any) -> datetime | None:
    """The time of an event: the first of these fields that gives one."""
    for field, wire in wires.items():
        if isinstance(time := part.iso(wire, field), datetime):
            return time
    return None
