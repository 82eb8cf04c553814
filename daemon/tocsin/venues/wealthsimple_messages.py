"""What Wealthsimple's messages mean. Numbers of crypto come as numbers, those of equities as text; both are exact."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Account, Observation, Order, Ticker
from tocsin.events.kinds import OrderStatus
from tocsin.venues import derive
from tocsin.venues.base import Control, Decoded, Malformed, Unrecognized
from tocsin.venues.wire import Reader, as_id, cut, given, iso_or_missing, number_or_missing, text_or_missing

_CRYPTO = "sec-z-"


class _Kind(Struct, frozen=True):
    type: Any = UNSET


class _Money(Struct, frozen=True):
    amount: Any = UNSET
    currency: Any = UNSET


class _Order(Struct, frozen=True):
    """As the REST page has it; what `pending_orders` holds isn't shown anywhere."""

    order_id: Any = UNSET
    id: Any = UNSET  # the same
    symbol: Any = UNSET
    order_type: Any = UNSET
    order_sub_type: Any = UNSET
    status: Any = UNSET
    quantity: Any = UNSET
    fill_quantity: Any = UNSET
    limit_price: _Money | UnsetType | None = UNSET
    stop_price: Any = UNSET  # only ever seen as null
    market_currency: Any = UNSET
    time_in_force: Any = UNSET
    rejection_code: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class _Account(Struct, frozen=True):
    id: Any
    current_balance: _Money | UnsetType | None = UNSET
    buying_power: _Money | UnsetType | None = UNSET
    available_to_withdraw: _Money | UnsetType | None = UNSET
    net_deposits: _Money | UnsetType | None = UNSET
    pending_orders: list[Raw] | UnsetType | None = UNSET


class _Quote(Struct, frozen=True):
    amount: Any = UNSET
    last: Any = UNSET
    bid: Any = UNSET
    ask: Any = UNSET
    bid_size: Any = UNSET
    ask_size: Any = UNSET
    open: Any = UNSET
    high: Any = UNSET
    low: Any = UNSET
    volume: Any = UNSET
    currency: Any = UNSET
    quoted_as_of: Any = UNSET


class _Prices(Struct, frozen=True):
    prices: dict[str, _Quote]


_read_kind = Reader(_Kind)
_read_account = Reader(_Account)
_read_order = Reader(_Order)
_read_prices = Reader(_Prices)

