"""The life of an event on one screen.

    feed -> Inbox -> TurnProcessor: entities.apply -> engine.process, settle -> alerts.decide -> Batch
                                                        journal: database.commit(batch), one transaction
                                                                     -> the channels are woken

Nothing is sent before it is committed, but in an emergency: when the disk has refused or hung for some seconds, alerts
go out all the same. One task runs this, so the entities and the engine need no locks.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from tocsin.clock import Clock
from tocsin.meters import PipelineMeters
from tocsin.pipeline.inbox import Inbox, work_of
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.journal import Journal
from tocsin.store.model import BEAT, Batch, RunRow

_MOST_AT_ONCE = 200  # things observed in one transaction: a commit is worth several, a person waits for none
_LEAST_AT_ONCE = 10
_LONGEST_TURN = 0.05  # seconds without a turn for anybody else: fewer then, where they take longer
_LONGEST_SLEEP = 60.0  # seconds

Command = Callable[[], Batch]
_T = TypeVar("_T")


class Pipeline:
    """Runs turns. `wake` is called with the names of the channels that have something new to send; None: any may.

    `degraded` is told, with the reason, when an emergency begins.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        turn: TurnProcessor,
        journal: Journal,
        clock: Clock,
        wake: Callable[[Iterable[str] | None], None],
        log: Any,
        degraded: Callable[[str], Awaitable[None]] | None = None,
        meters: PipelineMeters | None = None,
    ) -> None:
        self._meters = meters or PipelineMeters()
        self._processing = self._meters.processing_seconds
        self._inbox = inbox
        self._turn = turn
        self._journal = journal
        self._clock = clock
        self._wake = wake
        self._log = log
        self._commands: list[tuple[Command, trio.Event]] = []
        self._degraded = degraded
        self.runs_committed: Callable[[Sequence[RunRow]], None] = lambda _runs: None
        """Called with the runs of actions in a batch that is committed: one may be new, or free by another's end."""
        self._at_once = _MOST_AT_ONCE

    @property
    def refused_since(self) -> float | None:
        """Steady: since when nothing can be committed."""
        return self._journal.refused_since

    @property
    def keeps(self) -> bool:
        """False in an emergency: what was done last isn't on disk yet, and is lost with the process."""
        return not self._journal.overdue

    async def run(self) -> None:
        """For ever. A bug raises: the state in memory is then not to be trusted, and the process restarts."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._journal.run)
            nursery.start_soon(self._watch_the_disk)
            while True:
                await self._wait()
                commands, self._commands = self._commands, []
                for command, done in commands:
                    await self.commit(command())
                    done.set()
                received, now = self._inbox.take(self._at_once), self._clock.now()
                batch = self._turn.messages(received, now, self._inbox.earliest())
                took = self._clock.now().steady - now.steady
                await self.commit(batch)
                done_at = self._clock.now().steady
                for message in received:
                    self._processing.observe(done_at - message.at.steady)
                    if message.taken is not None:
                        message.taken()
                self._note_turn(sum(map(work_of, received)), took, done_at - now.steady - took)
                await trio.lowlevel.checkpoint()

    def _note_turn(self, observed: int, took: float, committed: float) -> None:
        """How much fits into the next: no less than a slow disk makes worth its commit. All in seconds."""
        if observed and took > 0:
            fitting = int(observed * max(_LONGEST_TURN, committed) / took)
            self._at_once = min(max(fitting, _LEAST_AT_ONCE), _MOST_AT_ONCE)

    async def call(self, command: Command) -> None:
        """Run `command` between two messages, in order, and return when what it brought about is committed, in an emergency when it holds."""
        done = trio.Event()
        self._commands.append((command, done))
        self._inbox.rouse()
        await done.wait()

    def post(self, command: Command) -> None:
        """Run `command` between two messages, in order, when it is its turn."""
        self._commands.append((command, trio.Event()))
        self._inbox.rouse()

    async def ask(self, command: Callable[[], tuple[Batch, _T]]) -> _T:
        """As `call`, of a command that has something to say beside its batch: returns that."""
        said: list[_T] = []

        def run() -> Batch:
            batch, answer = command()
            said.append(answer)
            return batch

        await self.call(run)
        return said[0]

    async def commit(self, batch: Batch) -> None:
        """Commit, however often the disk refuses: what is not on disk is not sent, but in an emergency.

        It then returns all the same, and the batch is committed later; only of a very long one events are lost.
        """
        if not batch:
            return
        # Before: in an emergency the journal may merge other batches into this one.
        channels = {delivery.channel for delivery in batch.deliveries} | ({BEAT} if batch.beat else set())
        entry = self._journal.put(batch)
        for row in batch.alerts:
            self._log.info(
                "alert", alert=row.id, state=row.state, rule=row.rule, severity=row.severity, venue=row.venue, entity=row.entity
            )  # fmt: skip
        for run in batch.runs:
            if run.is_over:
                self._meters.runs[run.action, run.status] += 1
                note = self._log.warning if run.status in ("failed", "unknown") else self._log.info
                note(
                    f"action {run.status}", action=run.action, run=run.id, alert=run.alert, result=run.result, reason=run.reason
                )  # fmt: skip
        await self._journal.written(entry)
        if channels:
            self._wake(channels)
        if batch.runs:
            self.runs_committed(batch.runs)

    async def take_all(self) -> None:
        """Process and commit all messages that were read: venues don't send them again."""
        nothing = partial(Batch, at=self._clock.now().wall)
        while self._inbox.waiting():
            await self.call(nothing)
        await self.call(nothing)  # follows the commit of the last that was taken

    async def finish(self) -> None:
        """Wait until all is on disk."""
        await self._journal.drained()

    async def _watch_the_disk(self) -> None:
        """Say when an emergency begins and ends; the channels then have something else before them."""
        while True:
            await self._journal.until(overdue=True)
            reason = self._journal.reason
            self._log.error(
                "nothing can be committed: alerts go out unrecorded and may repeat", reason=reason
            )
            self._wake(None)
            if self._degraded is not None:
                await self._degraded(reason)
            await self._journal.until(overdue=False)
            self._wake(None)

    async def _wait(self) -> None:
        """Until there is a message, a command, or a timer due."""
        if self._commands or self._inbox.waiting():
            return
        due = self._turn.deadline()
        delay = _LONGEST_SLEEP if due is None else max(0.0, due - self._clock.now().steady)
        with trio.move_on_after(min(delay, _LONGEST_SLEEP)):
            await self._inbox.wait()
