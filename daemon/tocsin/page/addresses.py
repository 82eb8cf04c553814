"""By what names the page is asked, where its links lead, and who asks: also behind a reverse proxy and below a path of its.

A proxy may take the sub-path of `public_url` away or leave it; a link made here always has it.

    Addresses(listen, address).url("/alerts")    -> /tocsin/alerts
    Addresses(listen, address).link("/alerts")   -> https://example.org/tocsin/alerts
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

from starlette.types import Scope

from tocsin.config.listening import Address, Listen
from tocsin.control.guards import Name, host_asked, name_in, names_of

_Ip: TypeAlias = IPv4Address | IPv6Address
_COOKIE = "tocsin"
_PORTS = {"http": 80, "https": 443}  # that nobody has to write
_ALIKE = 64  # bits of an IPv6 address that one subscriber has


class Addresses:
    """`address` is where the page listens."""

    def __init__(self, listen: Listen, address: Address) -> None:
        self._address = address
        self._proxies = [ip_network(text) for text in listen.proxy]
        public = urlsplit(listen.public_url or "")
        self._scheme, self._public = public.scheme, public.netloc.casefold()
        self.root = public.path.rstrip("/")
        """What stands before each path in links; no slash at its end."""
        self.names = names_of(address, [*listen.hosts, *([self._public] if self._public else [])])
        """What `Host` may be."""

    def url(self, path: str) -> str:
        """The link to one of our paths, which begins with a slash."""
        return f"{self.root}{path}"

    def link(self, path: str) -> str:
        """The same with scheme and name, to be opened from elsewhere."""
        origin = f"{self._scheme}://{self._public}" if self._public else f"http://{_reached(self._address)}"
        return f"{origin}{self.url(path)}"

    def local(self, scope: Scope) -> Scope:
        """The request as if the page lay at the top, whether or not a proxy took the sub-path away."""
        if not self.root:
            return scope
        path, raw = scope["path"], scope["raw_path"]
        root = self.root.encode()
        if path != self.root and not path.startswith(f"{self.root}/"):
            return scope
        return {**scope, "path": path[len(self.root) :] or "/", "raw_path": raw.removeprefix(root) or b"/"}

    def is_secure(self, scope: Scope) -> bool:
        """Whether the browser asks by https, as far as we are told: we ourselves never speak it."""
        if (scheme := self._scheme_of(scope)) is not None:
            return scheme == "https"
        passed_on = self._is_proxy(_peer(scope)) and _values(scope, b"x-forwarded-for")
        return self._scheme == "https" and bool(passed_on)

    def _scheme_of(self, scope: Scope) -> str | None:
        """By what the browser asks; None: somebody stands in between who doesn't say."""
        asked, public = host_asked(scope), name_in(self._public)
        if asked is None:
            return None
        if public is not None and _origin(self._scheme, asked) == _origin(self._scheme, public):
            return self._scheme
        if self._is_proxy(_peer(scope)):
            said = _values(scope, b"x-forwarded-proto")
            return said[-1].casefold() if said else None
        return "http" if asked in names_of(self._address, ()) else None

    def asker(self, scope: Scope) -> str:
        """Whose tries are counted together: an IP address (of IPv6 its network), as the proxies tell it where one of these asks."""
        found = peer = _peer(scope)
        if self._is_proxy(peer):
            for hop in reversed(_values(scope, b"x-forwarded-for")):
                if (address := _ip(hop)) is None:
                    break
                found = address
                if not self._is_proxy(address):
                    break
        if isinstance(found, IPv6Address):
            return str(ip_network((found, _ALIKE), strict=False))
        return str(found or "")

    def is_own(self, origin: str, scope: Scope) -> bool:
        """Whether an `Origin` is ours."""
        scheme, _, text = origin.casefold().partition("://")
        named, asked, public = name_in(text), host_asked(scope), name_in(self._public)
        if named is None or scheme not in _PORTS:
            return False
        by = self._scheme_of(scope)
        if asked is not None and by in (scheme, None) and _origin(scheme, named) == _origin(scheme, asked):
            return True
        return public is not None and _origin(scheme, named) == _origin(self._scheme, public)

    def cookie(self, scope: Scope) -> str:
        """What a session's cookie is called: another name for each page of this host, since cookies know no ports.

        `__Host-`: no other name of the domain can set it, for which it has to be sent to all paths.
        """
        below = self.root.replace("/", "-")
        secure = self.is_secure(scope)
        return f"__Host-{_COOKIE}{below}" if secure else f"{_COOKIE}-{self._address.port}{below}"

    def _is_proxy(self, address: _Ip | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _reached(address: Address) -> Address:
    """Where somebody on this machine reaches it."""
    if not ip_address(address.host).is_unspecified:
        return address
    return Address("::1" if ":" in address.host else "127.0.0.1", address.port)


def _peer(scope: Scope) -> _Ip | None:
    client = scope.get("client")
    return _ip(client[0]) if client else None


def _ip(text: str) -> _Ip | None:
    """Of an address, with or without a port; None of anything else."""
    bare = text.partition("]")[0].removeprefix("[")
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _values(scope: Scope, name: bytes) -> list[str]:
    """What a header holds that is a list, from all its lines."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    lines = [value.decode("latin-1") for key, value in headers if key == name]
    return [each.strip() for line in lines for each in line.split(",") if each.strip()]


def _origin(scheme: str, name: Name) -> tuple[str, Name]:
    """To be compared: with the port, whether it was written or goes without saying."""
    return scheme, Name(name.host, name.port or _PORTS.get(scheme))
