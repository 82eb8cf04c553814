"""The vocabulary: every kind of thing that a venue tells of, its fields, and the events that can happen to it.

These types are the only definition. The rule checker, `tocsin fields`, the JSON Schema and the documentation are
derived from them (see `vocabulary.py`), decoders construct them, the entities merge them, templates read them.

Symbols and the words that venues coin are of type `Word`: kept and shown as they came, compared without case (separators
count). Ids are not.

A field is UNSET where a message doesn't mention it, and None where it is known to have no value ("missing").
Names follow ccxt where ccxt has one, and FIX in telling what happened apart from the state it led to.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from tocsin.events.exposure import signed, worth

CASELESS = "caseless"


class NoneWhen(NamedTuple):
    """A derived value doesn't exist while the field `of` is known to be `value` and `unless` is nothing or 0: whatever is
    compared with it is false, not unknown. `because` is how people are told.
    """

    of: str
    value: Decimal
    unless: str
    because: str


Text: TypeAlias = str | UnsetType | None
Word: TypeAlias = Annotated[str | UnsetType | None, CASELESS]
Number: TypeAlias = Decimal | UnsetType | None
Time: TypeAlias = datetime | UnsetType | None
Flag: TypeAlias = bool | UnsetType | None
Side: TypeAlias = Literal["buy", "sell"] | UnsetType | None


class Entity(Struct, frozen=True, kw_only=True, gc=False):
    """One thing as it stands (or, from a decoder, as far as one message tells).

    `market_data`: it comes all the time, and is kept as the config says. Of other kinds `priced` are the fields that
    prices move: a change of nothing else is market data too. `momentary` fields speak of one message only: they are
    missing again as soon as the next doesn't mention them. `ended` lists the statuses after which the thing lives no
    more. `open_status` says that the venue may use other words than the listed ones, each of which names an event of
    its own. `named_by` is the field that says what the thing is called, where that is a symbol or an asset rather
    than an id.

    A property is a field that follows from the others: rules and templates read it, nobody sends or stores it.
    """

    kind: ClassVar[str]
    events: ClassVar[tuple[str, ...]]  # without the kind's name: "canceled", not "order.canceled"
    ends: ClassVar[Mapping[str, str]] = {}  # good news -> the event that it is the end of
    momentary: ClassVar[frozenset[str]] = frozenset()
    ended: ClassVar[frozenset[str]] = frozenset()
    open_status: ClassVar[bool] = False
    market_data: ClassVar[bool] = False
    priced: ClassVar[frozenset[str]] = frozenset()
    named_by: ClassVar[str | None] = None

    id: Annotated[Text, "the venue's own id, as text, never rewritten"] = UNSET


OrderStatus: TypeAlias = (
    Literal["pending", "open", "partially_filled", "filled", "canceled", "expired", "rejected", "unknown"]
    | UnsetType
    | None
)


class Order(Entity, frozen=True, kw_only=True, gc=False):
    """An order of the account's own."""

    kind: ClassVar[str] = "order"
    events: ClassVar[tuple[str, ...]] = (
        "created", "updated", "pending", "open", "partially_filled", "filled", "canceled", "expired", "rejected", "unknown",
    )  # fmt: skip
    ended: ClassVar[frozenset[str]] = frozenset({"filled", "canceled", "expired", "rejected"})

    client_id: Annotated[Text, "the id that the client gave it"] = UNSET
    symbol: Annotated[Word, "what is traded, as the venue spells it"] = UNSET
    side: Annotated[Side, "buy or sell"] = UNSET
    order_type: Annotated[
        Literal["limit", "market", "stop", "stop_limit", "unknown"] | UnsetType | None, "how it is to trade"
    ] = UNSET
    time_in_force: Annotated[Word, "how long it is to work, in the venue's word"] = UNSET
    status: Annotated[OrderStatus, "where it stands"] = UNSET
    venue_status: Annotated[Word, "the venue's own word for the status"] = UNSET
    price: Annotated[Number, "limit price"] = UNSET
    stop_price: Annotated[Number, "price at which a stop is triggered"] = UNSET
    amount: Annotated[Number, "size ordered"] = UNSET
    filled: Annotated[Number, "size traded so far"] = UNSET
    remaining: Annotated[Number, "size still to trade"] = UNSET
    average: Annotated[Number, "average price of what has traded"] = UNSET
    cost: Annotated[Number, "money of what has traded"] = UNSET
    currency: Annotated[Word, "currency of the money"] = UNSET
    stop_loss: Annotated[Number, "price of its stop loss"] = UNSET
    take_profit: Annotated[Number, "price of its take profit"] = UNSET
    leverage: Annotated[Number, "leverage"] = UNSET
    reason: Annotated[Word, "why it was rejected or canceled, in the venue's words"] = UNSET
    created: Annotated[Time, "when it was placed"] = UNSET
    updated: Annotated[Time, "when it last changed"] = UNSET
    expires: Annotated[Time, "when it runs out, if nothing ends it before"] = UNSET
    power: Annotated[Number, "electricity: power, in W"] = UNSET
    energy: Annotated[Number, "electricity: energy, in the venue's unit"] = UNSET
    delivery_start: Annotated[Time, "electricity: delivery begins"] = UNSET
    delivery_end: Annotated[Time, "electricity: delivery ends"] = UNSET
    location: Annotated[Word, "electricity: where"] = UNSET

    @property
    def signed_amount(self) -> Annotated[Decimal | None, "amount; negative for a sell"]:
        return signed(self.amount, self.side)

    @property
    def notional(self) -> Annotated[Decimal | None, "signed amount at its price"]:
        return worth(self.signed_amount, None, self.price)


