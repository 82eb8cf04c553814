"""Timers that are set and taken back again and again."""

import tracemalloc

import pytest

from tocsin.engine.instances import Timers


@pytest.mark.parametrize("step", [0, 1])
def test_what_is_not_wanted_any_more_takes_no_room(step):
    timers = Timers()
    timers.set("first", 1.0)
    tracemalloc.start()
    try:
        for at in range(20_000):
            timers.set("flapping", 3600.0 + step * at)
            timers.set("flapping", None)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000
    assert timers.next() == 1.0


def test_each_is_woken_in_its_order_whatever_was_taken_back():
    timers = Timers()
    for n in range(500):
        timers.set(f"o{n}", 1000.0 - n)
        timers.set(f"o{n}", float(n // 2))
        if n % 5:
            timers.set(f"o{n}", None)
    woken = iter(lambda: timers.pop_due(1000), None)
    assert list(woken) == [f"o{n}" for n in range(0, 500, 5)]
    assert timers.next() is None
