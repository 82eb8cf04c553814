"""Edits the messages of one URL of a channel by what has become of their alerts."""

from collections.abc import Callable
from typing import Any

from tocsin.delivery.backoff import Backoff
from tocsin.delivery.coalesce import Coalesced
from tocsin.delivery.edits import AlertLife, alert_life, is_digest, unedited_end
from tocsin.delivery.message_maker import MessageMaker
from tocsin.delivery.model import Channel
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.paced_sender import PacedSender
from tocsin.delivery.recorder import AttemptRecorder
from tocsin.delivery.timing import RunClock
from tocsin.store.model import EDIT, Attempt


class MessageEditor:
    """`is_expired` says whether the time to live of what waits is over. `log` is a structlog logger."""

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        time: RunClock,
        *,
        sender: PacedSender,
        maker: MessageMaker,
        recorder: AttemptRecorder,
        backoff: Backoff,
        is_expired: Callable[[Coalesced], bool],
        log: Any,
    ) -> None:
        self._settings, self._outbox, self._time = channel.settings, outbox, time
        self._sender, self._maker, self._recorder, self._backoff = sender, maker, recorder, backoff
        self._is_expired, self._log = is_expired, log

    async def life(self, coalesced: Coalesced) -> AlertLife:
        """What was told of the alert before, as far as it matters for what is told now."""
        carrier, ability = coalesced.carrier, self._sender.can
        if carrier.state_told == "firing" or not (ability or carrier.state_told in (EDIT, "resolved")):
            return AlertLife()
        history = await self._outbox.history(carrier.alert, carrier.channel) if ability else ()
        return alert_life(carrier, history, ability, self._settings, self._time.now().wall)

    async def edit(self, coalesced: Coalesced) -> None:
        """Put what has become of an alert into its message, where there is one; else the row goes, as after ten minutes."""
        carrier = coalesced.carrier
        life = await self.life(coalesced)
        if life.handle is None or (self._is_expired(coalesced) and coalesced.attempts > 0):
            await self._record_unedited(coalesced, carrier.error)
            return
        made = await self._maker.made(Coalesced(life.edit or carrier))
        if not made.resolved and not is_digest(carrier):  # a digest is edited once all of it is acknowledged
            made = await self._maker.with_buttons(made, life.tells(carrier))
        outcome = await self._sender.edit(life.handle, made)
        wait = self._backoff.edited(coalesced.attempts + 1, outcome)

        def edited(coalesced: Coalesced) -> list[Attempt]:
            now, id_ = self._time.now().wall, coalesced.carrier.id
            if not outcome.sent:
                return [self._recorder.tried(coalesced.carrier, outcome.answer, now + wait)]
            end = Attempt(delivery=id_, status="sent", at=now, title=made.title, body=made.body)
            return self._recorder.closing(coalesced, end)

        self._log.info(
            "edited" if outcome.sent else "not edited", delivery=carrier.id, alert=carrier.alert, answer=outcome.answer
        )  # fmt: skip
        if not outcome.sent and (outcome.permanent or self._is_expired(coalesced)):
            await self._record_unedited(coalesced, outcome.answer)
        else:
            await self._recorder.record(coalesced, edited)

    async def _record_unedited(self, coalesced: Coalesced, error: str | None) -> None:
        """An edit goes; what it alone was to tell is told by a message."""
        history = await self._outbox.history(coalesced.carrier.alert, coalesced.carrier.channel)
        also = unedited_end(coalesced.carrier, history, self._time.now().wall)

        def unedited(coalesced: Coalesced) -> list[Attempt]:
            now, id_ = self._time.now().wall, coalesced.carrier.id
            last = Attempt(delivery=id_, status="superseded", at=now, error=error, also=also)
            return self._recorder.closing(coalesced, last)

        await self._recorder.record(coalesced, unedited)
