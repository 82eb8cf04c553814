"""Which alerts of two replays are the same."""

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.events import Key
from tocsin.replay.pairing import paired
from tocsin.replay.player import Firing

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def lasting(begins: float, ends: float | None, of: str = "p1") -> Firing:
    until = at(ends) if ends is not None else None
    return Firing("red", Key("fx", "position", "a1", of), at(begins), until, "")


def happened(told: float, came: float, of: str = "p1", event: str | None = "order.filled") -> Firing:
    key = Key("fx", "order", "a1", of)
    return Firing("red", key, at(told), at(told), "", lasts=False, event=event, time=at(came))


def crossed(when: float, of: str = "p1") -> Firing:
    return happened(when, when, of, event=None)


def seconds(firing: Firing) -> float:
    return (firing.at - T0).total_seconds()


CASES = {
    # before, after: which are lost, gained, and the same (after, before), by when they fire
    "what lasts goes on in both": ([lasting(0, 10)], [lasting(9, 30)], [], [], [(9, 0)]),
    "it was over": ([lasting(0, 10)], [lasting(11, 30)], [0], [11], []),
    "it still lasts": ([lasting(0, None)], [lasting(50, None)], [], [], [(50, 0)]),
    "two become one": ([lasting(0, 10), lasting(20, 30)], [lasting(0, 30)], [20], [], [(0, 0)]),
    "one becomes two": ([lasting(0, 30)], [lasting(0, 10), lasting(20, 30)], [], [20], [(0, 0)]),
    "each has its own": (
        [lasting(0, 10), lasting(0, 10, "p2")], [lasting(5, 10, "p2")], [0], [], [(5, 0)],
    ),
    "a cooldown tells it later": ([happened(5, 5)], [happened(60, 5)], [], [], [(60, 5)]),
    "another event": ([happened(5, 5)], [happened(60, 6)], [5], [60], []),
    "another order at the same time": ([happened(5, 5)], [happened(60, 5, "p2")], [5], [60], []),
    "another event of one message": (
        [happened(5, 5)], [happened(5, 5, event="order.canceled")], [5], [5], [],
    ),
    "two that the venue dates alike": (
        [happened(5, 5), happened(6, 5)], [happened(5, 5), happened(6, 5), happened(7, 5)], [], [7], [(5, 5), (6, 6)],
    ),
    "it goes on to cross the other": ([crossed(5)], [crossed(9)], [], [], [(9, 5)]),
    "the nearer of two": ([crossed(5), crossed(8)], [crossed(9)], [5], [], [(9, 8)]),
    "the same crossing before the next one": (
        [crossed(5), crossed(9)], [crossed(9)], [5], [], [(9, 9)],
    ),
    "another's crossing": ([crossed(5)], [crossed(9, "p2")], [5], [9], []),
    "back and forth": (
        [crossed(5), crossed(20)], [crossed(2), crossed(15)], [], [], [(2, 5), (15, 20)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_they_are_the_same(case):
    before, after, *expected = CASES[case]
    pairs = paired(before, after)
    assert [
        [seconds(each) for each in pairs.lost],
        [seconds(each) for each in pairs.added],
        [(seconds(now), seconds(then)) for now, then in pairs.both],
    ] == expected
