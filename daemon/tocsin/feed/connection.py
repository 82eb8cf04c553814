"""A way to one venue: what it can do, and how it is opened for an adapter's endpoint.

The scheme of the URL decides: WebSocket, or lines over TCP or TLS; one redirect is followed where the endpoint allows it.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from msgspec.structs import replace

from tocsin.feed.errors import HandshakeRejected
from tocsin.feed.lines import open_lines
from tocsin.feed.model import Timings
from tocsin.feed.transport import Target, held_to, parse_target, redirected
from tocsin.feed.websocket import Limits, open_websocket
from tocsin.loop_budget import LoopBudget
from tocsin.tls import tls_context
from tocsin.venues.base import Endpoint, HostRule, VenueSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Connection(Protocol):
    """A way to one venue, open. `receive` may be cancelled without loss; a cancelled `send` ends the connection."""

    async def receive(self) -> str:
        """The next message. Lost when there will be none; UnreadableMessage where one had to be left out."""
        ...

    async def send(self, text: str) -> None:
        """Lost when it can't be sent."""
        ...

    async def aclose(self) -> None:
        """Say goodbye, for a bounded time; a waiting `receive` ends with Lost."""
        ...


@asynccontextmanager
async def open_connection(
    endpoint: Endpoint,
    settings: VenueSettings,
    timings: Timings,
    loop_budget: LoopBudget,
    rule: HostRule | None = None,
) -> AsyncIterator[Connection]:
    """Hold that socket open. ConnectFailed, HandshakeRejected where it doesn't come about; also by the `rule` of its hosts."""
    if rule is not None:
        endpoint = replace(endpoint, follow_redirect=False)
    async with AsyncExitStack() as stack:
        with held_to(rule, endpoint.url):
            opened = await stack.enter_async_context(_opened(endpoint, settings, timings, loop_budget))
        yield opened


@asynccontextmanager
async def _opened(
    endpoint: Endpoint, settings: VenueSettings, timings: Timings, loop_budget: LoopBudget
) -> AsyncIterator[Connection]:
    target = parse_target(endpoint.url)
    tls = tls_context(settings.tls_ca) if target.tls else None
    connect_within = settings.connect_timeout.total_seconds()
    async with AsyncExitStack() as stack:
        if target.scheme in ("tcp", "tls"):
            yield await stack.enter_async_context(
                open_lines(
                    target,
                    tls=tls,
                    connect_within=connect_within,
                    longest=settings.max_message_size,
                    send_within=timings.send,
                    close_within=timings.close,
                    loop_budget=loop_budget,
                )
            )
            return
        limits = Limits(
            connect=connect_within,
            close=timings.close,
            ping_every=None if settings.ping_every is None else settings.ping_every.total_seconds(),
            message=settings.max_message_size,
        )
        headers = _headers(endpoint, settings)
        try:
            opened = await stack.enter_async_context(
                open_websocket(target, headers=headers, tls=tls, limits=limits, loop_budget=loop_budget)
            )
        except HandshakeRejected as rejected:
            elsewhere = _elsewhere(endpoint, target, rejected)
            if elsewhere is None:
                raise
            opened = await stack.enter_async_context(
                open_websocket(elsewhere, headers=headers, tls=tls, limits=limits, loop_budget=loop_budget)
            )
        yield opened


def _headers(endpoint: Endpoint, settings: VenueSettings) -> dict[str, str]:
    """The endpoint's own win over the settings'; `Origin` is sent when either says so, also empty."""
    headers = {name.lower(): value for name, value in settings.headers.items()}
    headers |= {name.lower(): value for name, value in endpoint.headers.items()}
    origin = endpoint.origin if endpoint.origin is not None else settings.origin
    if origin is not None:
        headers["origin"] = origin
    return headers


def _elsewhere(endpoint: Endpoint, target: Target, rejected: HandshakeRejected) -> Target | None:
    location = rejected.response.headers.get("location")
    if not (endpoint.follow_redirect and rejected.response.status in _REDIRECTS and location):
        return None
    return redirected(target, location)
