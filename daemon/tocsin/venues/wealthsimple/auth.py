"""Wealthsimple's tokens and tickets (github bufutda/wealthsimple-api, AUTHENTICATION.md and WEBSOCKET.md).

An access token lives an hour and is had for a refresh token, which is replaced each time; the newest is stored. Every
connection takes a ticket of its own, which the access token buys. The password is only for `tocsin login`.

Stored: `access_token`, `expires_at`, `refresh_token`, and `came_from`, which tells the configured token that they
descend from: once the user configures another, that one counts.
"""

import hashlib
import re
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

from tocsin.events import from_iso, iso
from tocsin.secrets import Secret
from tocsin.venues import oauth, web
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
from tocsin.venues.wire import Reader

REMEDY = "run: tocsin login {venue}"
_EARLY = timedelta(seconds=60)  # before its expiry a token is renewed
_SCOPE = "invest.read trade.read"


class OneTimePassword(Struct, frozen=True):
    """The user's answer to `OneTimePasswordNeeded`."""

    code: Secret
    claim: Secret


class OneTimePasswordNeeded(SignInRefused):
    """The venue wants a one-time password too: ask for it, and log in again with it and the same `claim`.

    `method` is how it reaches the user: `email`, `app`, or "" where the venue doesn't say.
    """

    def __init__(self, method: str, claim: Secret, *, again: bool = False) -> None:
        what = "the one-time password was not accepted" if again else "a one-time password is needed"
        super().__init__(what, REMEDY)
        self.method = method
        self.claim = claim


class Credentials(Struct, frozen=True):
    """What the config gives. At most one of the two tokens is set."""

    token_url: str
    ticket_url: str
    client_id: Secret | None
    access_token: Secret | None
    refresh_token: Secret | None

    @property
    def fingerprint(self) -> str:
        """Names the configured token without telling it; "" where there is none."""
        token = self.refresh_token or self.access_token
        return hashlib.sha256(token.reveal().encode()).hexdigest()[:32] if token else ""


class _Tokens(Struct, frozen=True):
    """What a sign-in has in hand. `expires_at` None: unknown."""

    access: str | None
    refresh: str | None
    expires_at: datetime | None = None

    def session(self, values: Mapping[str, str]) -> Session:
        refresh = {"refresh_token": self.refresh} if self.refresh else {}
        renew_at = self.expires_at - _EARLY if self.expires_at else None
        return Session(token=self.access, renew_at=renew_at, values={**values, **refresh})


class _Ticket(Struct, frozen=True):
    ticket: str | None = None


_read_ticket = Reader(_Ticket)
_Tokening: TypeAlias = Generator[HttpRequest | Keep | Pause, HttpResponse | None, _Tokens]


# -------------------------------------------------------------------------------------------- signing in, unattended


def sign_in(credentials: Credentials, kept: Mapping[str, str], now: datetime) -> SignIn:
    """A session with a fresh ticket; a new access token only where the one in hand is used up or refused."""
    tokens = _in_hand(credentials, kept, now)
    came_from = credentials.fingerprint or kept.get("came_from", "")
    renewed = tokens.access is None
    if renewed:
        tokens = yield from _refreshed(credentials, tokens, came_from, now)
    response = yield from web.ask(_ticket_request(credentials, tokens))
    if web.classify(response) == "refused" and tokens.refresh and not renewed:
        tokens = yield from _refreshed(credentials, tokens, came_from, now)
        response = yield from web.ask(_ticket_request(credentials, tokens))
    ticket = web.read("ticket", _read_ticket, response, REMEDY).ticket
    if not ticket:
        raise SignInFailed("ticket: an answer without a ticket")
    return tokens.session({"ticket": ticket})


