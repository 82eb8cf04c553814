"""The outbox that outlasts the store: while the disk refuses or hangs, alerts go out from memory.

A disk that is full, locked or hanging must not keep an alert from anybody. So all that waits to be sent is known here
too, from the moment it is decided (`expect`). While the journal keeps up, the channels are told what the store holds.
While it is overdue they are told what is known here and no lock is waited for: what is sent then is marked, since a
crash before the disk takes it again forgets that it was sent. What becomes of it goes into the journal, behind the
batch that it is of: so it is recorded when it can be, and not sent again.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import Journal
from tocsin.store.model import Attempt, Delivery, NewDelivery

NOTE = "not recorded, may repeat: Tocsin can't write to its disk"
MOST_KNOWN = 5_000  # deliveries of one URL of a channel; what else is committed is known to the store only
_MOST_CLOSED = 2_000
_T = TypeVar("_T")


class Stored(Protocol):
    """What is asked of the store, as `channel.Outbox` says. Each call raises StoreUnavailable when it can't."""

    async def due(self, channel: str, target: int, now: datetime, limit: int) -> Sequence[Delivery]: ...

    async def next_due(self, channel: str, target: int) -> datetime | None: ...

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]: ...

    async def unhanded(
        self, channel: str, target: int, after: str | None, limit: int
    ) -> Sequence[Delivery]: ...

    async def told(self, alert: str, channel: str) -> Sequence[Delivery]: ...


