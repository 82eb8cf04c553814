"""What Piexgo's messages mean. Numbers come as text or as numbers, times in s, ms and ns (stated at each field)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Balance, Observation, Order
from tocsin.events.kinds import OrderStatus
from tocsin.venues import derive
from tocsin.venues.base import Accepted, Control, Decoded, Malformed, Refused, Unrecognized
from tocsin.venues.wire import (
    Reader,
    as_id,
    cut,
    epoch_or_missing,
    exact,
    from_epoch,
    given,
    number_or_missing,
    text_or_missing,
)

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
    time: Any  # ms
    direct: Any
    price: Any
    vol: Any


class _Level(Struct, frozen=True):
    index: int
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
    value: Any


_read = Reader(_Message)
_read_deals = Reader(list[_Deal])
_read_levels = Reader(list[_Level])
_read_order = Reader(_Order)
_read_balance = Reader(_Balance)

_DIRECTIONS: Mapping[str, Literal["buy", "sell"]] = {"0": "buy", "1": "sell"}
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_ORDER_TYPES: Mapping[str, Literal["limit", "market", "stop_limit", "unknown"]] = {
    "0": "limit", "1": "market", "2": "stop_limit",
}  # fmt: skip
_STATUSES: Mapping[str, OrderStatus] = {
    "0": "open", "2": "filled", "4": "canceled", "5": "rejected", "-1": "pending",
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- its meaning


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed."""
    message = _read(text)
    if message.ping is not UNSET:
        return Decoded((derive.pong(message.ping),))
    if given(message.err_code) and _code(message.err_code) != 0:
        return Decoded((_refused(message),))
    if message.topic == "dealinfo" and message.deals is not UNSET:
        return _trades(message, message.deals)
    if message.topic == "depth" and message.buy_book is not UNSET and message.sell_book is not UNSET:
        return _depth(message, message.buy_book, message.sell_book)
    if message.topic == "pinfo" and message.data is not UNSET:
        return Decoded((_private(message, message.data),), "pinfo")
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


def _trades(message: _Message, deals: Raw) -> Decoded:
    symbol = as_id(message.symbol, "symbol")
    items = tuple(
        derive.traded(
            symbol,
            _DIRECTIONS.get(str(deal.direct)),
            exact(deal.price, "price"),
            exact(deal.vol, "vol"),
            from_epoch(deal.time, "ms", "time"),
        )
        for deal in _read_deals(deals)
    )
    return Decoded(items or (Control(),), f"dealinfo.{symbol.lower()}")


def _depth(message: _Message, buying: Raw, selling: Raw) -> Decoded:
    symbol = as_id(message.symbol, "symbol")
    observation = derive.full_book(
        symbol, _levels(buying), _levels(selling), sequence=text_or_missing(message.change_id, "change_id")
    )
    return Decoded((observation,), f"depth.{symbol.lower()}")


def _levels(side: Raw) -> list[derive.Level]:
    levels = sorted(_read_levels(side), key=lambda level: level.index)
    return [(exact(level.price, "price"), exact(level.qty, "qty")) for level in levels]


def _private(message: _Message, data: Raw) -> Observation | Unrecognized:
    if message.type == "order":
        return _order(_read_order(data))
    if message.type == "balance":
        return _balance(_read_balance(data))
    return Unrecognized(cut(f"pinfo of type {message.type!r:.60}"))


def _order(order: _Order) -> Observation:
    amount, remaining = number_or_missing(order.volume, "volume"), number_or_missing(order.remain, "remain")
    filled = derive.difference(amount, remaining)
    order_type = _order_type(order.flag)
    price = number_or_missing(order.order_price, "order_price")
    happened = epoch_or_missing(order.id, "ns", "id")
    state = Order(
        id=as_id(order.order_id, "order_id"),
        symbol=text_or_missing(order.market, "market"),
        side=_SIDES.get(str(order.type)) if given(order.type) else UNSET,
        order_type=order_type,
        status=_status(order.status, filled),
        venue_status=text_or_missing(order.status, "status"),
        price=derive.positive(price) if order_type == "market" else price,
        stop_price=derive.positive(number_or_missing(order.stop, "stop")),
        amount=amount,
        remaining=remaining,
        filled=filled,
        average=_average(order.price, filled),
        cost=number_or_missing(order.amount, "amount"),
        created=epoch_or_missing(order.timestamp, "s", "timestamp"),
        updated=happened,
    )
    return Observation(state=state, time=happened if isinstance(happened, datetime) else None)


def _order_type(flag: Any) -> Literal["limit", "market", "stop_limit", "unknown"] | UnsetType:
    return _ORDER_TYPES.get(str(flag), "unknown") if given(flag) else UNSET


def _status(wire: Any, filled: Decimal | UnsetType) -> OrderStatus:
    if not given(wire):
        return UNSET
    status = _STATUSES.get(str(wire), "unknown")
    return "partially_filled" if status == "open" and filled is not UNSET and filled > 0 else status


def _average(price: Any, filled: Decimal | UnsetType) -> Decimal | UnsetType | None:
    """The wire's `price`, which means something only where something has traded."""
    if filled is UNSET:
        return UNSET
    return number_or_missing(price, "price") if filled > 0 else None


def _balance(balance: _Balance) -> Observation | Unrecognized:
    asset, value = as_id(balance.token, "token"), exact(balance.value, "value")
    if balance.type == "balance":
        return Observation(state=Balance(id=asset, asset=asset, available=value))
    if balance.type == "locked":
        return Observation(state=Balance(id=asset, asset=asset, locked=value))
    # Which of the two it would be is unknown, so it overwrites neither.
    return Unrecognized(cut(f"balance of type {balance.type!r:.60}"))
