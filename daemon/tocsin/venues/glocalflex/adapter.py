"""GLocalFlex: an electricity flexibility market (WebSocket API at glocalflexmarket.com/docs).

Up to three sockets, each with the bearer token in its handshake; connecting is subscribing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from tocsin.quantities import SecretText
from tocsin.venues.base import Adapter, Decoded, Endpoint, Session, SignIn, VenueSettings
from tocsin.venues.derive import BOOK_FIELDS, TICKER_FROM_BOOK, TICKER_FROM_TRADES
from tocsin.venues.glocalflex import auth
from tocsin.venues.glocalflex.messages import decode
from tocsin.venues.wire import signed_in

_TOKEN_PATH = "/auth/oauth/v2/token"  # noqa: S105  a path, not a secret
_MARKET_DATA = frozenset({"ticker", "orderbook"})

_ELECTRICITY = frozenset({"price", "power", "energy", "delivery_start", "delivery_end", "location"})

_SUPPLIES: Mapping[str, frozenset[str]] = {
    "order": _ELECTRICITY | {"id", "symbol", "side", "status", "venue_status", "created", "updated"},
    "contract": _ELECTRICITY
    | {"id", "order_id", "status", "verification_status", "settlement_status", "side", "created", "updated"},
    "trade": _ELECTRICITY | {"id", "symbol"},
    "book": (BOOK_FIELDS - {"sequence"}) | _ELECTRICITY,
    "ticker": TICKER_FROM_TRADES | TICKER_FROM_BOOK,
}

Stream = Literal["trade", "ticker", "orderbook"]


class GlocalflexSettings(VenueSettings):
    """Either `token`, or `username` and `password`. `token_url` is on the host of `url` unless it is given."""

    type: Literal["glocalflex"]
    url: str = "wss://glocalflexmarket.com/api/v1/ws"
    token_url: str | None = Field(default=None, description="where tokens are given out")
    streams: tuple[Stream, ...] = Field(default=("trade",), min_length=1)
    path_suffix: Literal["", "/"] = Field(default="", description="what the sockets' paths end with")
    token: SecretText | None = None
    username: SecretText | None = None
    password: SecretText | None = None
    client_id: str = "glocalflexmarket_public_api"

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        return _checked(url, "wss", "ws")

    @field_validator("token_url")
    @classmethod
    def _token_url(cls, url: str | None) -> str | None:
        return url if url is None else _checked(url, "https", "http")

    @field_validator("streams")
    @classmethod
    def _each_once(cls, streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
        return tuple(dict.fromkeys(streams))

    @model_validator(mode="after")
    def _one_way_in(self) -> "GlocalflexSettings":
        if self.token and (self.username or self.password):
            raise ValueError("give either token, or username and password; not both")
        if not self.token and not (self.username and self.password):
            raise ValueError("give either token, or username and password")
        return self

    @property
    def credentials(self) -> auth.Credentials:
        return auth.Credentials(self._token_endpoint(), self.client_id, self.username, self.password)

    def _token_endpoint(self) -> str:
        """By default on the sockets' own host: no other is to see a test account's password."""
        if self.token_url:
            return self.token_url
        parts = urlsplit(self.url)
        return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, _TOKEN_PATH, "", ""))


def _checked(url: str, *schemes: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("not a URL") from None
    if not parts.hostname or parts.scheme not in schemes:
        raise ValueError(f"must be a URL such as {schemes[0]}://host/path")
    return url


class Glocalflex(Adapter):
    name = "glocalflex"
    summary = "electricity flexibility market: orders, contracts, public trades, order book"
    settings: type[VenueSettings] = GlocalflexSettings
    supplies: Mapping[str, frozenset[str]] = _SUPPLIES

    def sign_in(self, settings: GlocalflexSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
        """The token given in the settings; else one by the kept refresh token, else by username and password."""
        if settings.token:
            return signed_in(Session(token=settings.token.reveal()))
        return auth.sign_in(settings.credentials, kept, now)

    def endpoints(self, settings: GlocalflexSettings, session: Session) -> tuple[Endpoint, ...]:
        base = urlsplit(settings.url)
        return tuple(
            Endpoint(
                name=stream,
                url=urlunsplit(base._replace(path=f"{base.path.rstrip('/')}/{stream}{settings.path_suffix}")),
                headers={**settings.headers, "Authorization": f"Bearer {session.token}"},
                origin=settings.origin,
                market_data=stream in _MARKET_DATA,
                follow_redirect=True,  # the official client writes a trailing slash, the docs don't
            )
            for stream in settings.streams
        )

    def decode(self, message: str, received: datetime) -> Decoded:  # noqa: ARG002  the protocol's; times are the venue's
        return decode(message)


ADAPTER = Glocalflex()
