"""TopOne, a crypto exchange: a private socket with a token in its URL, a public one, and REST for the snapshot.

Documented at github toponedev/docs.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, model_validator

from tocsin.events import Order
from tocsin.quantities import SecretText
from tocsin.venues import derive, web
from tocsin.venues.base import Adapter, Decoded, Endpoint, Request, Session, SignIn, Snapshot, VenueSettings
from tocsin.venues.topone import auth
from tocsin.venues.topone.messages import DEALS, DEPTH, decode
from tocsin.venues.topone.rest import Rest, fetch, fetch_ended
from tocsin.venues.wire import signed_in

_STREAM = re.compile(
    r"orders|balance|deals_[^\s/]+/[^\s/_]+|depth_[^\s/]+/[^\s/_]+_(?:1|10|100|1000)x", re.ASCII
)
_MARKET = re.compile(r"[^\s/]+/[^\s/]+", re.ASCII)
_PRIVATE = ("orders", "balance")


def _stream(name: str) -> str:
    if not _STREAM.fullmatch(name):
        raise ValueError("no stream; write orders, balance, deals_ETH/BTC or depth_ETH/BTC_1x")
    return name


def _streams(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one stream: orders, balance, deals_ETH/BTC, depth_ETH/BTC_1x")
    return tuple(dict.fromkeys(names))


def _market(name: str) -> str:
    if not _MARKET.fullmatch(name):
        raise ValueError("no market; write it with a slash, like ETH/BTC")
    return name


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class TopOneSettings(VenueSettings):
    """`streams`: orders, balance, deals_<market>, depth_<market>_<1x|10x|100x|1000x>.

    `markets` are those whose working orders are fetched after each connect; without any, none are.
    """

    url: str = "wss://gateway.topone.run/ws/user/"
    public_url: str = "wss://gateway.topone.run/ws/"
    token_url: str = "https://gateway.topone.run/u/v1/api/token"  # noqa: S105 - where tokens are had, not one
    rest_url: str = "https://gateway.topone.run"
    # The venue answers 403 unless the header is there and empty.
    origin: str | None = ""
    token: SecretText | None = None
    app_id: SecretText | None = None
    app_key: SecretText | None = None
    streams: Annotated[tuple[Annotated[str, AfterValidator(_stream)], ...], AfterValidator(_streams)] = (
        "orders", "balance",
    )  # fmt: skip
    markets: Annotated[tuple[Annotated[str, AfterValidator(_market)], ...], AfterValidator(_each_once)] = ()

    @model_validator(mode="after")
    def _one_way_in(self) -> "TopOneSettings":
        if (self.app_id is None) != (self.app_key is None):
            raise ValueError("app_id and app_key belong together: give both or none")
        if self.token is not None and self.app_id is not None:
            raise ValueError("give either token, or app_id and app_key")
        if self.private and self.token is None and self.app_id is None:
            raise ValueError("the streams orders and balance need a token, or app_id and app_key")
        return self

    @property
    def private(self) -> tuple[str, ...]:
        return tuple(stream for stream in self.streams if stream in _PRIVATE)


class TopOne(Adapter):
    name = "topone"
    summary = "crypto exchange: orders, balances, public trades and order books"
    settings: type[VenueSettings] = TopOneSettings
    supplies: Mapping[str, frozenset[str]] = {
        "order": frozenset(
            {
                "id", "symbol", "side", "order_type", "status", "venue_status", "price", "amount", "filled",
                "remaining", "average", "cost", "created", "updated",
            }
        ),
        "balance": frozenset({"id", "asset", "available", "locked", "total"}),
        "trade": derive.TRADE_FIELDS,
        "book": derive.BOOK_FIELDS - {"sequence"},
        "ticker": derive.TICKER_FROM_TRADES | derive.TICKER_FROM_BOOK,
    }  # fmt: skip

    def sign_in(self, settings: TopOneSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
        """The configured token, the stored one while it is younger than an hour, or a new one."""
        if settings.token is not None:
            return signed_in(Session(token=settings.token.reveal()))
        if not settings.private or settings.app_id is None or settings.app_key is None:
            return signed_in(Session())
        return auth.sign_in(
            auth.Credentials(settings.token_url, settings.app_id, settings.app_key), kept, now
        )

    def endpoints(self, settings: TopOneSettings, session: Session) -> tuple[Endpoint, ...]:
        public = tuple(stream for stream in settings.streams if stream not in settings.private)
        found = []
        if settings.private:
            url = web.with_query(settings.url, {"token": session.token or ""})
            found.append(_endpoint("private", url, settings, settings.private))
        if public:
            found.append(_endpoint("public", settings.public_url, settings, public))
        return tuple(found)

    def decode(self, message: str, received: datetime) -> Decoded:
        del received
        return decode(message)

    def snapshot(
        self, settings: TopOneSettings, session: Session, now: datetime, since: datetime | None
    ) -> Snapshot | None:
        """Balances and the named markets' working orders. Raises SignInRefused, SignInFailed and Malformed."""
        del now, since
        markets = settings.markets if "orders" in settings.private else ()
        balances = "balance" in settings.private
        if session.token is None or not (markets or balances):
            return None
        return fetch(Rest(settings.rest_url, session.token), markets, balances=balances)

    def ask(
        self, settings: TopOneSettings, session: Session, known: Any, account: str | None, now: datetime
    ) -> Snapshot | None:
        """By the history of an order's market, if it is one whose working orders are fetched. Raises as `snapshot` does."""
        del account, now
        if session.token is None or not isinstance(known, Order) or known.symbol not in settings.markets:
            return None
        return fetch_ended(Rest(settings.rest_url, session.token), known)


def _endpoint(name: str, url: str, settings: TopOneSettings, streams: tuple[str, ...]) -> Endpoint:
    opening = tuple(_subscribe(str(count), f"sub_{stream}") for count, stream in enumerate(streams, start=1))
    return Endpoint(name=name, url=url, headers=settings.headers, origin=settings.origin, opening=opening)


def _subscribe(request_id: str, method: str) -> Request:
    message = {"id": request_id, "method": method, "params": {}, "lang": "en-US"}
    text = msgspec.json.encode(message).decode()
    return Request(name=method, text=text, market_data=method.startswith((DEALS, DEPTH)))


ADAPTER = TopOne()
