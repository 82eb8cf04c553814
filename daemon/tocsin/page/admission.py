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
from tocsin.page.posted import while_awaited

_BURST = 0.2  # seconds
_MADE_AT_A_TIME = 2  # the interpreter is one: more of them are done no sooner


class Admission:
    """Lets requests begin: one after the other, each when there is time for it again, and of each person one before another's next."""

    def __init__(self, processor_time: Callable[[], float] = time.process_time) -> None:
        self.budget = budget_behind_alerting(_BURST, processor_time)
        self._one = trio.Lock()
        self._few = trio.Semaphore(_MADE_AT_A_TIME)
        self._queues: dict[str, trio.Lock] = {}  # of each person who waits

    def has_time(self) -> bool:
        """Whether all who look may be told now that something changed, and come to see it."""
        return self.budget.left(trio.current_time()) > _BURST / 2

    async def admit(self, who: str = "") -> None:
        """Returns when it is that person's turn; one is admitted in a round of the loop."""
        async with self._queue(who):
            await self._begin()

    async def begin(self, who: str = "") -> "Making":
        """The same for what threads are needed for, which costs much more than the loop sees: so that it is known what one cost before many
        others begin, there are few of them until they are told to be over.
        """
        async with self._queue(who):
            making = Making(self._few)
            await self._few.acquire()
            try:
                await self._begin()
            except BaseException:
                making.over()
                raise
        return making

    @asynccontextmanager
    async def _queue(self, who: str) -> AsyncIterator[None]:
        queue = self._queues.setdefault(who, trio.Lock())
        try:
            async with queue:
                yield
        finally:
            if not queue.locked():  # by who waited behind
                self._queues.pop(who, None)

    async def _begin(self) -> None:
        async with self._one:
            while await self.budget.rest():
                pass
            await trio.lowlevel.checkpoint()


class Making:
    """What is being made, as one of few."""

    def __init__(self, few: trio.Semaphore) -> None:
        self._few: trio.Semaphore | None = few

    def over(self) -> None:
        """Another may begin; said again it means nothing."""
        if self._few is not None:
            self._few.release()
            self._few = None


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
        making = await admission.begin(who)

        async def told(message: Message) -> None:
            making.over()  # who reads slowly keeps nobody waiting
            await send(message)

        try:
            await metered(self._app(scope, receive, told), admission.budget)
        finally:
            making.over()
