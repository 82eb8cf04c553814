"""What GLocalFlex's messages are made of: `{type, name?, created_at, data}`, and the parts that several of them have.

Times are ISO 8601 with milliseconds or microseconds, with `Z` or without a zone (UTC). Power is W, price €/kWh, the
unit of energy isn't stated.
"""

from datetime import datetime
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import number_text
from tocsin.venues.wire import (
    Reader,
    as_id,
    exact,
    from_iso_text,
    given,
    iso_or_missing,
    number_or_missing,
    text_or_missing,
)

MARKET = "flex"  # the symbol of what names no country, and of the one order book


class Message(Struct, frozen=True, gc=False):
    type: str
    name: Any = UNSET
    status: Any = UNSET
    created_at: Any = UNSET
    data: Raw | UnsetType = UNSET


class Place(Struct, frozen=True, gc=False):
    """A location, of which any part may be missing: location_id may be `[null]`, country_code ""."""

    location_id: Any = UNSET
    country_code: Any = UNSET
    coordinates: Any = UNSET


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
    location: Place | UnsetType | None = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET
    closed_at: Any = UNSET
    expired_at: Any = UNSET
    settlement: Any = UNSET
    verification_result: Any = UNSET


_read_data = Reader(Data)


def content(message: Message) -> Data:
    """The object that the message is about; one without any is an object that tells nothing."""
    if message.data is UNSET or bytes(message.data) == b"null":
        return Data()
    return _read_data(message.data)


def terms(data: Data) -> dict[str, Any]:
    """What everything that is traded here has: the fields of orders, contracts, trades and expired orders alike."""
    return {
        "price": number_or_missing(data.price, "price"),
        "power": number_or_missing(data.power, "power"),
        "energy": number_or_missing(data.energy, "energy"),
        "delivery_start": iso_or_missing(data.delivery_start, "delivery_start"),
        "delivery_end": iso_or_missing(data.delivery_end, "delivery_end"),
        "location": place_text(data.location),
    }


def symbol_of(data: Data) -> str:
    """The country, as far as one is named."""
    country = data.location.country_code if isinstance(data.location, Place) else None
    known = text_or_missing(country, "location.country_code")
    return known if isinstance(known, str) else MARKET


def place_text(place: Place | UnsetType | None) -> str | UnsetType | None:
    """`FI ean1, ean2`: the country, then the ids; where there are neither, the coordinates."""
    if not isinstance(place, Place):
        return place
    country = text_or_missing(place.country_code, "location.country_code")
    wires = place.location_id if isinstance(place.location_id, list) else [place.location_id]
    ids = ", ".join(as_id(wire, "location.location_id") for wire in wires if given(wire))
    named = " ".join(part for part in (country, ids) if isinstance(part, str) and part)
    return named or _coordinates(place.coordinates)


def _coordinates(wire: Any) -> str | None:
    if not isinstance(wire, dict) or not given(wire.get("latitude")) or not given(wire.get("longitude")):
        return None
    return ", ".join(
        number_text(exact(wire[name], f"coordinates.{name}")) for name in ("latitude", "longitude")
    )


def time_of(wire: Any, field: str) -> datetime | None:
    """The time of an event, where the message gives one."""
    return from_iso_text(wire, field) if given(wire) else None
