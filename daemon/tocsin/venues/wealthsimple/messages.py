"""What Wealthsimple's messages mean. Numbers of crypto come as numbers, those of equities as text; both are exact."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Account, Observation, Order, Ticker
from tocsin.venues import derive
from tocsin.venues.base import Control, Decoded, Unrecognized
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, cut, first_id

_CRYPTO = "sec-z-"


class _Kind(Struct, frozen=True):
    type: Any = UNSET


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
    limit_price: Any = UNSET
    stop_price: Any = UNSET  # only ever seen as null
    market_currency: Any = UNSET
    time_in_force: Any = UNSET
    rejection_code: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class _Account(Struct, frozen=True):
    """Money is an object of `amount` and `currency`."""

    id: Any
    current_balance: Any = UNSET
    buying_power: Any = UNSET
    available_to_withdraw: Any = UNSET
    net_deposits: Any = UNSET
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

_OrderType: TypeAlias = Literal["limit", "market", "stop_limit", "unknown"]
_Status: TypeAlias = Literal["open", "filled", "canceled", "partially_filled", "unknown"]
_SIDES: Mapping[str, Literal["buy", "sell"]] = {"buy_quantity": "buy", "sell_quantity": "sell"}
_ORDER_TYPES: Mapping[str, _OrderType] = {
    "market": "market", "limit": "limit", "stop_limit": "stop_limit",
    "fractional": "market",  # by an amount of money, at the market's price
}  # fmt: skip
_STATUSES: Mapping[str, _Status] = {
    "new": "open", "submitted": "open", "posted": "filled", "cancelled": "canceled", "canceled": "canceled",
}  # fmt: skip


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed.

    Nothing here says whether a cycle's snapshot is the first or a later one: the feed knows, and tells the entities.
    """
    part = Part()
    kind = _read_kind(text, part.note).type
    if kind == "ACCOUNT":
        part.of = "account"
        account, orders = _account(_read_account(text, part.note), part)
        return Decoded((account, *orders, *part.unreadable))
    if kind == "PRICE_QUOTE":
        part.of = "quote"
        prices = _read_prices(text, part.note).prices
        tickers = part.each(prices.items(), lambda each: _ticker(*each, part), "prices[]")
        return Decoded((*tickers, *part.unreadable) or (Control(),))
    if kind == "GREETING":
        return Decoded((Control(private=True),))  # `parameter` and `deviceId` are sensitive, and of no use
    return Decoded((Unrecognized(cut(f"type {kind}" if isinstance(kind, str) else "no type")),))


def _account(account: _Account, part: Part) -> tuple[Observation, list[Observation]]:
    account_id = as_id(account.id, "id")
    balance = account.current_balance
    currency = balance.get("currency", UNSET) if isinstance(balance, dict) else UNSET
    state = Account(
        id=account_id,
        currency=part.text(None if balance is None else currency, "current_balance.currency"),
        balance=_amount(balance, "current_balance", part),
        buying_power=_amount(account.buying_power, "buying_power", part),
        withdrawable=_amount(account.available_to_withdraw, "available_to_withdraw", part),
        net_deposits=_amount(account.net_deposits, "net_deposits", part),
    )
    # `part` is still the account's: what is wrong with a row is told of it, what is wrong in an order of the order.
    pending = part.each(
        account.pending_orders or (), lambda raw: _pending(raw, account_id, part), "pending_orders[]"
    )
    return Observation(state=state, account=account_id), pending


def _amount(wire: Any, field: str, part: Part) -> Decimal | UnsetType | None:
    """The amount of an object of money; a bare number is understood too."""
    if isinstance(wire, dict):
        return part.number(wire.get("amount", UNSET), f"{field}.amount")
    return part.number(wire, field)


def _pending(raw: Raw, account: str, whole: Part) -> Observation:
    part = Part("order")
    order = _order(_read_order(raw, part.note), account, part)
    whole.unreadable += part.unreadable
    return order


def _order(order: _Order, account: str, part: Part) -> Observation:
    amount = part.number(order.quantity, "quantity")
    filled = part.number(order.fill_quantity, "fill_quantity")
    order_type = part.word(order.order_sub_type, _ORDER_TYPES, "order_sub_type", "unknown")
    status, venue_status = part.status(order.status, _STATUSES, "status", "unknown")
    if (
        status == "open"
        and isinstance(amount, Decimal)
        and isinstance(filled, Decimal)
        and 0 < filled < amount
    ):
        status = "partially_filled"
    price = _amount(order.limit_price, "limit_price", part)
    updated = part.iso(order.updated_at, "updated_at")
    state = Order(
        id=first_id("order_id", order.order_id, order.id),
        symbol=part.text(order.symbol, "symbol"),
        side=part.word(order.order_type, _SIDES, "order_type"),
        order_type=order_type,
        status=status,
        venue_status=venue_status,
        time_in_force=part.text(order.time_in_force, "time_in_force"),
        price=positive(price) if order_type == "market" else price,
        stop_price=positive(_amount(order.stop_price, "stop_price", part)),
        amount=amount,
        filled=filled,
        remaining=derive.difference(amount, filled),
        currency=part.text(order.market_currency, "market_currency"),
        reason=part.text(order.rejection_code, "rejection_code"),
        created=part.iso(order.created_at, "created_at"),
        updated=updated,
    )
    return Observation(state=state, account=account, time=derive.stamp(updated))


def _ticker(security: str, quote: _Quote, part: Part) -> Observation:
    crypto = security.startswith(_CRYPTO)

    def size(wire: Any, field: str) -> Decimal | UnsetType | None:
        # A zero in a crypto quote means that it isn't supplied.
        value = part.number(wire, field)
        return positive(value) if crypto else value

    symbol = as_id(security, "security_id")
    state = Ticker(
        id=symbol,
        symbol=symbol,
        bid=part.price(quote.bid, "bid"),
        ask=part.price(quote.ask, "ask"),
        bid_size=size(quote.bid_size, "bid_size"),
        ask_size=size(quote.ask_size, "ask_size"),
        last=part.price(quote.last if quote.amount is UNSET else quote.amount, "amount"),
        open=part.price(quote.open, "open"),
        high=part.price(quote.high, "high"),
        low=part.price(quote.low, "low"),
        volume=size(quote.volume, "volume"),
        currency=part.text(quote.currency, "currency"),
    )
    return Observation(state=state, time=derive.stamp(part.iso(quote.quoted_as_of, "quoted_as_of")))
