"""Who wants to be woken when. A heap with lazy removal: an entry counts only while its owner still wants that time.

What doesn't count leaves when it comes to the top, or all at once when it is more than half of the heap.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

_Entry: TypeAlias = tuple[float, int, str]  # when, as how manieth it was asked, by whom
_FEW = 64  # entries that don't count, for which no heap is built anew


class Timers:
    """Of what is due at one time, whoever asked first is first."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._wanted: dict[str, _Entry] = {}
        self._order = count()

    def set(self, owner: str, at: float | None) -> None:
        """Wake `owner` at this steady time; None: not at all."""
        known = self._wanted.get(owner)
        if at is None:
            self._wanted.pop(owner, None)
        elif known is None or known[0] != at:
            self._wanted[owner] = entry = (at, next(self._order), owner)
            heappush(self._heap, entry)
            if len(self._heap) > 2 * len(self._wanted) + _FEW:
                self._sweep()

    def next(self) -> float | None:
        while self._heap and self._wanted.get(self._heap[0][2]) is not self._heap[0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, steady: float) -> str | None:
        """The owner whose time has come first, or None."""
        at = self.next()
        if at is None or at > steady:
            return None
        owner = heappop(self._heap)[2]
        del self._wanted[owner]
        return owner

    def _sweep(self) -> None:
        self._heap = list(self._wanted.values())
        heapify(self._heap)
