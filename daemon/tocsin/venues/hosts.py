"""Which hosts a described venue may be connected to: a description is data from a stranger, and says where secrets go."""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

_PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}
# What clients of HTTP and WebSocket read in different ways: blanks, controls, backslashes, what isn't ASCII.
_ODD = re.compile(r"[^!-~]|\\")
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,62}", re.ASCII
)
# Of https://www.iana.org/assignments/ipv6-unicast-address-assignments and iana-ipv6-special-registry.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def is_declarable(host: str) -> bool:
    """Whether a description may declare it: a name with a dot, no address, nothing on this machine or network."""
    return _NAME.fullmatch(host) is not None and not host.endswith((".localhost", ".local", ".internal"))


class Origin(NamedTuple):
    """Where a URL leads. `scheme` and `host` are lower case."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin:
    """ValueError where it has no host, or is written so that clients may differ about it."""
    if _ODD.search(url):
        raise ValueError("a character that no URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose words show what stands there
        raise ValueError("its host or port is none") from None
    if not url.startswith(f"{parts.scheme}:"):
        raise ValueError("its scheme isn't in small letters")
    if parts.scheme not in _PORTS:
        raise ValueError("neither wss:// nor https://")
    if "@" in parts.netloc:
        raise ValueError("a name or password stands before the host")
    if not parts.hostname:
        raise ValueError("no host")
    usual = _PORTS[parts.scheme]
    return Origin(parts.scheme, parts.hostname.removesuffix("."), usual if port is None else port)


class Hosts(Struct, frozen=True):
    """The hosts that a description declares, and where the config's own `urls:` lead, which the user vouches for."""

    declared: tuple[str, ...]
    named: tuple[Origin, ...] = ()

    def naming(self, urls: Iterable[str]) -> "Hosts":
        """With those of the config; what isn't a URL names nothing."""
        named = []
        for url in urls:
            with suppress(ValueError):
                named.append(origin_of(url))
        return Hosts(self.declared, tuple(named))

    def refusal(self, url: str, called: str = "") -> str:
        """Why this URL may not be connected to; "" where it may. `called`: what its host is called, if not by its name."""
        try:
            origin = origin_of(url)
        except ValueError as error:
            return f"not a URL to connect to: {error}"
        if origin in self.named:
            return ""
        host = origin.host
        shown = called or host
        if origin.scheme not in ("wss", "https"):
            return f"{shown} would be connected to without TLS"
        if not is_declarable(host):
            return f"{shown} is an address, or a name on this machine or network; the config's own `urls:` may name it"
        if any(host == declared or host.endswith(f".{declared}") for declared in self.declared):
            return ""
        return f"{shown} is none of the hosts that the description declares: {', '.join(self.declared)}"

    def refusal_of_address(self, host: str, port: int, address: str) -> str:
        """Why a connection to the address that a host's name stands for may not be made; "" where it may.

        `address` is an IP address as text. Only public ones, unless the config itself names the host with that port.
        """
        name = host.lower().removesuffix(".")
        if any((name, port) == (named.host, named.port) for named in self.named):
            return ""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return f"{host} leads to no address"
        if _is_public(found):
            return ""
        return f"{host} leads to {address}, which is no public address"


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Of IPv6 only what is given out, less what stands for something else: IPv4 addresses, tunnels, documentation."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    return address in _GIVEN_OUT and not any(address in each for each in _SPECIAL)
