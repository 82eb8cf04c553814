"""TopOne's token, had by a signed GET (github toponedev/docs).

The venue takes one such request a minute; one more blocks the client for an hour. So the moment of each is stored
before it is made, over restarts and crashes. Stored: `requested_at`, `token`, `token_at`, and `token_for`, a hash of
the credentials that the token was had with.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, Struct

from tocsin.events import from_iso, iso
from tocsin.secrets import Secret
from tocsin.venues import web
from tocsin.venues.base import (
    HttpRequest,
    HttpResponse,
    Keep,
    Pause,
    Session,
    SignIn,
    SignInFailed,
    SignInRefused,
)
from tocsin.venues.topone.messages import refusal, succeeded
from tocsin.venues.wire import Reader

_TOKEN_LIFE = timedelta(hours=1)  # "valid for several hours, you should get a new one every hour"
_TOKEN_SPACING = timedelta(minutes=1)
_BLOCKED = 3600.0  # seconds for which a client that asked too often is


class Credentials(Struct, frozen=True):
    """What the config gives, and where it is used."""

    token_url: str
    app_id: Secret
    app_key: Secret

    @property
    def owner(self) -> str:
        """Tells whether a stored token belongs to these credentials, without storing them."""
        return hashlib.sha256(f"{self.app_id.reveal()}\n{self.app_key.reveal()}".encode()).hexdigest()[:32]


class _TokenData(Struct, frozen=True):
    apiToken: str | None = None  # noqa: N815 - as the wire spells it


class _TokenAnswer(Struct, frozen=True):
    code: Any = UNSET
    msg: Any = UNSET
    data: _TokenData | None = None


_read_token = Reader(_TokenAnswer)


def token_signature(app_key: str, random: str, time: str) -> str:
    """`sig` of the request for a token: the hex of a SHA-256. `time` is seconds since 1970, as text."""
    return hashlib.sha256(f"appKey={app_key}&random={random}&time={time}".encode()).hexdigest()


def sign_in(credentials: Credentials, kept: Mapping[str, str], now: datetime) -> SignIn:
    """The stored token while it is younger than an hour, else a new one. Raises SignInRefused or SignInFailed."""
    owner = credentials.owner
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
    response = yield from web.ask(_token_request(credentials, now))
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


def _token_request(credentials: Credentials, now: datetime) -> HttpRequest:
    # `random` only has to vary: who doesn't know the key can't sign, and `time` is signed too.
    random, time = str(100_000 + now.microsecond % 900_000), str(int(now.timestamp()))
    signature = token_signature(credentials.app_key.reveal(), random, time)
    query = {"appId": credentials.app_id.reveal(), "random": random, "time": time, "sig": signature}
    return HttpRequest(method="GET", url=credentials.token_url, query=query)


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
