"""What Yourfintech's messages mean. All dates are microseconds since 1970, whatever their names say.

Here are the envelope, prices and accounts; `positions.py` has positions and pending positions.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, structs

from tocsin.events import Account, Balance, Observation, Ticker
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Item,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)
from tocsin.venues.derive import stamp
from tocsin.venues.lenient import Part, positive
from tocsin.venues.wire import Reader, as_id, as_word, cut, given
from tocsin.venues.yourfintech.positions import pending_event, position_event

AUTH, STREAM = "auth", "events"  # what the auth message and the one socket are called
_LONGEST_PING_ID = 256  # characters; how much we send back is not for the venue to choose


class _Envelope(Struct, frozen=True, gc=False):
    message_type: str | dict[str, Raw]
    message_id: Any = UNSET


class _AuthResult(Struct, frozen=True, gc=False):
    result: str


_read_envelope = Reader(_Envelope)
_read_named = Reader(dict[str, Raw])
_NULL = Raw(b"null")
_read_auth_result = Reader(_AuthResult)


def decode(text: str) -> Decoded:
    """What one message means. Raises Malformed where all of it can't be read; else what can be counts."""
    part = Part()
    envelope = _read_envelope(text, part.note)
    kind = envelope.message_type
    if isinstance(kind, str):
        return Decoded((_heartbeat(kind, envelope.message_id),))
    items: list[Item] = []
    stream: str | None = None
    for sender, body in kind.items():
        if sender != "server_message":
            items.append(Unrecognized(f"message_type {cut(sender, 64)}"))
            continue
        for name, content in _named(body):
            if name == "auth_result":
                items.append(_auth_result(content))
            elif name in _EVENTS:
                stream = STREAM
                items += _readable(name, _EVENTS[name], content)
            else:
                items.append(Unrecognized(f"server_message {cut(name, 64)}"))
    items += part.unreadable
    if items and isinstance(items[0], Unreadable) and all(isinstance(item, Unreadable) for item in items):
        raise Malformed(items[0].reason)
    return Decoded(tuple(items) or (Unrecognized("an empty message"),), stream)


def _named(content: Raw) -> list[tuple[str, Raw]]:
    """JSON's way of a union: the key says what the content is. Alternatives that are null are not meant."""
    return [(name, entry) for name, entry in _read_named(content).items() if entry != _NULL]


def _each(of: str, meaning: Callable[[str, Raw], list[Item]]) -> Callable[[Raw], list[Item]]:
    """Of an object `{what happened: content}`: what each entry means. One that can't be read doesn't take the others along."""

    def entries(content: Raw) -> list[Item]:
        items: list[Item] = []
        for name, entry in _named(content):
            items += _readable(f"{of}.{name:.64}", meaning, name, entry)
        return items

    return entries


def _readable(what: str, meaning: Callable[..., list[Item]], *parts: Any) -> list[Item]:
    """What that part of a message means; where it can't be read the others go on."""
    try:
        return meaning(*parts)
    except Malformed as malformed:
        return [Unreadable(what, cut(str(malformed)), row=True)]


def _heartbeat(word: str, message_id: Any) -> Item:
    """A bare word is a Ping, in whatever case: answered in the case that came, with the same id."""
    if word.lower() == "pong":
        return Control()
    if word.lower() != "ping":
        return Unrecognized(f"message_type {cut(word, 64)}")
    pong = "".join(new.upper() if old.isupper() else new for old, new in zip(word, "pong", strict=True))
    answer = (
        {"message_type": pong} if message_id is UNSET else {"message_id": message_id, "message_type": pong}
    )
    if given(message_id) and len(as_id(message_id, "message_id")) > _LONGEST_PING_ID:
        raise Malformed("message_id: too long to be answered")
    return Reply(msgspec.json.encode(answer).decode())


def _auth_result(content: Raw) -> Item:
    """`unauthorized` is a bad key; `auth_failed`, and any word that isn't documented, is a fault of theirs."""
    result = as_word(_read_auth_result(content).result, "auth_result.result")
    if result == "success":
        return Accepted(AUTH)
    return Refused(AUTH, result, "auth_failed" if result == "unauthorized" else "retry")


# ----------------------------------------------------------------------------------------------- prices and accounts


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


def _bid_ask(content: Raw) -> list[Item]:
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


def _account_event(name: str, content: Raw) -> list[Item]:
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


_EVENTS: Mapping[str, Callable[[Raw], list[Item]]] = {
    "bid_ask": _bid_ask,
    "account_event": _each("account_event", _account_event),
    "position": _each("position", position_event),
    "pending_position": _each("pending_position", pending_event),
}
