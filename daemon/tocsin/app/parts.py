"""The parts that the config asks for: a task a venue, a URL of a channel, an action, a bot that is answered, a heartbeat; the listener.

Each is started by its name, and a reload changes over those alone that mean something else than before.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import trio

from tocsin.actions.task import ActionTask
from tocsin.app import changes
from tocsin.app.answers import BotAnswers, bots_of
from tocsin.app.components import Components, venue_feed
from tocsin.app.heartbeat import HeartbeatTask, Judge, over_http
from tocsin.app.page import PageListener
from tocsin.app.task_supervisor import TaskSupervisor
from tocsin.config.settings import Settings
from tocsin.delivery.telegram_updates import TelegramUpdates
from tocsin.events import Occurrence
from tocsin.feed import Retry, run_venue
from tocsin.page.screen import Host as PageHost
from tocsin.store.reader import Reader

_VENUE, _CHANNEL, _ACTION, _ANSWERS, _HEARTBEAT = (
    "venue ",
    "channel ",
    "action ",
    "answers of bot ",
    "heartbeat ",
)
_LISTENER = "listener"


class Host(PageHost, Protocol):
    """The daemon, as its parts know it."""

    async def put(self, occurrence: Occurrence) -> None: ...

    def status(self) -> dict[str, Any]: ...


class Parts:
    """`settings` gives the config as it is now. In a dry run nobody outside is asked or told. `log` is a structlog logger."""

    def __init__(
        self,
        host: Host,
        components: Components,
        tasks: TaskSupervisor,
        settings: Callable[[], Settings],
        log: Any,
        *,
        dry_run: bool,
    ) -> None:
        self._host, self._components, self._tasks, self._log = host, components, tasks, log
        self._now, self._dry_run = settings, dry_run
        self._clock = components.clock
        self._shared = components.shared_parts(host.put)
        self._retries: dict[str, Retry] = {}  # by venue
        self._answers: dict[str, BotAnswers] = {}
        self._heartbeats: dict[str, HeartbeatTask] = {}
        self.page = PageListener(
            host, components.access, components.database.path, settings, log, dry_run=dry_run
        )

    @property
    def attention(self) -> Iterator[str]:
        """What somebody should look into, of bots and heartbeats."""
        for answers in self._answers.values():
            if said := answers.attention:
                yield said
        for heartbeat in self._heartbeats.values():
            yield from heartbeat.attention

    @property
    def heartbeats(self) -> Iterable[HeartbeatTask]:
        """In the order of the config."""
        return self._heartbeats.values()

    def start(self) -> None:
        """All but the heartbeats: they begin when all is up."""
        settings = self._now()
        for name in settings.venues:
            self._start_venue(name)
        for name in settings.channels:
            self._start_channel(name)
        for name in settings.actions:
            self._start_action(name)
        self._start_answers()
        self._start_listener()

    async def end_venues(self, venues: changes.Difference) -> None:
        """Those that are gone or changed: nothing more is heard of them."""
        await self._tasks.stop(*(f"{_VENUE}{name}" for name in (*venues.removed, *venues.changed)))
        for name in venues.removed:
            self._retries.pop(name, None)

    async def end_actions(self, actions: changes.Difference) -> None:
        """Those that are gone or changed: nothing more is done as it was written."""
        await self._tasks.stop(*(f"{_ACTION}{name}" for name in (*actions.removed, *actions.changed)))

    def begin_actions(self, actions: changes.Difference) -> None:
        """Those that are new or changed."""
        for name in (*actions.added, *actions.changed):
            self._start_action(name)

    def begin_venues(self, venues: changes.Difference) -> None:
        """Those that are new or changed. What was refused may be mended, though the config says the same: it is tried."""
        for name in (*venues.added, *venues.changed):
            self._start_venue(name)
        for name in self._retries:
            self.retry(name)

    async def change_others(self, before: Settings, after: Settings) -> None:
        """All other parts that mean something else than before: ended, and begun anew."""
        await self._change_channels(before, after)
        gone = {_ANSWERS + bot for bot, token in bots_of(before).items() if bots_of(after).get(bot) != token}
        await self._tasks.stop(*gone)
        for name in gone:
            self._answers.pop(name, None)
        self._start_answers()
        if before.listen != after.listen:
            await self._tasks.stop(_LISTENER)
            self.page.end()
            self._start_listener()
        if before.heartbeat != after.heartbeat:
            await self._tasks.stop(*self._heartbeats)
            self.start_heartbeats()

    async def _change_channels(self, before: Settings, after: Settings) -> None:
        channels, stale = changes.channels(before, after), changes.stale_channels(before, after)
        ending = {*channels.removed, *stale}
        await self._tasks.stop(*(part for part in self._tasks.names if _channel_of(part) in ending))
        for name in (*channels.added, *stale):
            self._start_channel(name)

    def retry(self, venue: str) -> bool:
        """A venue that waits after a refusal tries at once; False: none is called that."""
        if venue not in self._retries:
            return False
        self._retries[venue].now()
        return True

    def start_heartbeats(self) -> None:
        self._heartbeats = {}
        if self._dry_run:
            return
        parts = self._components
        judge = Judge(self._host.measures, Reader(parts.database.path), self._clock, trio.CapacityLimiter(1))
        for number, settings in enumerate(self._now().heartbeat):
            task = HeartbeatTask(
                settings,
                judge=judge,
                request=over_http(),
                tell=self._host.tell,
                counted=parts.meters.heartbeats,
                masker=self._now().masker,
                clock=self._clock,
                log=self._log,
            )
            self._heartbeats[f"{_HEARTBEAT}{number}"] = task
            self._tasks.start(f"{_HEARTBEAT}{number}", task.run)

    # ------------------------------------------------------------------------------------------------------- one by one

    def _start_venue(self, name: str) -> None:
        parts, settings = self._components, self._now()
        venue = venue_feed(settings.venues[name])
        retry = self._retries[name] = Retry()
        self._tasks.start(
            f"{_VENUE}{name}",
            partial(
                run_venue,
                venue,
                sink=parts.inbox,
                clock=self._clock,
                masker=settings.masker,
                credentials=parts.credentials,
                log=self._log,
                record_to=self._recording(name),
                retry=retry,
                before=partial(parts.link_before, name),
                unconfirmed=partial(parts.entities.unconfirmed, name),
                meters=parts.meters.venue(name),
            ),
        )

    def _recording(self, name: str) -> Path | None:
        """Where a venue's raw messages go, if its config says `record: true`."""
        settings = self._now()
        return settings.recording(name) if settings.venues[name].settings.record else None

    def _start_channel(self, name: str) -> None:
        """One task per URL."""
        for target in range(len(self._now().channels[name].urls)):
            self._tasks.start(f"{_CHANNEL}{name}/{target}", partial(self._run_channel, name, target))

    async def _run_channel(self, name: str, target: int) -> None:
        await self._components.deliver(self._now(), name, target, self._shared, dry_run=self._dry_run)

    def _start_action(self, name: str) -> None:
        settings = self._now()
        task = ActionTask(
            name, settings.actions[name], self._components.runs, self._clock, settings.masker, self._log
        )
        self._tasks.start(f"{_ACTION}{name}", task.run)

    def _start_answers(self) -> None:
        """One long poll for each bot that somebody may answer."""
        if self._dry_run:
            return
        parts = self._components
        for bot, token in bots_of(self._now()).items():
            if (name := f"{_ANSWERS}{bot}") in self._tasks.names:
                continue
            self._answers[name] = answers = BotAnswers(
                bot,
                TelegramUpdates(token),
                settings=self._now,
                database=parts.database,
                acts=parts.acts,
                commit=parts.pipeline.commit,
                notes=parts.notes,
                moved=parts.chats,
                status=self._host.status,
                tell=self._host.tell,
                clock=self._clock,
                log=self._log,
                meters=parts.meters.answers,
            )
            self._tasks.start(name, answers.run)

    def _start_listener(self) -> None:
        """The page, health and metrics over TCP, where the config says so."""
        if self.page.wanted:
            self._tasks.start(_LISTENER, self.page.run)


def _channel_of(part: str) -> str | None:
    return part.removeprefix(_CHANNEL).rpartition("/")[0] if part.startswith(_CHANNEL) else None
