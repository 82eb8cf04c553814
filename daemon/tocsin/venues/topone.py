"""TopOne, a crypto exchange: a private socket with a token in its URL, a public one, and REST for the opening picture.

Documented at github toponedev/docs. A token is had by a signed GET, of which the venue takes one a minute; one more
blocks the client for an hour. So the moment of each is kept before it is made, over restarts and crashes.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct
from pydantic import AfterValidator, model_validator

from tocsin.events import from_iso, iso
from tocsin.quantities import SecretText
from tocsin.venues import derive, web
from tocsin.venues.base import (
    Decoded,
    Endpoint,
    HttpRequest,
    HttpResponse,
    Keep,
    Pause,
    Request,
    Session,
    SignIn,
    SignInFailed,
    SignInRefused,
    Snapshot,
    VenueSettings,
)
from tocsin.venues.topone_messages import DEALS, DEPTH, decode, refusal, succeeded
from tocsin.venues.topone_rest import Rest, picture
from tocsin.venues.wire import Reader, signed_in

_STREAM = re.compile(
    r"orders|balance|deals_[^\s/]+/[^\s/_]+|depth_[^\s/]+/[^\s/_]+_(?:1|10|100|1000)x", re.ASCII
)
_MARKET = re.compile(r"[^\s/]+/[^\s/]+", re.ASCII)
_PRIVATE = ("orders", "balance")

_TOKEN_LIFE = timedelta(hours=1)  # "valid for several hours, you should get a new one every hour"
_TOKEN_SPACING = timedelta(minutes=1)
_BLOCKED = 3600.0  # seconds for which a client that asked too often is


def _streams(names: tuple[str, ...]) -> tuple[str, ...]:
    for count, name in enumerate(names, start=1):
        if not _STREAM.fullmatch(name):
            raise ValueError(
                f"number {count} is no stream; write orders, balance, deals_ETH/BTC or depth_ETH/BTC_1x"
            )
    if not names:
        raise ValueError("name at least one stream: orders, balance, deals_ETH/BTC, depth_ETH/BTC_1x")
    return tuple(dict.fromkeys(names))


def _markets(names: tuple[str, ...]) -> tuple[str, ...]:
    for count, name in enumerate(names, start=1):
        if not _MARKET.fullmatch(name):
            raise ValueError(f"number {count} is no market; write it with a slash, like ETH/BTC")
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
    streams: Annotated[tuple[str, ...], AfterValidator(_streams)] = ("orders", "balance")
    markets: Annotated[tuple[str, ...], AfterValidator(_markets)] = ()

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


# -------------------------------------------------------------------------------------------------------- the token


class _TokenData(Struct, frozen=True):
    apiToken: str | None = None  # noqa: N815 - as the wire spells it


class _TokenAnswer(Struct, frozen=True):
    code: Any = UNSET
    msg: Any = UNSET
    data: _TokenData | None = None


_read_token = Reader(_TokenAnswer)


def token_signature(app_key: str, random: str, time: str) -> str:
    return hashlib.sha256(f"appKey={app_key}&random={random}&time={time}".encode()).hexdigest()


def _fresh_token(
    app_id: str, app_key: str, settings: TopOneSettings, kept: Mapping[str, str], now: datetime
) -> SignIn:
    # Tells whether a kept token belongs to these credentials, without keeping them.
    owner = hashlib.sha256(f"{app_id}\n{app_key}".encode()).hexdigest()[:32]
    at = _time(kept, "token_at")
    token = kept.get("token", "")
    usable = token and kept.get("token_for") == owner
    if usable and at is not None and at <= now < at + _TOKEN_LIFE:
        return Session(token=token, renew_at=at + _TOKEN_LIFE)
    wait = _left_of_the_minute(_time(kept, "requested_at"), now)
    if wait > 0:
        yield Pause(wait, "TopOne gives one token a minute")
        now += timedelta(seconds=wait)
    requested = {"requested_at": iso(now)}
    yield Keep(requested)
    response = yield from web.ask(_token_request(app_id, app_key, settings.token_url, now))
    token = _granted(response)
    yield Keep({**requested, "token": token, "token_for": owner, "token_at": iso(now)})
    return Session(token=token, renew_at=now + _TOKEN_LIFE)


def _time(kept: Mapping[str, str], name: str) -> datetime | None:
    try:
        return from_iso(kept.get(name, ""))
    except (ValueError, OverflowError):
        return None


def _left_of_the_minute(requested: datetime | None, now: datetime) -> float:
    """Seconds. A clock that was set back since leaves a whole minute, not hours."""
    if requested is None:
        return 0.0
    return min(max(requested + _TOKEN_SPACING - now, timedelta(0)), _TOKEN_SPACING).total_seconds()


def _token_request(app_id: str, app_key: str, url: str, now: datetime) -> HttpRequest:
    # `random` only has to vary: who doesn't know the key can't sign, and `time` is signed too.
    random, time = str(100_000 + now.microsecond % 900_000), str(int(now.timestamp()))
    query = {"appId": app_id, "random": random, "time": time, "sig": token_signature(app_key, random, time)}
    return HttpRequest(method="GET", url=url, query=query)


def _granted(response: HttpResponse) -> str:
    remedy = "check app_id and app_key, and whether they are bound to another address"
    if response.status == 429:
        wait = web.retry_after(response)
        raise SignInFailed(f"token: {web.words(response)}", _BLOCKED if wait is None else wait)
    answer = web.read("token", _read_token, response, remedy)
    if answer.code is not UNSET and not succeeded(answer.code):
        raise SignInRefused(f"token: {refusal(answer.code, answer.msg)}", remedy)
    if answer.data is None or not answer.data.apiToken:
        raise SignInFailed("token: an answer without apiToken")
    return answer.data.apiToken


# ------------------------------------------------------------------------------------------------------- the adapter


class TopOne:
    name = "topone"
    summary = "crypto exchange: orders, balances, public trades and order books"
    settings: type[VenueSettings] = TopOneSettings
    polled = False
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
        """The configured token, the kept one while it is younger than an hour, or a new one."""
        if settings.token is not None:
            return signed_in(Session(token=settings.token.reveal()))
        if not settings.private or settings.app_id is None or settings.app_key is None:
            return signed_in(Session())
        return _fresh_token(settings.app_id.reveal(), settings.app_key.reveal(), settings, kept, now)

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

    def snapshot(self, settings: TopOneSettings, session: Session) -> Snapshot | None:
        """Balances and the named markets' working orders. Raises SignInRefused, SignInFailed and Malformed."""
        markets = settings.markets if "orders" in settings.private else ()
        balances = "balance" in settings.private
        if session.token is None or not (markets or balances):
            return None
        return picture(Rest(settings.rest_url, session.token), markets, balances=balances)


def _endpoint(name: str, url: str, settings: TopOneSettings, streams: tuple[str, ...]) -> Endpoint:
    opening = tuple(_subscribe(str(count), f"sub_{stream}") for count, stream in enumerate(streams, start=1))
    return Endpoint(name=name, url=url, headers=settings.headers, origin=settings.origin, opening=opening)


def _subscribe(request_id: str, method: str) -> Request:
    message = {"id": request_id, "method": method, "params": {}, "lang": "en-US"}
    text = msgspec.json.encode(message).decode()
    return Request(name=method, text=text, market_data=method.startswith((DEALS, DEPTH)))


ADAPTER = TopOne()
