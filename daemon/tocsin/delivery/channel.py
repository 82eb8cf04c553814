"""What a channel's task is given: its settings, the outbox it empties, the bell that wakes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import trio

from tocsin.alerts.wording import Style
from tocsin.delivery.model import ChannelSettings
from tocsin.store.model import Attempt, Delivery


class Outbox(Protocol):
    """What is needed of the store. Every method raises StoreUnavailable when it can't."""

    async def due(self, channel: str, target: int, now: datetime, limit: int) -> Sequence[Delivery]:
        """What is to be sent, oldest first: of each alert only the first that waits."""
        ...

    async def next_due(self, channel: str, target: int) -> datetime | None:
        """When `due` will have something."""
        ...

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        """All that waits for an alert, in order."""
        ...

    async def unhanded(self, channel: str, target: int, after: str | None, limit: int) -> Sequence[Delivery]:
        """What is critical, waits and is handed to no other channel yet, oldest first, whenever due.

        `after`: only what comes after the delivery of that id. Empty: there is no more.
        """
        ...

    async def told(self, alert: str, channel: str) -> Sequence[Delivery]:
        """All that a channel was ever to tell of an alert, whatever became of it."""
        ...

    async def record(self, attempts: Sequence[Attempt]) -> object:
        """In one transaction; one that waits no more is passed over."""
        ...


class Wake:
    """Rung when something new is in the outbox. A ring is never missed: whoever waits says which one it saw last."""

    def __init__(self) -> None:
        self.count = 0
        self._event = trio.Event()

    def ring(self) -> None:
        self.count += 1
        self._event.set()
        self._event = trio.Event()

    async def after(self, count: int) -> None:
        while self.count == count:
            await self._event.wait()


class Wakes:
    """One for each channel, which all its URLs hear."""

    def __init__(self) -> None:
        self._of: dict[str, Wake] = {}

    def of(self, channel: str) -> Wake:
        return self._of.setdefault(channel, Wake())

    def ring(self, channels: Iterable[str] | None = None) -> None:
        """There is something new for these channels; None: it may be for any."""
        for channel in tuple(self._of) if channels is None else channels:
            self.of(channel).ring()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One URL of one channel, and what its task must know. `fallback` is (channel, how many URLs it has)."""

    name: str
    target: int
    settings: ChannelSettings
    style: Style
    fallback: tuple[str, int] | None = None
