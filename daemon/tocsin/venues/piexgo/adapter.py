"""Piexgo, a crypto exchange: signed subscriptions over one WebSocket, documented at github piexgo/Api-Docs."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import AfterValidator, model_validator

from tocsin.quantities import SecretText
from tocsin.venues import derive
from tocsin.venues.base import Adapter, Decoded, Endpoint, Request, Session, SignIn, VenueSettings
from tocsin.venues.piexgo.messages import decode
from tocsin.venues.wire import signed_in

_STREAM = re.compile(r"pinfo|(?:dealinfo|depth)\.[a-z0-9_-]{1,40}", re.ASCII)


def _stream(name: str) -> str:
    name = name.lower()  # symbols in topics are lower case
    if not _STREAM.fullmatch(name):
        raise ValueError("no stream; write pinfo, dealinfo.btc_usdt or depth.btc_usdt")
    return name


def _streams(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one stream: pinfo, dealinfo.btc_usdt, depth.btc_usdt")
    return tuple(dict.fromkeys(names))


class PiexgoSettings(VenueSettings):
    """`streams`: pinfo (own orders and balances), dealinfo.<symbol> (trades), depth.<symbol> (order books)."""

    url: str = "wss://api.piexgo.com/ws"
    api_key: SecretText | None = None
    api_secret: SecretText | None = None
    streams: Annotated[tuple[Annotated[str, AfterValidator(_stream)], ...], AfterValidator(_streams)] = (
        "pinfo",
    )

    @model_validator(mode="after")
    def _key_with_secret(self) -> "PiexgoSettings":
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret belong together: give both or none")
        return self


def signature(api_key: str, api_secret: str) -> str:
    """base64(HMAC-SHA256(api_secret, api_key)): it never changes, so it is as secret as the secret."""
    return base64.b64encode(hmac.digest(api_secret.encode(), api_key.encode(), hashlib.sha256)).decode()


class Piexgo(Adapter):
    name = "piexgo"
    summary = "crypto exchange: orders, balances, public trades and order books"
    settings: type[VenueSettings] = PiexgoSettings
    supplies: Mapping[str, frozenset[str]] = {
        "order": frozenset(
            {
                "id", "symbol", "side", "order_type", "status", "venue_status", "price", "stop_price", "amount",
                "filled", "remaining", "average", "cost", "created", "updated",
            }
        ),
        "balance": frozenset({"id", "asset", "available", "locked"}),
        "trade": derive.TRADE_FIELDS,
        "book": derive.BOOK_FIELDS,
        "ticker": derive.TICKER_FROM_TRADES | derive.TICKER_FROM_BOOK,
    }  # fmt: skip

    def sign_in(self, settings: PiexgoSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
        """Nothing to ask: the key signs itself. The signature is in the session, where the feed masks it."""
        del kept, now
        if settings.api_key is None or settings.api_secret is None:
            return signed_in(Session())
        signed = signature(settings.api_key.reveal(), settings.api_secret.reveal())
        return signed_in(Session(values={"signature": signed}))

    def endpoints(self, settings: PiexgoSettings, session: Session) -> tuple[Endpoint, ...]:
        opening = tuple(_subscribe(settings, session, stream) for stream in settings.streams)
        return (
            Endpoint(
                name="streams",
                url=settings.url,
                headers=settings.headers,
                origin=settings.origin,
                opening=opening,
            ),
        )

    def decode(self, message: str, received: datetime) -> Decoded:
        del received
        return decode(message)


def _subscribe(settings: PiexgoSettings, session: Session, stream: str) -> Request:
    # Answers to a subscription are not documented, so none is awaited; a refusal has an err_code.
    message = {"op": "subscribe", "topic": stream}
    if stream == "pinfo" and settings.api_key is not None:
        message |= {"apikey": settings.api_key.reveal(), "signature": session.values["signature"]}
    text = msgspec.json.encode(message).decode()
    return Request(name=stream, text=text, answered=False, market_data=stream != "pinfo")


ADAPTER = Piexgo()
