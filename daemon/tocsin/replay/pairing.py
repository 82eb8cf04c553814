"""Which alerts of two replays of one record are the same alert, under rules that differ. Pure.

* What happened once (an event rule's alert) is the same where the same event is behind it, whenever a cooldown lets that be told.
* A crossing (a state rule's edge) likewise; of those that are left the next one is the same, where neither run has another in between:
  what crossed 100 goes on to cross 101.
* What lasts is the same where the two go on at the same time.

Each counts for one.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from tocsin.replay.player import Firing

_Group = TypeVar("_Group", bound=Hashable)


@dataclass(slots=True)
class Pairs:
    """The alerts of each run that the other hasn't, and those that both have (of the second run, of the first), in the order of time."""

    lost: list[Firing] = field(default_factory=list)
    added: list[Firing] = field(default_factory=list)
    both: list[tuple[Firing, Firing]] = field(default_factory=list)


def paired(before: Sequence[Firing], after: Sequence[Firing]) -> Pairs:
    """Each in the order of time."""
    same = {
        id(now): then
        for lasts in (True, False)
        for then, now in _same(
            [each for each in before if each.lasts is lasts], [each for each in after if each.lasts is lasts]
        )
    }
    taken = {id(then) for then in same.values()}
    return Pairs(
        lost=[each for each in before if id(each) not in taken],
        added=[each for each in after if id(each) not in same],
        both=[(each, same[id(each)]) for each in after if id(each) in same],
    )


def _same(before: Sequence[Firing], after: Sequence[Firing]) -> Iterator[tuple[Firing, Firing]]:
    """The pairs (first, second) of what lasts, or of what doesn't."""
    for these, those in _together(before, after, lambda each: (each.rule, each.entity)):
        if these[0].lasts:
            yield from _overlapping(these, those)
            continue
        found = [
            pair
            for same, others in _together(these, those, lambda each: (each.event, each.time))
            for pair in zip(same, others, strict=False)
        ]
        yield from found
        if these[0].event is None:
            yield from _next(these, those, {id(each) for pair in found for each in pair})


def _together(
    before: Iterable[Firing], after: Iterable[Firing], group: Callable[[Firing], _Group]
) -> Iterator[tuple[list[Firing], list[Firing]]]:
    """What the two have of each group that both have."""
    groups: dict[_Group, tuple[list[Firing], list[Firing]]] = {}
    for side, firings in enumerate((before, after)):
        for each in firings:
            groups.setdefault(group(each), ([], []))[side].append(each)
    return (pair for pair in groups.values() if all(pair))


def _overlapping(before: Sequence[Firing], after: Sequence[Firing]) -> Iterator[tuple[Firing, Firing]]:
    left = [*before]
    for now in after:
        then = next((each for each in left if now.meets(each)), None)
        if then is not None:
            left.remove(then)
            yield then, now


def _next(
    before: Sequence[Firing], after: Sequence[Firing], taken: set[int]
) -> Iterator[tuple[Firing, Firing]]:
    """Of those that aren't `taken` each with that of the other run which comes directly after or before it."""
    row = sorted(
        [(each.at, side, each) for side, of in enumerate((before, after)) for each in of],
        key=lambda of: of[:2],
    )
    for (_, side, first), (_, other, second) in pairwise(row):
        if side != other and not {id(first), id(second)} & taken:
            taken |= {id(first), id(second)}
            yield (second, first) if side else (first, second)
