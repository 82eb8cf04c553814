"""One task for each URL of each channel: sends what is due there, in order, until it is told or dead.

The outbox itself is in the store; what is remembered here can all be lost.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
import trio

from tocsin.clock import Clock
from tocsin.delivery.backlog import (
    CRITICAL_WITHIN,
    PERMANENT_RETRY,
    Parcel,
    backoff,
    gather,
    message,
    tells_of_failure,
)
from tocsin.delivery.channel import Channel, Outbox, Wake
from tocsin.delivery.fallback import Fallback
from tocsin.delivery.model import Outcome, Sender
from tocsin.delivery.pace import pace_for
from tocsin.delivery.patience import OnlyOn, Queue, finishing
from tocsin.events import Daemon, Occurrence
from tocsin.store.model import Attempt, Delivery, NewDelivery

SEND_DEADLINE = 45.0  # seconds; senders have a deadline of their own, this is for one that breaks its promise
_GRACE = 4.0  # seconds that a message on its way may take to arrive and be recorded when the daemon stops
_LONGEST_REST = 60.0  # seconds; a wake-up that was missed delays no longer
_BATCH = 50


async def run_channel(
    channel: Channel,
    *,
    sender: Sender,
    outbox: Outbox,
    clock: Clock,
    tell: Callable[[Occurrence], Awaitable[None]],
    wake: Wake,
    jitter: Callable[[], float] = random.random,
    log: Any = None,
) -> None:
    """Delivers for ever. Ends only by cancellation (a message on its way gets 4 s) or a bug.

    `tell` takes `daemon.delivery_failed`, whose subject is the channel that it must not be told on. `wake` is rung
    by whoever commits deliveries, after the commit. `jitter` gives 0.0 to 1.0; `log` is a structlog logger.
    """
    task = _ChannelTask(
        channel,
        sender=sender,
        outbox=outbox,
        clock=clock,
        tell=tell,
        wake=wake,
        jitter=jitter,
        log=structlog.get_logger() if log is None else log,
    )
    async with trio.open_nursery() as nursery:
        if channel.fallback is not None:
            nursery.start_soon(task.mind_critical)
        await task.deliver()


class _ChannelTask:
    def __init__(
        self,
        channel: Channel,
        *,
        sender: Sender,
        outbox: Outbox,
        clock: Clock,
        tell: Callable[[Occurrence], Awaitable[None]],
        wake: Wake,
        jitter: Callable[[], float],
        log: Any,
    ) -> None:
        self._channel, self._sender = channel, sender
        self._clock, self._tell, self._wake, self._jitter = clock, tell, wake, jitter
        self._time = OnlyOn(clock)
        self._since = self._time.wall()
        self._pace = pace_for(channel.settings.urls[channel.target].reveal(), channel.settings.rate)
        self._failures = 0  # in a row
        # Steady: after a failure the service gets its rest, whatever else is due.
        self._held_until = float("-inf")
        self._outage_told = False
        self._fallback = Fallback(channel.fallback)
        self._recording = trio.Lock()
        self._log = log.bind(channel=channel.name, target=channel.target)
        self._queue = Queue(outbox, channel, self._log)

    # ------------------------------------------------------------------------------------------------------ delivering

    async def deliver(self) -> None:
        while True:
            seen = self._wake.count
            due = await self._queue.due(self._time.wall(), _BATCH)
            if not due:
                await self._rest(seen, await self._queue.next_due())
                continue
            now = self._clock.now()
            delay = max(self._held_until - now.steady, self._pace.wait(now))
            if delay > 0:
                await trio.sleep(delay)
                continue
            # While it fails, each that waits gets its turn: one message that the service chokes on blocks no other.
            chosen = min(due, key=lambda delivery: delivery.attempts) if self._failures else due[0]
            await finishing(partial(self._deliver_alert, chosen.alert), _GRACE)

    async def _deliver_alert(self, alert: str) -> None:
        parcel = gather(await self._queue.waiting(alert), self._time.wall())
        if self._is_expired(parcel) and parcel.attempts > 0:
            await self._bury(parcel, parcel.carrier.error or "not delivered in time")
            return
        outcome = await self._send(parcel)
        self._pace = self._pace.after(self._clock.now())
        if outcome.sent:
            await self._sent(parcel, outcome)
        elif self._is_expired(parcel):
            await self._bury(parcel, outcome.answer)
        else:
            await self._failed(parcel, outcome)

    async def _send(self, parcel: Parcel) -> Outcome:
        with trio.move_on_after(SEND_DEADLINE):
            return await self._sender.send(message(parcel, self._channel.names, self._time.wall()))
        return Outcome(sent=False, answer=f"{self._sender.name}: no answer within {SEND_DEADLINE:g} s")

    async def _sent(self, parcel: Parcel, outcome: Outcome) -> None:
        if self._failures:
            self._log.info("delivering again", answer=outcome.answer)
        self._failures, self._held_until, self._outage_told = 0, float("-inf"), False
        carrier = parcel.carrier
        heard = False
        if (other := self._fallback.name) is not None and carrier.state_told == "resolved":
            heard = self._fallback.has_heard(await self._queue.told(carrier.alert, other))

        def sent(parcel: Parcel) -> list[Attempt]:
            carrier = parcel.carrier
            also = self._fallback.take_end(parcel, self._time.wall(), heard=heard)
            to = other if also else None
            end = Attempt(delivery=carrier.id, status="sent", at=self._time.wall(), handed_to=to, also=also)
            return self._closing(parcel, end)

        await self._record(parcel, sent)

    async def _failed(self, parcel: Parcel, outcome: Outcome) -> None:
        tries = parcel.attempts + 1
        delay = PERMANENT_RETRY if outcome.permanent else backoff(tries, self._jitter())
        if not outcome.permanent:
            self._failures += 1
            rest = delay if self._failures == tries else backoff(self._failures, self._jitter())
            self._held_until = self._clock.now().steady + max(rest, outcome.retry_after or 0.0)
        self._log.warning(
            "not delivered", delivery=parcel.carrier.id, answer=outcome.answer, attempt=tries, permanent=outcome.permanent
        )  # fmt: skip
        wait = timedelta(seconds=max(delay, outcome.retry_after or 0.0))
        next_at = min(self._time.wall() + wait, parcel.carrier.expires_at)

        def failed(parcel: Parcel) -> list[Attempt]:
            # All of it waits: its first, for which the rest waits, above all.
            also = self._fallback.take(parcel, self._time.wall(), outcome.answer) if outcome.permanent else ()
            folded = [self._again(delivery, outcome.answer, next_at) for delivery in parcel.folded]
            return [*folded, self._again(parcel.carrier, outcome.answer, next_at, also)]

        await self._record(parcel, failed)
        if outcome.permanent:
            await self._tell_failed(parcel, outcome.answer)

    async def _bury(self, parcel: Parcel, error: str) -> None:
        """It is never going to be delivered here: said loudly, and on the fallback if that doesn't have it yet."""

        def dead(parcel: Parcel) -> list[Attempt]:
            carrier, at = parcel.carrier, self._time.wall()
            also = self._fallback.take(parcel, at, error)
            to = self._fallback.name if also else None
            end = Attempt(delivery=carrier.id, status="dead", at=at, error=error, handed_to=to, also=also)
            return self._closing(parcel, end)

        self._log.error(
            "delivery given up", delivery=parcel.carrier.id, alert=parcel.carrier.alert, error=error
        )
        await self._record(parcel, dead)
        await self._tell_failed(parcel, error)

    # -------------------------------------------------------------------------------------------------------- fallback

    async def mind_critical(self) -> None:
        """What is critical and a minute old goes to the fallback too, whatever the channel is busy with."""
        while True:
            seen = self._wake.count
            wake_at = last = None
            while page := await self._queue.unhanded(last, 10 * _BATCH):
                last = page[-1].id
                for delivery in filter(self._fallback.serves, page):
                    at = self._critical_until(delivery)
                    if at <= self._time.wall():
                        later = await self._hand_over_late(delivery.alert)
                        if later is None:
                            continue
                        at = later
                    wake_at = min(wake_at or at, at)
            await self._rest(seen, wake_at)

    async def _hand_over_late(self, alert: str) -> datetime | None:
        """Hands over what is a minute old; for what is younger, when it will be."""
        async with self._recording:
            waiting = await self._queue.waiting(alert)
            if not waiting:
                return None
            parcel = gather(waiting, self._time.wall())
            due_at = self._critical_until(parcel.carrier)
            if due_at > self._time.wall():
                return due_at
            answer = parcel.carrier.error or waiting[0].error or "not delivered within a minute"
            also = self._fallback.take(parcel, self._time.wall(), answer)
            if not also:
                return None
            attempt = self._again(parcel.carrier, answer, parcel.carrier.next_at, also)
            await self._queue.record([attempt])
        self._log.warning("not delivered within a minute", alert=alert, answer=answer)
        await self._tell_failed(parcel, answer)
        return None

    def _critical_until(self, delivery: Delivery) -> datetime:
        """Until when it may stay here alone. What waited while the daemon was down first gets its try."""
        since = delivery.created_at if delivery.attempts else max(delivery.created_at, self._since)
        return since + CRITICAL_WITHIN

    async def _tell_failed(self, parcel: Parcel, answer: str) -> None:
        """Tell the rules, once an outage."""
        if self._outage_told or tells_of_failure(parcel.carrier):
            return
        self._outage_told = True
        state = Daemon(id=self._channel.name, subject=self._channel.name, reason=answer)
        event = "daemon.delivery_failed"
        await self._tell(Occurrence(state=state, event=event, origin="synthetic", time=self._time.wall()))

    # ------------------------------------------------------------------------------------------------- outbox and time

    async def _record(self, parcel: Parcel, made: Callable[[Parcel], list[Attempt]]) -> None:
        """What came of a parcel, in one transaction. While it was sent the fallback may have got it: read again."""
        async with self._recording:
            fresh = parcel.refreshed(await self._queue.waiting(parcel.carrier.alert))
            await self._queue.record(made(fresh))

    def _closing(self, parcel: Parcel, last: Attempt) -> list[Attempt]:
        """The end of a parcel: what was folded into it is superseded."""
        return [
            *(
                Attempt(delivery=delivery.id, status="superseded", at=last.at, error=delivery.error)
                for delivery in parcel.folded
            ),
            last,
        ]

    def _again(
        self, delivery: Delivery, answer: str, next_at: datetime, also: tuple[NewDelivery, ...] = ()
    ) -> Attempt:
        return Attempt(
            delivery=delivery.id,
            status="pending",
            at=self._time.wall(),
            error=answer,
            next_at=next_at,
            handed_to=self._fallback.name if also else None,
            also=also,
        )

    def _is_expired(self, parcel: Parcel) -> bool:
        return parcel.carrier.expires_at <= self._time.wall()

    async def _rest(self, seen: int, until: datetime | None) -> None:
        seconds = _LONGEST_REST
        if until is not None:
            seconds = min(max((until - self._time.wall()).total_seconds(), 0.001), seconds)
        with trio.move_on_after(seconds):
            await self._wake.after(seen)


__all__ = ["Channel", "Outbox", "Wake", "run_channel"]
