"""The outbox that outlasts the store: all that waits to be sent is known in memory, from the moment it is decided.

While the journal keeps up, channels are told what is on disk; the store itself is asked only where it has more than is
kept in memory. A disk that is full, locked or hanging must not keep an alert from anybody: while the journal is overdue
channels are told all that is known, and no lock is waited for. What is sent then is marked, since a crash before the
disk takes it again forgets that it was sent. What becomes of it goes into the journal, behind the batch that it is of:
so it is recorded when it can be, and not sent again.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice, product
from typing import Any, Protocol, TypeVar

import msgspec
import trio

from tocsin.delivery.pending import Pending, Target, as_delivery
from tocsin.meters import PipelineMeters
from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import Journal
from tocsin.store.model import BEAT, Arrival, Attempt, Delivery, Gathered, NewDelivery, Recent

NOTE = "not recorded, may repeat: Tocsin can't write to its disk"
_BEGINS = frozenset({"firing", "reminder", "digest"})  # by what a channel comes to know of an alert
_BEATS, _MOST_BEATS = (BEAT, 0), 100
_FIRST, _LONGEST = 1.0, 30.0  # seconds between tries where the store refuses to be read
_T = TypeVar("_T")


class Outbox(Protocol):
    """What a channel's task asks of the outbox; of the store itself each call may raise StoreUnavailable."""

    async def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> Sequence[Delivery]:
        """What is to be sent, oldest first: of each alert only the first that waits. `prompt`: only what is, or isn't."""
        ...

    async def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        """When `due` will have something; past times don't count where they aren't after `after`."""
        ...

    async def is_waited_on(self, channel: str, target: int) -> bool:
        """Whether anything waits there, for its time or a digest's."""
        ...

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        """All that waits for an alert, in order; nothing while a digest carries what came first."""
        ...

    async def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, limit: int, *, critical: bool
    ) -> Sequence[Delivery]:
        """What a digest would carry of what is due: of critical alerts, or of others. `after`: as of `not_escalated`."""
        ...

    async def ends_behind(self, digest: str, channel: str, target: int) -> Sequence[Delivery]:
        """Ends that wait for the digest, which carries what came first of their alerts, and are handed to no other channel yet."""
        ...

    async def recent(self, channel: str, target: int, since: datetime, until: datetime) -> Recent:
        """What arrived or was sent from `since` to `until`, before this run too."""
        ...

    def arrived(self, channel: str, target: int) -> Sequence[Arrival]:
        """The firings that were put there since it was asked last, in this run."""
        ...

    async def gather(self, gathered: Gathered) -> object:
        """In one transaction."""
        ...

    async def not_escalated(
        self, channel: str, target: int, after: str | None, limit: int
    ) -> Sequence[Delivery]:
        """What is critical, waits and is handed to no other channel yet, oldest first, whenever due.

        `after`: only what comes after the delivery of that id. Empty: there is no more.
        """
        ...

    async def history(self, alert: str, channel: str) -> Sequence[Delivery]:
        """All that a channel was ever to tell of an alert, whatever became of it."""
        ...

    async def record(self, attempts: Sequence[Attempt]) -> object:
        """In one transaction; one that waits no more is passed over."""
        ...


