"""What GLocalFlex's messages are made of: `{type, name?, created_at, data}`, and the parts that several of them have.

Times are ISO 8601 with milliseconds or microseconds, with `Z` or without a zone (UTC). Power is W, price €/kWh, the
unit of energy isn't stated.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import number_text
from tocsin.venues.base import Malformed
from tocsin.venues.lenient import Part
from tocsin.venues.wire import Reader, as_id, given

MARKET = "flex"  # the symbol of what names no country, and of the one order book


class Message(Struct, frozen=True, gc=False):
    type: str
    name: Any = UNSET
    status: Any = UNSET
    created_at: Any = UNSET
    data: Raw | UnsetType = UNSET


class Data(Struct, frozen=True, gc=False):
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


_read_data = Reader(Data)


def content(message: Message, part: Part) -> Data:
    """The object that the message is about; one without any is an object that tells nothing."""
    if message.data is UNSET or bytes(message.data) == b"null":
        return Data()
    return _read_data(message.data, part.note)


def terms(data: Data, part: Part) -> dict[str, Any]:
    """What everything that is traded here has: the fields of orders, contracts, trades and expired orders alike."""
    return {
        "price": part.number(data.price, "price"),
        "power": part.number(data.power, "power"),
        "energy": part.number(data.energy, "energy"),
        "delivery_start": part.iso(data.delivery_start, "delivery_start"),
        "delivery_end": part.iso(data.delivery_end, "delivery_end"),
        "location": place_text(data.location, part),
    }


def symbol_of(data: Data) -> str:
    """The country, as far as one is named. Malformed where it can't be read."""
    if not given(data.location):
        return MARKET
    if not isinstance(data.location, dict):
        raise Malformed("location: not an object")
    country = data.location.get("country_code")
    return as_id(country, "location.country_code") if given(country) else MARKET


def place_text(place: Any, part: Part) -> str | UnsetType | None:
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


def time_of(part: Part, **wires: Any) -> datetime | None:
    """The time of an event: the first of these fields that gives one."""
    for field, wire in wires.items():
        if isinstance(time := part.iso(wire, field), datetime):
            return time
    return None
