"""The sender of one URL of a channel, called by the pace of its service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import trio

from tocsin.delivery.model import Ability, Handle, Message, Outcome, Sender
from tocsin.delivery.pace import LAST, Pace
from tocsin.delivery.timing import RunClock
from tocsin.meters import ChannelMeters, SendOutcome

SEND_DEADLINE = 45.0  # seconds; senders have a deadline of their own, this is for one that breaks its promise

_Call: TypeAlias = Callable[[], Awaitable[Outcome]]


class Answered(NamedTuple):
    """What a service answered at last, in its words with secrets masked, and whether that took the message."""

    at: datetime
    text: str
    taken: bool


class PacedSender:
    """Each call counts against the rate, whatever comes of it, has a deadline and is measured; what it raises is an outcome.

    `target` is the URL's place in its channel, `meters` are the channel's, `log` is a structlog logger.
    """

    def __init__(
        self, sender: Sender, pace: Pace, time: RunClock, *, target: int, meters: ChannelMeters, log: Any
    ) -> None:
        self._sender, self._pace, self._time = sender, pace, time
        self._target, self._meters, self._log = target, meters, log
        self.answered: Answered | None = None

    @property
    def can(self) -> frozenset[Ability]:
        return self._sender.can

    async def send(self, made: Message, handle: Handle | None = None) -> Outcome:
        """A new message, in reply to that of `handle`. The pace is not waited for: who has something to send asks it when."""
        return await self._call(self._pace, made, self._sending(made, handle))

    async def edit(self, handle: Handle, made: Message) -> Outcome:
        """Puts `made` in the place of the message that was sent."""
        return await self._call(self._pace, made, partial(self._sender.edit, handle, made))

    async def aside(self, made: Message, edits: Handle | None = None) -> Outcome:
        """Sends what is in no outbox, or edits what was sent so, once the pace allows it, behind all alerts."""
        pace = self._pace.beside()
        try:
            while (delay := pace.wait(LAST)) > 0:  # noqa: ASYNC110 - a pace has no event
                await trio.sleep(delay)
        finally:
            pace.withdraw()
        call = self._sending(made) if edits is None else partial(self._sender.edit, edits, made)
        return await self._call(pace, made, call)

    def _sending(self, made: Message, handle: Handle | None = None) -> _Call:
        return partial(self._sender.send, made, handle) if handle else partial(self._sender.send, made)

    async def _call(self, pace: Pace, made: Message, call: _Call) -> Outcome:
        with pace.sending():
            began = self._time.steady()
            outcome = await self._answered(made, call)
            what: SendOutcome = "sent" if outcome.sent else "refused" if outcome.permanent else "failed"
            self._meters.sent(self._target, what, self._time.steady() - began)
            self.answered = Answered(self._time.now().wall, outcome.answer, outcome.sent)
            return outcome

    async def _answered(self, made: Message, call: _Call) -> Outcome:
        with trio.move_on_after(SEND_DEADLINE):
            try:
                return await call()
            except Exception as error:  # noqa: BLE001 - loud in the log
                self._log.exception("a message can't be sent", delivery=made.delivery_id)
                return Outcome(
                    sent=False, answer=f"{self._sender.name}: internal error ({type(error).__name__})"
                )
        return Outcome(sent=False, answer=f"{self._sender.name}: no answer within {SEND_DEADLINE:g} s")