class Position(Entity, frozen=True, kw_only=True, gc=False):
    """A position of the account's own."""

    kind: ClassVar[str] = "position"
    events: ClassVar[tuple[str, ...]] = ("opened", "updated", "closed", "liquidated")
    ended: ClassVar[frozenset[str]] = frozenset({"closed"})
    priced: ClassVar[frozenset[str]] = frozenset({"mark_price", "profit", "profit_price", "updated"})

    symbol: Annotated[Word, "what is held, as the venue spells it"] = UNSET
    side: Annotated[Literal["long", "short"] | UnsetType | None, "long or short"] = UNSET
    status: Annotated[Literal["open", "closed"] | UnsetType | None, "open or closed"] = UNSET
    amount: Annotated[Number, "size held"] = UNSET
    entry_price: Annotated[Number, "price at which it was opened"] = UNSET
    mark_price: Annotated[Number, "price at which it counts now; the closing price once closed"] = UNSET
    profit: Annotated[Number, "unrealised while open, final once closed, as the venue counts it"] = UNSET
    currency: Annotated[Word, "currency of profit, commission and swap"] = UNSET
    leverage: Annotated[Number, "leverage"] = UNSET
    stop_loss: Annotated[Number, "price of its stop loss"] = UNSET
    take_profit: Annotated[Number, "price of its take profit"] = UNSET
    stop_loss_amount: Annotated[Number, "stop loss as an amount of money"] = UNSET
    take_profit_amount: Annotated[Number, "take profit as an amount of money"] = UNSET
    commission: Annotated[Number, "commission paid"] = UNSET
    swap: Annotated[Number, "swap (overnight interest), in all"] = UNSET
    margin_price: Annotated[Number, "price by which its margin is counted"] = UNSET
    reason: Annotated[Word, "why it was closed, in the venue's words"] = UNSET
    opened: Annotated[Time, "when it was opened"] = UNSET
    closed: Annotated[Time, "when it was closed"] = UNSET
    updated: Annotated[Time, "when it last changed"] = UNSET
    # What profit and margin are derived from between the venue's own messages; not part of the rule language.
    lot_size: Annotated[Number, "units of the symbol in one lot"] = UNSET
    profit_price: Annotated[Number, "price of the profit's currency in the account's"] = UNSET

    @property
    def signed_amount(self) -> Annotated[Decimal | None, "amount; negative for a short"]:
        return signed(self.amount, self.side)

    @property
    def notional(
        self,
    ) -> Annotated[Decimal | None, "signed amount, in units of the symbol, at its mark price, else at entry"]:
        return worth(self.signed_amount, self.lot_size, self.mark_price, self.entry_price)