class SteadfastOutbox:
    """The outbox for all channels. `ring` wakes those for which there is something new."""

    def __init__(self, store: Stored, journal: Journal, ring: Callable[[Iterable[str]], None]) -> None:
        self._store = store
        self._journal = journal
        self._ring = ring
        self._known = Known()
        journal.known_waiting = self._known.waiting

    def expect(self, deliveries: Iterable[NewDelivery]) -> None:
        """These are to be sent once they are committed; in an emergency at once."""
        self._known.add(map(_as_delivery, deliveries), bounded=not self._journal.overdue)

    def restore(self, pending: Iterable[Delivery]) -> None:
        """What waits in the store when the daemon starts, in order."""
        self._known.add(pending, bounded=True)

    # ------------------------------------------------------------------------------------------------ what channels see

    async def due(self, channel: str, target: int, now: datetime, limit: int) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            heads = self._known.heads(channel, target)
            return [_marked(each) for each in heads if each.next_at <= now][:limit]

        return await self._ask(lambda: self._store.due(channel, target, now, limit), known)

    async def next_due(self, channel: str, target: int) -> datetime | None:
        def known() -> datetime | None:
            return min((each.next_at for each in self._known.heads(channel, target)), default=None)

        return await self._ask(lambda: self._store.next_due(channel, target), known)

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            return [_marked(each) for each in self._known.of_alert(alert, channel, target)]

        found = await self._ask(lambda: self._store.waiting(alert, channel, target), known)
        if not self._journal.overdue:
            self._known.learn(
                alert, channel, target, found
            )  # it is about to be sent: known, whatever happens meanwhile
        return found

    async def unhanded(self, channel: str, target: int, after: str | None, limit: int) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            found = [
                each
                for each in self._known.of_target(channel, target)
                if each.severity == "critical" and each.handed_to is None
            ]
            ids = [each.id for each in found]
            return [*map(_marked, found[ids.index(after) + 1 if after in ids else 0 :])][:limit]

        return await self._ask(lambda: self._store.unhanded(channel, target, after, limit), known)

    async def told(self, alert: str, channel: str) -> Sequence[Delivery]:
        return await self._ask(
            lambda: self._store.told(alert, channel), lambda: self._known.told(alert, channel)
        )

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Returns when it is on disk, or in an emergency at once."""
        clean = [
            msgspec.structs.replace(each, also=tuple(map(_unmarked, each.also))) if each.also else each
            for each in attempts
        ]
        entry = self._journal.put(clean)
        for attempt in clean:
            self._known.note(attempt)
        await self._journal.written(entry)
        if channels := {each.channel for attempt in clean for each in attempt.also}:
            self._ring(channels)

    async def _ask(self, stored: Callable[[], Awaitable[_T]], known: Callable[[], _T]) -> _T:
        try:
            with self._journal.unless_overdue():
                return await stored()
        except StoreUnavailable:
            if not self._journal.overdue:
                raise
        return known()


class Known:
    """Deliveries that wait, and the last that don't any more. An alert of which only a part is known counts as unknown."""

    def __init__(self) -> None:
        self._targets: dict[
            tuple[str, int], dict[str, dict[str, Delivery]]
        ] = {}  # -> alert -> id -> delivery
        self._places: dict[str, tuple[str, int, str]] = {}  # of each id: channel, target, alert; in order
        self._counts: dict[tuple[str, int], int] = {}
        self._partly: dict[tuple[str, int], set[str]] = {}
        self._closed: dict[str, Delivery] = {}

    def add(self, deliveries: Iterable[Delivery], *, bounded: bool) -> None:
        """Those that wait, in order. `bounded`: what comes beyond MOST_KNOWN is left to the store."""
        for each in deliveries:
            target = (each.channel, each.target)
            if each.id in self._places or each.id in self._closed:
                continue
            alerts = self._targets.setdefault(target, {})
            if bounded and self._counts.get(target, 0) >= MOST_KNOWN and alerts:
                self._forget(target, next(reversed(alerts)))
            alerts.setdefault(each.alert, {})[each.id] = each
            self._places[each.id] = (*target, each.alert)
            self._counts[target] = self._counts.get(target, 0) + 1

    def learn(self, alert: str, channel: str, target: int, waiting: Sequence[Delivery]) -> None:
        """All that the store has for an alert, in order; what comes after it may be known already."""
        if all(each.id in self._places or each.id in self._closed for each in waiting):
            return
        self._partly.get((channel, target), set()).discard(alert)
        later = self._targets.get((channel, target), {}).get(alert, {})
        for id_ in tuple(later):
            self._drop(id_)
        found = {each.id: each for each in waiting} | later
        self.add(found.values(), bounded=False)
        # First: what comes beyond MOST_KNOWN takes the last one's place, and this is about to be sent.
        alerts = self._targets[channel, target]
        if alert in alerts:
            self._targets[channel, target] = {alert: alerts.pop(alert), **alerts}

    def waiting(self) -> list[NewDelivery]:
        """All that waits, alert by alert."""
        return [
            _as_new(delivery)
            for alerts in self._targets.values()
            for waiting in alerts.values()
            for delivery in waiting.values()
        ]

    def note(self, attempt: Attempt) -> None:
        """What became of one, whether it was known or not."""
        place = self._places.get(attempt.delivery)
        if place is not None:
            channel, target, alert = place
            waiting = self._targets[channel, target][alert]
            now = after(waiting[attempt.delivery], attempt)
            if now.status == "pending":
                waiting[attempt.delivery] = now
            else:
                self._drop(attempt.delivery)
                self._closed[attempt.delivery] = now
                if len(self._closed) > _MOST_CLOSED:
                    del self._closed[next(iter(self._closed))]
        self.add(map(_as_delivery, attempt.also), bounded=False)

    def heads(self, channel: str, target: int) -> Iterator[Delivery]:
        """Of each alert the first that waits: what comes after it may not overtake it."""
        return (next(iter(each.values())) for each in self._whole(channel, target))

    def of_alert(self, alert: str, channel: str, target: int) -> list[Delivery]:
        if alert in self._partly.get((channel, target), ()):
            return []
        return list(self._targets.get((channel, target), {}).get(alert, {}).values())

    def of_target(self, channel: str, target: int) -> list[Delivery]:
        """All that wait there, alert by alert."""
        return [each for alert in self._whole(channel, target) for each in alert.values()]

    def told(self, alert: str, channel: str) -> list[Delivery]:
        """All that a channel is or was to tell of an alert, as far as it is known."""
        closed = [each for each in self._closed.values() if (each.alert, each.channel) == (alert, channel)]
        return closed + [
            each
            for (name, _), alerts in self._targets.items()
            if name == channel
            for each in alerts.get(alert, {}).values()
        ]

    def _whole(self, channel: str, target: int) -> list[dict[str, Delivery]]:
        partly = self._partly.get((channel, target), ())
        alerts = self._targets.get((channel, target), {})
        return [waiting for alert, waiting in alerts.items() if alert not in partly]

    def _forget(self, target: tuple[str, int], alert: str) -> None:
        self._partly.setdefault(target, set()).add(alert)
        for id_ in tuple(self._targets[target][alert]):
            self._drop(id_)

    def _drop(self, id_: str) -> None:
        channel, target, alert = self._places.pop(id_)
        alerts = self._targets[channel, target]
        del alerts[alert][id_]
        if not alerts[alert]:
            del alerts[alert]
        self._counts[channel, target] -= 1


def after(delivery: Delivery, attempt: Attempt) -> Delivery:
    """The delivery as it stands after an attempt, as the store would keep it."""
    return msgspec.structs.replace(
        delivery,
        status=attempt.status,
        attempts=delivery.attempts + (attempt.status != "superseded"),
        next_at=attempt.next_at or delivery.next_at,
        sent_at=attempt.at if attempt.status == "sent" else None,
        error=attempt.error,
        handed_to=attempt.handed_to or delivery.handed_to,
    )


def _as_delivery(new: NewDelivery) -> Delivery:
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
        context=new.context,
    )


def _as_new(delivery: Delivery) -> NewDelivery:
    return NewDelivery(**{name: getattr(delivery, name) for name in NewDelivery.__struct_fields__})


def _marked(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, context={**delivery.context, "notes": [*_notes(delivery), NOTE]})


def _unmarked(new: NewDelivery) -> NewDelivery:
    """A fallback's copy, without what was true of the emergency only."""
    notes = _notes(new)
    return (
        new
        if NOTE not in notes
        else msgspec.structs.replace(
            new, context={**new.context, "notes": [note for note in notes if note != NOTE]}
        )
    )


def _notes(delivery: Delivery | NewDelivery) -> list[str]:
    notes = delivery.context.get("notes")
    return list(notes) if isinstance(notes, list | tuple) else []
