"""When what is looked at is made: alerting goes first, and the page has what that leaves of the loop.

Twenty people who look at a busy account would take a third of a slow processor. Where that is idle they get as much; where alerting
needs all of it, they see less often what is new. What somebody does never waits, nor does it use up what those who look have.
"""

import time
from collections.abc import Callable

import trio
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.loop_budget import budget_behind_alerting, metered

_BURST = 0.2  # seconds


class Admission:
    """Lets requests begin: one after the other, each when there is time for it again, and of each person one before another's next."""

    def __init__(self, processor_time: Callable[[], float] = time.process_time) -> None:
        self.budget = budget_behind_alerting(_BURST, processor_time)
        self._one = trio.Lock()
        self._queues: dict[str, trio.Lock] = {}  # of each person who waits

    def has_time(self) -> bool:
        """Whether all who look may be told now that something changed, and come to see it."""
        return self.budget.left(trio.current_time()) > _BURST / 2

    async def admit(self, who: str = "") -> None:
        """Returns when it is that person's turn; one is admitted in a round of the loop."""
        queue = self._queues.setdefault(who, trio.Lock())
        try:
            async with queue, self._one:
                while await self.budget.rest():
                    pass
                await trio.lowlevel.checkpoint()
        finally:
            if not queue.locked():  # by who waited behind
                self._queues.pop(who, None)


class Admitted:
    """`app`, which is asked when there is time for it; `admission` and whose a request is come by its scope, None for one that doesn't wait."""

    def __init__(self, app: ASGIApp, admission: Callable[[Scope], tuple[Admission, str] | None]) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._admission(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        admission, who = found
        await admission.admit(who)
        await metered(self._app(scope, receive, send), admission.budget)
