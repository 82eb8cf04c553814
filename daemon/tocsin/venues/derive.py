"""What decoders compute from a single message, exactly: sizes, averages, the head of an order book."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal
from typing import Literal, TypeAlias

from msgspec import UNSET, Raw, UnsetType

from tocsin.events import EXACT, Book, Observation, Trade
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
    return _ROUNDED.normalize(EXACT.divide(cost, filled))


def positive(value: Decimal | UnsetType | None) -> Decimal | UnsetType | None:
    """None for a zero by which a venue means "none"."""
    return None if isinstance(value, Decimal) and value == 0 else value


def traded(
    symbol: str, side: Literal["buy", "sell"] | None, price: Decimal, amount: Decimal, time: datetime
) -> Observation:
    """A public trade. Venues that give trades no id have the symbol for one: the latest of a symbol is what is kept."""
    cost = EXACT.normalize(EXACT.multiply(price, amount))
    state = Trade(id=symbol, symbol=symbol, side=side, price=price, amount=amount, cost=cost)
    return Observation(state=state, event="trade.executed", time=time)


def full_book(
    symbol: str,
    bids: Iterable[Level],
    asks: Iterable[Level],
    *,
    sequence: str | UnsetType | None = UNSET,
    time: datetime | None = None,
) -> Observation:
    """A complete picture of a book, each side best first. A side without levels has no best price and no depth."""
    buying, selling = list(bids), list(asks)
    bid, bid_size = buying[0] if buying else (None, None)
    ask, ask_size = selling[0] if selling else (None, None)
    state = Book(
        id=symbol,
        symbol=symbol,
        bid=bid,
        bid_size=bid_size,
        ask=ask,
        ask_size=ask_size,
        spread=EXACT.subtract(ask, bid) if ask is not None and bid is not None else None,
        bid_depth=_sum(size for _, size in buying),
        ask_depth=_sum(size for _, size in selling),
        levels=Decimal(len(buying) + len(selling)),
        sequence=sequence,
    )
    return Observation(state=state, time=time)


def _sum(sizes: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for size in sizes:
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
