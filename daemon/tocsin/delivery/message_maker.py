"""From what waits on one URL of a channel to the message that goes out."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from tocsin.delivery import digests
from tocsin.delivery.buttons import MakeButtons
from tocsin.delivery.coalesce import Coalesced, bare_message, draft
from tocsin.delivery.edits import for_channel, is_digest
from tocsin.delivery.model import Channel, Message
from tocsin.delivery.services import room_for_lines
from tocsin.delivery.templates import Render
from tocsin.delivery.timing import RunClock
from tocsin.store.model import QUESTION, REPORT, Delivery


class MessageMaker:
    """`buttons`: what makes them, where the service has some. `log` is a structlog logger."""

    def __init__(
        self, channel: Channel, time: RunClock, *, render: Render, buttons: MakeButtons | None, log: Any
    ) -> None:
        self._settings, self._style, self._gathers = channel.settings, channel.style, channel.gates.digest
        self._room = room_for_lines(channel.settings.urls[channel.target])
        self._time, self._render, self._buttons, self._log = time, render, buttons, log

    async def made(self, coalesced: Coalesced) -> Message:
        """The message; in our own words, or its bare facts, where it can't be made: the others on the channel don't wait for it."""
        try:
            if is_digest(coalesced.carrier) or coalesced.carrier.state_told == REPORT:
                made = digests.message(coalesced.carrier, self._style, self._time.age, self._room)
                return for_channel(made, coalesced.carrier, self._settings, self._style)
            drafted = draft(coalesced, self._style, self._age_told)
        except ValueError as error:
            self._log.error("a message can't be read", delivery=coalesced.carrier.id, error=str(error))
            return bare_message(coalesced, error, self._style)
        try:
            made = await self._render(drafted)
            return for_channel(made, coalesced.carrier, self._settings, self._style)
        except Exception as error:  # noqa: BLE001 - loud in the log
            self._log.exception("a message can't be made", delivery=coalesced.carrier.id)
            return bare_message(coalesced, error, self._style)

    async def is_still_asked(self, carrier: Delivery) -> bool:
        """False of a question that nobody can press an answer to (any more)."""
        if carrier.state_told != QUESTION:
            return True
        return self._buttons is not None and bool(await self._buttons(carrier.alert, carrier.id, QUESTION))

    async def with_buttons(self, made: Message, told: str) -> Message:
        """The same, with what can be pressed below it by what is `told`."""
        if self._buttons is None:
            return made
        return structs.replace(made, buttons=await self._buttons(made.alert, made.delivery_id, told))

    def _age_told(self, of: datetime) -> timedelta:
        """How old what is sent counts as: the time for which the channel gathers by its config makes nothing late."""
        return max(self._time.age(of) - self._gathers, timedelta(0))
