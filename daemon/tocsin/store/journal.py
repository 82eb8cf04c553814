"""The queue of writes: applied to the database one by one, in order, however long the disk refuses or hangs.

A caller puts a write in and waits until it is on disk or the journal is *overdue*: five seconds (steady) after the first
write that was refused or not answered. While it is overdue nobody waits; writes queue up and are applied in the same
order. It ends when the queue is empty.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import trio

from tocsin.clock import Clock
from tocsin.meters import StoreMeters
from tocsin.store.errors import Damaged, StoreUnavailable
from tocsin.store.model import Attempt, Batch, Gathered, NewDelivery

OVERDUE_AFTER = 5.0  # seconds
_AGAIN = (0.1, 0.5, 1.0)  # seconds between tries when the disk refuses; the last one goes on
_REBUILD_EVERY = 60  # tries
_MOST_UNWRITTEN = 2_000  # batches kept whole in memory; of what comes beyond that, events are not kept
_NOTICEABLE = 1.0  # seconds; a write that takes longer is worth a word

Write: TypeAlias = Batch | Gathered | Sequence[Attempt]
_COUNTED = ("alerts", "deliveries", "acked", "acts", "silences", "runs")


class Writer(Protocol):
    """Each call raises StoreUnavailable, with nothing written, when the disk refuses."""

    async def commit(self, batch: Batch) -> None: ...

    async def record(self, attempts: Sequence[Attempt]) -> Sequence[str]:
        """The ids of those that were passed over, since somebody else changed them in the database."""
        ...

    async def gather(self, gathered: Gathered) -> Sequence[str]:
        """The ids of parts that were passed over for the same reason."""
        ...

    async def free_reserve(self) -> bool: ...

    async def rebuild(self, reason: str, waiting: Sequence[NewDelivery]) -> None:
        """Go on with a new database, made of what can be read of this damaged one and of what is known to wait."""
        ...


class Follower(Protocol):
    """Knows in memory what waits to be sent, so that it outlasts a disk that is away and a database that is made anew."""

    def expect(self, deliveries: Sequence[NewDelivery], written: trio.Event) -> None:
        """These were put into the journal; the event is set when they are on disk."""
        ...

    def known_waiting(self) -> Iterable[NewDelivery]: ...

    def changed_by_others(self) -> None:
        """What waits in the database isn't what is known of it."""
        ...


class _NoFollower:
    def expect(self, deliveries: Sequence[NewDelivery], written: trio.Event) -> None:
        pass

    def known_waiting(self) -> Iterable[NewDelivery]:
        return ()

    def changed_by_others(self) -> None:
        pass


class Entry:
    """One write."""

    def __init__(self, write: Write, put_at: float) -> None:
        self.write = write
        self.put_at = put_at
        self.done = trio.Event()


