"""What the index is made of: levels that look a value up, and leaves that hold rules, by their places in the files.

Each node adds to `found` the places of all rules below it whose atoms aren't certainly false for a change. A missing value
makes none of them false, so then it adds all that the rest of the change admits.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Protocol, TypeAlias

from msgspec import UNSET

from tocsin.engine.language.evaluate import COMMON, evaluator
from tocsin.engine.language.tree import Name, Node
from tocsin.events import Change

Read: TypeAlias = Callable[[Change], Any]
"""The key's value at a change; None or UNSET where it is missing."""
Held: TypeAlias = Iterable[tuple[Any, int]]
"""A limit and the place of the rule that has it, for each of a leaf's rules."""


class Part(Protocol):
    def match(self, change: Change, found: list[int]) -> None: ...


def reader(key: Node, *, before: bool = False) -> Read:
    """Reads a key; `before`: as it was before the change. Keys don't depend on the time."""
    if isinstance(key, Name) and not before and "." not in key.name and key.name not in (*COMMON, "symbol"):
        return attrgetter(f"state.{key.name}")
    evaluate = evaluator(key, before)
    return lambda change: evaluate(change, change.received)


class Level:
    """Goes on to what is below the key's value."""

    __slots__ = ("_below", "_read")

    def __init__(self, read: Read, below: dict[Any, Part]) -> None:
        self._read = read
        self._below = below

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            for part in self._below.values():
                part.match(change, found)
        elif (below := self._below.get(value)) is not None:
            below.match(change, found)


class Plain:
    """Rules of which nothing more is known."""

    __slots__ = ("_places",)

    def __init__(self, places: Iterable[int]) -> None:
        self._places = tuple(places)

    def match(self, _change: Change, found: list[int]) -> None:
        found += self._places


class _Sorted:
    """Rules in the order of their limits."""

    __slots__ = ("_limits", "_places", "_read")

    def __init__(self, read: Read, held: Held) -> None:
        in_order = sorted(held)
        self._read = read
        self._limits = tuple(map(itemgetter(0), in_order))
        self._places = tuple(map(itemgetter(1), in_order))


class UpTo(_Sorted):
    """Rules that want the value to be at most their limit."""

    __slots__ = ()

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        start = 0 if value is None or value is UNSET else bisect_left(self._limits, value)
        found += self._places[start:]


class From(_Sorted):
    """Rules that want the value to be at least their limit."""

    __slots__ = ()

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            found += self._places
        else:
            found += self._places[: bisect_right(self._limits, value)]


class Crossed(_Sorted):
    """Rules whose limit lies between the previous value and this one; at first sight nothing is crossed."""

    __slots__ = ("_previous", "_upwards")

    def __init__(self, read: Read, previous: Read, upwards: bool, held: Held) -> None:
        super().__init__(read, held)
        self._previous = previous
        self._upwards = upwards

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            found += self._places
            return
        if change.previous is None or (old := self._previous(change)) is None:
            return
        low, high = (old, value) if self._upwards else (value, old)
        if low <= high:
            found += self._places[bisect_left(self._limits, low) : bisect_right(self._limits, high)]


class Between:
    """Rules that want the value within their two limits: in the order of the lower, with the highest upper of each stretch.

    `_highest` is a binary tree over the rules in that order (node n has 2n and 2n + 1 below it, the rules themselves
    begin at `_leaves`), so that stretches in which every upper limit is below the value are passed over whole.
    """

    __slots__ = ("_highest", "_leaves", "_lows", "_places", "_read")

    def __init__(self, read: Read, held: Held) -> None:
        in_order = sorted(held)
        self._read = read
        self._lows = tuple(low for (low, _), _ in in_order)
        self._places = tuple(map(itemgetter(1), in_order))
        self._leaves = 1 << (len(in_order) - 1).bit_length()
        highest: list[Any] = [None] * self._leaves + [high for (_, high), _ in in_order]
        highest += [None] * (2 * self._leaves - len(highest))
        for node in range(self._leaves - 1, 0, -1):
            left, right = highest[2 * node], highest[2 * node + 1]
            highest[node] = left if right is None or (left is not None and left >= right) else right
        self._highest = highest

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            found += self._places
            return
        end = bisect_right(self._lows, value)
        waiting = [(1, 0, self._leaves)] if end else []
        while waiting:
            node, first, count = waiting.pop()
            highest = self._highest[node]
            if first >= end or highest is None or highest < value:
                continue
            if count == 1:
                found.append(self._places[first])
            else:
                half = count // 2
                waiting += ((2 * node, first, half), (2 * node + 1, first + half, half))
