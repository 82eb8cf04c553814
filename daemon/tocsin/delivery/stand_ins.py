"""Channels of which nothing leaves the house, for rule tests and replay: the daemon's own task on a clock that others move."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio

from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Style
from tocsin.clock import Clock
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.channel_parts import SharedParts, UrlParts, assemble
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.delivery.model import Channel, ChannelSettings, Handle, Message, Outcome, Sender
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.pace import Pace
from tocsin.delivery.templates import in_place
from tocsin.delivery.timing import Wake
from tocsin.events import Occurrence
from tocsin.meters import ChannelMeters
from tocsin.secrets import Secret

FAKE_URL = "json://fake"
"""Where a stand-in sends to: of no service whose pace would be kept."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What a config says of a channel, and what it holds back by that; as it stands here it takes all that it is to tell."""

    settings: ChannelSettings = field(default_factory=lambda: ChannelSettings(urls=(Secret(FAKE_URL),)))
    gates: ChannelGates = field(default_factory=ChannelGates)


class FakeChannel(Sender):
    """Takes every message; a passing failure while `works` is False."""

    def __init__(self, name: str, accepted: Callable[[Message], None]) -> None:
        self.name = name
        self.works = True
        self._accepted = accepted

    async def send(self, message: Message, handle: Handle | None = None) -> Outcome:  # noqa: ARG002 - it has none
        await trio.lowlevel.checkpoint()
        if not self.works:
            return Outcome(sent=False, answer=f"{self.name}: fails, as the test says")
        self._accepted(message)
        return Outcome(sent=True, answer=f"{self.name}: accepted")


def shared_parts(
    outbox: Outbox, clock: Clock, tell: Callable[[Occurrence], Awaitable[None]], notes: Notes, log: Any
) -> SharedParts:
    """What the stand-ins of one outbox have in common. A retry comes when it comes at the latest."""
    return SharedParts(
        outbox=outbox,
        clock=clock,
        tell=tell,
        outages=Outages(notes),
        notes=notes,
        render=in_place,
        log=log,
        jitter=lambda: 1.0,
    )


def channel_task(
    channel: StandIn, sender: FakeChannel, shared: SharedParts, *, style: Style, wake: Wake
) -> ChannelTask:
    """The task of a channel that is called as its sender is; no pace slows it."""
    settings = channel.settings
    made = Channel(
        name=sender.name,
        target=0,
        settings=settings,
        style=style,
        gates=channel.gates,
        fallback=(settings.fallback, 1) if settings.fallback is not None else None,
    )
    pace = Pace((), lambda: shared.clock.now().steady)
    url = UrlParts(sender=sender, wake=wake, pace=pace, meters=ChannelMeters())
    return ChannelTask(made, assemble(made, shared, url))
