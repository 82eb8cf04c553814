"""What came of the messages of one URL of a channel, into the outbox: with what it causes at the fallback."""

from collections.abc import Callable, Sequence
from datetime import datetime

import trio

from tocsin.delivery.coalesce import Coalesced, Fallback
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.timing import RunClock
from tocsin.meters import ChannelMeters
from tocsin.store.model import Attempt, Delivery, NewDelivery


class AttemptRecorder:
    """`recording` is held while an outcome is made of what waits and recorded."""

    def __init__(
        self, of: tuple[str, int], outbox: Outbox, fallback: Fallback, time: RunClock, meters: ChannelMeters
    ) -> None:
        self._of, self._outbox, self.fallback, self._time = of, outbox, fallback, time
        self._meters = meters
        self.recording = trio.Lock()

    async def fallback_heard(self, end: Delivery) -> bool:
        """Whether the fallback got the alert whose end it is, though it wasn't addressed to it."""
        other = self.fallback.name
        if other is None or end.state_told != "resolved":
            return False
        return self.fallback.has_heard(await self._outbox.history(end.alert, other)) or any(
            each.digest and each.handed_to == other
            for each in await self._outbox.history(end.alert, end.channel)
        )

    def end_handed(self, end: Delivery, told: tuple[Delivery, ...], *, heard: bool) -> Attempt | None:
        """Hands the end of an alert, which goes or went in a digest here with all of `told`, to a fallback that got the alert."""
        now = self._time.now().wall
        also = self.fallback.take_end(Coalesced(end, told), now, heard=heard)
        if not also:
            return None
        return Attempt(
            delivery=end.id, status="pending", at=now, error=end.error, next_at=end.next_at,
            handed_to=self.fallback.name, also=also,
        )  # fmt: skip

    async def put(self, attempts: Sequence[Attempt]) -> None:
        """In one transaction."""
        self._meters.fallbacks += sum(attempt.handed_to is not None for attempt in attempts)
        await self._outbox.record(attempts)

    async def record(self, coalesced: Coalesced, made: Callable[[Coalesced], list[Attempt]]) -> None:
        """What came of a coalesced, in one transaction. While it was sent the fallback may have got it: read again."""
        async with self.recording:
            fresh = coalesced.refreshed(await self._outbox.waiting(coalesced.carrier.alert, *self._of))
            await self.put(made(fresh))

    def superseded(self, coalesced: Coalesced) -> list[Attempt]:
        """There is nothing to tell of it."""
        now, carrier = self._time.now().wall, coalesced.carrier
        last = Attempt(delivery=carrier.id, status="superseded", at=now, error=carrier.error)
        return self.closing(coalesced, last)

    def closing(self, coalesced: Coalesced, last: Attempt) -> list[Attempt]:
        """The end of a coalesced: what was folded into it is superseded."""
        return [
            *(
                Attempt(delivery=delivery.id, status="superseded", at=last.at, error=delivery.error)
                for delivery in coalesced.folded
            ),
            last,
        ]

    def tried(
        self, delivery: Delivery, answer: str, next_at: datetime, also: tuple[NewDelivery, ...] = ()
    ) -> Attempt:
        return Attempt(
            delivery=delivery.id,
            status="pending",
            at=self._time.now().wall,
            error=answer,
            next_at=next_at,
            handed_to=self.fallback.name if also else None,
            also=also,
        )
