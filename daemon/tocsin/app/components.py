"""Building the rooms from settings, and changing them over on a reload."""

import os
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import trio

from tocsin.alerts.wording import Style
from tocsin.app.acts import LiveActs
from tocsin.app.buttons import AlertButtons
from tocsin.app.dryrun import DrySender
from tocsin.app.page import tokens_of
from tocsin.app.progress_probe import BeatWay
from tocsin.app.question_remarks import QuestionRemarks
from tocsin.app.runs import LiveRuns
from tocsin.clock import Clock
from tocsin.config.settings import Settings, VenueConfig
from tocsin.delivery.buttons import MakeButtons
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.channel_events import CHAT
from tocsin.delivery.channel_parts import SharedParts, UrlParts, assemble
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.delivery.model import Channel, ChannelSettings, Sender
from tocsin.delivery.outbox import DurableOutbox
from tocsin.delivery.pace import Paces
from tocsin.delivery.sample import TEXT, Sample, Tried, try_out
from tocsin.delivery.senders import make_sender, pressable, telegram_bot
from tocsin.delivery.service_limits import Limits, limits_of
from tocsin.delivery.services import is_terse, takes_whole_ids
from tocsin.delivery.templates import Templates
from tocsin.delivery.timing import Wakes
from tocsin.engine.api import Transition
from tocsin.events import Daemon as DaemonState
from tocsin.events import Instant, Key, Occurrence, Venue, iso
from tocsin.events.vocabulary import OURSELVES, to_plain
from tocsin.feed import CredentialStore, Received, VenueFeed
from tocsin.meters import Meters
from tocsin.page.access import Access
from tocsin.pipeline import Inbox, Options, Pipeline, Targets
from tocsin.pipeline.acts import Acts, By
from tocsin.pipeline.runtime import Runtime
from tocsin.reports.asked import asked
from tocsin.secrets import Secret
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import Journal
from tocsin.store.model import BEAT, Batch, Delivery, Loaded, RunRow
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

_NAMED = 10  # of what is unconfirmed
_MOST_TOLD = 10_000  # alerts that were told and nobody has taken note of
_TRY_WITHIN = 20.0  # seconds that a message of `tocsin notify` may take; whoever asks waits for 30


def new_id() -> str:
    """An id that sorts by the time it was made: 48 bits of milliseconds, 80 of chance (as ULIDs have them), in hex."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def of_ourselves(event: str, reason: str, subject: str | None = None) -> Occurrence:
    """An event of the daemon's own, for the rules; `subject` is the part that it is about."""
    state = DaemonState(id=OURSELVES, reason=reason, subject=subject)
    return Occurrence(state=state, event=event, origin="synthetic")


def make_options(settings: Settings) -> Options:
    """What the pipeline needs of the config."""
    return Options(
        routing=settings.routing,
        targets={
            name: Targets(len(channel.urls), channel.expire, pressable(channel))
            for name, channel in settings.channels.items()
        },
        style=Style(names=settings.names, links=settings.links, tz=settings.tz),
        actions=settings.actions,
        market_data=settings.store_market_data,
    )


def make_style(settings: Settings, channel: ChannelSettings, target: int) -> Style:
    """How one URL of a channel is written to."""
    url = channel.urls[target]
    return Style(
        names=settings.names,
        links=settings.links,
        tz=settings.tz,
        marks="text" if is_terse(url) else channel.marks,
        whole_ids=takes_whole_ids(url),
        page="" if is_terse(url) else settings.public_url,
    )


def label_of(channel: ChannelSettings, name: str, target: int) -> str:
    """What one URL of a channel is called."""
    return name if len(channel.urls) == 1 else f"{name}/{target}"


def make_sample(settings: Settings, what: Mapping[str, Any], reader: Reader | None, now: datetime) -> Tried:
    """What `tocsin notify` is to send: a `text`, or what is `like` a rule's last alert, of a `severity`; or that `report`.

    Without a `reader` the alert is made up. Raises UnknownName; StoreUnavailable, SchemaRefused. Blocks.
    """
    if "report" in what:
        report = settings.report(what["report"])
        return asked(reader or Reader(settings.state_dir / DATABASE), report, now)
    rule = settings.rule(what["like"]) if "like" in what else None
    return Sample(
        text=what.get("text", TEXT),
        severity=what.get("severity"),
        like=rule,
        last=reader.last_firing(rule.id) if rule is not None and reader is not None else None,
        venue=next(iter(settings.venues), ""),
    )


