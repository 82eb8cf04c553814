"""The queue of actions' runs in the running daemon: handed out, begun and ended in order with what venues say, committed and told."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import trio

from tocsin.actions.model import Result
from tocsin.clock import Clock
from tocsin.delivery.timing import Wake
from tocsin.meters import Meters
from tocsin.pipeline import Pipeline
from tocsin.pipeline.stops import EVERY
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import Journal
from tocsin.store.model import Batch, Questions, RunRow

_KEPT = 1000  # runs that were asked about
_AGAIN = 5.0  # seconds until the disk is asked again


class Remark(Protocol):
    """Puts words into the messages that told of an alert, or into a digest; `message` is the id of either."""

    async def __call__(self, message: str, words: str) -> None: ...


class Question(Protocol):
    """Puts words into the messages that ask about a run, if these are more than are `known` to say so; `over`: nobody is asked any
    more. How many there are; None: not now, try again.
    """

    async def __call__(self, run: str, words: str, *, over: bool, known: int) -> int | None: ...


class LiveRuns:
    """`ActionTask`'s queue, over pipeline and journal. `remark` puts a run's outcome into its alert's messages, `question` what became of a
    question into its own.
    """

    def __init__(  # noqa: PLR0917 - what it joins
        self,
        turn: TurnProcessor,
        pipeline: Pipeline,
        journal: Journal,
        clock: Clock,
        remark: Remark,
        question: Question,
        meters: Meters,
    ) -> None:
        self._turn, self._runs, self._pipeline = turn, turn.runs, pipeline
        self._journal, self._clock = journal, clock
        self._remark, self._question, self._meters = remark, question, meters
        self._wake = Wake()
        self._troubles: deque[tuple[RunRow, str]] = deque()
        self._answered: deque[RunRow] = deque()
        self._asked: dict[str, RunRow] = {}  # those that were asked about, as they are now
        self._said: dict[
            str, tuple[str, int]
        ] = {}  # of these: what was said of it last, in how many messages

    def committed(self, runs: Sequence[RunRow]) -> None:
        """These were: one may be new, or free by another's end, and what went wrong is to be told."""
        self._troubles += ((run, trouble) for run in runs if (trouble := self._runs.trouble(run)))
        for run in runs:
            if run.status == "asked":
                self._asked[run.id] = run
            elif (run.asked_at is not None or run.id in self._asked) and run.status != "begun":
                self._asked[run.id] = run
                self._answered.append(run)
        while len(self._asked) > _KEPT:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._said.pop(oldest, None)
        self._wake.ring()

    def question_taken(self, run: str) -> None:
        """A channel took a question: what became of that meanwhile is put into its message."""
        if (found := self._asked.get(run)) is not None and found.status != "asked":
            self._answered.append(found)
            self._wake.ring()

    async def mind_questions(self, left: Callable[[], Awaitable[Questions]]) -> None:
        """For ever: what became of a question is put into its message. `left`: what the last run of Tocsin didn't come to."""
        while True:
            with suppress(StoreUnavailable):
                taken, over = await left()
                break
            await trio.sleep(_AGAIN)
        self._answered.extendleft(over)
        if taken:
            await self._pipeline.call(lambda: self._turn.taken(taken, self._clock.now()))
        while True:
            seen = self._wake.count
            while self._answered:
                run = self._answered[0]
                status, known = self._said.get(run.id, (run.status, 0))
                known = known if status == run.status else 0
                words = outcome_words(run)
                count = await self._question(run.id, words, over=run.is_over, known=known)
                if count is None:
                    await trio.sleep(_AGAIN)
                    continue
                self._said[run.id] = run.status, count
                self._answered.popleft()
            await self._wake.after(seen)

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


def outcome_words(run: RunRow) -> str:
    """What became of a run that somebody was asked about: `confirmed by anna: 200`."""
    by = f"by {run.answered_by}" if run.answered_by else ""
    match run.status:
        case "pending":
            return f"confirmed {by}"
        case "ok":
            return f"confirmed {by}: {run.result}"
        case "declined":
            return f"declined {by}"
        case "failed" | "unknown" if by:
            return f"confirmed {by}, {run.status}: {run.reason}"
    return run.reason or run.status
