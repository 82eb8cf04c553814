"""GLocalFlex: an electricity flexibility market (WebSocket API at glocalflexmarket.com/docs).

Up to three sockets, each with the bearer token in its handshake; connecting is subscribing.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from msgspec import UNSET, Struct
from pydantic import Field, field_validator, model_validator

from tocsin.quantities import SecretText
from tocsin.secrets import Secret
from tocsin.venues.base import (
    Control,
    Decoded,
    Endpoint,
    HttpRequest,
    HttpResponse,
    Item,
    Keep,
    Refused,
    Session,
    SignIn,
    Snapshot,
    Unrecognized,
    VenueSettings,
)
from tocsin.venues.derive import BOOK_FIELDS, TICKER_FROM_BOOK, TICKER_FROM_TRADES
from tocsin.venues.glocalflex_data import Message, content
from tocsin.venues.glocalflex_market import expired_order, orderbook, trade
from tocsin.venues.glocalflex_orders import contract, is_contract, order
from tocsin.venues.lenient import Part
from tocsin.venues.oauth import Grant, access_token, granted
from tocsin.venues.web import ask, is_page
from tocsin.venues.wire import Reader, as_word, cut, given, signed_in

_TOKEN_PATH = "/auth/oauth/v2/token"  # noqa: S105  a path, not a secret
_MARKET_DATA = frozenset({"ticker", "orderbook"})
# A token is renewed a minute before it ends; a short-lived one at half its life, but never in a hot loop.
_EARLY, _SHORTEST = timedelta(seconds=60), timedelta(seconds=10)
_TOKEN_NOT_GOOD = frozenset({400, 401, 403, 404, 422})
_REMEDY = "check username, password and client_id of this venue"

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

    def token_endpoint(self) -> str:
        """Where to ask for a token; by default on the sockets' own host: no other is to see a test account's password."""
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


class _Said(Struct, frozen=True, gc=False):
    message: Any = None


_read_message = Reader(Message)
_read_said = Reader(_Said)


class Glocalflex:
    name = "glocalflex"
    summary = "electricity flexibility market: orders, contracts, public trades, order book"
    settings: type[VenueSettings] = GlocalflexSettings
    supplies: Mapping[str, frozenset[str]] = _SUPPLIES
    polled = False

    def sign_in(self, settings: GlocalflexSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
        """The token given in the settings; else one by the kept refresh token, else by username and password."""
        if settings.token:
            return signed_in(Session(token=settings.token.reveal()))
        return _by_oauth(settings, kept, now)

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
        part = Part()
        return _decode(_read_message(message, part.note), part)

    def snapshot(self, settings: GlocalflexSettings, session: Session) -> Snapshot | None:  # noqa: ARG002  the protocol's
        """None: no picture of one's own orders and contracts is documented."""
        return None


def _by_oauth(settings: GlocalflexSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
    url, owner = settings.token_endpoint(), _owner(settings)
    refresh_token = kept.get("refresh_token") if kept.get("owner") == owner else None
    if refresh_token:
        form = {
            "grant_type": "refresh_token",
            "client_id": settings.client_id,
            "refresh_token": refresh_token,
        }
        response = yield from ask(HttpRequest(method="POST", url=url, form=form, spends=True))
        grant = granted(response, now)
        if grant.refresh_token and grant.refresh_token != refresh_token:
            yield Keep({"refresh_token": grant.refresh_token, "owner": owner})
        # A refresh token that is good no longer is no refusal of the user: log in again.
        if response.status not in _TOKEN_NOT_GOOD or is_page(response):
            return _session("renewing the token", response, grant, now)
    form = {
        "grant_type": "password",
        "client_id": settings.client_id,
        "username": _revealed(settings.username),
        "password": _revealed(settings.password),
    }
    response = yield from ask(HttpRequest(method="POST", url=url, form=form))
    grant = granted(response, now)
    if grant.refresh_token:
        yield Keep({"refresh_token": grant.refresh_token, "owner": owner})
    return _session("signing in", response, grant, now)


def _session(what: str, response: HttpResponse, grant: Grant, now: datetime) -> Session:
    token = access_token(what, grant, response, _REMEDY)
    life = grant.expires_at - now
    return Session(token=token, renew_at=now + max(life - _EARLY, life / 2, _SHORTEST))


def _owner(settings: GlocalflexSettings) -> str:
    """Whose refresh token is kept: another user's, or one of another host, is not to be used."""
    words = (settings.token_endpoint(), settings.client_id, _revealed(settings.username))
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _revealed(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""


def _decode(message: Message, part: Part) -> Decoded:
    match message.type:
        case "control":
            return Decoded((_control(message),))
        case "order_status_update" | "contract_status_update":
            data = content(message, part)
            part.of, meaning = ("contract", contract) if is_contract(message, data) else ("order", order)
            return Decoded(meaning(message, data, part), "trade")
        case "ticker_update":
            part.of = "trade"
            return Decoded(trade(message, content(message, part), part), "ticker")
        case "expired_order_update":
            part.of = "expired_order"
            return Decoded(expired_order(message, content(message, part), part), "ticker")
        case "orderbook_update":
            part.of = "orderbook"
            return Decoded(orderbook(message, part), "orderbook")
    return Decoded((Unrecognized(f"type {cut(message.type, 64)}"),))


def _control(message: Message) -> Item:
    """The greeting of a socket, or why it won't serve us."""
    if not given(message.status):
        return Unrecognized("control without a status")
    status = as_word(message.status, "status")
    if status.lower() == "success":
        return Control()
    said = _read_said(message.data).message if message.data is not UNSET else None
    return Refused("", cut(f"{status}: {said}" if isinstance(said, str) and said else status))


ADAPTER = Glocalflex()
