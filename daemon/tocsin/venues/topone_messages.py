"""What TopOne's messages mean, pushed or fetched by REST. Times are float seconds, an envelope's `ts` milliseconds."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import EXACT, Balance, Observation, Order
from tocsin.events.kinds import OrderStatus
from tocsin.venues import derive
from tocsin.venues.base import Accepted, Control, Decoded, Refused, Reply, Unrecognized
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

DEALS = "sub_deals_"
DEPTH = "sub_depth_"


class _Message(Struct, frozen=True):
    method: Any = UNSET
    code: Any = UNSET
    msg: Any = UNSET
    ts: Any = UNSET  # ms
    id: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    ping: Raw | UnsetType = UNSET
    pong: Raw | UnsetType = UNSET


class OrderRow(Struct, frozen=True):
    id: Any
    market: Any = UNSET
    type: Any = UNSET
    side: Any = UNSET
    status: Any = UNSET  # not there in the REST answer, which lists working orders
    price: Any = UNSET
    amount: Any = UNSET
    left: Any = UNSET
    dealStock: Any = UNSET  # noqa: N815 - as the wire spells it; what has traded, of what is traded
    dealMoney: Any = UNSET  # noqa: N815 - the same, in money
    createTime: Any = UNSET  # noqa: N815 - s
    updateTime: Any = UNSET  # noqa: N815 - s


class BalanceRow(Struct, frozen=True):
    asset: Any
    available: Any = UNSET
    freeze: Any = UNSET
    total: Any = UNSET  # in the REST answer only


class _Deals(Struct, frozen=True):
    list: list[tuple[Any, Any, Any, Any]]  # time (s), price, volume, side


class _Depth(Struct, frozen=True):
    asks: list[tuple[Any, Any]]  # price, size
    bids: list[tuple[Any, Any]]
    time: Any = UNSET  # s


_read = Reader(_Message)
_read_order = Reader(OrderRow)
_read_balance = Reader(BalanceRow)
_read_deals = Reader(_Deals)
_read_depth = Reader(_Depth)

_SIDES: Mapping[str, Literal["buy", "sell"]] = {"1": "sell", "2": "buy"}
_ORDER_TYPES: Mapping[str, Literal["limit", "market", "unknown"]] = {"1": "limit", "2": "market"}
# 4 is "partial-canceled": part of it had traded when the rest was withdrawn.
_STATUSES: Mapping[str, OrderStatus] = {"1": "open", "2": "filled", "3": "canceled", "4": "canceled"}


# --------------------------------------------------------------------------------------------------------- the socket


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed."""
    bare = text.strip()
    if bare in ("ping", "pong"):
        return Decoded((Reply("pong") if bare == "ping" else Control(),))
    message = _read(text)
    if message.ping is not UNSET:
        return Decoded((derive.pong(message.ping),))
    if message.method == "ping":
        return Decoded((Reply('{"method":"pong"}'),))
    if message.method == "pong" or message.pong is not UNSET:
        return Decoded((Control(),))
    method = message.method if isinstance(message.method, str) else ""
    if given(message.code):
        return Decoded((_answered(method, message),))
    if message.data is not UNSET:
        return _pushed(method, message, message.data)
    return Decoded((Unrecognized(cut(f"method {method}" if method else "no method")),))


def _answered(method: str, message: _Message) -> Accepted | Refused | Control:
    if not succeeded(message.code):
        return Refused(method, refusal(message.code, message.msg))
    return Accepted(method) if method.startswith("sub_") else Control()


def succeeded(code: Any) -> bool:
    return str(code) == "0"


def refusal(code: Any, msg: Any) -> str:
    """A refusal's words: its `msg` and its `code`."""
    said = cut(msg) if isinstance(msg, str) else ""
    return f"{said or 'refused'} (code {cut(str(code), 20)})"


