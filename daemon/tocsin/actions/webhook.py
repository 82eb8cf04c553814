"""An action by HTTP: one POST with the alert as JSON, signed where there is a secret, with a key by which a repeated one is known."""

import hmac
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlsplit

from tocsin.actions.model import LOOPBACK, MOST_OUTPUT, ActionSettings, Result
from tocsin.alerts.plain import flat
from tocsin.http import Http, HttpFailed
from tocsin.venues.base import HttpRequest

_REDIRECTS, _BAD = range(300, 400), range(400, 500)
_PASSING = frozenset({408, 425, 429})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC of `timestamp.body` in hex."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


async def post(settings: ActionSettings, key: str, body: bytes, now: datetime) -> Result:
    """`key` is the same at each try of a run; `now` is the time of this one."""
    assert settings.webhook is not None  # noqa: S101 # who calls this has looked
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "X-Tocsin-Timestamp": timestamp,
    }
    if settings.secret is not None:
        headers["X-Tocsin-Signature"] = signature(settings.secret.reveal(), timestamp, body)
    request = HttpRequest(method="POST", url=settings.webhook.reveal(), headers=headers, content=body)
    here = urlsplit(request.url).hostname in LOOPBACK
    try:
        answer = await Http(None, settings.time_limit, proxies=not here)(request)
    except HttpFailed as failed:
        if failed.status is None:
            return Result(ok=False, result="no answer", reason=failed.why, again=True)
        status, output = failed.status, failed.why  # whatever is odd about the rest
    else:
        status, output = answer.status, answer.body[:MOST_OUTPUT].decode(errors="replace")
    if 200 <= status < 300:
        return Result(ok=True, result=str(status), output=output)
    if status in _REDIRECTS:
        return Result(
            ok=False, result=str(status), output=output, reason=f"{status}: redirects aren't followed"
        )
    again = status not in _BAD or status in _PASSING
    return Result(
        ok=False,
        result=str(status),
        output=output,
        reason=f"{status}: {flat(output[:200]) or 'no words'}",
        again=again,
    )
