"""Critical messages that one URL of a channel hasn't delivered within a minute go to its fallback, too."""

from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from tocsin.delivery.channel_state import Failures
from tocsin.delivery.coalesce import CRITICAL_WITHIN, coalesce, tells_of_failure
from tocsin.delivery.model import Channel
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.recorder import AttemptRecorder
from tocsin.delivery.timing import GRACE, RunClock, Wake, finishing, rest
from tocsin.store.model import Delivery

_PAGE = 500


class LateCritical:
    """`wake` is rung when something new waits. `log` is a structlog logger."""

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        time: RunClock,
        *,
        wake: Wake,
        recorder: AttemptRecorder,
        undelivered: Failures,
        log: Any,
    ) -> None:
        self._of, self._style = (channel.name, channel.target), channel.style
        self._outbox, self._time, self._wake, self._recorder = outbox, time, wake, recorder
        self._undelivered, self._log = undelivered, log
        self._began = time.steady()

    async def mind(self) -> NoReturn:
        """For ever: hand them over once they are a minute old, also while a send hangs."""
        while True:
            seen = self._wake.count
            wake_at = last = None
            while page := await self._outbox.not_escalated(*self._of, last, _PAGE):
                last = page[-1].id
                for delivery in filter(self._recorder.fallback.serves, page):
                    left = self._left(delivery)
                    if left <= timedelta(0):
                        later = await self._hand_over(delivery.alert)
                        if later is None:
                            continue
                        left = later
                    at = self._time.wall() + left
                    wake_at = min(wake_at or at, at)
            await rest(self._wake, seen, self._time, wake_at)

    async def _hand_over(self, alert: str) -> timedelta | None:
        """Hand the alert's message over if it is a minute old, else return in how long it will be; None: nothing is left to do."""
        async with self._recorder.recording:
            waiting = await self._outbox.waiting(alert, *self._of)
            if not waiting:
                return None
            coalesced = coalesce(waiting, self._time.age, self._style)
            left = self._left(coalesced.carrier)
            if left > timedelta(0):
                return left
            answer = coalesced.carrier.error or waiting[0].error or "not delivered within a minute"
            also = self._recorder.fallback.take(coalesced, self._time.now().wall, answer)
            if not also:
                return None
            attempt = self._recorder.tried(coalesced.carrier, answer, coalesced.carrier.next_at, also)
            # A cancellation in here would leave it written, and the fallback not woken for it.
            await finishing(partial(self._recorder.put, [attempt]), GRACE)
        self._log.warning("not delivered within a minute", alert=alert, answer=answer)
        if self._undelivered:  # else it only waits for its turn
            await self._undelivered.refused(alert, answer, quiet=tells_of_failure(coalesced.carrier))
        return None

    def _left(self, delivery: Delivery) -> timedelta:
        """How long until it is handed over. Without a try yet, time before this start doesn't count: it gets its try first."""
        age = self._time.age(delivery.created_at)
        if not delivery.attempts:
            age = min(age, timedelta(seconds=self._time.steady() - self._began))
        return CRITICAL_WITHIN - age
