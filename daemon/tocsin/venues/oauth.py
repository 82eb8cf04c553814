"""What a token endpoint answers (RFC 6749, 5.1), read so that a new refresh token is never lost.

A refresh token is good once: by the time its answer is read, the one that was sent is spent. So the new one is taken out
of whatever came, and only then is the rest judged. `expires_in` is RECOMMENDED there, not required.
"""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct

from tocsin.venues import web
from tocsin.venues.base import HttpResponse, Malformed, SignInFailed
from tocsin.venues.wire import Reader, exact

UNTIL_REFUSED = timedelta(hours=1)  # how long an access token is used whose life nobody states
_LONGEST_LIFE = Decimal(365 * 86400)  # seconds; a token that claims more is asked for again in a year
_REFRESH_TOKEN = re.compile(rb'"refresh_token"\s*:\s*("(?:[^"\\]|\\.){1,8192}")')


class Grant(Struct, frozen=True):
    """The tokens of one answer, as far as it holds any; `expires_at` (UTC) is by our own clock."""

    access_token: str | None
    refresh_token: str | None
    expires_at: datetime


class _Answer(Struct, frozen=True):
    access_token: Any = UNSET
    refresh_token: Any = UNSET
    expires_in: Any = UNSET  # seconds


_read = Reader(_Answer)


def read_grant(response: HttpResponse, now: datetime) -> Grant:
    """The tokens in the answer, whatever its status and however odd the rest of it is. Raises nothing."""
    try:
        answer = _read(response.body)
    except Malformed:
        return Grant(None, _find_refresh_token(response.body), now + UNTIL_REFUSED)
    return Grant(_token(answer.access_token), _token(answer.refresh_token), now + _life(answer.expires_in))


def access_token(what: str, grant: Grant, response: HttpResponse, remedy: str) -> str:
    """The access token. Raises SignInRefused or SignInFailed, in which `what` says what was asked for."""
    web.read(what, _read, response, remedy)
    if grant.access_token is None:
        raise SignInFailed(f"{what}: an answer without access_token")
    return grant.access_token


def _token(wire: Any) -> str | None:
    return wire if isinstance(wire, str) and wire else None


def _find_refresh_token(body: bytes) -> str | None:
    """The refresh token in what is no JSON: cut off, or with a NaN in it."""
    match = _REFRESH_TOKEN.search(body)
    try:
        return _token(json.loads(match[1])) if match else None
    except ValueError:
        return None


def _life(wire: Any) -> timedelta:
    """`expires_in`; an hour where it is no number. Never negative, at most a year."""
    try:
        seconds = exact(wire, "expires_in")
    except Malformed:
        return UNTIL_REFUSED
    return timedelta(seconds=float(min(max(seconds, Decimal(0)), _LONGEST_LIFE)))
