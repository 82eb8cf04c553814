"""What was made for who looks, for a few seconds: bounded by bytes as well, since what is asked for is another text each time if somebody likes."""

import sys
from collections import OrderedDict
from typing import Any, NamedTuple

import trio

FRESH = 10.0  # seconds; without news the ages in a fragment have grown by then
MOST_BYTES, MOST_ENTRIES = 32 << 20, 800
LARGEST = 1 << 20  # bytes; one that is larger (a list of all that there are) isn't kept


class _Entry(NamedTuple):
    made: Any
    bytes: int
    at: float


class RenderCache:
    """By any key what was made last; what was made longest ago makes room."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self.bytes = 0
        """What all together take."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, of: tuple[str, ...]) -> Any:
        """None where nothing is kept, or for longer than `FRESH`."""
        entry = self._entries.get(of)
        return entry.made if entry is not None and not _is_old(entry) else None

    def put(self, of: tuple[str, ...], made: Any, *texts: str | bytes) -> None:
        """`texts` are what of it takes room."""
        self._drop(of)
        size = sum(map(sys.getsizeof, (*of, *texts)))
        if size <= LARGEST:
            self._entries[of] = _Entry(made, size, trio.current_time())
            self.bytes += size
        while self._entries:
            oldest = next(iter(self._entries))
            few = len(self._entries) <= MOST_ENTRIES and self.bytes <= MOST_BYTES
            if few and not _is_old(self._entries[oldest]):
                return
            self._drop(oldest)

    def _drop(self, of: tuple[str, ...]) -> None:
        if (entry := self._entries.pop(of, None)) is not None:
            self.bytes -= entry.bytes


def _is_old(entry: _Entry) -> bool:
    return trio.current_time() - entry.at > FRESH