class Account(Entity, frozen=True, kw_only=True, gc=False):
    """An account at a venue."""

    kind: ClassVar[str] = "account"
    events: ClassVar[tuple[str, ...]] = ("added", "updated", "margin_call")
    momentary: ClassVar[frozenset[str]] = frozenset({"change", "cause"})
    priced: ClassVar[frozenset[str]] = frozenset(
        {"equity", "margin_level", "result", "performance", "units", "by_equity", "updated"}
    )

    currency: Annotated[Word, "the account's currency"] = UNSET
    balance: Annotated[Number, "money, without open positions' profit"] = UNSET
    cause: Annotated[
        Word, "why this event changed the balance, as for balances; missing where none is named"
    ] = UNSET
    change: Annotated[Number, "by how much this event changed the balance, as the venue says"] = UNSET
    equity: Annotated[Number, "balance and open positions' profit"] = UNSET
    margin: Annotated[Number, "money bound by open positions"] = UNSET
    margin_level: Annotated[
        Number,
        NoneWhen(of="margin", value=Decimal(0), unless="unconfirmed", because="no margin in use"),
        "equity against margin, in percent",
    ] = UNSET
    buying_power: Annotated[Number, "what can be spent"] = UNSET
    withdrawable: Annotated[Number, "what can be withdrawn"] = UNSET
    net_deposits: Annotated[Number, "deposits less withdrawals, as the venue says"] = UNSET
    result: Annotated[Number, "equity, else balance, less what was paid in since it was first seen"] = UNSET
    performance: Annotated[
        Number, "an index, 100 at first sight, that only results move (time-weighted return)"
    ] = UNSET
    leverage: Annotated[Number, "the account's leverage"] = UNSET
    stop_out_level: Annotated[Number, "margin level at which the venue closes positions, in percent"] = UNSET
    trading_disabled: Annotated[Flag, "the venue lets it trade no more"] = UNSET
    group: Annotated[Word, "the venue's group of accounts that it belongs to"] = UNSET
    unconfirmed: Annotated[Number, "its open positions not mentioned again since a gap"] = UNSET
    updated: Annotated[Time, "when it last changed"] = UNSET
    # What result and performance are carried along by (entities/returns.py); not part of the rule language.
    net_flows: Annotated[Number, "deposits less withdrawals since it was first seen"] = UNSET
    units: Annotated[Number, "worth divided by performance"] = UNSET
    by_equity: Annotated[Flag, "it was ever valued by its equity"] = UNSET
    unbooked: Annotated[Text, "profits of closed positions that the balance doesn't hold yet"] = UNSET


class Balance(Entity, frozen=True, kw_only=True, gc=False):
    """One asset of one account; its `id` is the asset."""

    kind: ClassVar[str] = "balance"
    events: ClassVar[tuple[str, ...]] = (
        "updated", "trading", "correction", "withdrawal", "deposit", "commission", "transfer",
    )  # fmt: skip
    momentary: ClassVar[frozenset[str]] = frozenset({"change", "cause", "comment"})
    named_by: ClassVar[str | None] = "asset"
    open_status: ClassVar[bool] = True  # a cause that we don't know names its own event

    asset: Annotated[Word, "the asset or currency"] = UNSET
    available: Annotated[Number, "free to use"] = UNSET
    locked: Annotated[Number, "bound by orders"] = UNSET
    total: Annotated[Number, "available and locked"] = UNSET
    change: Annotated[Number, "by how much this event changed it, as the venue says"] = UNSET
    cause: Annotated[
        Word, "why it changed: trading, deposit, withdrawal, commission, transfer, correction"
    ] = UNSET
    comment: Annotated[Word, "the venue's comment on the change"] = UNSET


