"""Taking apart the URLs of sockets. Their query may hold a secret: show `Target.shown`, never the URL."""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from tocsin.feed.outside import ConnectFailed

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
    """Where a redirect leads, if to the same host and port and not from encrypted to plain; None otherwise."""
    here = f"{'https' if base.tls else 'http'}://{base.host_header}{base.resource}"
    parts = urlsplit(urljoin(here, location))
    try:
        target = parse_target(parts._replace(scheme=_HTTP.get(parts.scheme, parts.scheme)).geturl())
    except ConnectFailed:
        return None
    same = (target.host, target.port, target.scheme) == (base.host, base.port, base.scheme)
    return target if same else None
