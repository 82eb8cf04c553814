"""Yourfintech: a cross-margin CFD platform ("JSON format socket" at docs.yourfintech.com).

One socket: an auth message is answered, then events flow; there is nothing to subscribe. The same messages come by
WebSocket, one or several a frame, and by TCP with CRLF after each; the feed splits them. `message_id` is reused by
different events: nothing is told apart by it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import UNSET, Raw, Struct
from pydantic import Field, field_validator

from tocsin.quantities import SecretText
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Endpoint,
    Item,
    Malformed,
    Refused,
    Reply,
    Request,
    Session,
    SignIn,
    Snapshot,
    Unreadable,
    Unrecognized,
    VenueSettings,
)
from tocsin.venues.lenient import Part
from tocsin.venues.wire import Reader, as_id, as_word, cut, given, signed_in
from tocsin.venues.yourfintech_accounts import account_event, bid_ask
from tocsin.venues.yourfintech_positions import pending_event, position_event

_AUTH = "auth"
_STREAM = "events"
_LONGEST_PING_ID = 256  # characters; how much we send back is not for the venue to choose

_SUPPLIES: Mapping[str, frozenset[str]] = {
    "ticker": frozenset({"id", "symbol", "bid", "ask", "price", "spread"}),
    "account": frozenset(
        {
            "id", "currency", "balance", "cause", "change", "equity", "margin", "margin_level", "result", "performance",
            "leverage", "stop_out_level", "trading_disabled", "group", "updated",
        }
    ),
    "balance": frozenset({"id", "asset", "total", "change", "cause", "comment"}),
    "position": frozenset(
        {
            "id", "symbol", "side", "status", "amount", "entry_price", "mark_price", "profit", "currency", "leverage",
            "stop_loss", "take_profit", "stop_loss_amount", "take_profit_amount", "commission", "swap",
            "margin_price", "reason", "opened", "closed", "updated", "lot_size", "profit_price",
        }
    ),
    "order": frozenset(
        {
            "id", "symbol", "side", "order_type", "status", "venue_status", "price", "amount", "average", "currency",
            "stop_loss", "take_profit", "created", "updated",
        }
    ),
}  # fmt: skip


class YourfintechSettings(VenueSettings):
    """`url`: wss:// or ws:// for a WebSocket gateway, tls://host:port or tcp://host:port for the socket itself."""

    type: Literal["yourfintech"]
    secret_key: SecretText = Field(description="the key that the platform gave for its socket")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("not a URL; write wss://host/path or tls://host:port") from None
        if parts.scheme not in ("wss", "ws", "tls", "tcp") or not parts.hostname:
            raise ValueError("must be wss://host/path, or tls://host:port for the socket with CRLF")
        if parts.scheme in ("tls", "tcp") and port is None:
            raise ValueError("the port is missing: tls://host:port")
        return url


class _Envelope(Struct, frozen=True, gc=False):
    message_type: str | dict[str, Raw]
    message_id: Any = UNSET


class _AuthResult(Struct, frozen=True, gc=False):
    result: str


_read_envelope = Reader(_Envelope)
_read_named = Reader(dict[str, Raw])
_NULL = Raw(b"null")
_read_auth_result = Reader(_AuthResult)


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


_EVENTS: Mapping[str, Callable[[Raw], list[Item]]] = {
    "bid_ask": bid_ask,
    "account_event": _each("account_event", account_event),
    "position": _each("position", position_event),
    "pending_position": _each("pending_position", pending_event),
}


class Yourfintech:
    name = "yourfintech"
    summary = (
        "CFD and FX platform: accounts, positions, pending orders, prices (WebSocket, or TCP/TLS with CRLF)"
    )
    settings: type[VenueSettings] = YourfintechSettings
    supplies: Mapping[str, frozenset[str]] = _SUPPLIES
    polled = False

    def sign_in(self, settings: YourfintechSettings, kept: Mapping[str, str], now: datetime) -> SignIn:  # noqa: ARG002  the protocol's; the key is all that is needed
        """Nothing to get beforehand; the auth message only wants an id of its own."""
        return signed_in(
            Session(values={"message_id": str(uuid5(NAMESPACE_URL, f"tocsin {now.isoformat()}"))})
        )

    def endpoints(self, settings: YourfintechSettings, session: Session) -> tuple[Endpoint, ...]:
        auth = {
            "message_id": session.values["message_id"],
            "message_type": {
                "client_message": {"auth_request": {"secret_key": settings.secret_key.reveal()}},
            },
        }
        return (
            Endpoint(
                name=_STREAM,
                url=settings.url,
                headers=settings.headers,
                origin=settings.origin,
                opening=(Request(name=_AUTH, text=msgspec.json.encode(auth).decode(), required=True),),
            ),
        )

    def decode(self, message: str, received: datetime) -> Decoded:  # noqa: ARG002  the protocol's; dates are the venue's
        part = Part()
        envelope = _read_envelope(message, part.note)
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
                    stream = _STREAM
                    items += _readable(name, _EVENTS[name], content)
                else:
                    items.append(Unrecognized(f"server_message {cut(name, 64)}"))
        items += part.unreadable
        if items and isinstance(items[0], Unreadable) and all(isinstance(item, Unreadable) for item in items):
            raise Malformed(items[0].reason)
        return Decoded(tuple(items) or (Unrecognized("an empty message"),), stream)

    def snapshot(self, settings: YourfintechSettings, session: Session) -> Snapshot | None:  # noqa: ARG002  the protocol's
        """None: no REST picture is documented."""
        return None


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
        return Accepted(_AUTH)
    return Refused(_AUTH, result, "auth_failed" if result == "unauthorized" else "retry")


ADAPTER = Yourfintech()
