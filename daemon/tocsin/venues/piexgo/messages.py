"""What Piexgo's messages mean. Numbers come as text or as numbers, times in s, ms and ns (stated at each field)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Balance, Observation, Order
from tocsin.venues import derive
from tocsin.venues.base import Accepted, Control, Decoded, Item, Malformed, Refused, Unrecognized
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, below, cut, exact, given

# errors.md: 10440 is a bad or expired key, signature or time; 101xx is "unable to process your request. Please try
# again". Codes are written with and without a minus.
_BAD_CREDENTIALS = 10440
_TRY_AGAIN = range(10100, 10200)


class _Message(Struct, frozen=True):
    topic: Any = UNSET
    type: Any = UNSET
    op: Any = UNSET
    symbol: Any = UNSET
    err_code: Any = UNSET
    err_msg: Any = UNSET
    msg: Any = UNSET
    change_id: Any = UNSET
    ping: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    deals: Raw | UnsetType = UNSET
    buy_book: Raw | UnsetType = UNSET
    sell_book: Raw | UnsetType = UNSET


class _Deal(Struct, frozen=True):
    time: Any = UNSET  # ms
    direct: Any = UNSET
    price: Any = UNSET
    vol: Any = UNSET


class _Level(Struct, frozen=True):
    price: Any
    qty: Any


class _Order(Struct, frozen=True):
    order_id: Any
    status: Any = UNSET
    order_price: Any = UNSET  # the limit
    price: Any = UNSET  # the average of what has traded
    stop: Any = UNSET
    volume: Any = UNSET
    remain: Any = UNSET
    amount: Any = UNSET  # money
    type: Any = UNSET
    flag: Any = UNSET
    market: Any = UNSET
    timestamp: Any = UNSET  # s
    id: Any = UNSET  # of the event, in ns: past 2**53


class _Balance(Struct, frozen=True):
    token: Any
    type: Any
    value: Any = UNSET
    id: Any = UNSET  # of the event: a number that grows


_read = Reader(_Message)
_read_deals = Reader(list[_Deal])
_read_levels = Reader(list[_Level])
_read_order = Reader(_Order)
_read_balance = Reader(_Balance)

_OrderType: TypeAlias = Literal["limit", "market", "stop_limit", "unknown"]
_Status: TypeAlias = Literal[
    "open", "filled", "canceled", "rejected", "pending", "partially_filled", "unknown"
]
_DIRECTIONS: Mapping[str, Literal["buy", "sell"]] = {"0": "buy", "1": "sell"}
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_ORDER_TYPES: Mapping[str, _OrderType] = {
    "0": "limit", "1": "market", "2": "stop_limit",
}  # fmt: skip
_STATUSES: Mapping[str, _Status] = {
    "0": "open", "2": "filled", "4": "canceled", "5": "rejected", "-1": "pending",
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- its meaning


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed."""
    part = Part()
    message = _read(text, part.note)
    if message.ping is not UNSET:
        return Decoded((derive.pong(message.ping),))
    if given(message.err_code) and _code(message.err_code) != 0:
        return Decoded((_refused(message),))
    if message.topic == "dealinfo" and message.deals is not UNSET:
        return _trades(message, message.deals, part)
    if message.topic == "depth" and message.buy_book is not UNSET and message.sell_book is not UNSET:
        return _depth(message, message.buy_book, message.sell_book, part)
    if message.topic == "pinfo" and message.data is not UNSET:
        return Decoded(_private(message, message.data, part), "pinfo")
    if message.op == "subscribe" or given(message.err_code):
        # How a subscription is acknowledged is not documented; its own words or an err_code of 0 can mean no other.
        return Decoded((Accepted(message.topic) if isinstance(message.topic, str) else Control(),))
    return Decoded(
        (Unrecognized(cut(f"topic {message.topic!r:.60}" if given(message.topic) else "no topic")),)
    )


def _code(wire: Any) -> int | None:
    """The error code without its sign, which the venue's pages don't agree on; None for one that is no number."""
    try:
        return abs(int(exact(wire, "err_code")))
    except (Malformed, ArithmeticError):
        return None