class DurableOutbox:
    """The `Outbox` of all channels, on the store's. It raises nothing: where it has to read the store, it holds out.

    `ring` wakes the channels for which there is something new, `taken` hears the alert of each message that was sent, `handed`
    of each that tells of what fires and goes to a fallback, and to which. `log` is a structlog logger.
    """

    def __init__(
        self,
        store: Outbox,
        journal: Journal,
        ring: Callable[[Iterable[str]], None],
        log: Any,
        *,
        taken: Callable[[str], None] = lambda _alert: None,
        handed: Callable[[str, str], None] = lambda _alert, _channel: None,
        meters: PipelineMeters | None = None,
    ) -> None:
        self._meters = meters or PipelineMeters()
        self._taken, self._handed = taken, handed
        self._log = log
        self._store = store
        self._journal = journal
        self._ring = ring
        self._pending = Pending()
        self._unchecked: list[tuple[trio.Event, Sequence[NewDelivery]]] = []  # handed over in an emergency
        journal.follower = self

    def expect(self, deliveries: Sequence[NewDelivery], written: trio.Event) -> None:
        """These are to be sent once they are on disk, which sets the event; in an emergency at once."""
        self._pending.add(map(as_delivery, deliveries), bounded=not self._journal.overdue, gate=written)

    def known_waiting(self) -> Sequence[NewDelivery]:
        return [each for each in self._pending.waiting() if each.channel != BEAT]

    def changed_by_others(self) -> None:
        self._pending.distrust()

    def restore(self, pending: Iterable[Delivery], *, more: bool = False) -> None:
        """What waits in the store when the daemon starts, in order; `more`: beside more that wasn't read."""
        self._pending.add(pending, bounded=True)
        if more:
            self._pending.unread()

    # ------------------------------------------------------------------------------------------------ what channels see

    async def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            heads = self._pending.heads((channel, target), committed=self._is_prompt, prompt=prompt)
            return [*islice(map(self._seen, (each for each in heads if each.next_at <= now)), limit)]

        return await self._ask(
            (channel, target), lambda: self._store.due(channel, target, now, limit, prompt), known
        )

    async def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        def known() -> datetime | None:
            if after is not None:
                return self._pending.next_due((channel, target), after, committed=self._is_prompt)
            heads = self._pending.heads((channel, target), committed=self._is_prompt)
            return min((each.next_at for each in heads), default=None)

        async def stored() -> datetime | None:
            settled, partly = not self._journal.waiting, self._pending.partly((channel, target))
            found = await self._store.next_due(channel, target, after)
            if found is None and settled and not await self._store.is_waited_on(channel, target):
                self._pending.emptied((channel, target), partly)
            return found

        return await self._ask((channel, target), stored, known)

    async def take_beats(self, now: datetime) -> list[str]:
        """The ids of the beats that would be sent now, if anybody was to get them; they are gone then."""
        found = await self.due(*_BEATS, now, _MOST_BEATS)
        if not found and not self._pending.is_whole(_BEATS):
            await self.next_due(*_BEATS)  # the store has none; when that is known, what is known is all
            found = await self.due(*_BEATS, now, _MOST_BEATS)
        for each in found:
            self._pending.drop(each.id)
        return [each.id for each in found]

    async def is_waited_on(self, channel: str, target: int) -> bool:
        def known() -> bool:
            return self._pending.is_waited_on((channel, target))

        return await self._ask((channel, target), lambda: self._store.is_waited_on(channel, target), known)

    async def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, limit: int, *, critical: bool
    ) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            """All at once: what a digest carries may not change between two pages."""
            if after is not None:
                return []
            found = self._pending.gatherable(
                (channel, target), now, critical=critical, committed=self._is_prompt
            )
            return [*map(self._seen, found)]

        return await self._ask(
            (channel, target),
            lambda: self._store.gatherable(channel, target, now, after, limit, critical=critical),
            known,
        )

    async def ends_behind(self, digest: str, channel: str, target: int) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            found = self._pending.ends_behind(digest, (channel, target), committed=self._is_prompt)
            return [*map(self._seen, found)]

        return await self._ask(
            (channel, target), lambda: self._store.ends_behind(digest, channel, target), known
        )

    async def recent(self, channel: str, target: int, since: datetime, until: datetime) -> Recent:
        return await self._ask(None, lambda: self._store.recent(channel, target, since, until), Recent)

    def arrived(self, channel: str, target: int) -> Sequence[Arrival]:
        """The firings that came since it was asked last, this run's only, oldest first."""
        return self._pending.arrived((channel, target))

    async def gather(self, gathered: Gathered) -> None:
        """Returns when it is on disk, or in an emergency at once."""
        self._meters.held[gathered.reason] += len(gathered.parts)
        entry = self._journal.put(gathered)
        self._pending.link(gathered, entry.done)
        await self._journal.written(entry)

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            found = self._pending.of_alert(alert, (channel, target), committed=self._is_prompt)
            return [*map(self._seen, found)]

        async def stored() -> Sequence[Delivery]:
            settled = not self._journal.waiting  # else more may come of what is being written
            found = await self._store.waiting(alert, channel, target)
            self._pending.learn(alert, (channel, target), found, whole=settled)  # it is about to be sent
            return found

        return await self._ask((channel, target), stored, known)

    async def not_escalated(
        self, channel: str, target: int, after: str | None, limit: int
    ) -> Sequence[Delivery]:
        def known() -> Sequence[Delivery]:
            found = self._pending.not_escalated((channel, target), after, committed=self._is_prompt)
            return [*map(self._seen, islice(found, limit))]

        return await self._ask(
            (channel, target), lambda: self._store.not_escalated(channel, target, after, limit), known
        )

    async def history(self, alert: str, channel: str) -> Sequence[Delivery]:
        return await self._ask(
            None, lambda: self._store.history(alert, channel), lambda: self._pending.history(alert, channel)
        )

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Returns when it is on disk, or in an emergency at once."""
        clean = [
            msgspec.structs.replace(each, also=tuple(map(_unmarked, each.also))) if each.also else each
            for each in attempts
        ]
        handed = [each for attempt in clean for each in attempt.also]
        gate = trio.Event()
        entry = self._journal.put(clean)
        for attempt in clean:
            alerts = self._pending.alerts_of(attempt.delivery)
            self._pending.note(attempt, gate)
            for alert in alerts if attempt.status == "sent" else ():
                self._taken(alert)
            told = {each.channel for each in attempt.also if each.state_told in _BEGINS}
            for alert, channel in product(alerts, told if attempt.handed_to else ()):
                self._handed(alert, channel)
        on_disk = checked = False
        try:
            on_disk = await self._journal.written(entry)
            if on_disk:
                await self._check(handed)
                checked = True
        finally:
            if checked:
                gate.set()
            elif not on_disk and self._journal.overdue:
                self._pending.regate((each.id for each in handed), entry.done)
                self._unchecked.append((entry.done, handed))
            else:
                self._leave_to_the_store(handed)
        self._ring({each.channel for each in handed})

    async def _check(self, handed: Sequence[NewDelivery]) -> None:
        """Drop hand-overs whose id the store has as sent or dead, from this run or an earlier one."""
        for each in handed:
            target = (each.channel, each.target)
            try:
                with self._journal.unless_overdue():
                    waiting = await self._store.waiting(each.alert, *target)
            except StoreUnavailable:
                self._pending.forget(each.alert, target)
            else:
                if self._pending.is_carried(each.alert, target):  # then the store says nothing of it
                    self._pending.forget(each.alert, target)
                elif each.id not in {other.id for other in waiting}:
                    self._pending.drop(each.id)

    def _leave_to_the_store(self, handed: Sequence[NewDelivery]) -> None:
        for each in handed:
            self._pending.forget(each.alert, (each.channel, each.target))

    def _check_later(self) -> None:
        """Hand-overs that were put while overdue and are on disk now: the store knows whether they had ended before."""
        done = [handed for on_disk, handed in self._unchecked if on_disk.is_set()]
        self._unchecked = [each for each in self._unchecked if not each[0].is_set()]
        for handed in done:
            self._leave_to_the_store(handed)

    @property
    def _is_prompt(self) -> bool:
        return not self._journal.overdue

    def _seen(self, delivery: Delivery) -> Delivery:
        return delivery if self._is_prompt else _marked(delivery)

    async def _ask(
        self, target: Target | None, stored: Callable[[], Awaitable[_T]], known: Callable[[], _T]
    ) -> _T:
        """`stored` where not all of the target is known, however often the store refuses; in an emergency `known`."""
        delay = _FIRST
        while True:
            if self._is_prompt and self._unchecked:
                self._check_later()
            if not self._is_prompt or (target is not None and self._pending.is_whole(target)):
                await trio.lowlevel.checkpoint()
                return known()
            try:
                with self._journal.unless_overdue():
                    return await stored()
            except StoreUnavailable as error:
                if self._journal.overdue:
                    continue
                self._log.warning("the store is not available", error=error.reason)
                with trio.move_on_after(delay):
                    await self._journal.until(overdue=True)
                delay = min(2 * delay, _LONGEST)


def _marked(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, context={**delivery.context, "notes": [*delivery.notes, NOTE]})


def _unmarked(new: NewDelivery) -> NewDelivery:
    """A fallback's copy, without what was true of the emergency only."""
    if NOTE not in new.notes:
        return new
    notes = [note for note in new.notes if note != NOTE]
    return msgspec.structs.replace(new, context={**new.context, "notes": notes})
