"""What the feed hands to the pipeline."""

from typing import Protocol

from msgspec import Struct

from tocsin.events import Instant, Observed


class Received(Struct, frozen=True, kw_only=True):
    """What one message of one venue (or the feed itself, of the venue's connection) says.

    `raw` is the message's own text with secrets masked, None where the feed itself speaks.
    """

    venue: str
    observed: tuple[Observed, ...]
    at: Instant
    raw: str | None = None


class Sink(Protocol):
    """Where received things go. `put` waits while this venue's own queue is full; other venues' don't matter to it."""

    async def put(self, received: Received) -> None: ...
