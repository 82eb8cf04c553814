"""What the index is made of: levels that look a value up, and leaves that hold rules, by their places in the files.

Each node adds to `found` the places of all rules below it whose atoms aren't certainly false for a change. A missing value
makes none of them false, so then it adds all that the rest of the change admits.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import UNSET

from tocsin.engine.language.ast import Name, Node
from tocsin.engine.language.evaluator import COMMON, evaluator
from tocsin.events import Change
from tocsin.events.vocabulary import all_fields

Read: TypeAlias = Callable[[Change], Any]
"""The key's value at a change; None or UNSET where it is missing."""
Reads: TypeAlias = tuple[Read, Read | None]
"""How a key is read, and how it is read again where that gives nothing."""
Held: TypeAlias = Iterable[tuple[Any, int]]
"""A limit and the place of the rule that has it, for each of a leaf's rules."""


class Part(Protocol):
    def match(self, change: Change, found: list[int]) -> None: ...


class Leaf(NamedTuple):
    """What the rules of one leaf have in common."""

    how: Literal["crosses above", "crosses below", "between", "from", "up to"]
    key: Node


class ReadKey(Protocol):
    """`before`: as it was before the change."""

    def __call__(self, key: Node, before: bool = False) -> Reads: ...


def reader(key: Node, kind: str, *, before: bool = False) -> Reads:
    """Reads a key of entities of that kind. Keys don't depend on the time."""
    evaluate = evaluator(key, before)

    def slow(change: Change) -> Any:
        return evaluate(change, change.received)

    if isinstance(key, Name) and not before and key.name in all_fields(kind) and key.name not in COMMON:
        # Without a call of Python's between. An entity without a symbol of its own may still be about one.
        return attrgetter(f"state.{key.name}"), slow if key.name == "symbol" else None
    return slow, None


class Several:
    """Parts that are all to be gone through."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = tuple(parts)

    def match(self, change: Change, found: list[int]) -> None:
        for part in self._parts:
            part.match(change, found)


class Level:
    """Goes on to what is below the key's value."""

    __slots__ = ("_again", "_below", "_read")

    def __init__(self, read: Read, again: Read | None, below: dict[Any, Part]) -> None:
        self._read = read
        self._again = again
        self._below = below

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            value = self._again(change) if self._again is not None else None
            if value is None:
                for part in self._below.values():
                    part.match(change, found)
                return
        below = self._below.get(value)
        if below is not None:
            below.match(change, found)


class Caseless(Level):
    """A level of texts that are looked up without case."""

    __slots__ = ()

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            value = self._again(change) if self._again is not None else None
            if value is None:
                for part in self._below.values():
                    part.match(change, found)
                return
        below = self._below.get(value.casefold())
        if below is not None:
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
        if value is None or value is UNSET:
            found += self._places
        elif value <= self._limits[-1]:
            found += self._places[bisect_left(self._limits, value) :]


class From(_Sorted):
    """Rules that want the value to be at least their limit."""

    __slots__ = ()

    def match(self, change: Change, found: list[int]) -> None:
        value = self._read(change)
        if value is None or value is UNSET:
            found += self._places
        elif value >= self._limits[0]:
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
        if change.previous is None:
            return
        # What it was before it went missing only the condition knows.
        if (old := self._previous(change)) is None:
            if self._upwards and value >= self._limits[0]:
                found += self._places[: bisect_right(self._limits, value)]
            elif not self._upwards and value <= self._limits[-1]:
                found += self._places[bisect_left(self._limits, value) :]
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


def leaf_part(leaf: Leaf | None, held: Held, read: ReadKey) -> Part:
    """The leaf that holds these rules. Limits are of numbers and times, which have no second way to be read."""
    if leaf is None:
        return Plain(place for _, place in held)
    value, _ = read(leaf.key)
    match leaf.how:
        case "between":
            return Between(value, held)
        case "from":
            return From(value, held)
        case "up to":
            return UpTo(value, held)
    return Crossed(value, read(leaf.key, before=True)[0], leaf.how == "crosses above", held)
