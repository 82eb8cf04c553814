"""The daemon: what it is made of and who does what, in one nursery.

pipeline                the one task that changes entities, rules and alerts; if it crashes, the process does
venue NAME              one per venue, started, stopped and restarted apart from all others
channel NAME/N          one per URL of a channel
action NAME             one per action, whose runs go one at a time
control, housekeeping   the API on the socket; retention and checkpoints
answers of bot NAME     one per bot that is answered; heartbeat N, listener: where the config asks for them
probe                   real progress, told to systemd's watchdog
reports                 what is told at times of the day
trails                  what charts are made of: samples of what rules watch, and of what accounts are worth
runs, questions         what goes wrong with actions is told; what became of questions about them
templates, notes        messages' templates; what is kept of small things
sessions                who is signed in to the page is kept
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import trio

from tocsin import __version__
from tocsin.actions.model import described
from tocsin.alerts.wording import Style, time_text
from tocsin.app import attention, changes, shown
from tocsin.app.acts import LiveActs
from tocsin.app.components import Components, make_sample, of_ourselves
from tocsin.app.housekeeping import keep_house
from tocsin.app.measuring import Measuring
from tocsin.app.parts import Parts
from tocsin.app.progress_probe import ProgressProbe
from tocsin.app.reports import make_reports
from tocsin.app.rule_views import RuleViews
from tocsin.app.sampling import Sampling
from tocsin.app.sdnotify import SystemdNotifier
from tocsin.app.snapshots import Snapshots
from tocsin.app.task_supervisor import TaskSupervisor
from tocsin.clock import Clock
from tocsin.config.settings import Settings
from tocsin.control.client import SOCKET
from tocsin.control.measures import Measures, status
from tocsin.control.rules import listed_rules
from tocsin.control.server import make_app
from tocsin.control.serving import serve_control
from tocsin.control.snapshot import Point, Snapshot
from tocsin.errors import ConfigError, gathered
from tocsin.events import Occurrence
from tocsin.events.vocabulary import OURSELVES
from tocsin.feed.model import Received
from tocsin.page.live import Versions
from tocsin.page.routes import Screens
from tocsin.pipeline.acts import By
from tocsin.pipeline.explaining import Question, RunSync, explain
from tocsin.store.errors import Damaged, StoreUnavailable
from tocsin.store.reader import Reader

# Seconds from the wish to stop; the promise is 10, and files and database are still to be closed.
_FINISH_WITHIN = 7.0


class Daemon:
    """Everything that runs between start and stop. `load` reads the configuration anew; it raises ConfigError."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        *,
        components: Components,
        clock: Clock,
        log: Any,
        notifier: SystemdNotifier,
        dry_run: bool = False,
    ) -> None:
        self._settings = settings
        self._load = load
        self._components = components
        self._clock = clock
        self._log = log
        self._notifier = notifier
        self._dry_run = dry_run
        self._ready = False
        self._probe = ProgressProbe(
            components.beats, components.database, clock, notifier, log, tell=self._degraded
        )
        self._measuring = Measuring(
            components, self._probe, lambda: self._settings, self._remarks, dry_run=dry_run
        )
        self._sampling = Sampling(components, log)
        self._snapshots = Snapshots(components, self._measuring, self._sampling)
        self.rules_seen = RuleViews(components, self.snapshot)
        self._reports = make_reports(components, lambda: self._settings, self._is_settled, log)
        self._reloading = trio.Lock()
        self._stop = trio.Event()
        self.stopped = trio.Event()
        self._tasks: TaskSupervisor
        self._parts: Parts
        self._refused: list[str] = []  # that the config isn't that on the disk, in a line

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until `stop` is called; READY is told when the store is open and every task is up."""
        async with trio.open_nursery() as everything:
            everything.start_soon(self._components.pipeline.run, name="pipeline")
            unreadable = [*self._components.loaded.unreadable]
            unreadable += await self._components.pipeline.ask(self._components.restore)
            async with trio.open_nursery() as parts:
                self._tasks = TaskSupervisor(parts, self._log, self._crashed)
                self._parts = Parts(
                    self,
                    self._components,
                    self._tasks,
                    lambda: self._settings,
                    self._log,
                    dry_run=self._dry_run,
                )
                self._start_parts()
                await self.tell("daemon.started", f"Tocsin {__version__}")
                await self._tell_unreadable(unreadable)
                await self._tell_stranded()
                self._ready = True
                self._notifier.send(READY="1", STATUS=self._summary())
                self._log.info("started", version=__version__, pid=os.getpid(), summary=self._summary())
                self._parts.start_heartbeats()
                task_status.started()
                await self._stop.wait()
                deadline = trio.current_time() + _FINISH_WITHIN
                self._notifier.send(STOPPING="1", STATUS="stopping")
                self._log.info("stopping")
                parts.cancel_scope.cancel()
            with trio.move_on_at(deadline):
                await self.tell("daemon.stopping", "stopped on request")
                await self._components.pipeline.take_all()
                await self._components.pipeline.finish()
                await self._components.access.sessions.kept()
                with suppress(StoreUnavailable):  # then it counts as alive until the last probe
                    await self._probe.note_alive()
            everything.cancel_scope.cancel()
        self.stopped.set()

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    async def tell(self, event: str, reason: str, subject: str | None = None) -> None:
        """An event of ourselves, for the rules."""
        await self.put(of_ourselves(event, reason, subject))

    async def _degraded(self, trouble: str) -> None:
        await self.tell("daemon.degraded", trouble, subject="store")

    async def _check_database(self) -> None:
        """A large database is looked through while we work; then there is nothing to do for ever."""
        try:
            await self._components.database.check()
        except Damaged as error:
            self._log.error("the database", trouble=str(error))
            await self._degraded(f"{error}; the next start makes a new one of what can be read")
        except StoreUnavailable as error:
            self._log.warning("the database couldn't be looked through", reason=str(error))
        await trio.sleep_forever()

    async def put(self, occurrence: Occurrence) -> None:
        await self._components.inbox.put(
            Received(venue=OURSELVES, observed=(occurrence,), at=self._clock.now())
        )

    # ---------------------------------------------------------------------------------------------------------- control

    async def reload(self) -> dict[str, Any]:
        """Read the config anew and change over to it; one error anywhere and the old one goes on, loudly."""
        async with self._reloading:
            before = self._settings
            try:
                after = await trio.to_thread.run_sync(self._load)
            except ConfigError as error:
                problems = [problem.render() for problem in error.problems]
                errors = [problem for problem in error.problems if problem.level == "error"]
                told = [f"{each.place or 'config'}: {each.message}" for each in errors]
                self._log.error("reload refused, the old configuration goes on", errors=told)
                more = f", and {len(told) - 1} more" if len(told) > 1 else ""
                self._refuse(f"{told[0]}{more}")
                await self.tell("daemon.reload_failed", f"{told[0]}{more}; tocsin check tells all")
                return {"reloaded": False, "changes": [], "problems": problems}
            except Exception as bug:  # noqa: BLE001 — reading a file must not end the daemon that works
                reason = f"internal error: {type(bug).__name__}: {bug}"
                self._log.exception("reload failed, the old configuration goes on")
                self._refuse(reason)
                await self.tell("daemon.reload_failed", reason)
                return {"reloaded": False, "changes": [], "problems": [reason]}
            # Every part holds this one masker: secrets of the new config are added, those of the old one stay hidden.
            before.masker.include(after.masker)
            after = replace(after, masker=before.masker)
            told = await self._change_over(before, after)
            self._refused.clear()
            self._measuring.reloaded(success=True)
            self._log.info("reloaded", changes=told)
            self._notifier.send(STATUS=self._summary())
            await self.tell("daemon.reloaded", "; ".join(told) or "nothing changed")
            return {
                "reloaded": True,
                "changes": told,
                "problems": [problem.render() for problem in gathered(after.warnings)],
            }

    def _refuse(self, reason: str) -> None:
        self._measuring.reloaded(success=False)
        at = time_text(self._clock.now().wall)
        self._refused = [
            f"the config was refused at {at}, the one before goes on: {reason}; tocsin check tells all"
        ]

    async def _change_over(self, before: Settings, after: Settings) -> list[str]:
        venues, channels = changes.venues(before, after), changes.channels(before, after)
        actions = changes.actions(before, after)
        await self._parts.end_actions(actions)
        self._settings = after
        alerts = await self._components.pipeline.ask(partial(self._components.reload, after))
        self._parts.begin_actions(actions)
        await self._parts.end_venues(venues)
        if venues.removed:
            alerts += await self._components.pipeline.ask(
                partial(self._components.venues_removed, venues.removed)
            )
        self._parts.begin_venues(venues)
        await self._parts.change_others(before, after)
        self._reports.changed()
        self._components.outages.forget(channels.removed)
        self._components.meters.forget(
            venues=venues.removed,
            channels=channels.removed,
            actions=actions.removed,
            rules={rule.id for rule in before.rules} - {rule.id for rule in after.rules},
        )
        await self._tell_stranded()
        return [
            *venues.told("venue"),
            *channels.told("channel"),
            *actions.told("action"),
            *changes.calendars(before, after).told("calendar"),
            *changes.rules(before, after),
            *alerts,
            *changes.others(before, after),
            *changes.needs_restart(before, after),
        ]

    def retry(self, venue: str, by: By) -> bool:
        """A venue that waits after a refusal tries at once; False: none is called that."""
        if there := self._parts.retry(venue):
            self.acts.note("tried again on request", by, venue=venue)
        return there

    @property
    def acts(self) -> LiveActs:
        """What people do."""
        return self._components.acts

    async def forget(self, venue: str, kind: str, id_: str, account: str | None, by: By) -> dict[str, Any]:
        """Drop an entity that the venue isn't going to mention again."""
        known, alerts = await self._components.pipeline.ask(
            partial(self._components.forget, (venue, kind, id_), account, by)
        )
        if len(known) == 1:
            self.acts.note("forgotten on request", by, **known[0]._asdict())
        return {"forgotten": len(known) == 1, "accounts": [key[2] or None for key in known], "alerts": alerts}

    def measures(self) -> Measures:
        """What is so now, from which all that tells of it is made."""
        return self._measuring.measures()

    def snapshot(self) -> Snapshot:
        """What is so now, thing by thing; the same for all that look within 250 ms."""
        return self._snapshots.snapshot()

    def equity(self, venue: str, account: str) -> Sequence[Point]:
        """What an account was worth in the last 48 hours, a point a minute, the oldest first."""
        return self._sampling.equity.of(venue, account)

    @property
    def style(self) -> Style:
        """The names, links and time zone of people."""
        return self._components.turn.options.style

    def trail(self, rule: str, instance: str) -> Sequence[Point]:
        """The number of an instance in the last half hour, every point that there is; since before it began where it is pending."""
        return tuple(self._sampling.trails.points((rule, instance)))

    def urls_hash(self, channel: str) -> str | None:
        """By what `try_channel` knows a channel's URLs; None: none is called that."""
        known = self._settings.channels.get(channel)
        return known.urls_hash if known is not None else None

    def health(self) -> list[str]:
        """What is wrong, in words; empty when healthy. Costs nothing."""
        return self._probe.wrong()

    @property
    def ready(self) -> bool:
        """Whether READY was told, and nobody wants it to stop."""
        return self._ready and not self.stopping

    def _is_settled(self) -> bool:
        """Whether no venue is being connected for the first time."""
        return all(venue.status != "connecting" for venue in self.measures().venues)

    def status(self) -> dict[str, Any]:
        """What `tocsin status` tells but for what the database says."""
        return status(self.measures(), None)

    def _remarks(self) -> list[str]:
        return [*self._refused, *self._parts.attention]

    async def preview(self, deliveries: list[dict[str, Any]]) -> None:
        """What `tocsin deliveries` tells of those that wait."""
        await shown.preview(deliveries, self._settings, self._components)

    def channels(self) -> list[dict[str, Any]]:
        """The channels as their tasks know them: what takes them, the use of their rates, and the last answers."""
        return shown.channels(self._settings, self._components.channels, self._clock.now().wall)

    def about(self) -> dict[str, Any]:
        """Of the daemon itself: config, retention, who listens, heartbeats."""
        return shown.about(self._settings, self._parts.heartbeats, self._components)

    async def try_channel(
        self, name: str, urls: str, what: dict[str, Any], by: By, run_sync: RunSync
    ) -> dict[str, Any]:
        """What `tocsin notify` tells. `urls` is the hash of those meant, `what` the text, severity and rule, or the report. UnknownName."""
        settings = self._settings
        if name not in settings.channels or settings.channels[name].urls_hash != urls:
            return {"same": False}
        reader = Reader(self._components.database.path)
        sample = await run_sync(partial(make_sample, settings, what, reader, self._clock.now().wall))
        self.acts.note("tried a channel", by, channel=name)
        return {"same": True, "results": await self._components.try_channel(settings, name, sample)}

    def page_link(self, person: str) -> dict[str, Any]:
        """What `tocsin page` tells."""
        return self._parts.page.link(person)

    async def page_sign_out(self, person: str | None, by: By) -> dict[str, Any]:
        """What `tocsin page --sign-out` tells."""
        answer = await self._parts.page.sign_out(person)
        self.acts.note("sessions of the page were ended", by, person=person, **answer)
        return answer

    def actions(self) -> dict[str, Any]:
        """What `tocsin actions` tells, but for the runs."""
        runs = self._components.runs
        return {
            "paused": runs.paused,
            "actions": [
                {"action": name, **described(action, self._settings.masker), **runs.state(name)}
                for name, action in self._settings.actions.items()
            ],
        }

    def rules(self) -> list[dict[str, Any]]:
        """What `tocsin rules` tells. Blocks."""
        return listed_rules(self._settings)

    async def explain(self, rule: str, id_: str | None, limit: int, run_sync: RunSync) -> dict[str, Any]:
        """What `tocsin explain` tells. Raises UnknownRule, StoreUnavailable."""
        settings, runtime = self._settings, self._components.runtime
        question = Question(
            rule=settings.rule(rule),
            id=id_,
            names=settings.names,
            limit=limit,
            holds=self._components.holds,
        )
        reader = Reader(self._components.database.path)
        answer = await explain(runtime, reader, question, self._clock.now(), run_sync)
        told: dict[str, Any] = await run_sync(partial(msgspec.to_builtins, answer))
        return told

    # ------------------------------------------------------------------------------------------------------------ parts

    def _start_parts(self) -> None:
        start = self._tasks.start
        socket = self._components.runtime_dir / SOCKET
        mode = 0o660 if "RUNTIME_DIRECTORY" in os.environ else 0o600
        database = self._components.database.path
        screens = Screens(self, database, Versions(self.snapshot)).api_routes()
        api = make_app(self, database, self._log, screens)
        self._parts.start()
        serve = partial(serve_control, log=self._log, trouble=self._unasked, heard=self._heard)
        start("control", partial(serve, api, socket, mode))
        start(
            "housekeeping",
            partial(keep_house, self._components, lambda: self._settings.retention, self._log, self.tell),
        )
        start("probe", self._probe.run)
        start("check of the database", self._check_database)
        start("reports", self._reports.run)
        start("trails", self._sampling.run)
        start("templates", self._components.templates.run)
        start("runs", partial(self._components.runs.tell, self.tell))
        start("questions", partial(self._components.questions.mind, self._components.database.questions_left))
        start("sessions", self._components.access.sessions.keep)
        start("notes", partial(self._components.notes.keep, self._components.database.note, self._log))

    async def _tell_unreadable(self, unreadable: list[str]) -> None:
        if not unreadable:
            return
        self._log.error(
            "part of the kept state can't be read and is left out",
            rows=unreadable[:20],
            count=len(unreadable),
        )
        reason = f"{len(unreadable)} kept row(s) can't be read and are left out: {unreadable[0]}"
        await self.tell("daemon.degraded", reason, subject="store")

    async def _tell_stranded(self) -> None:
        """Messages that wait for a channel, or a URL of it, that the config doesn't have: nobody is going to send them."""
        try:
            waiting = await self._components.database.pending_targets()
        except StoreUnavailable as error:
            self._log.warning("can't tell what waits for channels that are gone", reason=error.reason)
            return
        there = {name: len(channel.urls) for name, channel in self._settings.channels.items()}
        for channel, count, reason in attention.stranded(waiting, there):
            self._log.error("messages wait for a channel that is gone", channel=channel, count=count)
            await self.tell("daemon.degraded", reason, subject=channel)

    async def _crashed(self, part: str, reason: str) -> None:
        await self.tell("daemon.degraded", f"{part} crashed and was started again: {reason}", subject=part)

    async def _unasked(self, reason: str) -> None:
        self._measuring.control_is_deaf = True
        self._log.error("the control socket can't be made", reason=reason)
        told = f"the control socket can't be made, so status and reload reach nobody: {reason}"
        await self.tell("daemon.degraded", told, subject="control")

    def _heard(self) -> None:
        self._measuring.control_is_deaf = False

    def _summary(self) -> str:
        settings = self._settings
        return (
            f"{len(settings.venues)} venues, {len(settings.rules)} rules, {len(settings.channels)} channels"
        )
