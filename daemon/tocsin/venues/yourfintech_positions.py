"""What Yourfintech's events about positions and pending positions (orders) mean.

Each holds one key that says what happened (`created`, `closed`, …), and that key is what counts: a position comes
`closed` with close_date, close_reason and asset_close_price all null. All dates are microseconds since 1970, whatever
their names say; those of an update don't move, so `time` is given only where a date is that of the event.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import EXACT, Observation, Order, Position, number
from tocsin.venues.base import Item, Unrecognized
from tocsin.venues.derive import positive
from tocsin.venues.wire import (
    Reader,
    as_id,
    cut,
    epoch_or_missing,
    exact,
    given,
    number_or_missing,
    text_or_missing,
    translated,
)
from tocsin.venues.yourfintech_accounts import date_of

_OrderType: TypeAlias = Literal["limit", "market", "stop", "stop_limit", "unknown"]
_OrderStatus: TypeAlias = Literal["open", "canceled", "rejected", "filled"]

_POSITION_SIDES: Mapping[str, Literal["long", "short"]] = {"buy": "long", "sell": "short"}
_ORDER_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell"}
_ORDER_TYPES: Mapping[str, _OrderType] = {
    "limit": "limit", "market": "market", "stop": "stop", "stoplimit": "stop_limit", "stop_limit": "stop_limit",
}  # fmt: skip
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
    if name not in _POSITION_EVENTS:
        return [Unrecognized(f"position {cut(name, 64)}")]
    status, event = _POSITION_EVENTS[name]
    row = _read_position(content)
    odd: list[Item] = []
    position = _position(row, status, odd)
    time = {"created": row.open_date, "closed": row.close_date}.get(name)
    observation = Observation(
        state=position,
        account=as_id(row.account_id, "position.account_id"),
        event=event,
        time=date_of(time, f"position.{'close' if status == 'closed' else 'open'}_date"),
    )
    return [observation, *odd]


def _position(row: _Position, status: Literal["open", "closed"], odd: list[Item]) -> Position:
    close_price = number_or_missing(row.asset_close_price, "position.asset_close_price")
    if status == "open" and close_price is None:
        close_price = UNSET  # "not closed yet" says nothing about where the price stands now
    return Position(
        id=as_id(row.id, "position.id"),
        symbol=text_or_missing(row.asset_pair, "position.asset_pair"),
        side=translated(row.side, _POSITION_SIDES, "position.side", odd),
        status=status,
        amount=_amount(row),
        entry_price=number_or_missing(row.asset_open_price, "position.asset_open_price"),
        mark_price=close_price,
        profit=number_or_missing(row.profit, "position.profit"),
        currency=text_or_missing(row.collateral_currency, "position.collateral_currency"),
        leverage=positive(number_or_missing(row.leverage, "position.leverage")),
        stop_loss=number_or_missing(row.sl_in_instrument_price, "position.sl_in_instrument_price"),
        take_profit=number_or_missing(row.tp_in_instrument_price, "position.tp_in_instrument_price"),
        stop_loss_amount=number_or_missing(row.sl_in_currency, "position.sl_in_currency"),
        take_profit_amount=number_or_missing(row.tp_in_currency, "position.tp_in_currency"),
        commission=number_or_missing(row.commission, "position.commission"),
        swap=_swap(row.swaps, odd),
        margin_price=number_or_missing(row.margin_price, "position.margin_price"),
        reason=text_or_missing(row.close_reason, "position.close_reason"),
        opened=epoch_or_missing(row.open_date, "us", "position.open_date"),
        closed=epoch_or_missing(row.close_date, "us", "position.close_date"),
        updated=epoch_or_missing(row.last_update_date, "us", "position.last_update_date"),
        lot_size=number_or_missing(row.lots_size, "position.lots_size"),
        profit_price=number_or_missing(row.profit_price, "position.profit_price"),
    )


def pending_event(name: str, content: Raw) -> list[Item]:
    if name not in _ORDER_EVENTS:
        return [Unrecognized(f"pending_position {cut(name, 64)}")]
    row = _read_pending(content)
    odd: list[Item] = []
    order = Order(
        id=as_id(row.id, "pending_position.id"),
        symbol=text_or_missing(row.asset_pair, "pending_position.asset_pair"),
        side=translated(row.side, _ORDER_SIDES, "pending_position.side", odd),
        order_type=_order_type(row.order_type),
        status=_ORDER_EVENTS[name],
        venue_status=name,
        price=number_or_missing(row.desire_price, "pending_position.desire_price"),
        amount=_amount(row),
        average=positive(number_or_missing(row.execute_price, "pending_position.execute_price")),
        currency=text_or_missing(row.collateral_currency, "pending_position.collateral_currency"),
        stop_loss=number_or_missing(row.sl_in_instrument_price, "pending_position.sl_in_instrument_price"),
        take_profit=number_or_missing(row.tp_in_instrument_price, "pending_position.tp_in_instrument_price"),
        created=epoch_or_missing(row.create_date, "us", "pending_position.create_date"),
        updated=epoch_or_missing(row.last_update_date, "us", "pending_position.last_update_date"),
    )
    time = row.create_date if name == "created" else None
    account = as_id(row.account_id, "pending_position.account_id")
    return [
        Observation(state=order, account=account, time=date_of(time, "pending_position.create_date")),
        *odd,
    ]


def _order_type(wire: Any) -> _OrderType | UnsetType | None:
    word = text_or_missing(wire, "pending_position.order_type")
    return _ORDER_TYPES.get(word.lower(), "unknown") if isinstance(word, str) else word


def _amount(row: _Deal) -> Decimal | UnsetType | None:
    if given(row.lots_amount) or row.lost_amount is UNSET:
        return number_or_missing(row.lots_amount, "lots_amount")
    return number_or_missing(row.lost_amount, "lost_amount")


def _swap(wire: Any, odd: list[Item]) -> Decimal | UnsetType | None:
    """The sum of the swaps.

    What one looks like isn't documented: a number, or an object with `amount` or `delta` (the venue's words for money
    elsewhere), is understood; anything else makes the sum unknown.
    """
    if wire is None or wire is UNSET:
        return wire
    amounts = [_swap_amount(swap) for swap in wire] if isinstance(wire, list) else [None]
    if None in amounts:
        odd.append(Unrecognized("position.swaps of an unknown shape"))
        return None
    known = [exact(amount, "position.swaps") for amount in amounts]
    total = known[0] if known else number(0)
    for amount in known[1:]:
        total = EXACT.add(total, amount)
    return total


def _swap_amount(swap: Any) -> Any:
    if isinstance(swap, dict):
        swap = swap.get("amount", swap.get("delta"))
    return swap if isinstance(swap, (int, Decimal)) and not isinstance(swap, bool) else None
