"""What a service answers: its words, when to come again, and whether it took the message. Pure."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from msgspec import Struct

from tocsin.alerts.plain import flat

LONGEST = 200  # characters of a body that are told
_LONGEST_WAIT = 24 * 3600.0  # a Retry-After beyond that is taken for this
# Where services put their words in a JSON answer: Telegram description, Slack error, many message.
_WORDS = ("description", "error", "message", "error_description", "detail", "reason", "errors")
_HTML = re.compile(
    rb"\s*(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|meta|script|title)\b",
    re.IGNORECASE | re.DOTALL,
)

Means = Literal["accepted", "refused", "passing", "foreign"]
"""Of an answer of HTTP: taken; refused, for good if the status says so; not now; not the service's own answer at all."""


class Answer(Struct, frozen=True, kw_only=True):
    """One answer of a service, or the lack of one (`status` None). `text` may hold secrets.

    `about` tells the recipients of one URL apart (None: it is about all of them), `to` is the recipient's address where
    that is known. `means` is judged for HTTP only.
    """

    how: Literal["http", "smtp"]
    status: int | None
    text: str
    retry_after: float | None = None  # seconds
    about: str | None = None
    to: str | None = None
    means: Means = "accepted"


def parsed(body: bytes | str) -> Any:
    """The JSON of a body; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_html(body: bytes) -> bool:
    """Whether it is a page for people, as proxies and guest networks send instead of the service's answer."""
    return bool(_HTML.match(body[:4096]))


def said(body: bytes) -> str:
    """The service's words from an HTTP answer's body: out of its JSON where it is some, else its beginning."""
    answer = parsed(body)
    if isinstance(answer, dict):
        for name in _WORDS:
            words = answer.get(name)
            if isinstance(words, dict):
                words = words.get("message") or words.get("type")
            if words and isinstance(words, str | list):
                return flat(words if isinstance(words, str) else json.dumps(words), LONGEST)
    text = body[:65536].decode(errors="replace")
    return flat(text if answer is not None else re.sub(r"<[^>]*>", " ", text), LONGEST)


def retry_after(header: str | None, body: bytes = b"", now: datetime | None = None) -> float | None:
    """Seconds to wait, from the header (seconds or a date, RFC 9110 10.2.3) or Telegram's and Discord's JSON."""
    if header is not None:
        try:
            return _bounded(float(header))
        except ValueError:
            pass
        try:
            at = parsedate_to_datetime(header)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            return _bounded((at - (now or datetime.now(UTC))).total_seconds())
        except (ValueError, OverflowError):
            pass  # the body may say it
    answer = parsed(body)
    if not isinstance(answer, dict):
        return None
    parameters = answer.get("parameters")
    seconds = (parameters if isinstance(parameters, dict) else answer).get("retry_after")
    try:
        return _bounded(float(seconds)) if isinstance(seconds, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124 # not NaN
