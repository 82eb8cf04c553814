"""What stands on the bench in the place of the world outside."""

from collections.abc import Callable

import msgspec
import trio

from tocsin.delivery.model import Message, Outcome
from tocsin.store.model import NewDelivery


class Delivered(msgspec.Struct, frozen=True):
    """What a stand-in accepted: the delivery, and the message as it arrived at that time (steady)."""

    delivery: NewDelivery
    message: Message
    at: float
    late: float  # seconds; what a gap hid is late however soon it was told


class StandIn:
    """A channel that records. A passing failure while `works` is False."""

    def __init__(self, name: str, accepted: Callable[[Message], None]) -> None:
        self.name = name
        self.works = True
        self._accepted = accepted

    async def send(self, message: Message) -> Outcome:
        await trio.lowlevel.checkpoint()
        if not self.works:
            return Outcome(sent=False, answer=f"{self.name}: fails, as the test says")
        self._accepted(message)
        return Outcome(sent=True, answer=f"{self.name}: accepted")
