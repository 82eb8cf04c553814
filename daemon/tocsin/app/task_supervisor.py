"""The named parts of the daemon: each started, watched and stopped by itself.

A bug in a part is told loudly, and the part begins anew; the others don't notice.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tocsin.errors import leaves

Part = Callable[[], Awaitable[None]]

_FIRST_PAUSE = 1.0  # seconds, doubled up to:
_LONGEST_PAUSE = 60.0
_LIVED = 60.0  # a part that ran so long begins again with the first pause


class TaskSupervisor:
    """Runs parts in a nursery, each under a supervisor of its own. `crashed` tells the rules of a part's crash."""

    def __init__(
        self, nursery: trio.Nursery, log: Any, crashed: Callable[[str, str], Awaitable[None]]
    ) -> None:
        self._nursery = nursery
        self._log = log
        self._crashed = crashed
        self._running: dict[str, tuple[trio.CancelScope, trio.Event]] = {}

    def start(self, name: str, part: Part) -> None:
        scope, ended = trio.CancelScope(), trio.Event()
        self._running[name] = (scope, ended)
        self._nursery.start_soon(self._run, name, part, scope, ended, name=name)

    async def stop(self, *names: str) -> None:
        """Stop those that run, all at once, and wait until they have ended."""
        stopping = [self._running.pop(name) for name in names if name in self._running]
        for scope, _ in stopping:
            scope.cancel()
        for _, ended in stopping:
            await ended.wait()

    def __contains__(self, name: str) -> bool:
        return name in self._running

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._running)

    async def _run(self, name: str, part: Part, scope: trio.CancelScope, ended: trio.Event) -> None:
        try:
            with scope:
                await supervise(name, part, self._log, self._crashed)
        finally:
            ended.set()


async def supervise(
    name: str, part: Callable[[], Awaitable[None]], log: Any, crashed: Callable[[str, str], Awaitable[None]]
) -> None:
    """Run `part` for ever. It is not meant to return either: that is told and mended as a crash is.

    `crashed(name, reason)` tells the rules; cancellation passes through.
    """
    pause = _FIRST_PAUSE
    while True:
        began = trio.current_time()
        reason = "it ended by itself"
        try:
            await part()
        except* Exception as errors:  # the supervisor is where a bug of ours stops
            reason = "; ".join(f"{type(error).__name__}: {error}" for error in leaves(errors))
            log.exception("part crashed, starting it again", part=name, pause=pause)
        else:
            log.error("part ended, starting it again", part=name, pause=pause)
        await crashed(name, reason)
        if trio.current_time() - began > _LIVED:
            pause = _FIRST_PAUSE
        await trio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
