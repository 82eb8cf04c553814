"""What GLocalFlex says of the market: public trades, public expiries, the order book."""

from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from tocsin.events import EXACT, Book, Observation, Occurrence, Trade
from tocsin.venues.base import Item, Malformed
from tocsin.venues.derive import Level, full_book
from tocsin.venues.glocalflex_data import MARKET, Data, Message, symbol_of, terms, time_of
from tocsin.venues.lenient import Part
from tocsin.venues.wire import Reader

_NOTHING = Decimal(0)


class _Resting(Struct, frozen=True, gc=False):
    power: Any


_Side: TypeAlias = dict[str, list[_Resting]] | UnsetType | None


class _Orderbook(Struct, frozen=True, gc=False):
    bids: _Side
    asks: _Side


_read_orderbook = Reader(_Orderbook)


def trade(message: Message, data: Data, part: Part) -> tuple[Item, ...]:
    """The last trade of a place. It has no id: the place has one, and the latest of a place is what is kept."""
    symbol = symbol_of(data)
    state = Trade(id=symbol, symbol=symbol, **terms(data, part))
    time = time_of(part, closed_at=data.closed_at, created_at=message.created_at)
    return (Observation(state=state, event="trade.executed", time=time), *part.unreadable)


def expired_order(message: Message, data: Data, part: Part) -> tuple[Item, ...]:
    """Somebody's order ran out, in public: it has no id, and is none of the user's own."""
    symbol = symbol_of(data)
    state = Book(id=symbol, symbol=symbol, **terms(data, part))
    time = time_of(part, expired_at=data.expired_at, created_at=message.created_at)
    return (Occurrence(state=state, event="book.order_expired", time=time), *part.unreadable)


def orderbook(message: Message, part: Part) -> tuple[Item, ...]:
    """The whole book. A best bid above the best ask is normal: orders differ in delivery window and place."""
    if message.data is UNSET:
        raise Malformed("orderbook_update without data")
    book = _read_orderbook(message.data, part.note)
    bids, asks = _levels(book.bids, "bids", part), _levels(book.asks, "asks", part)
    observation = full_book(MARKET, bids, asks, time=time_of(part, created_at=message.created_at))
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
