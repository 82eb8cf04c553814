"""When what is asked for is made, beside alerting that needs all of the time."""

import time
from typing import Any

import pytest
import trio

from tocsin.page.turns import InTurn, Turns


class App:
    """Says when it was asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.asked.append((scope["path"], trio.current_time()))


class Busy(Turns):
    """There is no processor left: alerting needs all of one."""

    def __init__(self) -> None:
        super().__init__(trio.current_time)

    def spend(self, seconds: float) -> None:
        self.budget.left(trio.current_time())
        self.budget.spent(seconds)


@pytest.fixture
def app() -> App:
    return App()


async def ask(app: Any, path: str, method: str = "GET") -> None:
    await app({"type": "http", "method": method, "path": path}, trio.sleep_forever, trio.sleep_forever)


async def test_one_after_the_other_begins_as_they_came_each_in_a_round_of_its_own():
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    begun: list[tuple[str, int]] = []
    turns = Turns()

    async def note(scope: Any, _receive: Any, _send: Any) -> None:
        begun.append((scope["path"], rounds))

    in_turn = InTurn(note, lambda _scope: turns)
    async with trio.open_nursery() as all_of_them:
        all_of_them.start_soon(count)
        async with trio.open_nursery() as asking:
            for number in range(10):
                asking.start_soon(ask, in_turn, f"/{number}")
                await trio.lowlevel.checkpoint()
        all_of_them.cancel_scope.cancel()
    assert [path for path, _ in begun] == [f"/{number}" for number in range(10)]
    assert len({at for _, at in begun}) == 10


async def test_who_looks_waits_where_there_is_no_time_and_who_does_something_does_not(app, autojump_clock):
    turns = Busy()
    in_turn, begun = InTurn(app, lambda _scope: turns), trio.current_time()
    turns.spend(0.3)  # 0.1 more than there was
    async with trio.open_nursery() as asking:
        asking.start_soon(ask, in_turn, "/")
        asking.start_soon(ask, in_turn, "/ack", "POST")
    assert [path for path, _ in app.asked] == ["/ack", "/"]
    acted, looked = (at - begun for _, at in app.asked)
    assert acted == 0
    assert 1 < looked < 5  # a few hundredths of each second were left for it


async def test_there_is_time_for_news_until_half_of_it_is_used_up(autojump_clock):
    turns = Busy()
    assert turns.time_for_news()
    turns.spend(0.15)
    assert not turns.time_for_news()
    await trio.sleep(2)
    assert turns.time_for_news()


async def test_what_a_thread_computes_counts(monkeypatch):
    turns, spent = Turns(), list[float]()
    monkeypatch.setattr(turns.budget, "spent", spent.append)

    def compute() -> str:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        return "done"

    def fail() -> str:
        compute()
        raise KeyError("oops")

    assert await turns.in_thread(compute) == "done"
    with pytest.raises(KeyError):
        await turns.in_thread(fail)
    assert [each >= 0.02 for each in spent] == [True, True]