def _sent_before(settings: Settings, loaded: Loaded, now: Instant) -> Iterator[tuple[Limits, float]]:
    """Where messages of the last hour count, and when they went, by this run's steady clock."""
    for name, target, at in loaded.sent:
        channel = settings.channels.get(name)
        if channel is not None and target < len(channel.urls):
            age = max((now.wall - at).total_seconds(), 0.0)
            limits = limits_of(channel.urls[target].reveal(), channel.rate, (name, target))
            yield limits, now.steady - age


def venue_feed(venue: VenueConfig) -> VenueFeed:
    return VenueFeed(venue.name, venue.adapter, venue.settings)


@dataclass
class Components:
    """What is built once and lives as long as the daemon. `loaded` is what the store held at the start."""

    settings: Settings
    loaded: Loaded
    database: Database
    clock: Clock
    log: Any
    runtime_dir: Path

    def __post_init__(self) -> None:
        settings, loaded, clock, log = self.settings, self.loaded, self.clock, self.log
        self.meters = Meters()
        self.inbox = Inbox()
        self.told: deque[Transition] = deque(maxlen=_MOST_TOLD)
        """Alerts that were told to fire or to be over, for who keeps trails of them."""
        self.runtime = Runtime(
            settings.rules,
            make_options(settings),
            new_id,
            loaded,
            observe=self._note_told,
            meters=self.meters.pipeline,
        )
        self.entities, self.engine, self.turn = self.runtime.entities, self.runtime.engine, self.runtime.turn
        self.wakes = Wakes()
        self.journal = Journal(self.database, clock, log, self.meters.store)
        # Alerts of which a channel took a message, or its fallback (which) got one, and the turn hasn't heard.
        self._took: dict[tuple[str, str | None], None] = {}
        self.outbox = self._make_outbox()
        self.pipeline = self._make_pipeline()
        self._acts = Acts(self.turn)
        self.acts = LiveActs(self._acts, self.pipeline, clock, lambda: self.settings, self._editable, log)
        self.beats = BeatWay(self.inbox, self.pipeline, self.outbox, self.wakes.of(BEAT), clock)
        self.runs = LiveRuns(self.turn, self.pipeline, self.journal, clock, self.acts.remark, self.meters)
        self.questions = QuestionRemarks(self.acts.question, self._note_questions_taken)
        self.pipeline.runs_committed = self._runs_committed
        self.notes = Notes(loaded.notes)
        self.access = Access(
            loaded.sessions, lambda: tokens_of(self.settings), lambda: clock.now().wall, self.database, log
        )
        self.paces = Paces(lambda: clock.now().steady)
        self.paces.restore(_sent_before(settings, loaded, clock.now()))
        self.outages = Outages(self.notes)
        self.chats = self.notes.under(CHAT)
        self.templates = Templates(log)
        self.channels: dict[tuple[str, int], ChannelTask] = {}
        self.credentials = CredentialStore(settings.state_dir / "credentials", log)

    def _make_outbox(self) -> DurableOutbox:
        outbox = DurableOutbox(
            self.database,
            self.journal,
            self.wakes.ring,
            self.log,
            taken=self._taken,
            handed=self._handed,
            meters=self.meters.pipeline,
        )
        outbox.restore(self.loaded.pending, more=self.loaded.more_pending)
        return outbox

    def _make_pipeline(self) -> Pipeline:
        return Pipeline(
            inbox=self.inbox,
            turn=self.turn,
            journal=self.journal,
            clock=self.clock,
            wake=self.wakes.ring,
            log=self.log,
            degraded=self._degraded,
            meters=self.meters.pipeline,
        )

    def restore(self) -> tuple[Batch, list[str]]:
        """Go on where the last run stopped. Beside the batch: what of it can't be read."""
        known = dict.fromkeys(change.venue for change in self.loaded.entities)
        removed = [name for name in known if name not in self.settings.venues and name != OURSELVES]
        return self.turn.restore(self.loaded, self.clock.now(), removed=removed)

    def venues_removed(self, names: Sequence[str]) -> tuple[Batch, list[str]]:
        """These venues are no longer configured: what they still had to say is not heard, and their alerts end.

        Beside the batch: which.
        """
        for name in names:
            self.inbox.drop(name)
        return self.turn.venues_removed(names, self.clock.now())

    def forget(
        self, name: tuple[str, str, str], account: str | None, by: By
    ) -> tuple[Batch, tuple[list[Key], list[str]]]:
        """Drop what is known under that name: a venue, a kind and an id.

        Beside the batch: what there was (where that is nothing, or of several accounts, nothing is dropped), and what
        became of alerts.
        """
        now = self.clock.now()
        known = [key for key in self.entities.named(*name) if account is None or key[2] == account]
        batch = self._acts.forget(known, by, now) if len(known) == 1 else Batch(at=now.wall)
        ended = [f"ended: {row.rule} for {row.entity}" for row in batch.alerts if row.state == "resolved"]
        return batch, (known, ended)

    def reload(self, settings: Settings) -> tuple[Batch, list[str]]:
        """Other rules, channels and names from now on. Beside the batch: what became of alerts by that."""
        self.settings = settings
        return self.turn.reload(settings.rules, make_options(settings), self.clock.now())

    def shared_parts(self, tell: Callable[[Occurrence], Awaitable[None]]) -> SharedParts:
        """What the tasks of all channels have in common; `tell` takes what they raise for the rules."""
        return SharedParts(
            outbox=self.outbox,
            clock=self.clock,
            tell=tell,
            outages=self.outages,
            notes=self.notes,
            render=self.templates.render,
            log=self.log,
        )

    async def deliver(
        self, settings: Settings, name: str, target: int, shared: SharedParts, *, dry_run: bool
    ) -> None:
        """Run the task of one URL of one channel."""
        channel = settings.channels[name]
        url = channel.urls[target]
        label = label_of(channel, name, target)
        fallback = (
            (channel.fallback, len(settings.channels[channel.fallback].urls)) if channel.fallback else None
        )
        made = Channel(
            name=name,
            target=target,
            settings=channel,
            style=make_style(settings, channel, target),
            gates=settings.gates[name],
            fallback=fallback,
        )
        sender: Sender = DrySender(label, self.log)
        async with trio.open_nursery() as nursery:
            if not dry_run:
                sender = make_sender(url, name=label, masker=settings.masker, moved=self.chats)
            nursery.start_soon(sender.prepare)
            parts = UrlParts(
                sender=sender,
                wake=self.wakes.of(name),
                pace=self.paces.of(limits_of(url.reveal(), channel.rate, (name, target))),
                meters=self.meters.channel(name),
                buttons=self._buttons(channel, url),
            )
            task = self.channels[name, target] = ChannelTask(made, assemble(made, shared, parts))
            await task.run()

    def refuses(self, channel: str) -> bool:
        """Whether the last request of one of its URLs was refused or unanswered."""
        return channel in self.outages.channels or not all(self.meters.channel(channel).up.values())

    def rest(self, channel: str, target: int) -> float:
        """For how many seconds the service behind a channel's URL is left alone after a failure; zero or less: it isn't."""
        task = self.channels.get((channel, target))
        return task.rest if task is not None else 0.0

    def holds(self, channel: str, told: str, severity: str, target: int = 0) -> str:
        """What on a channel holds what is told of a severity now, in words; "" for nothing."""
        task = self.channels.get((channel, target))
        return task.holds(told, severity) if task is not None else ""

    async def try_channel(self, settings: Settings, name: str, sample: Tried) -> list[dict[str, Any]]:
        """Send a sample by each URL of a channel, as `tocsin notify` shows it: what it is called, whether it was taken, the answer."""
        channel = settings.channels[name]
        found: list[dict[str, Any]] = []

        async def send(target: int) -> None:
            label = label_of(channel, name, target)
            style, now = make_style(settings, channel, target), self.clock.now().wall
            report: dict[str, Any] = {"sent": False, "answer": f"not sent within {_TRY_WITHIN:g} s"}
            with trio.move_on_after(_TRY_WITHIN):
                made = await sample.message(style, new_id(), now, self.templates.render)
                buttons = self._buttons(channel, channel.urls[target])
                send = self.channels[name, target].send_aside
                report = await try_out(made, send, buttons, more=sample.tries_more)
            found.append({"url": label, **report})

        async with trio.open_nursery() as nursery:
            for target in range(len(channel.urls)):
                nursery.start_soon(send, target)
        return sorted(found, key=lambda each: str(each["url"]))

    def _buttons(self, channel: ChannelSettings, url: Secret) -> MakeButtons | None:
        """What stands below messages of that URL, where somebody may press it."""
        bot = telegram_bot(url) if channel.answers else None
        if bot is None:
            return None
        return AlertButtons(self.journal, self.clock, bot[1], self._told_by, self.runs.offers).make

    async def _told_by(self, digest: str) -> int:
        """How many alerts of a digest can be acknowledged; none while the disk doesn't say."""
        with suppress(StoreUnavailable):
            return len(await self.database.told_by(digest))
        return 0

    def _note_told(self, transition: Transition) -> None:
        if transition.notification in ("firing", "resolved"):
            self.told.append(transition)

    def _taken(self, alert: str) -> None:
        """A channel took a message of that alert, or of that run."""
        self.questions.taken(alert)
        if self.turn.waits_for(alert):
            self._note(alert, None)

    def _runs_committed(self, runs: Sequence[RunRow]) -> None:
        self.runs.committed(runs)
        self.questions.committed(runs)

    async def _note_questions_taken(self, runs: Sequence[str]) -> None:
        await self.pipeline.call(lambda: self.turn.taken(runs, self.clock.now()))

    def _handed(self, alert: str, channel: str) -> None:
        """A message of that alert goes to that channel as another's fallback."""
        if self.turn.follows(alert):
            self._note(alert, channel)

    def _note(self, alert: str, channel: str | None) -> None:
        if not self._took:  # however many a digest tells of, they are one turn
            self.pipeline.post(self._note_taken)
        self._took[alert, channel] = None

    def _note_taken(self) -> Batch:
        took, self._took = self._took, {}
        handed = [(alert, channel) for alert, channel in took if channel is not None]
        return self.turn.taken(
            [alert for alert, channel in took if channel is None], self.clock.now(), handed
        )

    async def _editable(self, alert: str | None) -> Sequence[Delivery]:
        """What told of an alert, or of all that fire, on channels that there still are."""
        channels = self.settings.channels
        return [
            each
            for each in await self.database.editable(alert)
            if each.channel in channels and each.target < len(channels[each.channel].urls)
        ]

    async def _degraded(self, reason: str) -> None:
        """Nothing can be committed; past the queue, because this is the task that empties it."""
        told = of_ourselves("daemon.degraded", f"alerts are not recorded and may repeat: {reason}", "store")
        with trio.move_on_after(1):
            await self.inbox.put(Received(venue=OURSELVES, observed=(told,), at=self.clock.now()))

    def venues_told(self, settings: Settings) -> list[dict[str, Any]]:
        """The connections as they stand, in the order of the config."""
        known = {change.key.id: change for change in self.entities.live("venue")}
        told = []
        for name, venue in settings.venues.items():
            state = to_plain(known[name].state) if name in known else {"status": "connecting"}
            told.append({**state, **self._unconfirmed(name), "venue": name, "type": venue.adapter.name})
        return told

    def link_before(self, venue: str) -> Venue | None:
        """The link to a venue as it stands, and stood in the last run: what it lacked, when it was last heard."""
        known = self.entities.get(Key(venue, "venue", "", venue))
        return known.state if known is not None and isinstance(known.state, Venue) else None

    def _unconfirmed(self, venue: str) -> dict[str, Any]:
        """Of what is unconfirmed the first of them, and since when."""
        found = self.entities.unconfirmed(venue)
        if not found or found[0].unconfirmed_since is None:
            return {}
        return {
            "unconfirmed_since": iso(found[0].unconfirmed_since),
            "unconfirmed_first": [
                {"kind": each.kind, "id": each.key.id, "account": each.account, "symbol": each.symbol}
                for each in found[:_NAMED]
            ],
        }


def runtime_dir(state_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the control socket stands: the service's runtime directory, else the state directory."""
    return Path(environ["RUNTIME_DIRECTORY"]) if environ.get("RUNTIME_DIRECTORY") else state_dir
