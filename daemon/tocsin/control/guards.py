"""What stands before everything that is asked over TCP: other users of this machine, and every page in their browsers, reach it.

`Host` is looked at before anything else, since a page may have its own name resolve to us (DNS rebinding).
"""

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import trio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.config.listening import Address
from tocsin.secrets import Secret

MOST_QUERY, MOST_BODY, MOST_HEADERS = 4 << 10, 16 << 10, 16 << 10  # bytes
QUICK = 10.0  # seconds for an answer; longer than the database may take
SLOW = 40.0  # seconds, for what asks others, or works things out
_DIGITS = 10  # of a length that is looked at; of thousands Python makes no number
_HTTP_PORT = 80
_ABSOLUTE = re.compile(rb"(?i)https?://([^/]*)")


class Name(NamedTuple):
    """By what somebody calls us: a host's name, in small letters, and the port that stands behind it (None: none, or any)."""

    host: str
    port: int | None = None


def name_in(text: str) -> Name | None:
    """Of what stands in `Host`, or behind the scheme of an origin; None of what is neither."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return Name(host.casefold(), port) if host and parts.netloc == text and "@" not in text else None


def host_asked(scope: Scope) -> Name | None:
    """What stands in `Host`; None where that isn't one name."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return name_in(hosts[0].decode("latin-1")) if len(hosts) == 1 and hosts[0].isascii() else None


def names_of(address: Address, hosts: Iterable[str]) -> frozenset[Name]:
    """By what `Host` we may be called: the address, localhost there, and `hosts`, where without a port at any.

    Who listens on all addresses has none; of these it is called by this machine's own.
    """
    named = ("127.0.0.1", "::1") if address.ip.is_unspecified else (address.host,)
    own = {Name(name, address.port) for name in (*named, "localhost")}
    if address.port == _HTTP_PORT:  # then nobody writes it
        own |= {Name(name) for name, _ in own}
    return frozenset(own | {found for name in hosts if (found := name_in(name)) is not None})


def origin_form(scope: Scope) -> Scope:
    """The request as if its target began with the path: one that names a host (`GET http://HOST/PATH`, as to a proxy) counts as asked
    of that, whatever `Host` says (RFC 9112, 3.2.2).
    """
    named = _ABSOLUTE.match(scope["raw_path"])
    if named is None:
        return scope
    raw = scope["raw_path"][named.end() :]
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    path = unquote(raw.decode("ascii", errors="replace"))
    return {**scope, "path": path or "/", "raw_path": raw or b"/", "headers": [(b"host", named[1]), *headers]}


class _TooLarge(HTTPException):
    """More of a body was read than may be sent; an application that knows these exceptions may answer it by itself."""

    def __init__(self) -> None:
        super().__init__(413, "too large", {"Connection": "close"})


class Noted:
    """`send`, which knows whether anything was sent: an answer that is begun can't be another one any more."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        await self._send(message)


class Guarded:
    """`app` for requests that may be asked; others are answered here. `names` as of `names_of`."""

    def __init__(self, app: ASGIApp, names: frozenset[Name]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif (refused := self._refusal(asked := origin_form(scope))) is not None:
            await refuse(*refused)(scope, receive, send)
        else:
            await self._pass_on(asked, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body may come in chunks, and doesn't say how long it will be: what is read of it is counted."""
        read, noted = 0, Noted(send)

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BODY:
                raise _TooLarge
            return message

        try:
            await self._app(scope, counted, noted)
        except _TooLarge:
            if not noted.begun:
                await refuse(413, "too large")(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and why, of what isn't answered."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        name = host_asked(scope)
        if name is None or not {name, Name(name.host)} & self._names:
            return 421, "not a name of this server; see listen.hosts"
        if len(scope["query_string"]) > MOST_QUERY or len(scope["raw_path"]) > MOST_QUERY:
            return 414, f"too long an address: its path and what follows it may have {MOST_QUERY} bytes each"
        if sum(len(name) + len(value) for name, value in headers) > MOST_HEADERS:
            return 431, "too long headers"
        sizes = [value for name, value in headers if name == b"content-length"]
        # Where a proxy went by the other of the two, the rest is another request.
        if sizes and any(name == b"transfer-encoding" for name, _ in headers):
            return 400, "a length beside chunks"
        if any(not size.isdigit() or len(size) > _DIGITS or int(size) > MOST_BODY for size in sizes):
            return 413, "too large"
        return None


class Whole:
    """`app` for requests that have come to their end: who sends a form slowly, or half of one, takes nobody's place by that.

    Inside of `Guarded`, by which a body isn't longer than it may be.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        with trio.move_on_after(QUICK) as limit:
            try:
                kept = [await Request(scope, receive).body()]
            except ClientDisconnect:
                return
        if limit.cancelled_caught:
            await refuse(408, f"the form didn't come within {QUICK:g} s")(scope, receive, send)
            return

        async def given() -> Message:
            return {"type": "http.request", "body": kept.pop()} if kept else await receive()

        await self._app(scope, given, send)


class Share(NamedTuple):
    """Whose requests are counted together, and how many of these are answered at a time."""

    of: str
    most: int


class FewAtOnce:
    """`app` for so many requests of each share at a time, each for so long: no share keeps another waiting.

    `shares` says of a request where it is counted, each of which has to have room; `within` of a path how many seconds its answer
    may take; None: it lasts, and is counted elsewhere.
    """

    def __init__(
        self,
        app: ASGIApp,
        shares: Callable[[Scope], Sequence[Share]],
        within: Callable[[str], float | None] = lambda _path: QUICK,
    ) -> None:
        self._app, self._shares, self._within = app, shares, within
        self._under_way: Counter[Share] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        within = None if scope["type"] == "lifespan" else self._within(scope["path"])
        if within is None:
            await self._app(scope, receive, send)
            return
        shares = self._shares(scope)
        if any(self._under_way[share] >= share.most for share in shares):
            await refuse(503, "too many at once")(scope, receive, send)
            return
        noted = Noted(send)
        self._under_way.update(shares)
        try:
            with trio.move_on_after(within) as limit:
                await self._app(scope, receive, noted)
        finally:
            self._under_way -= Counter(shares)  # which keeps none that has nothing under way
        if limit.cancelled_caught and not noted.begun:
            await refuse(503, "that took too long")(scope, receive, send)


def refuse(status: int, why: str) -> PlainTextResponse:
    """An answer without anything of ours, after which the connection ends."""
    return PlainTextResponse(f"{why}\n", status, {"Cache-Control": "no-store", "Connection": "close"})


def is_bearer(authorization: str, token: Secret) -> bool:
    """Whether the header `Authorization` has that token. In constant time."""
    kind, _, given = authorization.partition(" ")
    return kind.casefold() == "bearer" and hmac.compare_digest(
        given.strip().encode(), token.reveal().encode()
    )
