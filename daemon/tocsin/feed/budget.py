"""What one venue may take of the loop: its slice between two turns of everybody else, and no more than half of the time.

What a venue sends is handled in slices of a few frames or lines. What brings data is only ever slowed by that: the rest
waits in the socket. A burst is taken as fast as can be; a venue that goes on for seconds gets half of the loop, which
leaves the other half to the venues beside it, the disk and the people. What brings nothing and costs all the same
(pings, pongs, empty frames and lines) is borne as far as time and data pay for it; a peer that goes on beyond that is
left.
"""

import time
from collections.abc import Awaitable, Generator
from types import coroutine
from typing import Any, TypeVar

import trio

from tocsin.errors import OutsideError

T = TypeVar("T")

_SLICE = 32  # frames or lines
_BORNE = 2_000  # that bring nothing, at once
_A_SECOND = 50  # more with each second
_FOR_DATA = 4  # more with each that brings something
_OF_THE_LOOP = 0.5  # of its time, for one venue, once it has used up:
_BURST = 2.0  # seconds of it
_SHORTEST_PAUSE = 0.002  # seconds; a shorter one isn't worth a sleep
_LONGEST_PAUSE = 1.0  # a longer one would look like a silence of the venue's


class LoopBudget:
    """A token bucket of event-loop time for one venue, all its sockets together. Times are in seconds of a steady clock."""

    def __init__(self, now: float) -> None:
        self._left, self._since = _BURST, now

    def spent(self, seconds: float) -> None:
        """The loop was busy for them with this venue."""
        self._left -= seconds

    def owed(self, now: float) -> float:
        """The seconds for which its sockets are not to be read, so that it has its share and no more."""
        self._left = min(self._left + (now - self._since) * _OF_THE_LOOP, _BURST)
        self._since = now
        return max(-self._left / _OF_THE_LOOP, 0.0)

    async def rest(self) -> bool:
        """Wait, where this venue had more than its share; True where it did."""
        owed = self.owed(trio.current_time())
        if owed < _SHORTEST_PAUSE:
            return False
        await trio.sleep(min(owed, _LONGEST_PAUSE))
        return True

    async def others_turn(self) -> None:
        """Let the others have a turn; a long one, where this venue had more than its share."""
        if not await self.rest():
            await trio.lowlevel.checkpoint()


@coroutine
def metered(work: Awaitable[T], used: LoopBudget) -> Generator[Any, Any, T]:
    """Does the work, and adds to `used` the time for which it keeps the loop busy, without its waits."""
    steps, clock = work.__await__(), time.perf_counter
    given: Any = None
    raised: BaseException | None = None
    while True:
        began = clock()
        try:
            wanted = steps.send(given) if raised is None else steps.throw(raised)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            raised = None
            used.spent(clock() - began)
        try:
            given = yield wanted
        except BaseException as error:  # noqa: BLE001 - it is the work's to handle
            raised = error


class PeerFlood(OutsideError):
    """The peer sends too much that brings no data: the connection is to be closed. The text says what it sent."""


class ReadBudget:
    """What one socket may send: so many frames or lines in a slice, and a token bucket of those without data (steady seconds)."""

    def __init__(self, now: float, what: str) -> None:
        self._what = what  # the peer sends, in the plural
        self._borne, self._since = float(_BORNE), now
        self._left = _SLICE

    @property
    def is_over(self) -> bool:
        """Whether other tasks are to have a turn before more is handled."""
        return self._left <= 0

    def begin(self) -> None:
        """Other tasks had a turn: a new slice."""
        self._left = _SLICE

    def took(self, now: float, *, data: bool) -> None:
        """One more frame or line was taken; `data`: it brought some. Raises PeerFlood."""
        self._left -= 1
        if data:
            self._borne = min(self._borne + _FOR_DATA, _BORNE)
            return
        self._borne -= 1
        if self._borne < 0:
            self._borne = min((now - self._since) * _A_SECOND, _BORNE) - 1
            self._since = now
            if self._borne < 0:
                raise PeerFlood(f"it sends {self._what} that bring nothing, over {_BORNE:,} at once")
