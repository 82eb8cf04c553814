"""The task that tells reports when they are due: made of what the database says, committed like any message, sent by its channels."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn

import msgspec
import trio
from msgspec import Struct

from tocsin.alerts.digest import DigestContext
from tocsin.alerts.message import LATE
from tocsin.alerts.wording import Style, span_text
from tocsin.clock import Clock
from tocsin.delivery.model import Message
from tocsin.delivery.templates import Render
from tocsin.delivery.timing import Wake
from tocsin.reports import model
from tocsin.reports.facts import Facts, gather
from tocsin.reports.model import Progress, Report
from tocsin.reports.render import kinds_of, made
from tocsin.store.errors import SchemaRefused, StoreUnavailable
from tocsin.store.model import REPORT, Batch, NewDelivery
from tocsin.store.reader import Reader

NOTE = "report "
"""What a note's key begins with; the report's id follows, and its value is a `Progress` as JSON."""
_SETTLING, _LOOK_EVERY = 30.0, 0.5  # seconds after a start that venues may take to connect, and between looks
_LONGEST_SLEEP = 10.0  # seconds: the machine's clock may be set meanwhile
_AGAIN = 10.0  # seconds until it is tried again where the database doesn't answer
_PATIENCE = 60.0  # seconds with the database


class Recipient(Struct, frozen=True, kw_only=True):
    """One URL of a channel: how it is written to, and how long a message for it may be tried."""

    channel: str
    target: int
    style: Style
    expire: timedelta


class ReportsTask:
    """`reports` gives those of the config as it is now, `recipients` those of one of them. `notes`: what the last run
    left. `make` runs what makes a message, `commit` a command of the pipeline. `settled`: whether each venue was
    reached or not; what was missed waits a moment for that.
    """

    def __init__(
        self,
        *,
        reports: Callable[[], Sequence[Report]],
        recipients: Callable[[Report], Iterable[Recipient]],
        notes: Mapping[str, str],
        reader: Reader,
        make: Render,
        commit: Callable[[Callable[[], Batch]], Awaitable[None]],
        settled: Callable[[], bool],
        clock: Clock,
        log: Any,
    ) -> None:
        self._reports, self._recipients = reports, recipients
        self._reader, self._make, self._commit = reader, make, commit
        self._settled, self._clock, self._log = settled, clock, log
        self._progress = progress_of(notes)
        self._ahead: dict[str, Progress] = {}  # where a note is of a clock that was far ahead
        self._limiter = trio.CapacityLimiter(1)
        self._changed = Wake()

    def changed(self) -> None:
        """The config is another."""
        self._changed.ring()

    async def run(self) -> NoReturn:
        """For ever."""
        await self._begin()
        with trio.move_on_after(_SETTLING):
            while not self._settled():  # noqa: ASYNC110 - venues ring nothing here
                await trio.sleep(_LOOK_EVERY)
        while True:
            seen = self._changed.count
            delay = _LONGEST_SLEEP
            try:
                await self._begin()
                await self._tell_due()
                now = self._clock.now().wall
                for report in self._reports():
                    following = model.next_due(report, self._of(report, now), now)
                    delay = min(delay, max((following - now).total_seconds(), 0.001))
            except (StoreUnavailable, SchemaRefused, trio.TooSlowError) as error:
                self._log.warning(
                    "a report can't be made now", reason=str(error) or "the database doesn't answer"
                )
                delay = _AGAIN
            with trio.move_on_after(delay):
                await self._changed.after(seen)

    async def _tell_due(self) -> None:
        """All that are. A bug that one of them meets keeps no other back, and ends the task then."""
        met: Exception | None = None
        for report in self._reports():
            now = self._clock.now().wall
            if (due := model.due(report, self._of(report, now), now)) is None:
                continue
            try:
                await self._tell(report, due, now)
            except (StoreUnavailable, SchemaRefused, trio.TooSlowError):
                raise
            except Exception as error:  # noqa: BLE001 - raised below
                met = error
        if met is not None:
            raise met

    def _of(self, report: Report, now: datetime) -> Progress:
        known = self._progress.get(report.id) or model.begun(report, None, now)
        if not model.is_ahead(known, now):
            self._ahead.pop(report.id, None)
            return known
        return self._ahead.setdefault(report.id, msgspec.structs.replace(known, seen=now))

    async def _begin(self) -> None:
        """Note from when on those count that are new or have other times, and forget those that are gone."""
        now = self._clock.now().wall
        known = {
            report.id: model.begun(report, self._progress.get(report.id), now) for report in self._reports()
        }
        notes: dict[str, str | None] = {
            NOTE + id_: _text(progress)
            for id_, progress in known.items()
            if self._progress.get(id_) != progress
        }
        notes |= dict.fromkeys(NOTE + id_ for id_ in self._progress if id_ not in known)
        self._progress = known
        if notes:
            await self._commit(lambda: Batch(at=now, notes=notes))

    async def _tell(self, report: Report, due: datetime, now: datetime) -> None:
        progress = self._of(report, now)
        facts = await self._gathered(report, model.since(report, progress, now), now)
        deliveries = [each async for each in self._deliveries(report, facts, due, now)]
        told = Progress(seen=now, schedule=progress.schedule, told=now)

        def tell() -> Batch:
            self._progress[report.id] = told
            return Batch(at=now, deliveries=deliveries, notes={NOTE + report.id: _text(told)})

        self._log.info("report", report=report.id, due=due.isoformat(), messages=len(deliveries))
        await self._commit(tell)

    async def _gathered(self, report: Report, since: datetime, now: datetime) -> Facts:
        # What came up to now is on the disk when this returns: what this report leaves out the next one wouldn't tell either.
        await self._commit(lambda: Batch(at=now))
        with trio.fail_after(_PATIENCE):
            return await trio.to_thread.run_sync(
                partial(gather, self._reader, report, since, now, kinds_of(report)),
                abandon_on_cancel=True,
                limiter=self._limiter,
            )

    async def _deliveries(self, report: Report, facts: Facts, due: datetime, now: datetime) -> Any:
        """One for each URL. What was missed says so, whatever its template."""
        alert = f"{REPORT}-{report.id}-{now:%Y%m%dT%H%M%S%f}"
        late = f"late {span_text(now - due)}: " if now - due > LATE else ""
        messages: dict[tuple[str, bool], Message] = {}
        for each in self._recipients(report):
            alike = (each.style.marks, each.style.whole_ids)
            if alike not in messages:
                messages[alike] = await made(facts, each.style, alert, self._make)
            message = messages[alike]
            context = DigestContext(
                at=now,
                severity="info",
                over=False,
                words=f"{late}{message.title}",
                lines=tuple(message.body.splitlines()),
                channels=report.notify,
            )
            yield NewDelivery(
                id=f"{alert}-{each.channel}-{each.target}",
                alert=alert,
                state_told=REPORT,
                channel=each.channel,
                target=each.target,
                severity="info",
                created_at=now,
                expires_at=now + each.expire,
                context=msgspec.to_builtins(context),
            )


def progress_of(notes: Mapping[str, str]) -> dict[str, Progress]:
    """By report what the last run noted; what can't be read begins anew."""
    found = {}
    for key, text in notes.items():
        if key.startswith(NOTE):
            try:
                found[key.removeprefix(NOTE)] = msgspec.json.decode(text, type=Progress)
            except ValueError:
                continue
    return found


def _text(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()
