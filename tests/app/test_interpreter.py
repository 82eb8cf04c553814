"""How the loop and the threads beside it share the interpreter."""

import gc
import sys
from itertools import count

import pytest
import trio

from tocsin.app import interpreter
from tocsin.app.interpreter import ThreadTurns


class Loop:
    """Rounds of a loop, by a clock of its own: how often threads were let on, and when at last."""

    def __init__(self):
        self.now, self.slept = 0.0, []
        self._turns = ThreadTurns(lambda: self.now, self._sleep)

    def _sleep(self, seconds):
        self.slept.append(self.now)
        self.now += seconds

    def rounds(self, number, *, busy, waits):
        for _ in range(number):
            self.now += busy
            self._turns.before_io_wait(0)
            self.now += waits
            self._turns.after_io_wait(0)


GLANCE = 1e-6  # what looking for events takes where there are some


@pytest.mark.parametrize(
    ("busy", "waits", "turns"),
    [
        (20e-6, GLANCE, 9),  # rounds too short for a thread to ask in between
        (0.9e-3, GLANCE, 5),
        (5e-3, GLANCE, 2),  # longer than what is allowed, each
        (0.2e-3, 1e-3, 0),  # a loop that has to wait lets them on as it is
        (20e-6, 0.1e-3, 0),
    ],
)
def test_threads_have_a_turn_in_each_millisecond_of_a_busy_loop(busy, waits, turns):
    loop = Loop()
    while loop.now < 0.01:
        loop.rounds(1, busy=busy, waits=waits)
    assert len(loop.slept) == turns


def test_after_a_wait_the_millisecond_begins_anew():
    loop = Loop()
    loop.rounds(40, busy=20e-6, waits=GLANCE)
    loop.rounds(1, busy=20e-6, waits=0.1)
    loop.rounds(40, busy=20e-6, waits=GLANCE)
    assert not loop.slept
    loop.rounds(10, busy=20e-6, waits=GLANCE)
    assert len(loop.slept) == 1


@pytest.fixture
def untuned():
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


async def test_a_tuned_loop_lets_threads_on(untuned, monkeypatch):
    glances, slept = count(0, 2e-5), []
    monkeypatch.setattr(interpreter, "ThreadTurns", lambda: ThreadTurns(lambda: next(glances), slept.append))
    interpreter.tune()
    for _ in range(100):
        await trio.lowlevel.checkpoint()
    assert len(slept) >= 3
