"""What stands before everything that is asked over TCP: other users of this machine, and every page in their browsers, reach it.

`Host` is looked at before anything else, since a page may have its own name resolve to us (DNS rebinding).
"""

import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit

import trio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.control.serving import Address
from tocsin.secrets import Secret

MOST_QUERY, MOST_BODY, MOST_HEADERS = 4 << 10, 16 << 10, 16 << 10  # bytes
MOST_AT_ONCE = 64  # requests
_WITHIN = 10.0  # seconds for an answer; longer than the database may take
_HTTP_PORT = 80


def names_of(address: Address, hosts: Iterable[str]) -> frozenset[str]:
    """By what `Host` we may be called: the address, localhost there, and `hosts`, where without a port at any."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    own = {f"{name}:{address.port}" for name in (host, "localhost")}
    if address.port == _HTTP_PORT:  # then nobody writes it
        own |= {host, "localhost"}
    return frozenset(own | {name.casefold() for name in hosts})


class Guarded:
    """`app` for requests that may be asked; others are answered here. `names` as of `names_of`."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif (refused := self._refusal(scope)) is not None:
            await _refuse(*refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and why, of what isn't answered."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if not self._is_us([value for name, value in headers if name == b"host"]):
            return 421, "not a name of this server; see listen.hosts"
        if len(scope["query_string"]) > MOST_QUERY or len(scope["raw_path"]) > MOST_QUERY:
            return 414, "too long"
        if sum(len(name) + len(value) for name, value in headers) > MOST_HEADERS:
            return 431, "too long headers"
        sizes = [value for name, value in headers if name == b"content-length"]
        if any(not size.isdigit() or int(size) > MOST_BODY for size in sizes):
            return 413, "too large"
        return None

    def _is_us(self, hosts: list[bytes]) -> bool:
        if len(hosts) != 1:
            return False
        try:
            text = hosts[0].decode("ascii").casefold()
            name = urlsplit(f"//{text}").hostname
        except ValueError:
            return False
        return "@" not in text and (text in self._names or name in self._names)


class FewAtOnce:
    """`app` for so many requests at a time, each for so long; health isn't among them, so that neither waits for the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._under_way >= MOST_AT_ONCE:
            await _refuse(503, "too many at once")(scope, receive, send)
            return
        self._under_way += 1
        try:
            with trio.move_on_after(_WITHIN):
                await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


def _refuse(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(f"{why}\n", status, {"Cache-Control": "no-store", "Connection": "close"})


def is_bearer(authorization: str, token: Secret) -> bool:
    """Whether the header `Authorization` has that token. In constant time."""
    kind, _, given = authorization.partition(" ")
    return kind.casefold() == "bearer" and hmac.compare_digest(
        given.strip().encode(), token.reveal().encode()
    )
