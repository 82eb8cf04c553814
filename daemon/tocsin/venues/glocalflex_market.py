"""What GLocalFlex says of the market: public trades, public expiries, the order book."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct

from tocsin.events import EXACT, Book, Observation, Occurrence, Trade
from tocsin.venues.base import Item, Malformed
from tocsin.venues.derive import Level, full_book
from tocsin.venues.glocalflex_data import MARKET, Data, Message, symbol_of, terms, time_of
from tocsin.venues.wire import Reader, exact

_NOTHING = Decimal(0)


class _Resting(Struct, frozen=True, gc=False):
    power: Any


class _Orderbook(Struct, frozen=True, gc=False):
    bids: dict[str, list[_Resting]] | None
    asks: dict[str, list[_Resting]] | None


_read_orderbook = Reader(_Orderbook)


def trade(message: Message, data: Data) -> Item:
    """The last trade of a place. It has no id: the place has one, and the latest of a place is what is kept."""
    symbol = symbol_of(data)
    state = Trade(id=symbol, symbol=symbol, **terms(data))
    time = time_of(data.closed_at, "closed_at") or time_of(message.created_at, "created_at")
    return Observation(state=state, event="trade.executed", time=time)


def expired_order(message: Message, data: Data) -> Item:
    """Somebody's order ran out, in public: it has no id, and is none of the user's own."""
    symbol = symbol_of(data)
    state = Book(id=symbol, symbol=symbol, **terms(data))
    time = time_of(data.expired_at, "expired_at") or time_of(message.created_at, "created_at")
    return Occurrence(state=state, event="book.order_expired", time=time)


def orderbook(message: Message) -> Item:
    """The whole book. A best bid above the best ask is normal: orders differ in delivery window and place."""
    if message.data is UNSET:
        raise Malformed("orderbook_update without data")
    book = _read_orderbook(message.data)
    bids = sorted(_levels(book.bids, "bids"), reverse=True)
    asks = sorted(_levels(book.asks, "asks"))
    return full_book(MARKET, bids, asks, time=time_of(message.created_at, "created_at"))


def _levels(side: Mapping[str, list[_Resting]] | None, field: str) -> list[Level]:
    """Price and power of each level. The keys are prices as text, sorted by nobody and perhaps spelled in two ways."""
    powers: dict[Decimal, Decimal] = {}
    for text, orders in (side or {}).items():
        price = exact(text, f"{field} price")
        for order in orders:
            powers[price] = EXACT.add(powers.get(price, _NOTHING), exact(order.power, f"{field} power"))
    return list(powers.items())
