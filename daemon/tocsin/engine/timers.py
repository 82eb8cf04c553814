"""Who wants to be woken when: timers by their owners, and when each entity is to be judged again by each rule on time."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key

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


_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


class Reevaluations:
    """Of rules on entities; a group is looked at each second."""

    def __init__(self) -> None:
        self._timers = Timers()
        self._of: dict[str, tuple[str, Key]] = {}  # whom a timer wakes: rule and entity

    def note(self, rule: Rule, key: str, change: Change, now: Instant) -> None:
        """The entity was judged, by the key of its instance: when the passing of time may next matter."""
        owner = f"{rule.id}\0{key}"
        after = None
        if not change.ended:
            turns = (condition.turn(change, now.wall) for condition in rule.conditions if condition.turn)
            after = min((turn for turn in turns if turn is not None), default=None)
        if after is None:
            self._timers.set(owner, None)
            self._of.pop(owner, None)
        else:
            self._timers.set(owner, now.steady + after.total_seconds())
            self._of[owner] = (rule.id, change.key)

    def due(self, now: Instant) -> Iterable[tuple[str, Key]]:
        """The rules and entities whose time has come, each once; what is not noted anew is left alone from then on."""
        found = []
        while (owner := self._timers.pop_due(now.steady + _ROUNDING)) is not None:
            found.append(self._of.pop(owner))
        return found

    def next(self) -> float | None:
        """The steady time of the first of them."""
        return self._timers.next()
