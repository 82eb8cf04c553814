"""Yourfintech: a cross-margin CFD platform ("JSON format socket" at docs.yourfintech.com).

One socket: an auth message is answered, then events flow; there is nothing to subscribe. The same messages come by
WebSocket, one or several a frame, and by TCP with CRLF after each; the feed splits them. `message_id` is reused by
different events: nothing is told apart by it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import msgspec
from pydantic import Field, field_validator

from tocsin.quantities import SecretText
from tocsin.venues.base import Adapter, Decoded, Endpoint, Request, Session, SignIn, VenueSettings
from tocsin.venues.wire import signed_in
from tocsin.venues.yourfintech.messages import AUTH, STREAM, decode

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


class Yourfintech(Adapter):
    name = "yourfintech"
    summary = (
        "CFD and FX platform: accounts, positions, pending orders, prices (WebSocket, or TCP/TLS with CRLF)"
    )
    settings: type[VenueSettings] = YourfintechSettings
    supplies: Mapping[str, frozenset[str]] = _SUPPLIES

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
                name=STREAM,
                url=settings.url,
                headers=settings.headers,
                origin=settings.origin,
                opening=(Request(name=AUTH, text=msgspec.json.encode(auth).decode(), required=True),),
            ),
        )

    def decode(self, message: str, received: datetime) -> Decoded:  # noqa: ARG002  the protocol's; dates are the venue's
        return decode(message)


ADAPTER = Yourfintech()
