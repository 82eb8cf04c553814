"""Requests to a venue's web service: making one, and what kind of answer came, in words."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from tocsin import answers
from tocsin.venues.base import HttpRequest, HttpResponse, Keep, Malformed, Pause, SignInFailed, SignInRefused
from tocsin.venues.wire import Reader, cut

T = TypeVar("T")

# OAuth's words (RFC 6749, 5.2) for credentials that no second try will make better.
_OAUTH_REFUSALS = ("invalid_grant", "invalid_client", "unauthorized_client")


def ask(request: HttpRequest) -> Generator[HttpRequest | Keep | Pause, HttpResponse | None, HttpResponse]:
    """Make a request within a sign-in or snapshot (`yield from`): returns the response."""
    response = yield request
    if response is None:
        raise TypeError("a request was answered with nothing")
    return response


def with_query(url: str, query: Mapping[str, str]) -> str:
    """The URL with these added to its query, percent-encoded."""
    parts = urlsplit(url)
    more = urlencode(query, quote_via=quote, safe="")
    return urlunsplit(parts._replace(query=f"{parts.query}&{more}" if parts.query else more))


class _Complaint(Struct, frozen=True):
    """The fields in which web services say what is wrong."""

    error: Any = None
    error_description: Any = None
    msg: Any = None
    message: Any = None
    code: Any = None


_read_complaint = Reader(_Complaint)


def words(response: HttpResponse) -> str:
    """The status and what the venue said with it: `HTTP 401: invalid_grant: The provided …`."""
    complaint = _complaint(response.body)
    if complaint is None:
        # A page of HTML, most likely a proxy's: its text is for browsers.
        body = response.body[:2000].decode("utf-8", "replace")
        text = "" if "<" in body else body
    else:
        places = (complaint.error, complaint.error_description, complaint.msg, complaint.message)
        text = ": ".join(place for place in places if isinstance(place, str) and place)
        if complaint.code not in (None, 0):
            text = f"{text} (code {complaint.code})".strip()
    return cut(f"HTTP {response.status}: {text}" if text.strip() else f"HTTP {response.status}")


def retry_after(response: HttpResponse, now: datetime | None = None) -> float | None:
    """Seconds until the venue wants to be asked again, at most a day."""
    return answers.retry_after(response.headers, response.body, now)


def classify(response: HttpResponse) -> Literal["good", "refused", "failed"]:
    """Whether the answer can be used, refuses the credentials, or is a fault of theirs or of something between.

    Only the service itself refuses. What stands before it (a CDN, a firewall, a page for maintenance) says 401 and 403
    too, in HTML, or 403 with a text that is no JSON; that passes. So does what may be asked again after a while.
    """
    if 200 <= response.status < 300:
        return "good"
    if retry_after(response) is not None:
        return "failed"
    own = _complaint(response.body)
    if response.status in (401, 403):
        told = own is not None or not response.body.strip() or response.status == 401
        return "refused" if told and not is_page(response) else "failed"
    denied = response.status in (400, 404, 422) and own is not None and own.error in _OAUTH_REFUSALS
    return "refused" if denied else "failed"


def _complaint(body: bytes) -> _Complaint | None:
    """What the service itself says, in JSON; None where the body is anything else."""
    try:
        return _read_complaint(body)
    except Malformed:
        return None


def is_page(response: HttpResponse) -> bool:
    """Whether the body is for browsers: then it is from a proxy or CDN before the service, not from the service."""
    if response.body.lstrip().startswith(b"<"):  # also XML, as stores behind a CDN send it: venues speak JSON
        return True
    return answers.is_page(response.body, response.headers.get("content-type", ""))


def fault(what: str, response: HttpResponse, remedy: str = "") -> SignInRefused | SignInFailed:
    """The error to raise for an answer that isn't good: `what` says what was asked for."""
    if classify(response) == "refused":
        return SignInRefused(f"{what}: {words(response)}", remedy)
    return SignInFailed(f"{what}: {words(response)}", retry_after(response))


def read(what: str, reader: Reader[T], response: HttpResponse, remedy: str = "") -> T:
    """The good answer's content. Raises SignInRefused or SignInFailed; the latter too for a body that is odd."""
    if classify(response) != "good":
        raise fault(what, response, remedy)
    try:
        return reader(response.body)
    except Malformed as error:
        raise SignInFailed(f"{what}: an odd answer (HTTP {response.status}): {cut(str(error))}") from None
