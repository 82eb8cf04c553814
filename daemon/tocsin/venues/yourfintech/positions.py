"""What Yourfintech's events about positions and pending positions (orders) mean.

Each holds one key that says what happened (`created`, `closed`, …), and that key is what counts: a position comes
`closed` with close_date, close_reason and asset_close_price all null. All dates are microseconds since 1970, whatever
their names say; those of an update don't move, so `time` is given only where a date is that of the event, and only
`opened` tells an older message about a position from a newer one.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import EXACT, Observation, Order, Position, number
from tocsin.venues.base import Item, Malformed, Unrecognized
from tocsin.venues.derive import stamp
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, cut, exact, given

_OrderType: TypeAlias = Literal["limit", "market", "stop", "stop_limit", "unknown"]
_OrderStatus: TypeAlias = Literal["open", "canceled", "rejected", "filled"]

_POSITION_SIDES: Mapping[str, Literal["long", "short"]] = {"buy": "long", "sell": "short"}
_ORDER_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_ORDER_TYPES: Mapping[str, _OrderType] = {
    "limit": "limit", "market": "market", "stop": "stop", "stoplimit": "stop_limit", "stop_limit": "stop_limit",
}  # fmt: skip
_NO_SWAPS = number(0)
_POSITION_EVENTS: Mapping[str, tuple[Literal["open", "closed"], str]] = {
    "created": ("open", "position.opened"),
    "updated": ("open", "position.updated"),
    "closed": ("closed", "position.closed"),
}
_ORDER_EVENTS: Mapping[str, _OrderStatus] = {
    "created": "open", "updated": "open", "canceled": "canceled", "failed": "rejected", "executed": "filled",
}  # fmt: skip


class _Deal(Struct, frozen=True, gc=False):
    """What positions and pending positions have in common."""

    id: Any
    account_id: Any
    asset_pair: Any = UNSET
    side: Any = UNSET
    lots_amount: Any = UNSET
    lost_amount: Any = UNSET  # lots_amount misspelt, not a loss
    lots_size: Any = UNSET
    tp_in_instrument_price: Any = UNSET
    sl_in_instrument_price: Any = UNSET
    collateral_currency: Any = UNSET
    create_date: Any = UNSET
    last_update_date: Any = UNSET


class _Position(_Deal, frozen=True, gc=False):
    leverage: Any = UNSET
    tp_in_currency: Any = UNSET
    sl_in_currency: Any = UNSET
    profit: Any = UNSET
    asset_open_price: Any = UNSET
    asset_close_price: Any = UNSET
    open_date: Any = UNSET
    close_date: Any = UNSET
    close_reason: Any = UNSET
    margin_price: Any = UNSET
    profit_price: Any = UNSET
    swaps: Any = UNSET
    commission: Any = UNSET


class _PendingPosition(_Deal, frozen=True, gc=False):
    order_type: Any = UNSET
    desire_price: Any = UNSET
    execute_price: Any = UNSET


_read_position = Reader(_Position)
_read_pending = Reader(_PendingPosition)


def position_event(name: str, content: Raw) -> list[Item]:
    word = name.lower()
    if word not in _POSITION_EVENTS:
        return [Unrecognized(f"position {cut(name, 64)}")]
    status, event = _POSITION_EVENTS[word]
    part = Part("position")
    row = _read_position(content, part.note)
    state = _position(row, status, part)
    time = state.opened if word == "created" else state.closed if word == "closed" else None
    account = as_id(row.account_id, "position.account_id")
    unordered = ("updated", "time")
    observation = Observation(
        state=state, account=account, event=event, time=stamp(time), unordered=unordered
    )
    return [observation, *part.unreadable]


def _position(row: _Position, status: Literal["open", "closed"], part: Part) -> Position:
    close_price = part.price(row.asset_close_price, "asset_close_price")
    if status == "open" and close_price is None:
        close_price = UNSET  # "not closed yet" says nothing about where the price stands now
    return Position(
        id=as_id(row.id, "position.id"),
        symbol=part.text(row.asset_pair, "asset_pair"),
        side=part.word(row.side, _POSITION_SIDES, "side"),
        status=status,
        amount=_amount(row, part),
        entry_price=part.number(row.asset_open_price, "asset_open_price"),
        mark_price=close_price,
        profit=part.number(row.profit, "profit"),
        currency=part.text(row.collateral_currency, "collateral_currency"),
        leverage=positive(part.number(row.leverage, "leverage")),
        stop_loss=part.number(row.sl_in_instrument_price, "sl_in_instrument_price"),
        take_profit=part.number(row.tp_in_instrument_price, "tp_in_instrument_price"),
        stop_loss_amount=part.number(row.sl_in_currency, "sl_in_currency"),
        take_profit_amount=part.number(row.tp_in_currency, "tp_in_currency"),
        commission=part.number(row.commission, "commission"),
        swap=_swap(row.swaps, part),
        margin_price=part.number(row.margin_price, "margin_price"),
        reason=part.text(row.close_reason, "close_reason"),
        opened=part.epoch(row.open_date, "us", "open_date"),
        closed=part.epoch(row.close_date, "us", "close_date"),
        updated=part.epoch(row.last_update_date, "us", "last_update_date"),
        lot_size=part.number(row.lots_size, "lots_size"),
        profit_price=part.number(row.profit_price, "profit_price"),
    )


def pending_event(name: str, content: Raw) -> list[Item]:
    word = name.lower()
    if word not in _ORDER_EVENTS:
        return [Unrecognized(f"pending_position {cut(name, 64)}")]
    part = Part("pending_position")
    row = _read_pending(content, part.note)
    order = Order(
        id=as_id(row.id, "pending_position.id"),
        symbol=part.text(row.asset_pair, "asset_pair"),
        side=part.word(row.side, _ORDER_SIDES, "side"),
        order_type=part.word(row.order_type, _ORDER_TYPES, "order_type", "unknown"),
        status=_ORDER_EVENTS[word],
        venue_status=name,
        price=part.number(row.desire_price, "desire_price"),
        amount=_amount(row, part),
        average=part.price(row.execute_price, "execute_price"),
        currency=part.text(row.collateral_currency, "collateral_currency"),
        stop_loss=part.number(row.sl_in_instrument_price, "sl_in_instrument_price"),
        take_profit=part.number(row.tp_in_instrument_price, "tp_in_instrument_price"),
        created=part.epoch(row.create_date, "us", "create_date"),
        updated=part.epoch(row.last_update_date, "us", "last_update_date"),
    )
    account = as_id(row.account_id, "pending_position.account_id")
    time = stamp(order.created) if word == "created" else None
    return [Observation(state=order, account=account, time=time), *part.unreadable]


def _amount(row: _Deal, part: Part) -> Decimal | UnsetType | None:
    if given(row.lots_amount) or row.lost_amount is UNSET:
        return part.number(row.lots_amount, "lots_amount")
    return part.number(row.lost_amount, "lost_amount")


def _swap(wire: Any, part: Part) -> Decimal | UnsetType | None:
    """The sum of the swaps.

    What one looks like isn't documented: a number, or an object with `amount` or `delta` (the venue's words for money
    elsewhere), is understood; anything else makes the sum unknown.
    """
    if wire is None or wire is UNSET:
        return wire
    if wire == []:
        return _NO_SWAPS
    amounts = [_swap_amount(swap) for swap in wire] if isinstance(wire, list) else [None]
    try:
        known = [exact(amount, "swaps") for amount in amounts]
    except Malformed:
        part.note("swaps", "an unknown shape")
        return None
    total = known[0]
    for amount in known[1:]:
        total = EXACT.add(total, amount)
    return total


def _swap_amount(swap: Any) -> Any:
    return swap.get("amount", swap.get("delta")) if isinstance(swap, dict) else swap