_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy_quantity": "buy", "sell_quantity": "sell"}
_ORDER_TYPES: Mapping[str, Literal["limit", "market", "stop_limit", "unknown"]] = {
    "market": "market", "limit": "limit", "stop_limit": "stop_limit",
    "fractional": "market",  # by an amount of money, at the market's price
}  # fmt: skip
_STATUSES: Mapping[str, OrderStatus] = {
    "new": "open", "submitted": "open", "posted": "filled", "cancelled": "canceled",
}  # fmt: skip


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed.

    Nothing here says whether a cycle's picture is the first or a later one: the feed knows, and tells the entities.
    """
    kind = _read_kind(text).type
    if kind == "ACCOUNT":
        return Decoded(tuple(_account(_read_account(text))))
    if kind == "PRICE_QUOTE":
        tickers = tuple(_ticker(*each) for each in _read_prices(text).prices.items())
        return Decoded(tickers or (Control(),))
    if kind == "GREETING":
        return Decoded((Control(private=True),))  # `parameter` and `deviceId` are sensitive, and of no use
    return Decoded((Unrecognized(cut(f"type {kind}" if isinstance(kind, str) else "no type")),))


def _account(account: _Account) -> list[Observation | Unrecognized]:
    account_id = as_id(account.id, "id")
    balance = account.current_balance
    state = Account(
        id=account_id,
        currency=text_or_missing(balance.currency, "currency") if isinstance(balance, _Money) else balance,
        balance=_amount(balance, "current_balance"),
        buying_power=_amount(account.buying_power, "buying_power"),
        withdrawable=_amount(account.available_to_withdraw, "available_to_withdraw"),
        net_deposits=_amount(account.net_deposits, "net_deposits"),
    )
    pending = account.pending_orders or ()
    return [
        Observation(state=state, account=account_id),
        *(_pending(order, account_id) for order in pending),
    ]


def _amount(money: _Money | UnsetType | None, field: str) -> Decimal | UnsetType | None:
    return number_or_missing(money.amount, field) if isinstance(money, _Money) else money


def _pending(order: Raw, account: str) -> Observation | Unrecognized:
    """An order of another shape than we think is told as such, and the account with its other orders still counts."""
    try:
        return _order(_read_order(order), account)
    except Malformed as malformed:
        return Unrecognized(cut(f"pending order: {malformed}"))


def _order(order: _Order, account: str) -> Observation:
    amount = number_or_missing(order.quantity, "quantity")
    filled = number_or_missing(order.fill_quantity, "fill_quantity")
    order_type = _order_type(order.order_sub_type)
    price = _amount(order.limit_price, "limit_price")
    updated = iso_or_missing(order.updated_at, "updated_at")
    state = Order(
        id=as_id(order.order_id if given(order.order_id) else order.id, "order_id"),
        symbol=text_or_missing(order.symbol, "symbol"),
        side=_SIDES.get(str(order.order_type)) if given(order.order_type) else UNSET,
        order_type=order_type,
        status=_status(order.status, amount, filled),
        venue_status=text_or_missing(order.status, "status"),
        time_in_force=text_or_missing(order.time_in_force, "time_in_force"),
        price=derive.positive(price) if order_type == "market" else price,
        stop_price=derive.positive(_stop_price(order.stop_price)),
        amount=amount,
        filled=filled,
        remaining=derive.difference(amount, filled),
        currency=text_or_missing(order.market_currency, "market_currency"),
        reason=text_or_missing(order.rejection_code, "rejection_code"),
        created=iso_or_missing(order.created_at, "created_at"),
        updated=updated,
    )
    return Observation(state=state, account=account, time=updated if isinstance(updated, datetime) else None)


def _order_type(wire: Any) -> Literal["limit", "market", "stop_limit", "unknown"] | UnsetType:
    return _ORDER_TYPES.get(str(wire), "unknown") if given(wire) else UNSET


def _status(wire: Any, amount: Decimal | UnsetType | None, filled: Decimal | UnsetType | None) -> OrderStatus:
    if not given(wire):
        return UNSET
    status = _STATUSES.get(str(wire), "unknown")
    if (
        status == "open"
        and isinstance(amount, Decimal)
        and isinstance(filled, Decimal)
        and 0 < filled < amount
    ):
        return "partially_filled"
    return status


def _stop_price(wire: Any) -> Decimal | UnsetType | None:
    """The documents only have null there: a number, or money like limit_price, is understood."""
    if isinstance(wire, dict):
        return number_or_missing(wire.get("amount"), "stop_price")
    return number_or_missing(wire, "stop_price")


def _ticker(security: str, quote: _Quote) -> Observation:
    crypto = security.startswith(_CRYPTO)

    def number(wire: Any, field: str) -> Decimal | UnsetType | None:
        # A zero in a crypto quote means that it isn't supplied.
        value = number_or_missing(wire, field)
        return derive.positive(value) if crypto else value

    time = iso_or_missing(quote.quoted_as_of, "quoted_as_of")
    last = quote.last if quote.amount is UNSET else quote.amount
    symbol = as_id(security, "security_id")
    state = Ticker(
        id=symbol,
        symbol=symbol,
        bid=number_or_missing(quote.bid, "bid"),
        ask=number_or_missing(quote.ask, "ask"),
        bid_size=number(quote.bid_size, "bid_size"),
        ask_size=number(quote.ask_size, "ask_size"),
        last=number_or_missing(last, "amount"),
        open=number(quote.open, "open"),
        high=number(quote.high, "high"),
        low=number(quote.low, "low"),
        volume=number(quote.volume, "volume"),
        currency=text_or_missing(quote.currency, "currency"),
    )
    return Observation(state=state, time=time if isinstance(time, datetime) else None)
