"""What the feed is given, and what it hands to the pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct

from tocsin.events import Instant, Observed
from tocsin.venues.base import Adapter, VenueSettings


class Received(Struct, frozen=True, kw_only=True):
    """What one message of one venue (or the feed itself, of the venue's connection) says.

    `raw` is the message's own text with secrets masked, None where the feed itself speaks. `taken` is called when what it
    says is known, and committed unless the disk refuses.
    """

    venue: str
    observed: tuple[Observed, ...]
    at: Instant
    raw: str | None = None
    taken: Callable[[], None] | None = None


class Sink(Protocol):
    """Where received things go. `put` waits while this venue's own queue is full; other venues' don't matter to it."""

    async def put(self, received: Received) -> None: ...


class Log(Protocol):
    """As much of a structlog logger as the feed uses."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class VenueFeed:
    """One configured venue: the user's name for it, the adapter of its type, and its settings."""

    name: str
    adapter: Adapter
    settings: VenueSettings


@dataclass(frozen=True, slots=True)
class Timings:
    """How long things may take, in seconds. What a user can set stands in the venue's settings instead."""

    answer: float = 10.0  # a request's acknowledgement
    close: float = 3.0  # a connection's orderly end
    http: float = 30.0  # one HTTP request, from the look-up of the name to the last byte
    send: float = 10.0  # one message on a connection without pings
    first_delay: float = 1.0  # of the back-off, which doubles …
    longest_delay: float = 60.0  # … up to this
    healthy: float = 30.0  # a connection that lives so long resets the back-off
    auth_retry: float = 300.0  # after the venue refused the credentials, or every stream
    prove: float = 2.0  # after a short life the next must last so long to be told, doubling up to `healthy`
    market_silence: float = 60.0  # `silent_after` of market data where the user says nothing: at least
    cycle: float = 30.0  # a polled venue's snapshot, from the open socket to its close
    flood: float = 60.0  # the same complaint is told once in so long
    parts_flood: float = 3600.0  # the same field of a message that can't be read
    skew: float = 60.0  # a venue's times may be so far from ours
    keep: float = 10.0  # credentials that the disk refused are written again after so long
    trial: float = 600.0  # and whether it would take any is tried so often
    ask_every: float = 0.2  # between two requests for what became of something
    renew: float = 30.0  # at least so long between two renewals of a session