def _in_hand(credentials: Credentials, kept: Mapping[str, str], now: datetime) -> _Tokens:
    refresh = kept.get("refresh_token") or None
    if refresh is None or credentials.fingerprint not in ("", kept.get("came_from")):
        access_token, refresh_token = credentials.access_token, credentials.refresh_token
        return _Tokens(
            access_token.reveal() if access_token else None, refresh_token.reveal() if refresh_token else None
        )
    try:
        expires_at = from_iso(kept.get("expires_at", ""))
    except (ValueError, OverflowError):
        return _Tokens(None, refresh)
    access = kept.get("access_token") or None
    used_up = access is None or now >= expires_at - _EARLY
    return _Tokens(None, refresh) if used_up else _Tokens(access, refresh, expires_at)


def _refreshed(credentials: Credentials, tokens: _Tokens, came_from: str, now: datetime) -> _Tokening:
    if tokens.refresh is None:
        raise SignInRefused("no usable token", REMEDY)
    grant = {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh,
        "client_id": _client_id(credentials),
    }
    request = HttpRequest(method="POST", url=credentials.token_url, json=grant, spends=True)
    response = yield from web.ask(request)
    return (yield from _kept("refresh", response, REMEDY, spent=tokens.refresh, came_from=came_from, now=now))


def _client_id(credentials: Credentials) -> str:
    if credentials.client_id is None:
        raise SignInRefused("client_id is missing", "set client_id in the venue's config")
    return credentials.client_id.reveal()


def _kept(
    what: str, response: HttpResponse, remedy: str, *, spent: str | None, came_from: str, now: datetime
) -> _Tokening:
    """The tokens granted, stored before the answer is judged: the refresh token that bought them is `spent`."""
    grant = oauth.read_grant(response, now)
    access = grant.access_token if web.classify(response) == "good" else None
    refresh = grant.refresh_token or spent
    if access or grant.refresh_token:
        yield Keep(
            {
                "access_token": access or "",
                "expires_at": iso(grant.expires_at) if access else "",
                "refresh_token": refresh or "",
                "came_from": came_from,
            }
        )
    return _Tokens(oauth.access_token(what, grant, response, remedy), refresh, grant.expires_at)


def _ticket_request(credentials: Credentials, tokens: _Tokens) -> HttpRequest:
    headers = {
        "Authorization": f"Bearer {tokens.access}",
        "x-ws-profile": "trade",
        "x-ws-api-version": "12",
    }
    return HttpRequest(method="POST", url=credentials.ticket_url, headers=headers, content=b"")


# ----------------------------------------------------------------------------------------- signing in, by hand


def log_in(
    credentials: Credentials,
    username: str,
    password: Secret,
    now: datetime,
    one_time: OneTimePassword | None = None,
) -> SignIn:
    """Tokens for a password, kept for the daemon. Raises OneTimePasswordNeeded, SignInRefused, SignInFailed."""
    response = yield from web.ask(_password_request(credentials, username, password, one_time))
    if web.classify(response) == "refused" and response.headers.get("x-wealthsimple-otp-required") == "true":
        demand = re.search(r"method=(\w+)", response.headers.get("x-wealthsimple-otp", ""), re.ASCII)
        claim = response.headers.get("x-wealthsimple-otp-authenticated-claim", "")
        raise OneTimePasswordNeeded(demand[1] if demand else "", Secret(claim), again=one_time is not None)
    remedy = "check the username and the password"
    tokens = yield from _kept(
        "login", response, remedy, spent=None, came_from=credentials.fingerprint, now=now
    )
    return tokens.session({})


def _password_request(
    credentials: Credentials, username: str, password: Secret, one_time: OneTimePassword | None
) -> HttpRequest:
    grant = {
        "grant_type": "password",
        "username": username,
        "password": password.reveal(),
        "skip_provision": True,
        "scope": _SCOPE,
        "client_id": _client_id(credentials),
    }
    headers = {}
    if one_time is not None:
        code = one_time.code.reveal().strip()
        if not (code.isascii() and code.isalnum()):
            raise SignInRefused("that is no one-time password", "type its digits alone")
        headers = {
            "x-wealthsimple-otp": f"{code};remember=true",
            "x-wealthsimple-otp-authenticated-claim": one_time.claim.reveal(),
        }
    return HttpRequest(method="POST", url=credentials.token_url, json=grant, headers=headers)
