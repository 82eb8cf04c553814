"""What a daemon in the test's own process is given, so that its way up to the send can be measured."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import trio

from tocsin.delivery.model import Message, Outcome, Sender


class Quiet:
    """A log that says nothing."""

    def __getattr__(self, _name: str) -> Callable[..., "Quiet"]:
        return lambda *_said, **_fields: self


class Noting(Sender):
    """A sender that notes when each message's sending starts (delivery -> UTC), and calls `seen`."""

    def __init__(self, seen: Callable[[], Any] = lambda: None) -> None:
        self.name = "phone"
        self.started: dict[str, datetime] = {}
        self._seen = seen

    async def send(self, message: Message, handle: Any = None) -> Outcome:
        self.started[message.delivery_id] = datetime.now(UTC)
        self._seen()
        await trio.lowlevel.checkpoint()
        return Outcome(sent=True, answer="ok")
