"""GLocalFlex's tokens, by OAuth (RFC 6749): the stored refresh token while it is good, else username and password.

Stored: `refresh_token`, and `owner`, a hash of the user and the place that it is for.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from tocsin.secrets import Secret
from tocsin.venues.base import HttpRequest, HttpResponse, Keep, Session, SignIn
from tocsin.venues.oauth import Grant, access_token, read_grant
from tocsin.venues.web import ask, is_page

# A token is renewed a minute before it ends; a short-lived one at half its life, but never in a hot loop.
_EARLY, _SHORTEST = timedelta(seconds=60), timedelta(seconds=10)
_TOKEN_NOT_GOOD = frozenset({400, 401, 403, 404, 422})
_REMEDY = "check username, password and client_id of this venue"


class Credentials(Struct, frozen=True):
    """What the config gives. `token_url` is where tokens are asked for."""

    token_url: str
    client_id: str
    username: Secret | None
    password: Secret | None

    @property
    def owner(self) -> str:
        """Names whose refresh token is stored: another user's, or one of another host, is not to be used."""
        words = (self.token_url, self.client_id, _revealed(self.username))
        return hashlib.sha256("\0".join(words).encode()).hexdigest()


def sign_in(credentials: Credentials, kept: Mapping[str, str], now: datetime) -> SignIn:
    """A session whose token is renewed before it ends. Raises SignInRefused or SignInFailed."""
    url, owner = credentials.token_url, credentials.owner
    refresh_token = kept.get("refresh_token") if kept.get("owner") == owner else None
    if refresh_token:
        form = {
            "grant_type": "refresh_token",
            "client_id": credentials.client_id,
            "refresh_token": refresh_token,
        }
        response = yield from ask(HttpRequest(method="POST", url=url, form=form, spends=True))
        grant = read_grant(response, now)
        if grant.refresh_token and grant.refresh_token != refresh_token:
            yield Keep({"refresh_token": grant.refresh_token, "owner": owner})
        # A refresh token that is good no longer is no refusal of the user: log in again.
        if response.status not in _TOKEN_NOT_GOOD or is_page(response):
            return _session("renewing the token", response, grant, now)
    form = {
        "grant_type": "password",
        "client_id": credentials.client_id,
        "username": _revealed(credentials.username),
        "password": _revealed(credentials.password),
    }
    response = yield from ask(HttpRequest(method="POST", url=url, form=form))
    grant = read_grant(response, now)
    if grant.refresh_token:
        yield Keep({"refresh_token": grant.refresh_token, "owner": owner})
    return _session("signing in", response, grant, now)


def _session(what: str, response: HttpResponse, grant: Grant, now: datetime) -> Session:
    token = access_token(what, grant, response, _REMEDY)
    life = grant.expires_at - now
    return Session(token=token, renew_at=now + max(life - _EARLY, life / 2, _SHORTEST))


def _revealed(secret: Secret | None) -> str:
    return secret.reveal() if secret else ""
