"""What decoders compute from a single message, exactly: sizes, averages, the head of an order book."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Literal, TypeAlias

from msgspec import UNSET, Raw, UnsetType

from tocsin.events import EXACT, Book, Derived, Observation, Trade
from tocsin.venues.base import Malformed, Reply

Level: TypeAlias = tuple[Decimal, Decimal]  # price, size
_LONGEST_PING = 256  # bytes; how much we send is not for the venue to choose
_ROUNDED = Context(prec=20)  # digits of a quotient that never ends: more than any venue's price has


def pong(ping: Raw) -> Reply:
    """The answer to `{"ping": x}`: `{"pong": x}`, digit for digit."""
    if len(bytes(ping)) > _LONGEST_PING:
        raise Malformed("a ping too long to be answered")
    return Reply(f'{{"pong":{bytes(ping).decode()}}}')


def difference(whole: Decimal | UnsetType | None, part: Decimal | UnsetType | None) -> Decimal | UnsetType:
    """`whole - part` where the message gives both."""
    if not isinstance(whole, Decimal) or not isinstance(part, Decimal):
        return UNSET
    return EXACT.subtract(whole, part)


def average_price(
    cost: Decimal | UnsetType | None, filled: Decimal | UnsetType | None
) -> Decimal | UnsetType | None:
    """What a unit cost, on average; None where nothing has traded, UNSET where the message doesn't tell."""
    if isinstance(filled, Decimal) and filled <= 0:
        return None
    if not isinstance(cost, Decimal) or not isinstance(filled, Decimal):
        return UNSET
    return Derived(_ROUNDED.normalize(EXACT.divide(cost, filled)))


def public_trade(
    symbol: str,
    side: Literal["buy", "sell"] | UnsetType | None,
    price: Decimal | UnsetType | None,
    amount: Decimal | UnsetType | None,
    time: datetime | UnsetType | None,
) -> Observation:
    """A public trade. Venues that give trades no id have the symbol for one: the latest of a symbol is what is kept."""
    cost: Decimal | UnsetType = UNSET
    if isinstance(price, Decimal) and isinstance(amount, Decimal):
        cost = EXACT.normalize(EXACT.multiply(price, amount))
    state = Trade(id=symbol, symbol=symbol, side=side, price=price, amount=amount, cost=cost)
    return Observation(state=state, event="trade.executed", time=stamp(time))


def stamp(time: datetime | UnsetType | None) -> datetime | None:
    """The venue's time of an observation, where the field that says it was there and could be read."""
    return time if isinstance(time, datetime) else None


def full_book(
    symbol: str,
    bids: Sequence[Level] | None,
    asks: Sequence[Level] | None,
    *,
    sequence: str | UnsetType | None = UNSET,
    time: datetime | UnsetType | None = None,
) -> Observation:
    """A complete snapshot of a book, levels in any order; it may be crossed.

    A side without levels has no best price and no depth; of a side that couldn't be read (None) nothing is known.
    """
    bid, bid_size = max(bids) if bids else (None, None)
    ask, ask_size = min(asks) if asks else (None, None)
    levels = None if bids is None or asks is None else Decimal(len(bids) + len(asks))
    state = Book(
        id=symbol,
        symbol=symbol,
        bid=bid,
        bid_size=bid_size,
        ask=ask,
        ask_size=ask_size,
        spread=EXACT.subtract(ask, bid) if ask is not None and bid is not None else None,
        bid_depth=_depth(bids),
        ask_depth=_depth(asks),
        levels=levels,
        sequence=sequence,
    )
    return Observation(state=state, time=stamp(time))


def _depth(side: Sequence[Level] | None) -> Decimal | None:
    if side is None:
        return None
    total = Decimal(0)
    for _, size in side:
        total = EXACT.add(total, size)
    return total


# What trades and books of a symbol let the daemon keep as its ticker, where a venue has none of its own.
TICKER_FROM_TRADES = frozenset({"id", "symbol", "last", "price"})
TICKER_FROM_BOOK = frozenset({"id", "symbol", "bid", "ask", "bid_size", "ask_size", "spread", "price"})
TRADE_FIELDS = frozenset({"id", "symbol", "side", "price", "amount", "cost"})
BOOK_FIELDS = frozenset(
    {
        "id",
        "symbol",
        "bid",
        "bid_size",
        "ask",
        "ask_size",
        "spread",
        "bid_depth",
        "ask_depth",
        "levels",
        "sequence",
    }
)
