"""`tocsin run --dry-run`: everything but the sending."""

from typing import Any

from tocsin.delivery.model import Message, Outcome


class DrySender:
    """Says what would have been sent. The delivery then counts as sent."""

    def __init__(self, name: str, log: Any) -> None:
        self.name = name
        self._log = log

    async def send(self, message: Message) -> Outcome:
        self._log.info("dry run: not sent", channel=self.name, title=message.title, body=message.body)
        return Outcome(sent=True, answer="dry run: not sent")
