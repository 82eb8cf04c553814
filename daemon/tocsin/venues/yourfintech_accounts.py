"""What Yourfintech's prices and account events mean. All dates are microseconds since 1970, whatever their names say."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Account, Balance, Observation, Ticker
from tocsin.venues.base import Item, Unrecognized
from tocsin.venues.derive import positive
from tocsin.venues.wire import (
    Reader,
    as_id,
    as_word,
    cut,
    epoch_or_missing,
    flag_or_missing,
    from_epoch,
    given,
    number_or_missing,
    text_or_missing,
)

_CAUSES: Mapping[str, str] = {
    "Trading": "trading", "BalanceCorrection": "correction", "Withdrawal": "withdrawal", "Deposit": "deposit",
    "Commission": "commission", "Transfer": "transfer",
}  # fmt: skip


class _BidAsk(Struct, frozen=True, gc=False):
    id: Any
    bid: Any = UNSET
    ask: Any = UNSET
    date: Any = UNSET


_read_bid_ask = Reader(_BidAsk)


def bid_ask(content: Raw) -> list[Item]:
    row = _read_bid_ask(content)
    symbol = as_id(row.id, "bid_ask.id")
    ticker = Ticker(
        id=symbol,
        symbol=symbol,
        bid=number_or_missing(row.bid, "bid_ask.bid"),
        ask=number_or_missing(row.ask, "bid_ask.ask"),
    )
    return [Observation(state=ticker, time=date_of(row.date, "bid_ask.date"))]


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
    operation_type: Any
    delta: Any = UNSET
    date_time_unix_ms: Any = UNSET  # microseconds, for all its name
    comment: Any = UNSET


class _AccountUpdate(Struct, frozen=True, gc=False):
    account: _Account
    operation: _Operation | None = None


_read_account = Reader(_Account)
_read_account_update = Reader(_AccountUpdate)


def account_event(name: str, content: Raw) -> list[Item]:
    if name == "account_added":
        # Its create_date may be weeks before its last_update_date: no date of this event.
        row = _read_account(content)
        return [Observation(state=_account(row), account=as_id(row.id, "id"), event="account.added")]
    if name == "account_update":
        update = _read_account_update(content)
        return _account_update(update.account, update.operation)
    return [Unrecognized(f"account_event {cut(name, 64)}")]


def _account_update(row: _Account, operation: _Operation | None) -> list[Item]:
    account = as_id(row.id, "account.id")
    if operation is None:
        return [Observation(state=_account(row), account=account, event="account.updated")]
    time = date_of(operation.date_time_unix_ms, "operation.date_time_unix_ms")
    asset = as_id(row.currency, "account.currency")
    word = as_word(operation.operation_type, "operation.operation_type")
    cause = _CAUSES.get(word, word)
    balance = Balance(
        id=asset,
        asset=asset,
        total=number_or_missing(row.balance, "account.balance"),
        change=number_or_missing(operation.delta, "operation.delta"),
        cause=cause,
        comment=text_or_missing(operation.comment, "operation.comment"),
    )
    return [
        Observation(state=_account(row, cause), account=account, event="account.updated", time=time),
        # Named by the message: two operations may come with one and the same balance after both.
        Observation(state=balance, account=account, event=f"balance.{cause}", time=time),
    ]


def _account(row: _Account, cause: str | UnsetType = UNSET) -> Account:
    return Account(
        id=as_id(row.id, "account.id"),
        currency=text_or_missing(row.currency, "account.currency"),
        balance=number_or_missing(row.balance, "account.balance"),
        cause=cause,
        leverage=positive(number_or_missing(row.leverage, "account.leverage")),
        stop_out_level=number_or_missing(row.stop_out, "account.stop_out"),
        trading_disabled=flag_or_missing(row.trading_disabled, "account.trading_disabled"),
        group=_group(row),
        updated=epoch_or_missing(row.last_update_date, "us", "account.last_update_date"),
    )


def _group(row: _Account) -> str | UnsetType | None:
    """`Main/8bb66514-…`: the group and the trader, since one key can cover the accounts of many traders."""
    group = text_or_missing(row.trading_group, "account.trading_group")
    trader = text_or_missing(row.trader_id, "account.trader_id")
    known = "/".join(part for part in (group, trader) if isinstance(part, str))
    return known or (UNSET if group is UNSET and trader is UNSET else None)


def date_of(wire: Any, field: str) -> datetime | None:
    """The venue's time of an event, where it gives one."""
    return from_epoch(wire, "us", field) if given(wire) else None
