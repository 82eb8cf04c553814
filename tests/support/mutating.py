"""Documented messages with one value after the other replaced, left out, or under another name: every value in its turn."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from itertools import chain, cycle, islice
from typing import Any

from support.adapters import DESCRIPTIONS, adapter_of
from support.decoding import RECEIVED, TESTS, assert_supplied
from tocsin.events import Observation, Occurrence
from tocsin.events.vocabulary import from_plain, is_event, to_plain
from tocsin.venues.base import Decoded, Malformed

_BEYOND = "\u0001"  # stands for a number out of all range, which json doesn't write
ODD: list[Any] = [
    None, True, False, 0, 7, -1.5, 10**30, -(10**250), _BEYOND, 1.7e18, "", " ", "odd", "7", "-0", "1e400", "NaN", "é\u2028",
    "x" * 5000, "\ud800", "{{id}}", "2024-05-02T13:15:00Z", "0001-01-01", [], [7], [[]], [[7], 7], {}, {"odd": 7}, [{}], {"": {}},
    [_BEYOND, "\udfff"],
]  # fmt: skip


def mutated(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """The venue's name and the message, so many of them: every value of every sample in its turn, each time otherwise."""
    chance = random.Random(seed)
    samples = [
        (venue, json.loads(path.read_text(encoding="utf-8")))
        for venue in DESCRIPTIONS
        for path in sorted((TESTS / "fixtures" / venue).glob("*.json"))
    ]
    places = [(venue, sample, path) for venue, sample in samples for path in paths(sample)]
    chance.shuffle(places)
    for venue, sample, path in islice(cycle(places), count):
        yield venue, json.dumps(_changed(sample, path, chance)).replace(json.dumps(_BEYOND), "1e999")


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in a message something stands."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return chain([path], *(paths(inner, (*path, step)) for step, inner in below))


def _changed(sample: Any, path: tuple[str | int, ...], chance: random.Random) -> Any:
    if not path:
        return chance.choice(ODD)
    message = deepcopy(sample)
    parent = message
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    how = chance.choice(["replace"] * 6 + ["drop", "rename", "double"])
    if how == "replace" or isinstance(parent, list):
        parent[last] = deepcopy(chance.choice(ODD))
    elif how == "double":
        parent[last] = [parent[last], deepcopy(chance.choice(ODD)), parent[last]]
    elif (old := parent.pop(last)) is not None and how == "rename":
        parent[chance.choice(["odd", "", "i", "id", "data"])] = old
    return message


def check_meaning(venue: str, message: str) -> bool:
    """That it means something that was promised and can be stored, or is Malformed: whether it meant anything."""
    adapter = adapter_of(venue)
    try:
        decoded = adapter.decode(message, RECEIVED)
    except Malformed:
        return False
    assert isinstance(decoded, Decoded)
    assert decoded.items, message
    assert_supplied(adapter, decoded)
    for item in decoded.items:
        if isinstance(item, (Observation, Occurrence)):
            assert item.event is None or is_event(item.event)
            stored = json.loads(json.dumps(to_plain(item.state), ensure_ascii=False).encode())
            assert to_plain(from_plain(item.state.kind, stored)) == stored, message
    return True