class Trade(Entity, frozen=True, kw_only=True, gc=False):
    """The latest public trade of a symbol."""

    kind: ClassVar[str] = "trade"
    events: ClassVar[tuple[str, ...]] = ("executed",)
    market_data: ClassVar[bool] = True
    named_by: ClassVar[str | None] = "symbol"

    symbol: Annotated[Word, "what was traded"] = UNSET
    side: Annotated[Side, "the taker's side"] = UNSET
    price: Annotated[Number, "price"] = UNSET
    amount: Annotated[Number, "size"] = UNSET
    cost: Annotated[Number, "price times size"] = UNSET
    power: Annotated[Number, "electricity: power, in W"] = UNSET
    energy: Annotated[Number, "electricity: energy, in the venue's unit"] = UNSET
    delivery_start: Annotated[Time, "electricity: delivery begins"] = UNSET
    delivery_end: Annotated[Time, "electricity: delivery ends"] = UNSET
    location: Annotated[Word, "electricity: where"] = UNSET

    @property
    def signed_amount(self) -> Annotated[Decimal | None, "amount; negative where the taker sold"]:
        return signed(self.amount, self.side)

    @property
    def notional(self) -> Annotated[Decimal | None, "signed amount at its price"]:
        return worth(self.signed_amount, None, self.price)


class Ticker(Entity, frozen=True, kw_only=True, gc=False):
    """The latest prices of a symbol."""

    kind: ClassVar[str] = "ticker"
    events: ClassVar[tuple[str, ...]] = ("updated",)
    market_data: ClassVar[bool] = True
    named_by: ClassVar[str | None] = "symbol"

    symbol: Annotated[Word, "what is priced"] = UNSET
    bid: Annotated[Number, "best price to sell at"] = UNSET
    ask: Annotated[Number, "best price to buy at"] = UNSET
    bid_size: Annotated[Number, "size at the bid"] = UNSET
    ask_size: Annotated[Number, "size at the ask"] = UNSET
    last: Annotated[Number, "price of the latest trade"] = UNSET
    open: Annotated[Number, "price at the period's open"] = UNSET
    high: Annotated[Number, "highest price of the period"] = UNSET
    low: Annotated[Number, "lowest price of the period"] = UNSET
    volume: Annotated[Number, "size traded in the period"] = UNSET
    currency: Annotated[Word, "currency of the prices"] = UNSET
    spread: Annotated[Number, "ask less bid"] = UNSET
    price: Annotated[Number, "last, else the middle of bid and ask"] = UNSET


class Book(Entity, frozen=True, kw_only=True, gc=False):
    """The order book of a symbol: its best prices and summed depth."""

    kind: ClassVar[str] = "book"
    events: ClassVar[tuple[str, ...]] = ("updated", "order_expired")
    momentary: ClassVar[frozenset[str]] = frozenset(
        {"price", "power", "energy", "delivery_start", "delivery_end", "location"}
    )
    market_data: ClassVar[bool] = True
    named_by: ClassVar[str | None] = "symbol"

    symbol: Annotated[Word, "whose book it is"] = UNSET
    bid: Annotated[Number, "best bid"] = UNSET
    bid_size: Annotated[Number, "size at the best bid"] = UNSET
    ask: Annotated[Number, "best ask"] = UNSET
    ask_size: Annotated[Number, "size at the best ask"] = UNSET
    spread: Annotated[Number, "best ask less best bid"] = UNSET
    bid_depth: Annotated[Number, "size of all bids"] = UNSET
    ask_depth: Annotated[Number, "size of all asks"] = UNSET
    levels: Annotated[Number, "price levels, both sides together"] = UNSET
    sequence: Annotated[Text, "the venue's number of this snapshot"] = UNSET
    price: Annotated[Number, "of an expired order: its price"] = UNSET
    power: Annotated[Number, "of an expired order: its power, in W"] = UNSET
    energy: Annotated[Number, "of an expired order: its energy, in the venue's unit"] = UNSET
    delivery_start: Annotated[Time, "of an expired order: delivery begins"] = UNSET
    delivery_end: Annotated[Time, "of an expired order: delivery ends"] = UNSET
    location: Annotated[Word, "of an expired order: where"] = UNSET


