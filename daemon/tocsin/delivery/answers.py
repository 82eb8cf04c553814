"""What a service really answered. Apprise tells only yes or no, so the two libraries that it sends with are listened to.

`requests.Session.send`, `smtplib.SMTP.connect` and `smtplib.SMTP.getreply` (public methods, through which all its
HTTP and mail plugins go) are wrapped once. Outside of `listening()` the wrappers pass everything through untouched.
"""

import functools
import importlib
import json
import re
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, Literal

from msgspec import Struct

from tocsin.alerts.plain import flat

_LONGEST = 200  # characters of a body that are told
_LONGEST_WAIT = 24 * 3600.0  # a Retry-After beyond that is taken for this
# Where services put their words in a JSON answer: Telegram description, Slack error, many message.
_WORDS = ("description", "error", "message", "error_description", "detail", "reason", "errors")
_heard: ContextVar["list[Answer] | None"] = ContextVar("tocsin_heard", default=None)
_installed = Lock()


class Answer(Struct, frozen=True, kw_only=True):
    """One answer of a service, or the lack of one (`status` None). `text` may hold secrets."""

    how: Literal["http", "smtp"]
    status: int | None
    text: str
    retry_after: float | None = None  # seconds


@contextmanager
def listening() -> Iterator[list[Answer]]:
    """Collects, in order, the answers that this thread gets meanwhile."""
    install()
    heard: list[Answer] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def install() -> None:
    """Wrap the libraries' methods, once in the life of the process."""
    requests = importlib.import_module("requests")
    with _installed:
        if hasattr(requests.Session.send, "tocsin_listens"):
            return
        requests.Session.send = _listening_to(requests.Session.send, _http_answer, _http_failure)
        smtplib.SMTP.connect = _listening_to(smtplib.SMTP.connect, _nothing, _smtp_failure)  # type: ignore[method-assign] # the wrapper takes and gives the same
        smtplib.SMTP.getreply = _listening_to(smtplib.SMTP.getreply, _smtp_answer, _smtp_failure)  # type: ignore[method-assign] # the wrapper takes and gives the same


def _listening_to(
    method: Callable[..., Any],
    answer: Callable[[Any], Answer | None],
    failure: Callable[[Exception], Answer],
) -> Callable[..., Any]:
    @functools.wraps(method)
    def listened(*args: Any, **kwargs: Any) -> Any:
        heard = _heard.get()
        if heard is None:
            return method(*args, **kwargs)
        try:
            result = method(*args, **kwargs)
        except Exception as error:
            heard.append(failure(error))
            raise
        said = answer(result)
        if said is not None:
            heard.append(said)
        return result

    listened.tocsin_listens = True  # type: ignore[attr-defined] # a mark of ours on the wrapper
    return listened


def _http_answer(response: Any) -> Answer:
    body = response.content or b""
    return Answer(
        how="http",
        status=response.status_code,
        text=said(body) or flat(str(response.reason or ""), _LONGEST),
        retry_after=retry_after(response.headers.get("Retry-After"), body),
    )


def _http_failure(error: Exception) -> Answer:
    # urllib3 puts the whole URL into its message, and Telegram's URL holds the token.
    text = re.sub(r"(?i)with url: \S+ ?", "", _innermost(error))
    return Answer(how="http", status=None, text=flat(text, _LONGEST))


def _smtp_answer(reply: tuple[int, bytes]) -> Answer:
    code, text = reply
    return Answer(how="smtp", status=code, text=flat(text.decode(errors="replace"), _LONGEST))


def _smtp_failure(error: Exception) -> Answer:
    return Answer(how="smtp", status=None, text=flat(_innermost(error), _LONGEST))


def _nothing(_: object) -> None:
    return None


def _innermost(error: BaseException) -> str:
    """The cause in words: requests wraps urllib3 wraps the socket's own error."""
    seen = {id(error)}
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException) or id(inner) in seen:
            break
        seen.add(id(inner))
        error = inner
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def said(body: bytes) -> str:
    """The service's words from an HTTP answer's body: out of its JSON where it is some, else its beginning."""
    text = body[:65536].decode(errors="replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return flat(re.sub(r"<[^>]*>", " ", text), _LONGEST)
    if isinstance(parsed, dict):
        for name in _WORDS:
            words = parsed.get(name)
            if isinstance(words, dict):
                words = words.get("message") or words.get("type")
            if words and isinstance(words, str | list):
                return flat(words if isinstance(words, str) else json.dumps(words), _LONGEST)
    return flat(text, _LONGEST)


def retry_after(header: str | None, body: bytes = b"", now: datetime | None = None) -> float | None:
    """Seconds to wait, from the header (seconds or a date, RFC 9110 10.2.3) or Telegram's and Discord's JSON."""
    if header is not None:
        try:
            return _bounded(float(header))
        except ValueError:
            pass
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return _bounded((at - (now or datetime.now(UTC))).total_seconds())
    try:
        parsed = json.loads(body[:65536])
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    parameters = parsed.get("parameters")
    seconds = (parameters if isinstance(parameters, dict) else parsed).get("retry_after")
    return _bounded(float(seconds)) if isinstance(seconds, int | float) else None


def _bounded(seconds: float) -> float | None:
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124 # not NaN
