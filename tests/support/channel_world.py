"""One channel's task with all that it touches: an outbox, a sender that does as it is told, a clock that is trio's."""

from contextlib import asynccontextmanager
from itertools import repeat

import structlog
import trio

from support.outboxes import TrioClock
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Style
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.channel_parts import SharedParts, UrlParts, assemble
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.delivery.model import Channel, ChannelSettings
from tocsin.delivery.pace import Pace, Paces
from tocsin.delivery.service_limits import limits_of
from tocsin.delivery.templates import in_place
from tocsin.delivery.timing import Wake
from tocsin.events import Occurrence
from tocsin.meters import ChannelMeters
from tocsin.secrets import Secret


async def unheard(_occurrence):
    await trio.lowlevel.checkpoint()


def channel_task(
    channel,
    sender,
    outbox,
    wake,
    *,
    clock,
    tell=unheard,
    notes=None,
    outages=None,
    buttons=None,
    jitter=lambda: 1.0,
    log=None,
    pace=None,
    meters=None,
) -> ChannelTask:
    """The task of one URL; what a test doesn't look at is new and its own, and no pace slows it."""
    notes = Notes({}) if notes is None else notes
    shared = SharedParts(
        outbox=outbox,
        clock=clock,
        tell=tell,
        outages=Outages(notes) if outages is None else outages,
        notes=notes,
        render=in_place,
        log=structlog.get_logger() if log is None else log,
        jitter=jitter,
    )
    url = UrlParts(
        sender=sender,
        wake=wake,
        pace=Pace((), lambda: clock.now().steady) if pace is None else pace,
        meters=meters or ChannelMeters(),
        buttons=buttons,
    )
    return ChannelTask(channel, assemble(channel, shared, url))


class World:
    """One channel's task with all that it touches."""

    def __init__(
        self,
        outbox,
        sender,
        *,
        fallback=None,
        rate=None,
        url="json://127.0.0.1/x",
        jitter=1.0,
        target=0,
        name="desk",
        gates=None,
        paces=None,
        buttons=None,
    ):
        self.buttons = buttons
        self.notes = Notes({})
        self.outages = Outages(self.notes)
        self.outbox, self.sender, self.wake, self.clock = outbox, sender, Wake(), TrioClock()
        self.occurrences: list[Occurrence] = []
        urls = (Secret(url),) * (target + 1)
        settings = ChannelSettings(urls=urls, rate=rate, fallback=fallback[0] if fallback else None)
        self.channel = Channel(
            name=name,
            target=target,
            settings=settings,
            style=Style(),
            gates=gates or ChannelGates(),
            fallback=fallback,
        )
        paces = Paces(lambda: self.clock.now().steady) if paces is None else paces
        self.pace = paces.of(limits_of(url, rate, (name, target)))
        self.jitter, self.meters = repeat(jitter), ChannelMeters()

    async def run(self) -> None:
        self.task = channel_task(
            self.channel,
            self.sender,
            self.outbox,
            self.wake,
            clock=self.clock,
            tell=self._tell,
            notes=self.notes,
            outages=self.outages,
            buttons=self.buttons,
            jitter=lambda: next(self.jitter),
            pace=self.pace,
            meters=self.meters,
        )
        await self.task.run()

    async def _tell(self, occurrence: Occurrence) -> None:
        self.occurrences.append(occurrence)

    async def put(self, *new) -> None:
        await self.outbox.put(*new)
        self.wake.ring()

    @asynccontextmanager
    async def running(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            yield
            nursery.cancel_scope.cancel()
