"""The named parts of the daemon: each started, watched and stopped by itself."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tocsin.app.supervise import supervise

Part = Callable[[], Awaitable[None]]


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
