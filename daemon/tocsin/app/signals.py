"""Signals: SIGHUP reloads, SIGTERM and SIGINT stop; and the last resort when stopping hangs."""

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import trio

STOP_WITHIN = 9.0  # seconds; the promise is 10


async def listen(
    stop: Callable[[], None],
    reload: Callable[[], Awaitable[Any]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Call `stop` at each SIGTERM or SIGINT, `reload` at each SIGHUP (two quick ones arrive as one). For ever.

    A reload that takes its time keeps nobody from stopping us.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async with trio.open_nursery() as nursery:
            async for number in signals:
                if number == signal.SIGHUP:
                    nursery.start_soon(reload)
                else:
                    stop()


def leave_in_time(log: Any, seconds: float = STOP_WITHIN) -> None:
    """Whatever hangs (a look-up, a disk, a thread), the process is gone after `seconds`: what is committed stays."""

    def leave() -> None:
        log.error("stopping took too long; leaving now", seconds=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
