"""The channels of a replay: the daemon's own tasks on the record's clock, over an outbox in memory. What each would have sent is noted."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

import structlog
import trio
from msgspec import Struct

from tocsin.alerts.wording import Style
from tocsin.clock import ManualClock
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.channel_state import Notes
from tocsin.delivery.gatherer import STORM
from tocsin.delivery.pending import Pending, as_delivery
from tocsin.delivery.stand_ins import FakeChannel, StandIn, channel_task, shared_parts
from tocsin.delivery.timing import Wakes
from tocsin.events import Occurrence
from tocsin.store.model import Arrival, Attempt, Delivery, Gathered, NewDelivery, Recent

DROPPED = "dropped: "  # the beginning of a delivery's error


class Sent(Struct, frozen=True):
    """A message that a channel would have sent: when (UTC), and all that it tells. `held`: by what a digest's parts were held."""

    at: datetime
    channel: str
    told: tuple[NewDelivery, ...]
    held: str = ""

    @property
    def alerts(self) -> int:
        """Of how many it tells."""
        return len({each.alert for each in self.told})


class Dropped(Struct, frozen=True):
    """What a channel would have told nobody, and why."""

    delivery: NewDelivery
    reason: str


class MemoryOutbox:
    """The `Outbox` of all channels where nothing is kept on a disk. `ring` wakes the tasks of channels."""

    def __init__(self, ring: Callable[[Iterable[str]], None]) -> None:
        self._ring = ring
        self._pending = Pending()
        self._known: dict[str, NewDelivery] = {}  # those that wait, by their ids
        # Those that wait, and their parts.
        self._digests: dict[str, tuple[Gathered, tuple[NewDelivery, ...]]] = {}
        self._on_disk = trio.Event()
        self._on_disk.set()
        self.sent: list[Sent] = []
        self.dropped: list[Dropped] = []

    def put(self, deliveries: Sequence[NewDelivery]) -> None:
        """These are to be sent."""
        self._known |= {each.id: each for each in deliveries}
        self._pending.add(map(as_delivery, deliveries), bounded=False)
        self._ring({each.channel for each in deliveries})

    def waits(self, delivery: NewDelivery) -> bool:
        """Whether it is neither sent nor dropped."""
        return delivery.id in self._known

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._known or self._digests)

    # ------------------------------------------------------------------------------------------------ what channels see

    async def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        heads = self._pending.heads((channel, target), committed=False, prompt=prompt)
        return [*islice((each for each in heads if each.next_at <= now), limit)]

    async def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        await trio.lowlevel.checkpoint()
        if after is not None:
            return self._pending.next_due((channel, target), after, committed=False)
        heads = self._pending.heads((channel, target), committed=False)
        return min((each.next_at for each in heads), default=None)

    async def is_waited_on(self, channel: str, target: int) -> bool:
        await trio.lowlevel.checkpoint()
        return self._pending.is_waited_on((channel, target))

    async def waiting(self, alert: str, channel: str, target: int) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        return self._pending.of_alert(alert, (channel, target), committed=False)

    async def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, _limit: int, *, critical: bool
    ) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        if after is not None:
            return []  # the first page has all
        return [*self._pending.gatherable((channel, target), now, critical=critical, committed=False)]

    async def ends_behind(self, digest: str, channel: str, target: int) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        return self._pending.ends_behind(digest, (channel, target), committed=False)

    async def recent(self, _channel: str, _target: int, _since: datetime, _until: datetime) -> Recent:
        await trio.lowlevel.checkpoint()
        return Recent()

    def arrived(self, channel: str, target: int) -> Sequence[Arrival]:
        return self._pending.arrived((channel, target))

    async def not_escalated(
        self, channel: str, target: int, after: str | None, limit: int
    ) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        return [*islice(self._pending.not_escalated((channel, target), after, committed=False), limit)]

    async def history(self, alert: str, channel: str) -> Sequence[Delivery]:
        await trio.lowlevel.checkpoint()
        return self._pending.history(alert, channel)

    async def gather(self, gathered: Gathered) -> None:
        await trio.lowlevel.checkpoint()
        parts = tuple(self._known.pop(id_) for id_, _ in gathered.parts)
        self._digests[gathered.digest.id] = (gathered, parts)
        self._pending.link(gathered, self._on_disk)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        await trio.lowlevel.checkpoint()
        told: list[NewDelivery] = []
        for attempt in attempts:
            self._pending.note(attempt, self._on_disk)
            if attempt.also:
                self.put(attempt.also)
            if attempt.status == "pending":
                continue
            error, known = attempt.error or "", self._known.pop(attempt.delivery, None)
            if known is not None and error.startswith(DROPPED):
                self.dropped.append(Dropped(known, error.removeprefix(DROPPED)))
            elif known is not None:
                told.append(known)  # sent, or folded into what is sent
                if attempt.status == "sent":
                    self.sent.append(Sent(attempt.at, known.channel, tuple(told)))
            elif attempt.delivery in self._digests:
                gathered, parts = self._digests.pop(attempt.delivery)
                self.sent.append(Sent(attempt.at, gathered.digest.channel, parts, gathered.reason))


class Channels:
    """All that channels do with what they are to tell, up to the time at which `clock`, which is trio's, stands."""

    def __init__(self, channels: Mapping[str, StandIn], clock: ManualClock, nursery: trio.Nursery) -> None:
        wakes, notes = Wakes(), Notes({})
        self._notes = notes
        self.outbox = MemoryOutbox(wakes.ring)
        self._tasks: dict[str, ChannelTask] = {}
        shared = shared_parts(self.outbox, clock, _unheard, notes, _SILENT)
        for name, stand_in in channels.items():
            sender = FakeChannel(name, lambda _message: None)
            self._tasks[name] = channel_task(stand_in, sender, shared, style=Style(), wake=wakes.of(name))
            nursery.start_soon(self._tasks[name].run)

    @property
    def is_idle(self) -> bool:
        """Whether nothing would happen, however the time went on."""
        return not self.outbox and not self._notes.under(STORM)

    def reason(self, delivery: NewDelivery) -> str:
        """What holds it now, in words."""
        return self._tasks[delivery.channel].holds(delivery.state_told, delivery.severity)


_SILENT = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


async def _unheard(_occurrence: Occurrence) -> None:
    """What channels tell of themselves a record has, or doesn't know."""
    await trio.lowlevel.checkpoint()
