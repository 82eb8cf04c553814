"""What became of questions whether actions are to be run, put into the messages that ask, until each of them says so."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import trio

from tocsin.delivery.timing import Wake
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Questions, RunRow

_KEPT = 1000  # runs that were asked about
_AGAIN = 5.0  # seconds until the disk is asked again


class Put(Protocol):
    """Puts words into the messages that ask about a run, if these are more than are `known` to say so; `over`: nobody is asked any
    more. How many there are; None: not now, try again.
    """

    async def __call__(self, run: str, words: str, *, over: bool, known: int) -> int | None: ...


class QuestionRemarks:
    """`put` edits messages, `taken` notes that the questions of runs (by their ids) were taken."""

    def __init__(self, put: Put, taken: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        self._put, self._note_taken = put, taken
        self._wake = Wake()
        self._to_say: deque[RunRow] = deque()
        self._asked: dict[str, RunRow] = {}  # those that were asked about, as they are now
        # Of these: which status was said last, in how many messages.
        self._said: dict[str, tuple[str, int]] = {}

    def committed(self, runs: Sequence[RunRow]) -> None:
        """These were: what became of one that was asked about is to be said."""
        for run in runs:
            if run.status == "asked":
                self._asked[run.id] = run
            elif (run.asked_at is not None or run.id in self._asked) and run.status != "begun":
                self._asked[run.id] = run
                self._to_say.append(run)
        while len(self._asked) > _KEPT:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._said.pop(oldest, None)
        self._wake.ring()

    def taken(self, run: str) -> None:
        """A channel took a question, or an edit of one: what became of that meanwhile is said in a message that doesn't say so yet."""
        if (found := self._asked.get(run)) is not None and found.status != "asked":
            self._to_say.append(found)
            self._wake.ring()

    async def mind(self, left: Callable[[], Awaitable[Questions]]) -> None:
        """For ever. `left`: what the last run of Tocsin didn't come to."""
        await self._take_over(left)
        while True:
            seen = self._wake.count
            while self._to_say:
                if await self._say(self._to_say[0]):
                    self._to_say.popleft()
                else:
                    await trio.sleep(_AGAIN)
            await self._wake.after(seen)

    async def _take_over(self, left: Callable[[], Awaitable[Questions]]) -> None:
        while True:
            with suppress(StoreUnavailable):
                taken, over = await left()
                break
            await trio.sleep(_AGAIN)
        self._to_say.extendleft(over)
        if taken:
            await self._note_taken(taken)

    async def _say(self, run: RunRow) -> bool:
        """False: the disk doesn't say where it stands."""
        status, count = self._said.get(run.id, ("", 0))
        known = count if status == run.status else 0
        found = await self._put(run.id, outcome_words(run), over=run.is_over, known=known)
        if found is None:
            return False
        self._said[run.id] = run.status, found
        return True


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
