"""What Yourfintech's prices and account events mean. All dates are microseconds since 1970, whatever their names say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType, structs

from tocsin.events import Account, Balance, Observation, Ticker
from tocsin.venues.base import Item, Malformed, Unrecognized
from tocsin.venues.derive import stamp
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, as_word, cut

_CAUSES: Mapping[str, str] = {
    "trading": "trading", "balancecorrection": "correction", "withdrawal": "withdrawal", "deposit": "deposit",
    "commission": "commission", "transfer": "transfer",
}  # fmt: skip


class _BidAsk(Struct, frozen=True, gc=False):
    id: Any
    bid: Any = UNSET
    ask: Any = UNSET
    date: Any = UNSET


_read_bid_ask = Reader(_BidAsk)


def bid_ask(content: Raw) -> list[Item]:
    part = Part("bid_ask")
    row = _read_bid_ask(content, part.note)
    symbol = as_id(row.id, "bid_ask.id")
    ticker = Ticker(
        id=symbol,
        symbol=symbol,
        bid=part.price(row.bid, "bid"),
        ask=part.price(row.ask, "ask"),
    )
    return [Observation(state=ticker, time=stamp(part.epoch(row.date, "us", "date"))), *part.unreadable]


class _Account(Struct, frozen=True, gc=False):
    id: Any
    trader_id: Any = UNSET
    currency: Any = UNSET
    balance: Any = UNSET
    trading_disabled: Any = UNSET
    leverage: Any = UNSET
    trading_group: Any = UNSET
    stop_out: Any = UNSET
    last_update_date: Any = UNSET


class _Operation(Struct, frozen=True, gc=False):
    operation_type: Any = UNSET
    id: Any = UNSET
    delta: Any = UNSET
    date_time_unix_ms: Any = UNSET  # microseconds, for all its name
    comment: Any = UNSET


class _AccountUpdate(Struct, frozen=True, gc=False):
    account: _Account
    operation: _Operation | UnsetType | None = UNSET


_read_account = Reader(_Account)
_read_account_update = Reader(_AccountUpdate)


def account_event(name: str, content: Raw) -> list[Item]:
    part = Part("account")
    word = name.lower()
    if word == "account_added":
        # Its create_date may be weeks before its last_update_date: no date of this event.
        row = _read_account(content, part.note)
        added = Observation(state=_account(row, part), account=as_id(row.id, "id"), event="account.added")
        return [added, *part.unreadable]
    if word == "account_update":
        update = _read_account_update(content, part.note)
        return [*_account_update(update.account, update.operation, part), *part.unreadable]
    return [Unrecognized(f"account_event {cut(name, 64)}")]


def _account_update(row: _Account, operation: _Operation | UnsetType | None, part: Part) -> list[Observation]:
    account = as_id(row.id, "account.id")
    if not isinstance(operation, _Operation):
        return [Observation(state=_account(row, part), account=account, event="account.updated")]
    time = stamp(part.epoch(operation.date_time_unix_ms, "us", "operation.date_time_unix_ms"))
    known_as = part.text(operation.id, "operation.id")
    id_ = known_as if isinstance(known_as, str) else None
    cause = _cause(operation.operation_type, part)
    # Named by the message: two operations may come with one and the same balance after both.
    named = f"balance.{cause}" if cause else None
    change = part.number(operation.delta, "operation.delta")
    state = structs.replace(_account(row, part, cause), change=change)
    balances = part.each([operation], lambda each: _balance(state, each, part), "operation")
    as_it_stands = Observation(
        state=state, account=account, event="account.updated", time=time, operation=id_
    )
    brought_about = [
        Observation(state=balance, account=account, event=named, time=time, operation=id_)
        for balance in balances
    ]
    # A cause comes before what it brought about, where the venue's own times say that it did.
    is_result = isinstance(state.updated, datetime) and isinstance(time, datetime) and time <= state.updated
    return [*brought_about, as_it_stands] if is_result else [as_it_stands, *brought_about]


def _balance(account: Account, operation: _Operation, part: Part) -> Balance:
    asset = as_id(account.currency, "account.currency")
    return Balance(
        id=asset,
        asset=asset,
        total=account.balance,
        change=account.change,
        cause=account.cause,
        comment=part.text(operation.comment, "operation.comment"),
    )


def _cause(wire: Any, part: Part) -> str | None:
    """Our word for the operation, or the venue's own as it came; missing where it can't be an event's name."""
    try:
        word = as_word(wire, "operation_type")
    except Malformed as malformed:
        part.note("operation.operation_type", str(malformed).removeprefix("operation_type: "))
        return None
    return _CAUSES.get(word.lower(), word)


def _account(row: _Account, part: Part, cause: str | UnsetType | None = UNSET) -> Account:
    return Account(
        id=as_id(row.id, "account.id"),
        currency=part.text(row.currency, "currency"),
        balance=part.number(row.balance, "balance"),
        cause=cause,
        leverage=positive(part.number(row.leverage, "leverage")),
        stop_out_level=part.number(row.stop_out, "stop_out"),
        trading_disabled=part.flag(row.trading_disabled, "trading_disabled"),
        group=_group(row, part),
        updated=part.epoch(row.last_update_date, "us", "last_update_date"),
    )


def _group(row: _Account, part: Part) -> str | UnsetType | None:
    """`Main/8bb66514-…`: the group and the trader, since one key can cover the accounts of many traders."""
    group = part.text(row.trading_group, "trading_group")
    trader = part.text(row.trader_id, "trader_id")
    known = "/".join(word for word in (group, trader) if isinstance(word, str))
    return known or (UNSET if group is UNSET and trader is UNSET else None)