class Journal:
    """Times are the clock's steady seconds. `log` is a structlog logger."""

    def __init__(self, database: Writer, clock: Clock, log: Any, meters: StoreMeters | None = None) -> None:
        self._database = database
        self._meters = meters or StoreMeters()
        self._clock = clock
        self._log = log
        self._entries: deque[Entry] = deque()
        self._arrived = trio.Event()
        self._prompt: set[trio.CancelScope] = set()  # what is given up when the journal becomes overdue
        self._turned = trio.Event()  # set, and replaced, when `overdue` changes
        self._reason = ""  # for which the disk refused the last time
        self._tries = 0
        self._trouble_since: float | None = None
        self.overdue = False
        self.changes: Counter[str] = Counter()
        """How often what was written changed alerts, deliveries, acknowledgements, acts, silences and runs: who reads them looks anew."""
        self.follower: Follower = _NoFollower()

    # -------------------------------------------------------------------------------------------------------- for users

    def put(self, write: Write) -> Entry:
        """Have this written after all that was put in before. The follower knows of its deliveries from now on."""
        if not isinstance(write, Batch):
            return self._append(write)
        beat = () if write.beat is None else (write.beat,)
        deliveries = (*write.deliveries, *beat)  # before others are merged into this one
        entry = self._merged(write) if len(self._entries) >= _MOST_UNWRITTEN else None
        entry = entry or self._append(write)
        self.follower.expect(deliveries, entry.done)
        return entry

    def _append(self, write: Write) -> Entry:
        entry = Entry(write, self._clock.now().steady)
        self._entries.append(entry)
        self._arrived.set()
        return entry

    def _merged(self, batch: Batch) -> Entry | None:
        """The last batch that waits, with this one merged into it; not the first, which is being written."""
        for entry in reversed(tuple(self._entries)[1:]):
            if isinstance(entry.write, Batch):
                merge_without_events(entry.write, batch)
                return entry
        return None

    async def written(self, entry: Entry) -> bool:
        """Wait until it is on disk. False: the journal is overdue, and it is written later."""
        with self._while_prompt():
            await entry.done.wait()
        return entry.done.is_set()

    @contextmanager
    def unless_overdue(self) -> Iterator[None]:
        """What is done here is given up when the journal becomes overdue. Raises StoreUnavailable then."""
        finished = False
        with self._while_prompt():
            yield
            finished = True
        if not finished:
            raise StoreUnavailable(self.reason)

    async def until(self, *, overdue: bool) -> None:
        """Wait until the journal is overdue, or isn't."""
        while self.overdue is not overdue:
            await self._turned.wait()

    async def drained(self) -> None:
        """Wait until all is written that was put in so far."""
        if self._entries:
            await self._entries[-1].done.wait()

    @property
    def refused_since(self) -> float | None:
        """Since when the disk refuses or doesn't answer; None while it does what it should."""
        if not self._entries:
            return None
        since = self._entries[0].put_at
        late = self._clock.now().steady - since >= _NOTICEABLE
        return since if self._tries or late or self.overdue else None

    @property
    def reason(self) -> str:
        """Why nothing can be written, in words."""
        return self._reason or "the disk doesn't answer"

    @property
    def waiting(self) -> int:
        """How many writes aren't on disk yet."""
        return len(self._entries)

    # ---------------------------------------------------------------------------------------------------------- writing

    async def run(self) -> None:
        """For ever. A batch that can't be written for a bug of ours raises: what is in memory isn't to be trusted then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_the_time)
            while True:
                await self._arrived.wait()
                await self._write_all()
                self._arrived = trio.Event()
                self._recovered()

    async def _write_all(self) -> None:
        while self._entries:
            entry, began = self._entries[0], self._clock.now().steady
            try:
                if isinstance(entry.write, Batch):
                    await self._database.commit(entry.write)
                elif await self._recorded(entry.write):
                    self.follower.changed_by_others()
            except StoreUnavailable as error:
                self._meters.failures += 1
                await self._refused(error)
            else:
                self._meters.commit_seconds.observe(self._clock.now().steady - began)
                self._tries, self._reason = 0, ""
                self.changes.update(_changed(entry.write))
                self._entries.popleft()
                entry.done.set()

    async def _recorded(self, write: Gathered | Sequence[Attempt]) -> Sequence[str]:
        if isinstance(write, Gathered):
            return await self._database.gather(write)
        return await self._database.record(write)

    async def _refused(self, error: StoreUnavailable) -> None:
        self._reason = str(error)
        if self._trouble_since is None:
            self._trouble_since = self._entries[0].put_at
        if not self.overdue:
            self._log.error("cannot commit, trying again", reason=self._reason, tries=self._tries + 1)
        if isinstance(error, Damaged) and self._tries % _REBUILD_EVERY == 0:
            try:
                await self._database.rebuild(self._reason, self._written_waiting())
            except StoreUnavailable as failed:
                self._log.error("no new database can be made", reason=str(failed))
                error = failed
        if error.full and await self._database.free_reserve():
            self._log.warning("the reserved disk space is released")
        delay = _AGAIN[min(self._tries, len(_AGAIN) - 1)]
        self._tries += 1
        await trio.sleep(delay)

    def _written_waiting(self) -> list[NewDelivery]:
        """What waits to be sent and was written already; the rest is written in its turn."""
        batches = (entry.write for entry in self._entries if isinstance(entry.write, Batch))
        coming = {delivery.id for batch in batches for delivery in batch.deliveries}
        coming |= {entry.write.digest.id for entry in self._entries if isinstance(entry.write, Gathered)}
        return [delivery for delivery in self.follower.known_waiting() if delivery.id not in coming]

    def _recovered(self) -> None:
        since = self._trouble_since
        if since is not None:
            self._trouble_since = None
            self._log.info("committing again", after=round(self._clock.now().steady - since, 1))
        if self.overdue:
            self._turn(overdue=False)

    # ------------------------------------------------------------------------------------------------------------- time

    async def _watch_the_time(self) -> None:
        while True:
            await self._arrived.wait()
            while self._entries and not self.overdue:
                left = self._entries[0].put_at + OVERDUE_AFTER - self._clock.now().steady
                if left <= 0:
                    self._turn(overdue=True)
                    break
                await trio.sleep(left)
            await self.until(overdue=False)

    def _turn(self, *, overdue: bool) -> None:
        self.overdue = overdue
        if overdue and self._trouble_since is None:
            self._trouble_since = self._entries[0].put_at
        self._turned.set()
        self._turned = trio.Event()
        if overdue:
            for scope in self._prompt:
                scope.cancel()

    @contextmanager
    def _while_prompt(self) -> Iterator[None]:
        """What is done here is cut off when the journal becomes overdue; where it is, at its first checkpoint."""
        with trio.CancelScope() as scope:
            self._prompt.add(scope)
            try:
                if self.overdue:
                    scope.cancel()
                yield
            finally:
                self._prompt.discard(scope)


def _changed(write: Write) -> Sequence[str]:
    if isinstance(write, Batch):
        return [name for name in _COUNTED if getattr(write, name)]
    return ("deliveries",)


def merge_without_events(into: Batch, batch: Batch) -> None:
    """What `batch` changed, committed with `into`: alerts and states in their order, but not what happened."""
    # A batch deletes its `gone` before it puts its entities: those of `into` that `batch` deletes must not be put after that.
    gone = frozenset(batch.gone)
    into.entities = [change for change in into.entities if change.key not in gone]
    for name in Batch.__struct_fields__:
        rows = getattr(batch, name)
        if isinstance(rows, list) and name != "events":
            getattr(into, name).extend(rows)
    into.notes |= batch.notes
    into.prices_left_out |= batch.prices_left_out or bool(batch.events)
    into.entities = list({change.key: change for change in into.entities}.values())
