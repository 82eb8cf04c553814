"""What some work may take of the loop, by the clock and by what nobody else needs."""

import pytest
import trio

from tocsin.loop_budget import LoopBudget, budget_behind_alerting, give_way, metered


class Machine:
    """A clock, and a process whose threads use so much of a processor beside the work that is budgeted."""

    def __init__(self, busy: float) -> None:
        self.now, self.processor, self._busy = 1000.0, 7.0, busy

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.processor += seconds

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.processor += seconds * self._busy


def share_of(machine: Machine, budget: LoopBudget, *, seconds: float = 60.0, piece: float = 0.003) -> float:
    """Which part of the time work takes that never ends by itself."""
    worked, begun = 0.0, machine.now
    while machine.now < begun + seconds:
        machine.work(piece)
        worked += piece
        budget.spent(piece)
        while (owed := budget.owed(machine.now)) > 0.002:
            machine.wait(min(owed, 0.05))
    return worked / (machine.now - begun)


@pytest.mark.parametrize(
    ("busy", "share"),
    [(1.0, 0.04), (1.7, 0.04), (0.9, 0.1), (0.5, 0.25), (0.0, 0.37)],
    ids=["all of a processor", "more than one", "nearly all", "half", "nothing"],
)
def test_what_comes_behind_has_a_little_and_half_of_what_nobody_needs(busy, share):
    machine = Machine(busy)
    assert share_of(machine, budget_behind_alerting(0.1, lambda: machine.processor)) == pytest.approx(
        share, abs=0.03
    )


def test_after_a_rest_there_is_a_burst_and_no_more():
    machine = Machine(busy=1.0)
    budget = budget_behind_alerting(0.1, lambda: machine.processor)
    assert budget.left(machine.now) == pytest.approx(0.1)
    budget.spent(0.3)
    assert budget.left(machine.now) == pytest.approx(-0.2)
    machine.wait(3600)
    assert budget.left(machine.now) == pytest.approx(0.1)


async def test_metered_work_is_done_as_ever_and_what_it_waits_for_is_not_counted(autojump_clock):
    used = budget_behind_alerting(1.0)

    async def work() -> str:
        await trio.sleep(3600)
        try:
            with trio.fail_after(5):
                await trio.sleep_forever()
        except trio.TooSlowError:
            return "done"
        return "never"

    assert await metered(work(), used) == "done"
    assert used.owed(trio.current_time()) == 0


async def test_metered_work_is_cancelled_and_fails_as_ever(autojump_clock):
    used = budget_behind_alerting(1.0)

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("oops")

    with pytest.raises(KeyError):
        await metered(fail(), used)
    with trio.move_on_after(1) as scope:
        await metered(trio.Event().wait(), used)
    assert scope.cancelled_caught


@pytest.mark.parametrize(("owed", "waits"), [(0.0, 0.0), (0.1, 2.5)])
async def test_metered_work_gives_way_until_it_has_paid(owed, waits, autojump_clock):
    """Beside others that need all of a processor, who leave it four hundredths."""
    used = budget_behind_alerting(1.0, trio.current_time)
    used.left(trio.current_time())
    used.spent(1.0 + owed)
    begun = trio.current_time()
    await metered(give_way(), used)
    assert trio.current_time() - begun == pytest.approx(waits, abs=0.1)


async def test_other_work_gives_way_for_a_round(autojump_clock):
    begun = trio.current_time()
    await give_way()
    assert trio.current_time() == begun
