"""How the one loop and the threads beside it share the interpreter, in a process that is the daemon and nothing else.

Sending, storing and loading are done in threads. One that waits for the interpreter asks for it once the switch interval is
over, which CPython (`take_gil`) counts anew each time that the interpreter was let go meanwhile. A busy loop lets it go in
each of its rounds, to look for what came, for a microsecond: too short for a thread to wake up in. So a venue that has much
to say would keep every alert from being sent, and for as long as it goes on.
"""

import gc
import sys
import time
from collections.abc import Callable

import trio

_SWITCH_EVERY = 0.0005  # seconds: ten times sooner than by default
# Objects more than there were; collections of the youngest; and of the next older (Python's own: 700, 10, 10).
_COLLECT_AFTER = (10_000, 20, 100)
_BUSY_AT_MOST = 0.001  # seconds
_WAKES_WITHIN = 0.00005  # seconds in which a thread that waits for the interpreter is there to take it


def tune() -> None:
    """Sets up Python, and the trio run that this is called in."""
    sys.setswitchinterval(_SWITCH_EVERY)
    # Next to nothing of ours is in a cycle, and going through a thousand rules for some takes a quarter of a second.
    gc.set_threshold(*_COLLECT_AFTER)
    trio.lowlevel.add_instrument(ThreadTurns())


class ThreadTurns(trio.abc.Instrument):
    """Lets threads have the interpreter once in each millisecond for which the loop is busy; times are steady seconds."""

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now, self._sleep = now, sleep
        self._busy_since = self._looked = now()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - what is there at once ends it sooner
        self._looked = self._now()

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        now = self._now()
        if now - self._looked >= _WAKES_WITHIN:
            self._busy_since = now
        elif now - self._busy_since >= _BUSY_AT_MOST:
            self._sleep(_WAKES_WITHIN)
            self._busy_since = self._now()
