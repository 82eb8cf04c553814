"""The outbox while the disk refuses: alerts go out from memory, said to be unrecorded, and are recorded when they can be.

A disk that is full must not keep an alert from anybody. So after some seconds of refused commits the pipeline hands over
the deliveries that it couldn't commit (`take_over`); the channels find them here, before what is in the store, and
what becomes of them is kept here too. When commits work again, `settle` tells the store. A crash before that forgets
what was sent: the mark on each message says that it may repeat.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from tocsin.delivery.channel import Outbox
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Attempt, Delivery, NewDelivery

NOTE = "not recorded, may repeat: Tocsin can't write to its disk"
_LOOK_AGAIN = timedelta(seconds=1)


class SteadfastOutbox:
    """The store's outbox for all channels, and what the store doesn't know yet. `ring` wakes some, or all."""

    def __init__(self, store: Outbox, ring: Callable[[Iterable[str] | None], None]) -> None:
        self._store = store
        self._ring = ring
        self._unwritten: dict[str, Delivery] = {}  # deliveries that aren't in the store, in order
        self._unsettled: list[Attempt] = []  # what became of those, and of the store's own, in order
        self._latest: dict[str, Attempt] = {}  # of these the last of each delivery
        self._acting = False
        self._asked: datetime | None = None

    def take_over(self, deliveries: Iterable[NewDelivery]) -> None:
        """Deliver these although they couldn't be committed."""
        self._acting = True
        new = list(deliveries)
        for each in new:
            self._unwritten[each.id] = _as_delivery(each)
        self._ring({each.channel for each in new})

    async def settle(self) -> None:
        """Commits work again and what was taken over has been committed: record what became of it.

        Raises StoreUnavailable if that was too soon; it can then be called again.
        """
        while self._unsettled:
            await self._store.record([self._unsettled[0]])
            del self._unsettled[0]
        self._acting = False
        self._unwritten.clear()
        self._latest.clear()
        self._ring(None)

    # ------------------------------------------------------------------------------------------------ what channels see

    async def due(self, channel: str, target: int, now: datetime, limit: int) -> Sequence[Delivery]:
        if not self._acting:
            return await self._store.due(channel, target, now, limit)
        self._asked = now
        stored = await self._stored(self._store.due(channel, target, now, limit))
        found = [
            each for each in map(self._as_it_is, stored) if each.status == "pending" and each.next_at <= now
        ]
        for alert in dict.fromkeys(each.alert for each in self._unwritten.values()):
            waiting = await self.waiting(alert, channel, target)
            if waiting and waiting[0].id in self._unwritten and waiting[0].next_at <= now:
                found.append(waiting[0])
        return found[:limit]

    async def next_due(self, channel: str, target: int) -> datetime | None:
        if not self._acting:
            return await self._store.next_due(channel, target)
        # Not worth being exact in an emergency: the store's own answer may be of something that is settled here.
        return self._asked + _LOOK_AGAIN if self._asked is not None else None

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        if not self._acting:
            return await self._store.waiting(alert, channel, target)
        stored = map(self._as_it_is, await self._stored(self._store.waiting(alert, channel, target)))
        ours = (
            d for d in self._unwritten.values() if (d.alert, d.channel, d.target) == (alert, channel, target)
        )
        return [each for each in (*stored, *map(self._as_it_is, ours)) if each.status == "pending"]

    async def unhanded(self, channel: str, target: int, after: str | None, limit: int) -> Sequence[Delivery]:
        if not self._acting:
            return await self._store.unhanded(channel, target, after, limit)
        while after not in self._unwritten:
            page = await self._stored(self._store.unhanded(channel, target, after, limit))
            found = [each for each in map(self._as_it_is, page) if _is_unhanded(each)]
            if found:
                return found
            if not page:
                after = None
                break
            after = page[-1].id
        ids = list(self._unwritten)
        left = ids if after is None else ids[ids.index(after) + 1 :]
        ours = [self._as_it_is(self._unwritten[each]) for each in left]
        return [d for d in ours if (d.channel, d.target) == (channel, target) and _is_unhanded(d)][:limit]

    async def told(self, alert: str, channel: str) -> Sequence[Delivery]:
        if not self._acting:
            return await self._store.told(alert, channel)
        stored = map(self._as_it_is, await self._stored(self._store.told(alert, channel)))
        ours = (d for d in self._unwritten.values() if (d.alert, d.channel) == (alert, channel))
        return [*stored, *map(self._as_it_is, ours)]

    async def record(self, attempts: Sequence[Attempt]) -> None:
        if self._acting:
            await self._remember(attempts)
        else:
            await self._store.record(attempts)
        self._ring({each.channel for attempt in attempts for each in attempt.also})

    # ----------------------------------------------------------------------------------------------------------- memory

    async def _remember(self, attempts: Sequence[Attempt]) -> None:
        # Asked before anything is changed: what the store has already is its own.
        known = {
            each.id
            for alert, channel in {(new.alert, new.channel) for one in attempts for new in one.also}
            for each in await self.told(alert, channel)
        }
        for attempt in attempts:
            self._unsettled.append(attempt)
            self._latest[attempt.delivery] = attempt
            for new in attempt.also:
                if new.id not in known:
                    self._unwritten[new.id] = _as_delivery(new)

    def _as_it_is(self, delivery: Delivery) -> Delivery:
        """The delivery with what became of it since."""
        attempt = self._latest.get(delivery.id)
        if attempt is None:
            return delivery
        return msgspec.structs.replace(
            delivery,
            status=attempt.status,
            attempts=delivery.attempts + 1,
            next_at=attempt.next_at or delivery.next_at,
            error=attempt.error,
            handed_to=attempt.handed_to or delivery.handed_to,
        )

    async def _stored(self, found: Awaitable[Sequence[Delivery]]) -> list[Delivery]:
        """The store's answer without what is here anyway; nothing where it doesn't answer."""
        try:
            return [each for each in await found if each.id not in self._unwritten]
        except StoreUnavailable:
            return []


def _is_unhanded(delivery: Delivery) -> bool:
    return delivery.status == "pending" and delivery.severity == "critical" and delivery.handed_to is None


def _as_delivery(new: NewDelivery) -> Delivery:
    notes = new.context.get("notes")
    said = list(notes) if isinstance(notes, (list, tuple)) else []
    return Delivery(
        id=new.id,
        alert=new.alert,
        state_told=new.state_told,
        channel=new.channel,
        target=new.target,
        severity=new.severity,
        status="pending",
        attempts=0,
        created_at=new.created_at,
        expires_at=new.expires_at,
        next_at=new.created_at,
        sent_at=None,
        error=None,
        handed_to=None,
        context={**new.context, "notes": [*(note for note in said if note != NOTE), NOTE]},
    )
