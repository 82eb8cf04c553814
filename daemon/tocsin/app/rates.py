"""How many messages a second each venue sent in the last minute."""

from collections import deque
from collections.abc import Mapping

from tocsin.meters import VenueMeters

_OVER = 60.0  # seconds


class Rates:
    """`meters` count the messages of each venue."""

    def __init__(self, meters: Mapping[str, VenueMeters]) -> None:
        self._meters = meters
        self._counts: dict[str, deque[tuple[float, int]]] = {}
        self.now: Mapping[str, float] = {}

    def note(self, steady: float) -> None:
        """Count now, every few seconds: `now` goes back a minute, or to the first count."""
        rates, before = {}, self._counts
        self._counts = {name: before.get(name, deque()) for name in self._meters}
        for name, counts in self._counts.items():
            count = self._meters[name].messages
            if counts and count < counts[-1][1]:  # another venue is called so
                counts.clear()
            while len(counts) > 1 and counts[1][0] <= steady - _OVER:
                counts.popleft()
            if counts:
                since, was = counts[0]
                rates[name] = round((count - was) / (steady - since), 1)
            counts.append((steady, count))
        self.now = rates
