"""When what is looked at is made: alerting goes first, and the page has what that leaves of the loop.

Twenty people who look at a busy account would take a third of a slow processor. Where that is idle they get as much; where alerting
needs all of it, they see less often what is new. What somebody does never waits, nor does it use up what those who look have.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.control.guards import Noted
from tocsin.loop_budget import budget_behind_alerting, metered
from tocsin.page.leaving import while_awaited

_BURST = 0.2  # seconds
_SLOTS = 2  # as many as there are threads for readers; and the interpreter is one: more are done no sooner


class Admission:
    """Lets requests begin: one after the other, each when there is time for it again, and of each person one before another's next."""

    def __init__(self, processor_time: Callable[[], float] = time.process_time) -> None:
        self.budget = budget_behind_alerting(_BURST, processor_time)
        self._one = trio.Lock()
        self._slots = trio.Semaphore(_SLOTS)
        self._turns: dict[str, trio.Lock] = {}  # of each person who waits

    def has_time(self) -> bool:
        """Whether all who look may be told now that something changed, and come to see it."""
        return self.budget.left(trio.current_time()) > _BURST / 2

    async def admit(self, who: str) -> None:
        """Returns when it is that person's turn, and there is time: for what the loop does at once. One is admitted in a round of the loop."""
        async with self._turn_of(who):
            await self._begin()

    async def slot(self, who: str) -> "Slot":
        """The same for what threads work at, which tell what that cost only when they are done: with one of few slots, which the caller
        releases.
        """
        async with self._turn_of(who):
            await self._slots.acquire()
            slot = Slot(self._slots)
            try:
                await self._begin()
            except BaseException:
                slot.release()
                raise
        return slot

    @asynccontextmanager
    async def _turn_of(self, who: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(who, trio.Lock())
        try:
            async with turn:
                yield
        finally:
            if not turn.locked() and self._turns.get(who) is turn:  # by who waited behind
                del self._turns[who]

    async def _begin(self) -> None:
        async with self._one:
            while await self.budget.rest():
                pass
            await trio.lowlevel.checkpoint()


class Slot:
    """One of few; it may be released more than once."""

    def __init__(self, slots: trio.Semaphore) -> None:
        self._slots: trio.Semaphore | None = slots

    def release(self) -> None:
        if self._slots is not None:
            self._slots.release()
            self._slots = None


class Admitted:
    """`app`, which is asked when there is time for it, as long as somebody waits for the answer; `admission` and whose a request is come by its
    scope, None for one that doesn't wait.
    """

    def __init__(self, app: ASGIApp, admission: Callable[[Scope], tuple[Admission, str] | None]) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._admission(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        sent = Noted(send)
        await while_awaited(partial(self._answer, *found, scope, receive, sent), receive, sent)

    async def _answer(
        self, admission: Admission, who: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        slot = await admission.slot(who)

        async def told(message: Message) -> None:
            slot.release()  # who reads slowly keeps nobody waiting
            await send(message)

        try:
            await metered(self._app(scope, receive, told), admission.budget)
        finally:
            slot.release()
