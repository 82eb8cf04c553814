"""The section `listen`: where the page, health and metrics are served over TCP, and who may stand in between."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field

from tocsin.config.shape import Section
from tocsin.quantities import SecretText
from tocsin.secrets import Secret

OPEN = "open"
"""What stands for metrics that all may read."""
SHORTEST_TOKEN = 20  # characters
_HOST_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
_PATH = r"(?:/[A-Za-z0-9][A-Za-z0-9._~-]{0,63}){0,8}/?"
TAKEN = frozenset({
    "a", "accounts", "actions", "alerts", "api", "channels", "delivery", "healthz", "health", "help", "live", "login", "logout",
    "manifest.webmanifest", "metrics", "r", "readyz", "rules", "silences", "static", "what-if",
})  # fmt: skip
"""What the page's own paths begin with: below a path that is called so nobody could tell which is meant."""
_LONGEST_URL = 500  # characters
_LOCALHOST = "localhost"
EXAMPLE_URL = "https://example.org/tocsin/"


def read_token(text: Any) -> Any:
    """What a person or a program proves by that it may ask. ValueError, fit to be shown."""
    found = Secret(text) if isinstance(text, str) else text
    if found is not None and not isinstance(found, Secret):
        raise ValueError("must be a text")
    if found is None:
        return None
    if len(found.reveal()) < SHORTEST_TOKEN:
        raise ValueError(f"a token has at least {SHORTEST_TOKEN} characters: openssl rand -hex 32 makes one")
    if not re.fullmatch(r"[!-~]+", found.reveal()):
        raise ValueError("a token is of ASCII's letters, digits and signs, without blanks")
    return found


def _metrics_token(text: Any) -> Any:
    if text == OPEN:
        return Secret(OPEN)
    try:
        return read_token(text)
    except ValueError as error:
        raise ValueError(f"{error}; or write {OPEN}: whoever asks may read") from None


class Address(NamedTuple):
    """Where to listen: an IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        return ip_address(self.host)


def bracketed(host: str) -> str:
    """An IP address as it stands in URLs."""
    return f"[{host}]" if ":" in host else host


def address_of(text: str) -> Address:
    """Of `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. ValueError for anything else."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.netloc != text or parts.username is not None:
        raise ValueError(text)
    host = "127.0.0.1" if parts.hostname == _LOCALHOST else parts.hostname
    return Address(str(ip_address(host)), parts.port)


def _address(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("must be a text")
    try:
        address_of(text)
    except ValueError:
        raise ValueError("not an address and a port; write it like 127.0.0.1:8080") from None
    return text


def _host_name(text: Any) -> str:
    if not isinstance(text, str) or not re.fullmatch(_HOST_NAME, text, re.ASCII):
        raise ValueError("not a host's name; write it like tocsin.example.org, or with a port")
    return text


def _proxy_address(text: Any) -> str:
    try:
        ip_network(text if isinstance(text, str) else "")
    except ValueError:
        raise ValueError("not an IP address or a network; write it like 127.0.0.1 or 172.16.0.0/12") from None
    return str(text)


def _public_url(text: Any) -> str:
    """With a slash at its end."""
    if not isinstance(text, str):
        raise ValueError("must be a text")
    parts = _parts(text)
    if parts is None or not re.fullmatch(_HOST_NAME, parts.netloc, re.ASCII) or len(text) > _LONGEST_URL:
        raise ValueError(f"not the address of a page; write it like {EXAMPLE_URL}")
    if parts.query or parts.fragment or not re.fullmatch(_PATH, parts.path, re.ASCII):
        raise ValueError(f"an address and a plain path alone; write it like {EXAMPLE_URL}")
    if (below := parts.path.split("/")[1:2]) and below[0] in TAKEN:
        raise ValueError(
            f"the page has a path of its own that begins with /{below[0]}; write it like {EXAMPLE_URL}"
        )
    return text if text.endswith("/") else f"{text}/"


def _parts(text: str) -> SplitResult | None:
    """None of what isn't a web address."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    sound = parts.scheme in ("https", "http") and parts.hostname and text.isprintable()
    return parts if sound else None


def is_in_the_clear(public_url: str) -> bool:
    """Whether it is reached from elsewhere without TLS."""
    parts = _parts(public_url)
    if parts is None or parts.scheme != "http":
        return False
    try:
        return not ip_address(str(parts.hostname)).is_loopback
    except ValueError:
        return parts.hostname != _LOCALHOST


class Listen(Section):
    """Where the page, `/healthz`, `/readyz` and `/metrics` are reached over TCP; without it nowhere."""

    address: Annotated[str, BeforeValidator(_address)] = Field(
        description="an IP address and a port, such as 127.0.0.1:8080; outside of this machine it takes a proxy"
    )
    public_url: Annotated[str, BeforeValidator(_public_url)] | None = Field(
        None, description="where people reach it through a reverse proxy: the scheme, name and path in links"
    )
    proxy: tuple[Annotated[str, BeforeValidator(_proxy_address)], ...] = Field(
        (),
        description="the reverse proxy's addresses or networks: what these say of who asks (X-Forwarded-For) counts",
    )
    hosts: tuple[Annotated[str, BeforeValidator(_host_name)], ...] = Field(
        (), description="further names that it may be called by, such as a reverse proxy's"
    )
    metrics: Annotated[SecretText, BeforeValidator(_metrics_token)] | None = Field(
        None,
        description="the Bearer token that reads metrics, at least 20 characters; or open; "
        "without it whoever signs in may read them",
    )