def _pushed(method: str, message: _Message, data: Raw) -> Decoded:
    if method == "sub_orders":
        return Decoded((order_observed(_read_order(data), sent=message.ts),), method)
    if method == "sub_balance":
        return Decoded((balance_observed(_read_balance(data), sent=message.ts),), method)
    if method.startswith(DEALS) and len(method) > len(DEALS):
        trades = tuple(_trades(method.removeprefix(DEALS), _read_deals(data)))
        return Decoded(trades or (Control(),), method)
    # Its tail is the step to which prices are rounded: sub_depth_TOP/ETH_1x.
    symbol, _, step = method.removeprefix(DEPTH).rpartition("_")
    if method.startswith(DEPTH) and symbol and step:
        return Decoded((_book(symbol, _read_depth(data)),), method)
    return Decoded((Unrecognized(cut(f"method {method}" if method else "no method")),))


def _trades(symbol: str, deals: _Deals) -> Iterator[Observation]:
    for time, price, volume, side in deals.list:
        yield derive.traded(
            symbol,
            _SIDES.get(str(side)),
            exact(price, "price"),
            exact(volume, "volume"),
            from_epoch(time, "s", "time"),
        )


def _book(symbol: str, depth: _Depth) -> Observation:
    # The document doesn't say in which order levels come; the book may be crossed, and then the best are still so.
    time = epoch_or_missing(depth.time, "s", "time")
    return derive.full_book(
        symbol,
        sorted(_levels(depth.bids), key=_price, reverse=True),
        sorted(_levels(depth.asks), key=_price),
        time=time if isinstance(time, datetime) else None,
    )


def _levels(side: list[tuple[Any, Any]]) -> list[derive.Level]:
    return [(exact(price, "price"), exact(size, "size")) for price, size in side]


def _price(level: derive.Level) -> Decimal:
    return level[0]


# ----------------------------------------------------------------------------------- orders and balances, either way


def order_observed(order: OrderRow, *, sent: Any = UNSET, from_rest: bool = False) -> Observation:
    """An order as pushed, or as listed by REST, where it is working and `status` is left out."""
    filled, cost = (
        number_or_missing(order.dealStock, "dealStock"),
        number_or_missing(order.dealMoney, "dealMoney"),
    )
    order_type = _order_type(order.type)
    price = number_or_missing(order.price, "price")
    updated = epoch_or_missing(order.updateTime, "s", "updateTime")
    time = updated if isinstance(updated, datetime) else epoch_or_missing(sent, "ms", "ts")
    state = Order(
        id=as_id(order.id, "id"),
        symbol=text_or_missing(order.market, "market"),
        side=_SIDES.get(str(order.side)) if given(order.side) else UNSET,
        order_type=order_type,
        status=_status("1" if from_rest and not given(order.status) else order.status, filled),
        venue_status=text_or_missing(order.status, "status"),
        price=derive.positive(price) if order_type == "market" else price,
        amount=number_or_missing(order.amount, "amount"),
        remaining=number_or_missing(order.left, "left"),
        filled=filled,
        cost=cost,
        average=derive.average_price(cost, filled),
        created=epoch_or_missing(order.createTime, "s", "createTime"),
        updated=updated,
    )
    return Observation(
        state=state,
        origin="snapshot" if from_rest else "live",
        time=time if isinstance(time, datetime) else None,
    )


def _order_type(wire: Any) -> Literal["limit", "market", "unknown"] | UnsetType:
    return _ORDER_TYPES.get(str(wire), "unknown") if given(wire) else UNSET


def _status(wire: Any, filled: Decimal | UnsetType | None) -> OrderStatus:
    if not given(wire):
        return UNSET
    status = _STATUSES.get(str(wire), "unknown")
    return "partially_filled" if status == "open" and isinstance(filled, Decimal) and filled > 0 else status


def balance_observed(balance: BalanceRow, *, sent: Any = UNSET, from_rest: bool = False) -> Observation:
    asset = as_id(balance.asset, "asset")
    available, locked = (
        number_or_missing(balance.available, "available"),
        number_or_missing(balance.freeze, "freeze"),
    )
    total = number_or_missing(balance.total, "total")
    if total is UNSET and isinstance(available, Decimal) and isinstance(locked, Decimal):
        total = EXACT.add(available, locked)
    time = epoch_or_missing(sent, "ms", "ts")
    return Observation(
        state=Balance(id=asset, asset=asset, available=available, locked=locked, total=total),
        origin="snapshot" if from_rest else "live",
        time=time if isinstance(time, datetime) else None,
    )