class Contract(Entity, frozen=True, kw_only=True, gc=False):
    """A contract for the delivery of electricity, from the match to its settlement."""

    kind: ClassVar[str] = "contract"
    events: ClassVar[tuple[str, ...]] = (
        "verification_initiated", "verification_completed_success", "settlement_initiated", "settlement_completed_success", "updated",
    )  # fmt: skip
    ended: ClassVar[frozenset[str]] = frozenset({"settlement_completed_success"})
    open_status: ClassVar[bool] = True

    order_id: Annotated[Text, "the order that it came from"] = UNSET
    status: Annotated[Word, "how far it is, in the venue's word"] = UNSET
    verification_status: Annotated[Word, "how its verification stands"] = UNSET
    settlement_status: Annotated[Word, "how its settlement stands"] = UNSET
    side: Annotated[Side, "buy or sell"] = UNSET
    price: Annotated[Number, "price"] = UNSET
    power: Annotated[Number, "power, in W"] = UNSET
    energy: Annotated[Number, "energy, in the venue's unit"] = UNSET
    delivery_start: Annotated[Time, "delivery begins"] = UNSET
    delivery_end: Annotated[Time, "delivery ends"] = UNSET
    location: Annotated[Word, "where"] = UNSET
    created: Annotated[Time, "when it was made"] = UNSET
    updated: Annotated[Time, "when it last changed"] = UNSET


UP = ("connected", "silent")
"""Statuses of a venue whose sockets are up; of one that is silent a stream brings no data, and the others go on."""


class Venue(Entity, frozen=True, kw_only=True, gc=False):
    """The connection to a venue; its `id` is the venue's name in the config."""

    kind: ClassVar[str] = "venue"
    events: ClassVar[tuple[str, ...]] = (
        "connected", "disconnected", "silent", "resumed", "auth_failed", "refused", "gap", "resynced", "clock_skew",
        "unrecognized", "malformed", "credentials_not_kept", "credentials_kept",
    )  # fmt: skip
    ends: ClassVar[Mapping[str, str]] = {
        "connected": "disconnected",
        "resumed": "silent",
        "credentials_kept": "credentials_not_kept",
    }

    status: Annotated[
        Literal["connecting", "connected", "silent", "disconnected", "auth_failed", "refused"]
        | UnsetType
        | None,
        "how the connection stands",
    ] = UNSET
    reason: Annotated[Word, "why, in words"] = UNSET
    attempts: Annotated[Number, "tries to connect since it was last connected"] = UNSET
    next_attempt: Annotated[Time, "when the next try to connect or to sign in is due"] = UNSET
    since: Annotated[Time, "since when it has this status"] = UNSET
    last_message: Annotated[Time, "when the venue last said anything"] = UNSET
    unconfirmed: Annotated[Number, "open orders and positions not mentioned again since a gap"] = UNSET
    silent_streams: Annotated[
        Text, "the streams that were told silent and have brought no data since, a reconnect or not"
    ] = UNSET
    credentials: Annotated[
        Literal["kept", "not_kept"] | UnsetType | None,
        "whether what the last sign-in gave is on the disk; missing where it never failed to be",
    ] = UNSET


class Daemon(Entity, frozen=True, kw_only=True, gc=False):
    """Tocsin itself."""

    kind: ClassVar[str] = "daemon"
    events: ClassVar[tuple[str, ...]] = (
        "started", "stopping", "reloaded", "reload_failed", "rule_blind", "delivery_failed", "delivery_recovered",
        "action_failed", "storm", "degraded",
    )  # fmt: skip
    ends: ClassVar[Mapping[str, str]] = {"delivery_recovered": "delivery_failed"}

    reason: Annotated[Word, "what happened, in words"] = UNSET
    subject: Annotated[Text, "the rule, channel, action or part that it is about"] = UNSET


KINDS: dict[str, type[Entity]] = {
    kind.kind: kind
    for kind in (Order, Position, Account, Balance, Trade, Ticker, Book, Contract, Venue, Daemon)
}
