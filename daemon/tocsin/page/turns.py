"""When what is asked for is made: alerting goes first, and the page has what that leaves of the loop.

Twenty people who look at a busy account would take a third of a slow processor. Where that is idle they get as much; where alerting
needs all of it, they see less often what is new.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import trio
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.control.server import in_thread
from tocsin.loop_budget import behind, metered

T = TypeVar("T")

_BURST = 0.2  # seconds


class Turns:
    """Of one kind of requests: one begins after the other, each when there is time for it again."""

    def __init__(self, processor_time: Callable[[], float] = time.process_time) -> None:
        self.budget = behind(_BURST, processor_time)
        self._one = trio.Lock()

    def time_for_news(self) -> bool:
        """Whether all who look may be told now that something changed, and come to see it."""
        return self.budget.left(trio.current_time()) > _BURST / 2

    async def wait(self) -> None:
        """Until it is one's turn. Those who wait are let in as they came, one in a round of the loop."""
        async with self._one:
            while await self.budget.rest():
                pass
            await trio.lowlevel.checkpoint()

    async def in_thread(self, query: Callable[[], T]) -> T:
        """As `control.server.in_thread`. The interpreter is one: what a thread computes, the loop waits for."""
        took: list[float] = []

        def timed() -> T:
            began = time.thread_time()
            try:
                return query()
            finally:
                took.append(time.thread_time() - began)

        try:
            return await in_thread(timed)
        finally:
            self.budget.spent(sum(took))


class InTurn:
    """`app`, which is asked in turn for what is only looked at; what somebody does is done at once. `turns` are a request's."""

    def __init__(self, app: ASGIApp, turns: Callable[[Scope], Turns]) -> None:
        self._app, self._turns = app, turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        turns = self._turns(scope)
        if scope["method"] in ("GET", "HEAD"):
            await turns.wait()
        await metered(self._app(scope, receive, send), turns.budget)
