"""What web services of all kinds answer alike: when to come again, and pages that somebody else sends in their place. Pure."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT = 86400.0  # seconds; what we may be asked to wait at most
_ASKED = {"retry_after": 1.0, "retry_after_ms": 0.001}  # how a wait is asked for, and in how many seconds
_HTML = re.compile(
    rb"\s*(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|meta|script|title)\b",
    re.IGNORECASE | re.DOTALL,
)


def parsed(body: bytes | str) -> Any:
    """The JSON of a body; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_page(body: bytes, content_type: str = "") -> bool:
    """Whether it is a page for people, as proxies, firewalls and guest networks send instead of the service's answer.

    The content type is for services that name theirs: some, such as Slack's webhooks, call a plain word `text/html`.
    """
    return bool(_HTML.match(body[:4096])) or ("html" in content_type.lower() and body.lstrip()[:1] != b"{")


def retry_after(headers: Mapping[str, str], body: bytes = b"", now: datetime | None = None) -> float | None:
    """Seconds until the service wants to be asked again, at most a day. Names of `headers` are in lower case, or any case will do.

    It says so in a header (a number, or a date, which counts from the answer's own or from `now`; RFC 9110 10.2.3), else
    in its JSON: `retry_after`, `retry_after_ms`, as numbers or texts, at the top or one level below (Telegram's
    `parameters`). What makes no sense is passed over.
    """
    for name, unit in _ASKED.items():
        if (seconds := _seconds(headers.get(name.replace("_", "-")), unit)) is not None:
            return seconds
    until, sent = (_http_date(headers.get(name, "")) for name in ("retry-after", "date"))
    if until is not None and (since := sent or now) is not None:
        return min(max(0.0, (until - since).total_seconds()), LONGEST_WAIT)
    said = parsed(body)
    if not isinstance(said, dict):
        return None
    for place in (said, *(inner for inner in said.values() if isinstance(inner, dict))):
        for name, unit in _ASKED.items():
            if (seconds := _seconds(place.get(name), unit)) is not None:
                return seconds
    return None


def _seconds(said: object, unit: float) -> float | None:
    """A span that is stated in `unit` seconds, where it makes sense."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        seconds = float(said) * unit
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
