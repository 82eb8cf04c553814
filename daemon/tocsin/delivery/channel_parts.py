"""The parts of one URL's task, and how they hang together."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tocsin.clock import Clock
from tocsin.delivery.backoff import Backoff
from tocsin.delivery.buttons import MakeButtons
from tocsin.delivery.channel_events import ChannelEvents
from tocsin.delivery.channel_state import Failures, Notes, Outages
from tocsin.delivery.coalesce import Coalesced, Fallback, is_expired
from tocsin.delivery.editor import MessageEditor
from tocsin.delivery.gatherer import STORM, Gatherer
from tocsin.delivery.gathering import Gathering
from tocsin.delivery.late_critical import LateCritical
from tocsin.delivery.message_maker import MessageMaker
from tocsin.delivery.model import Channel, Sender
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.pace import Pace
from tocsin.delivery.paced_sender import PacedSender
from tocsin.delivery.recorder import AttemptRecorder
from tocsin.delivery.templates import Render
from tocsin.delivery.timing import RunClock, Wake
from tocsin.events import Occurrence
from tocsin.meters import ChannelMeters


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """What all URLs of all channels have in common.

    `tell` takes events of our own, for the rules. `notes` keeps storms and the ids of chats, `render` makes messages, `jitter` gives
    0.0 to 1.0, `log` is a structlog logger.
    """

    outbox: Outbox
    clock: Clock
    tell: Callable[[Occurrence], Awaitable[None]]
    outages: Outages
    notes: Notes
    render: Render
    log: Any
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlParts:
    """What one URL of a channel has to itself, or with the others of its channel or service.

    `wake` is rung by whoever commits deliveries, after the commit. `buttons` makes what stands below messages, where somebody may
    press it. `meters` are the channel's.
    """

    sender: Sender
    wake: Wake
    pace: Pace
    meters: ChannelMeters
    buttons: MakeButtons | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParts:
    """What `ChannelTask` works with. `is_expired` says whether the time to live of what waits is over."""

    outbox: Outbox
    wake: Wake
    pace: Pace
    meters: ChannelMeters
    log: Any
    time: RunClock
    events: ChannelEvents
    sender: PacedSender
    backoff: Backoff
    is_expired: Callable[[Coalesced], bool]
    maker: MessageMaker
    recorder: AttemptRecorder
    undelivered: Failures
    editor: MessageEditor
    gatherer: Gatherer
    gathering: Gathering
    late_critical: LateCritical


def assemble(channel: Channel, shared: SharedParts, url: UrlParts) -> ChannelParts:
    """The parts of that URL's task, on a run's clock of their own."""
    outbox, of = shared.outbox, (channel.name, channel.target)
    log = shared.log.bind(channel=channel.name, target=channel.target)
    time = RunClock(shared.clock)
    events = ChannelEvents(channel.name, shared.tell, shared.notes, time)
    sender = PacedSender(url.sender, url.pace, time, target=channel.target, meters=url.meters, log=log)
    backoff = Backoff(time.steady, shared.jitter)
    expired = partial(is_expired, age=time.age, gates=channel.gates)
    buttons = url.buttons if "buttons" in sender.can else None
    maker = MessageMaker(channel, time, render=shared.render, buttons=buttons, log=log)
    recorder = AttemptRecorder(of, outbox, Fallback(channel.fallback), time, url.meters)
    undelivered = Failures(of, outbox, shared.outages, time, say=events.say)
    editor = MessageEditor(
        channel,
        outbox,
        time,
        sender=sender,
        maker=maker,
        recorder=recorder,
        backoff=backoff,
        is_expired=expired,
        log=log,
    )
    gatherer = _gatherer(channel, shared.notes, time)
    gathering = Gathering(
        channel,
        gatherer,
        outbox,
        time,
        life=editor.life,
        say=events.say,
        recorder=recorder,
        undelivered=undelivered,
        log=log,
    )
    late_critical = LateCritical(
        channel, outbox, time, wake=url.wake, recorder=recorder, undelivered=undelivered, log=log
    )
    return ChannelParts(
        outbox=outbox,
        wake=url.wake,
        pace=url.pace,
        meters=url.meters,
        log=log,
        time=time,
        events=events,
        sender=sender,
        backoff=backoff,
        is_expired=expired,
        maker=maker,
        recorder=recorder,
        undelivered=undelivered,
        editor=editor,
        gatherer=gatherer,
        gathering=gathering,
        late_critical=late_critical,
    )


def _gatherer(channel: Channel, notes: Notes, time: RunClock) -> Gatherer:
    """With the storm that the last run left, if any."""
    url = f"{channel.name}/{channel.target}"
    kept = notes.under(STORM).get(url)
    return Gatherer(channel.gates, time, note=partial(notes.set, f"{STORM}{url}"), kept=kept)
