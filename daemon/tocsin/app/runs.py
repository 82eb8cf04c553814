"""The runs of actions in the running daemon: handed out, begun and ended in order with what venues say, committed and told."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from tocsin.actions.model import Result
from tocsin.clock import Clock
from tocsin.delivery.timing import Wake
from tocsin.meters import Meters
from tocsin.pipeline import Pipeline
from tocsin.pipeline.runs import EVERY
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.journal import Journal
from tocsin.store.model import Batch, RunRow

_NOT_RECORDED = "it couldn't be recorded before it is run"


class Remark(Protocol):
    """Puts words into the messages that told of an alert."""

    async def __call__(self, message: str, words: str) -> None: ...


class LiveRuns:
    """`tell(event, reason, subject)` is an event of ourselves."""

    def __init__(  # noqa: PLR0917 - what it joins
        self,
        turn: TurnProcessor,
        pipeline: Pipeline,
        journal: Journal,
        clock: Clock,
        remark: Remark,
        meters: Meters,
    ) -> None:
        self._turn, self._runs, self._pipeline = turn, turn.runs, pipeline
        self._journal, self._clock = journal, clock
        self._remark, self._meters = remark, meters
        self.wake = Wake()
        """Rung where runs were started."""
        self.tell: Callable[[str, str, str | None], Awaitable[None]]

    async def take_over(self, action: str) -> None:
        take = partial(self._turn.runs_taken_over, action)
        for row in await self._pipeline.ask(lambda: take(self._clock.now())):
            await self._tell_of(row)

    async def next(self, action: str) -> RunRow:
        while True:
            seen = self.wake.count
            if (found := self._runs.waiting(action)) is not None:
                return found
            await self.wake.after(seen)

    async def begin(self, run: RunRow, command: str) -> bool:
        begun = await self._pipeline.ask(lambda: self._begin(run.id, command))
        if not begun:
            return False
        # The journal gives up waiting for a disk that hangs; and what waited long may be over.
        now = self._clock.now()
        why = _NOT_RECORDED if self._journal.overdue else self._runs.in_the_way(run.id, now)
        if why:
            await self.drop(run, why)
        return not why

    def _begin(self, id_: str, command: str) -> tuple[Batch, bool]:
        unrecorded = self._journal.reason if self._journal.overdue else ""
        return self._turn.run_begins(id_, self._clock.now(), command, unrecorded)

    def in_the_way(self, run: RunRow) -> str:
        return self._runs.in_the_way(run.id, self._clock.now())

    async def drop(self, run: RunRow, reason: str) -> None:
        await self._pipeline.call(lambda: self._turn.run_dropped(run.id, reason, self._clock.now()))

    async def finish(self, run: RunRow, result: Result, took: float) -> None:
        self._meters.action(run.action).observe(took)
        ended = await self._pipeline.ask(lambda: self._turn.run_finished(run.id, result, self._clock.now()))
        await self._remark(run.alert, f"{run.action}: {result.result} in {took:.1f} s")
        for row in ended:
            await self._tell_of(row)

    async def _tell_of(self, row: RunRow) -> None:
        if trouble := self._runs.trouble(row):
            about = " ".join(filter(None, (row.data.get("rule"), row.data.get("symbol"))))
            reason = f"{trouble.removeprefix('failed: ')} ({about})"
            await self.tell("daemon.action_failed", reason, row.action)

    def state(self, action: str) -> Mapping[str, Any]:
        """`paused` and `circuit`, in words; "" where it isn't."""
        return {"paused": self._runs.paused(action), "circuit": str(self._runs.circuit(action))}

    @property
    def paused(self) -> str:
        """By whom and since when all are."""
        return self._runs.paused(EVERY)
