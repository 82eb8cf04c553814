"""What TopOne's messages mean, pushed or fetched by REST. Times are float seconds, an envelope's `ts` milliseconds."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import EXACT, Balance, Observation, Order
from tocsin.venues import derive
from tocsin.venues.base import Accepted, Control, Decoded, Refused, Reply, Unrecognized
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, cut, given

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
    finishTime: Any = UNSET  # noqa: N815 - s; the same, of what is over, in the REST history


class BalanceRow(Struct, frozen=True):
    asset: Any
    available: Any = UNSET
    freeze: Any = UNSET
    total: Any = UNSET  # in the REST answer only


class _Deal(Struct, frozen=True, array_like=True):
    time: Any  # s
    price: Any = UNSET
    volume: Any = UNSET
    side: Any = UNSET


class _Deals(Struct, frozen=True):
    list: list[_Deal]


class _Level(Struct, frozen=True, array_like=True):
    price: Any
    size: Any


class _Depth(Struct, frozen=True):
    asks: list[_Level] | UnsetType | None
    bids: list[_Level] | UnsetType | None
    time: Any = UNSET  # s


_read = Reader(_Message)
_read_order = Reader(OrderRow)
_read_balance = Reader(BalanceRow)
_read_deals = Reader(_Deals)
_read_depth = Reader(_Depth)

_OrderType: TypeAlias = Literal["limit", "market", "unknown"]
_Status: TypeAlias = Literal["open", "filled", "canceled", "partially_filled", "unknown"]
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"1": "sell", "2": "buy"}
_ORDER_TYPES: Mapping[str, _OrderType] = {"1": "limit", "2": "market"}
# 4 is "partial-canceled": part of it had traded when the rest was withdrawn.
_STATUSES: Mapping[str, _Status] = {"1": "open", "2": "filled", "3": "canceled", "4": "canceled"}


# --------------------------------------------------------------------------------------------------------- the socket


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed."""
    bare = text.strip()
    if bare in ("ping", "pong"):
        return Decoded((Reply("pong") if bare == "ping" else Control(),))
    part = Part()
    message = _read(text, part.note)
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
        return _pushed(method, message, message.data, part)
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


def _pushed(method: str, message: _Message, data: Raw, part: Part) -> Decoded:
    if method == "sub_orders":
        part.of = "order"
        order = order_observed(_read_order(data, part.note), part, sent=message.ts)
        return Decoded((order, *part.unreadable), method)
    if method == "sub_balance":
        part.of = "balance"
        balance = balance_observed(_read_balance(data, part.note), part, sent=message.ts)
        return Decoded((balance, *part.unreadable), method)
    if method.startswith(DEALS) and len(method) > len(DEALS):
        part.of = "deals"
        trades = tuple(_trades(method.removeprefix(DEALS), _read_deals(data, part.note), part))
        return Decoded((*trades, *part.unreadable) or (Control(),), method)
    # Its tail is the step to which prices are rounded: sub_depth_TOP/ETH_1x.
    symbol, _, step = method.removeprefix(DEPTH).rpartition("_")
    if method.startswith(DEPTH) and symbol and step:
        part.of = "depth"
        return Decoded((_book(symbol, _read_depth(data, part.note), part), *part.unreadable), method)
    return Decoded((Unrecognized(cut(f"method {method}" if method else "no method")),))


def _trades(symbol: str, deals: _Deals, part: Part) -> Iterator[Observation]:
    for deal in deals.list:
        yield derive.public_trade(
            symbol,
            part.word(deal.side, _SIDES, "side"),
            part.price(deal.price, "price"),
            part.number(deal.volume, "volume"),
            part.epoch(deal.time, "s", "time"),
        )


def _book(symbol: str, depth: _Depth, part: Part) -> Observation:
    return derive.full_book(
        symbol,
        _levels(depth.bids, "bids", part),
        _levels(depth.asks, "asks", part),
        time=part.epoch(depth.time, "s", "time"),
    )


def _levels(side: list[_Level] | UnsetType | None, field: str, part: Part) -> list[derive.Level] | None:
    """Of a side that couldn't be read None."""
    return None if side is UNSET else part.levels(((row.price, row.size) for row in side or ()), field)


# ----------------------------------------------------------------------------------- orders and balances, either way


def order_observed(order: OrderRow, part: Part, *, sent: Any = UNSET, from_rest: bool = False) -> Observation:
    """An order as pushed, or as listed by REST, where `status` is left out of those that are working."""
    filled, cost = part.number(order.dealStock, "dealStock"), part.number(order.dealMoney, "dealMoney")
    over = order.updateTime is UNSET and order.finishTime is not UNSET
    order_type = part.word(order.type, _ORDER_TYPES, "type", "unknown")
    status, venue_status = part.status(order.status, _STATUSES, "status", "unknown")
    if from_rest and status is UNSET and not over:
        status = "open"
    if status == "open" and isinstance(filled, Decimal) and filled > 0:
        status = "partially_filled"
    price = part.number(order.price, "price")
    updated = part.epoch(order.finishTime if over else order.updateTime, "s", "updateTime")
    state = Order(
        id=as_id(order.id, "id"),
        symbol=part.text(order.market, "market"),
        side=part.word(order.side, _SIDES, "side"),
        order_type=order_type,
        status=status,
        venue_status=venue_status,
        price=positive(price) if order_type == "market" else price,
        amount=part.number(order.amount, "amount"),
        remaining=part.number(order.left, "left"),
        filled=filled,
        cost=cost,
        average=derive.average_price(cost, filled),
        created=part.epoch(order.createTime, "s", "createTime"),
        updated=updated,
    )
    return Observation(
        state=state,
        origin="snapshot" if from_rest else "live",
        time=derive.stamp(updated) or derive.stamp(part.epoch(sent, "ms", "ts")),
    )


def balance_observed(
    balance: BalanceRow, part: Part, *, sent: Any = UNSET, from_rest: bool = False
) -> Observation:
    asset = as_id(balance.asset, "asset")
    available, locked = part.number(balance.available, "available"), part.number(balance.freeze, "freeze")
    total = part.number(balance.total, "total")
    if total is UNSET and isinstance(available, Decimal) and isinstance(locked, Decimal):
        total = EXACT.add(available, locked)
    return Observation(
        state=Balance(id=asset, asset=asset, available=available, locked=locked, total=total),
        origin="snapshot" if from_rest else "live",
        time=derive.stamp(part.epoch(sent, "ms", "ts")),
    )
