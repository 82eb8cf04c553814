"""From a socket's URL to a byte stream over TCP or TLS, each failure in words.

The query of a URL may hold a secret: show `Target.shown`, never the URL.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urljoin, urlsplit

import trio

from tocsin.errors import ConnectFailed
from tocsin.http import Http, HttpFailed
from tocsin.tls import in_words
from tocsin.venues.base import HostRule, HttpRequest, HttpResponse

_PORTS = {"ws": 80, "wss": 443}
_TLS = frozenset({"wss", "tls"})
_HTTP = {"http": "ws", "https": "wss"}  # what a redirect calls them


@dataclass(frozen=True, slots=True)
class Target:
    """Where a socket goes. `resource` is path and query."""

    scheme: str
    host: str
    port: int
    resource: str

    @property
    def tls(self) -> bool:
        return self.scheme in _TLS

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.resource.partition('?')[0]}"


def parse_target(url: str) -> Target:
    """The parts of a ws, wss, tcp or tls URL. ConnectFailed, without the URL's secrets, for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise ConnectFailed(f"not a usable url: {error}") from None
    if parts.scheme not in ("ws", "wss", "tcp", "tls") or not host or not port:
        raise ConnectFailed(
            "not a usable url: it must be ws://, wss://, tcp:// or tls:// with a host (and a port)"
        )
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, resource)


def redirected(base: Target, location: str) -> Target | None:
    """Where a redirect to `location` leads: the same host, port and scheme; None otherwise."""
    here = f"{'https' if base.tls else 'http'}://{base.host_header}{base.resource}"
    parts = urlsplit(urljoin(here, location))
    try:
        target = parse_target(parts._replace(scheme=_HTTP.get(parts.scheme, parts.scheme)).geturl())
    except ConnectFailed:
        return None
    same = (target.host, target.port, target.scheme) == (base.host, base.port, base.scheme)
    return target if same else None


# Linux's names; a system without one does without that setting. Seconds, and a count of probes.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
_LOOKUPS_AT_ONCE = 2

Address4: TypeAlias = tuple[
    Literal[socket.AddressFamily.AF_INET], socket.SocketKind, int, str, tuple[str, int]
]
Address6: TypeAlias = tuple[
    Literal[socket.AddressFamily.AF_INET6],
    socket.SocketKind,
    int,
    str,
    tuple[str, int, int, int] | tuple[int, bytes],
]


class HostResolver(trio.abc.HostnameResolver):
    """Looks host names up in threads, few at once for each host.

    An abandoned look-up holds its thread until the system gives up. With trio's one shared limit, a venue whose name
    server is mute would take every thread there is, the database's too. Within `held_to` what is found is held to that rule,
    and the connection is made to nothing else: a name may stand for something else when it is looked up again.
    """

    def __init__(self, lookup: Callable[..., list[Any]] | None = None) -> None:
        """`lookup`: in place of the system's `getaddrinfo`."""
        self._lookup = lookup or socket.getaddrinfo
        self._limits: dict[object, trio.CapacityLimiter] = {}

    async def getaddrinfo(  # noqa: PLR0917 - trio's signature
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        kind: int = 0,  # trio passes all of these by position
        proto: int = 0,
        flags: int = 0,
    ) -> list[Address4 | Address6]:
        limit = self._limits.setdefault(host, trio.CapacityLimiter(_LOOKUPS_AT_ONCE))
        found = await trio.to_thread.run_sync(
            self._lookup, host, port, family, kind, proto, flags, limiter=limit, abandon_on_cancel=True
        )
        if (rule := _RULE.get()) is not None:
            name = host.decode() if isinstance(host, bytes) else host or ""
            for *_, address in found:
                if refusal := rule.refusal_of_address(name, int(address[1]), str(address[0])):
                    raise ConnectFailed(f"not connected to: {refusal}")
        return found

    async def getnameinfo(
        self, sockaddr: "tuple[str, int] | tuple[str, int, int, int]", flags: int
    ) -> tuple[str, str]:
        raise NotImplementedError("nobody here asks for an address' name")


def use_own_resolver() -> None:
    """Have `HostResolver` answer this run's look-ups, unless a resolver was chosen before."""
    before = trio.socket.set_custom_hostname_resolver(HostResolver())
    if before is not None:
        trio.socket.set_custom_hostname_resolver(before)


_RULE: ContextVar[HostRule | None] = ContextVar("rule of the hosts that are looked up", default=None)


@contextlib.contextmanager
def held_to(rule: HostRule | None, url: str) -> Iterator[None]:
    """What is connected to within this is held to the rule. Raises ConnectFailed where the URL itself isn't by it."""
    if rule is not None and (refusal := rule.refusal(url)):
        raise ConnectFailed(f"not connected to: {refusal}")
    token = _RULE.set(rule)
    try:
        yield
    finally:
        _RULE.reset(token)


class HeldHttp:
    """`Http` for one venue, whose requests are held to its rule. `hide` is given each request's secrets before it is sent."""

    def __init__(
        self, http: Http, rule: HostRule | None, hide: Callable[[Sequence[str]], None] = lambda _: None
    ) -> None:
        self._http, self._rule, self._hide = http, rule, hide

    async def __call__(self, request: HttpRequest, within: float | None = None) -> HttpResponse:
        """As `Http`. HttpFailed also where the rule refuses the request, of which nothing is sent then."""
        if request.secrets:
            self._hide(request.secrets)
        try:
            with held_to(self._rule, request.url):
                return await self._http(request, within)
        except ConnectFailed as refused:
            raise HttpFailed(request, str(refused)) from refused


async def open_stream(host: str, port: int, tls: ssl.SSLContext | None, within: float) -> trio.abc.Stream:
    """A connected stream, its certificate verified. ConnectFailed with the reason; also after `within` seconds."""
    where = f"{host}:{port}"
    stage = "no connection"
    with trio.move_on_after(within):
        tcp = await _open_tcp(host, port, where)
        if tls is None:
            return tcp
        stage = "no TLS handshake"
        return await _start_tls(tcp, tls, host, where)
    raise ConnectFailed(f"{where}: {stage} within {within:g} s")


async def _open_tcp(host: str, port: int, where: str) -> trio.SocketStream:
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectFailed(f"{where}: {in_words(error)}") from error
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError as error:  # the peer is gone already
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"{where}: {in_words(error)}") from error
    return stream


async def _start_tls(tcp: trio.SocketStream, tls: ssl.SSLContext, host: str, where: str) -> trio.abc.Stream:
    stream = trio.SSLStream(tcp, tls, server_hostname=host, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"{where}: no TLS: {in_words(error)}") from error
    except BaseException:  # cancelled: the socket must not stay behind
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
        raise
    return stream


async def close_at_once(stream: trio.abc.AsyncResource) -> None:
    """Close the socket without a goodbye, whatever state it is in, also while being cancelled."""
    with trio.CancelScope(shield=True), contextlib.suppress(trio.BrokenResourceError):
        await trio.aclose_forcefully(stream)
