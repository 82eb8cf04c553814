"""The queue of actions' runs in the running daemon: handed out, begun and ended in order with what venues say, committed and told."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from tocsin.actions.model import Result
from tocsin.clock import Clock
from tocsin.delivery.timing import Wake
from tocsin.meters import Meters
from tocsin.pipeline import Pipeline
from tocsin.pipeline.stops import EVERY
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.journal import Journal
from tocsin.store.model import Batch, RunRow


class Remark(Protocol):
    """Puts words into the messages that told of an alert, or into a digest; `message` is the id of either."""

    async def __call__(self, message: str, words: str) -> None: ...


class LiveRuns:
    """`ActionTask`'s queue, over pipeline and journal. `remark` puts a run's outcome into its alert's messages."""

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
        self._wake = Wake()
        self._troubles: deque[tuple[RunRow, str]] = deque()

    def committed(self, runs: Sequence[RunRow]) -> None:
        """These were: one may be new, or free by another's end, and what went wrong is to be told."""
        self._troubles += ((run, trouble) for run in runs if (trouble := self._runs.trouble(run)))
        self._wake.ring()

    def offers(self, run: str) -> tuple[tuple[str, str], ...]:
        """What can be pressed below the question about a run by now: what stands on it, and what it does."""
        return self._runs.questions.offers(run, self._clock.now())

    async def tell(self, tell: Callable[[str, str, str | None], Awaitable[None]]) -> None:
        """For ever: what goes wrong is an event of ourselves, for the rules (`event, reason, subject`)."""
        while True:
            seen = self._wake.count
            while self._troubles:
                run, trouble = self._troubles.popleft()
                about = " ".join(filter(None, (run.data.get("rule"), run.data.get("symbol"))))
                await tell("daemon.action_failed", f"{trouble} ({about})", run.action)
            await self._wake.after(seen)

    # ------------------------------------------------------------------------------------------------- for ActionTask

    async def take_over(self, action: str) -> None:
        await self._pipeline.call(lambda: self._turn.runs_taken_over(action, self._clock.now()))

    async def next(self, action: str) -> RunRow:
        while True:
            seen = self._wake.count
            if (found := self._runs.waiting(action)) is not None:
                return found
            await self._wake.after(seen)

    async def begin(self, run: RunRow, command: str) -> bool:
        def do() -> tuple[Batch, bool]:
            return self._turn.run_begins(run.id, self._clock.now(), command, self._unrecorded)

        if not await self._pipeline.ask(do):
            return False
        # The journal gives up waiting for a disk that hangs; and what waited long may be over.
        if why := self._runs.in_the_way(run.id, self._clock.now(), self._unrecorded):
            await self.drop(run, why)
        return not why

    @property
    def _unrecorded(self) -> str:
        """Why nothing can be committed."""
        return self._journal.reason if self._journal.overdue else ""

    def in_the_way(self, run: RunRow) -> str:
        return self._runs.in_the_way(run.id, self._clock.now())

    async def drop(self, run: RunRow, reason: str) -> None:
        await self._pipeline.call(lambda: self._turn.run_dropped(run.id, reason, self._clock.now()))

    async def finish(self, run: RunRow, result: Result, took: float | None) -> None:
        words = f"{run.action}: {result.result}"
        if took is not None:
            self._meters.action(run.action).observe(took)
            words += f" in {took:.1f} s"
        await self._pipeline.call(lambda: self._turn.run_finished(run.id, result, self._clock.now()))
        await self._remark(run.alert, words)

    # ---------------------------------------------------------------------------------------------------- for people

    def state(self, action: str) -> Mapping[str, Any]:
        """`paused` and `circuit`, in words; "" where it isn't."""
        return {"paused": self._runs.stops.paused(action), "circuit": str(self._runs.stops.circuit(action))}

    @property
    def paused(self) -> str:
        """By whom and since when all are."""
        return self._runs.stops.paused(EVERY)
