"""Who wants to be woken when. A heap with lazy removal: an entry counts only while its owner still wants that time.

What doesn't count leaves when it comes to the top, or all at once when it is more than half of the heap.
"""

from heapq import heapify, heappop, heappush
from itertools import count

_FEW = 64  # entries that don't count, for which no heap is built anew


class Timers:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._wanted: dict[str, float] = {}
        self._order = count()

    def set(self, owner: str, at: float | None) -> None:
        """Wake `owner` at this steady time; None: not at all."""
        if at is None:
            self._wanted.pop(owner, None)
        elif self._wanted.get(owner) != at:
            self._wanted[owner] = at
            heappush(self._heap, (at, next(self._order), owner))
            if len(self._heap) > 2 * len(self._wanted) + _FEW:
                self._sweep()

    def next(self) -> float | None:
        while self._heap and self._wanted.get(self._heap[0][2]) != self._heap[0][0]:
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
        counting = {entry[2]: entry for entry in self._heap if self._wanted.get(entry[2]) == entry[0]}
        self._heap = list(counting.values())
        heapify(self._heap)