def _refused(message: _Message) -> Refused:
    code = _code(message.err_code)
    said = next(
        (said for said in (message.err_msg, message.msg) if isinstance(said, str) and said), "refused"
    )
    return Refused(
        message.topic if isinstance(message.topic, str) else "",
        f"{cut(said)} (err_code {cut(str(message.err_code), 20)})",
        "auth_failed" if code == _BAD_CREDENTIALS else "retry" if code in _TRY_AGAIN else "refused",
    )


def _trades(message: _Message, deals: Raw, part: Part) -> Decoded:
    symbol, part.of = as_id(message.symbol, "symbol"), "dealinfo"
    items = [
        derive.public_trade(
            symbol,
            part.word(deal.direct, _DIRECTIONS, "direct"),
            part.price(deal.price, "price"),
            part.number(deal.vol, "vol"),
            part.epoch(deal.time, "ms", "time"),
        )
        for deal in _read_deals(deals, below("deals", part.note))
    ]
    return Decoded((*items, *part.unreadable) or (Control(),), f"dealinfo.{symbol.lower()}")


def _depth(message: _Message, buying: Raw, selling: Raw, part: Part) -> Decoded:
    symbol, part.of = as_id(message.symbol, "symbol"), "depth"
    observation = derive.full_book(
        symbol,
        _levels(buying, "buy_book", part),
        _levels(selling, "sell_book", part),
        sequence=part.text(message.change_id, "change_id"),
    )
    return Decoded((observation, *part.unreadable), f"depth.{symbol.lower()}")


def _levels(side: Raw, field: str, part: Part) -> list[derive.Level] | None:
    """Of a side that couldn't be read None."""
    try:
        rows = _read_levels(side, below(field, part.note))
    except Malformed as malformed:
        part.note(field, str(malformed))
        return None
    return part.levels(((row.price, row.qty) for row in rows), field)


def _private(message: _Message, data: Raw, part: Part) -> tuple[Item, ...]:
    if message.type == "order":
        part.of = "order"
        return (_order(_read_order(data, part.note), part), *part.unreadable)
    if message.type == "balance":
        part.of = "balance"
        return (_balance(_read_balance(data, part.note), part), *part.unreadable)
    return (Unrecognized(cut(f"pinfo of type {message.type!r:.60}")),)


def _order(order: _Order, part: Part) -> Observation:
    amount, remaining = part.number(order.volume, "volume"), part.number(order.remain, "remain")
    filled = derive.difference(amount, remaining)
    order_type = part.word(order.flag, _ORDER_TYPES, "flag", "unknown")
    status, venue_status = part.status(order.status, _STATUSES, "status", "unknown")
    if status == "open" and filled is not UNSET and filled > 0:
        status = "partially_filled"
    price = part.number(order.order_price, "order_price")
    happened = part.epoch(order.id, "ns", "id")
    state = Order(
        id=as_id(order.order_id, "order_id"),
        symbol=part.text(order.market, "market"),
        side=part.word(order.type, _SIDES, "type"),
        order_type=order_type,
        status=status,
        venue_status=venue_status,
        price=positive(price) if order_type == "market" else price,
        stop_price=part.price(order.stop, "stop"),
        amount=amount,
        remaining=remaining,
        filled=filled,
        average=_average(part.number(order.price, "price"), filled),
        cost=part.number(order.amount, "amount"),
        created=part.epoch(order.timestamp, "s", "timestamp"),
        updated=happened,
    )
    # Whether `timestamp` is the order's or the event's isn't documented, so it tells no life from another.
    return Observation(state=state, time=derive.stamp(happened), unordered=("created",))


def _average(price: Decimal | UnsetType | None, filled: Decimal | UnsetType) -> Decimal | UnsetType | None:
    """The wire's `price`, which means something only where something has traded."""
    if filled is UNSET:
        return UNSET
    return price if filled > 0 else None


def _balance(balance: _Balance, part: Part) -> Observation | Unrecognized:
    asset, value = as_id(balance.token, "token"), part.number(balance.value, "value")
    sequence = int(balance.id) if str(balance.id).isdecimal() else None
    if balance.type == "balance":
        return Observation(state=Balance(id=asset, asset=asset, available=value), sequence=sequence)
    if balance.type == "locked":
        return Observation(state=Balance(id=asset, asset=asset, locked=value), sequence=sequence)
    # Which of the two it would be is unknown, so it overwrites neither.
    return Unrecognized(cut(f"balance of type {balance.type!r:.60}"))
