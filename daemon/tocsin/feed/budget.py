"""What one venue may take of the loop: its slice between two turns of everybody else, and no more than half of the time.

What a venue sends is handled in slices of a few frames or lines. What brings data is only ever slowed by that: the rest
waits in the socket. A burst is taken as fast as can be; a venue that goes on for seconds gets half of the loop, which
leaves the other half to the venues beside it, the disk and the people. What brings nothing and costs all the same
(pings, pongs, empty frames and lines) is borne as far as time and data pay for it; a peer that goes on beyond that is
left.
"""

from tocsin.errors import OutsideError
from tocsin.loop_budget import LoopBudget

SLICE = 32  # frames, lines or messages
_BORNE = 2_000  # that bring nothing, at once
_A_SECOND = 50  # more with each second
_FOR_DATA = 4  # more with each that brings something
_OF_THE_LOOP = 0.5  # of its time, for one venue, once it has used up:
_BURST = 2.0  # seconds of it
_LONGEST_PAUSE = 1.0  # seconds; a longer one would look like a silence of the venue's


def venue_budget(now: float) -> LoopBudget:
    """For one venue, all its sockets together. `now`: trio's time."""
    return LoopBudget(now, share=_OF_THE_LOOP, burst=_BURST, longest=_LONGEST_PAUSE)


class PeerFlood(OutsideError):
    """The peer sends too much that brings no data: the connection is to be closed. The text says what it sent."""


class ReadBudget:
    """What one socket may send: so many frames or lines in a slice, and a token bucket of those without data (steady seconds)."""

    def __init__(self, now: float, what: str) -> None:
        self._what = what  # the peer sends, in the plural
        self._borne, self._since = float(_BORNE), now
        self._left = SLICE

    @property
    def is_over(self) -> bool:
        """Whether other tasks are to have a turn before more is handled."""
        return self._left <= 0

    def begin(self) -> None:
        """Other tasks had a turn: a new slice."""
        self._left = SLICE

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
