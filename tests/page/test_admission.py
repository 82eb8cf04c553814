"""When what is asked for is made, beside alerting that needs all of the time."""

import threading
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tocsin.control.server import in_thread, in_thread_for_acts
from tocsin.page.admission import Admission, Admitted


class App:
    """Says when it was asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.asked.append((scope["path"], trio.current_time()))


class Busy(Admission):
    """There is no processor left: alerting needs all of one."""

    def __init__(self) -> None:
        super().__init__(trio.current_time)

    def spend(self, seconds: float) -> None:
        self.budget.left(trio.current_time())
        self.budget.spent(seconds)


@pytest.fixture
def app() -> App:
    return App()


async def ask(app: Any, path: str, method: str = "GET", leaves: float = float("inf")) -> None:
    """Who reads nothing of the answer, and leaves after so many seconds."""

    async def receive() -> dict[str, Any]:
        await trio.sleep(leaves)
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        await trio.sleep_forever()

    await app({"type": "http", "method": method, "path": path}, receive, send)


async def test_one_after_the_other_begins_as_they_came_each_in_a_round_of_its_own():
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    begun: list[tuple[str, int]] = []
    admission = Admission()

    async def note(scope: Any, _receive: Any, _send: Any) -> None:
        begun.append((scope["path"], rounds))

    admitted = Admitted(note, lambda _scope: (admission, ""))
    async with trio.open_nursery() as all_of_them:
        all_of_them.start_soon(count)
        async with trio.open_nursery() as asking:
            for number in range(10):
                asking.start_soon(ask, admitted, f"/{number}")
                await trio.lowlevel.checkpoint()
        all_of_them.cancel_scope.cancel()
    assert [path for path, _ in begun] == [f"/{number}" for number in range(10)]
    assert len({at for _, at in begun}) == 10


async def test_who_looks_waits_where_there_is_no_time_and_who_does_something_does_not(app, autojump_clock):
    admission = Busy()

    def of(scope: Any) -> tuple[Admission, str] | None:
        return (admission, "") if scope["method"] == "GET" else None

    admitted, begun = Admitted(app, of), trio.current_time()
    admission.spend(0.3)  # 0.1 more than there was
    async with trio.open_nursery() as asking:
        asking.start_soon(ask, admitted, "/")
        asking.start_soon(ask, admitted, "/ack", "POST")
    assert [path for path, _ in app.asked] == ["/ack", "/"]
    acted, looked = (at - begun for _, at in app.asked)
    assert acted == 0
    assert 1 < looked < 5  # a few hundredths of each second were left for it


async def test_there_is_time_for_news_until_half_of_it_is_used_up(autojump_clock):
    admission = Busy()
    assert admission.has_time()
    admission.spend(0.15)
    assert not admission.has_time()
    await trio.sleep(2)
    assert admission.has_time()


async def test_few_are_made_at_a_time_so_that_what_they_cost_is_known(autojump_clock):
    """Also where there is time for many: threads tell what they used up when they are done."""
    making = most = 0
    admission = Admission()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal making, most
        making += 1
        most = max(most, making)
        await trio.sleep(1)
        making -= 1
        await send({"type": "http.response.start"})

    admitted = Admitted(slow, lambda scope: (admission, scope["path"]))
    async with trio.open_nursery() as asking:
        for number in range(12):
            asking.start_soon(ask, admitted, f"/{number % 3}")
        await trio.sleep(30)
        asking.cancel_scope.cancel()
    assert most == 2


async def test_who_reads_slowly_or_leaves_keeps_nobody_waiting(autojump_clock):
    admission, begun = Admission(), list[str]()

    async def made(scope: Any, _receive: Any, send: Any) -> None:
        begun.append(scope["path"])
        if scope["path"].startswith("/left"):
            await trio.sleep_forever()
        await send({"type": "http.response.start"})

    admitted = Admitted(made, lambda scope: (admission, scope["path"]))
    async with trio.open_nursery() as asking:
        for number in range(4):
            asking.start_soon(ask, admitted, f"/left/{number}", "GET", 1)
        for path in ("/slow", "/slow", "/slow", "/quick"):
            asking.start_soon(ask, admitted, path)
        await trio.sleep(5)
        asking.cancel_scope.cancel()
    assert Counter(path.split("/")[1] for path in begun) == {"left": 2, "slow": 3, "quick": 1}


def compute() -> str:
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    return "done"


def fail() -> str:
    compute()
    raise KeyError("oops")


async def test_what_threads_compute_counts_for_who_looks(monkeypatch):
    admission, spent = Admission(), list[float]()

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        await in_thread(compute)
        with pytest.raises(KeyError):
            await in_thread(fail)

    await ask(Admitted(app, lambda _scope: (admission, "")), "/")
    monkeypatch.setattr(admission.budget, "spent", spent.append)
    admission.has_time()
    assert [each >= 0.02 for each in spent] == [True, True]


async def test_who_does_something_waits_for_no_thread_of_who_looks():
    let_go = threading.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(in_thread, partial(let_go.wait, 30))
        await trio.testing.wait_all_tasks_blocked()
        try:
            with trio.fail_after(10):
                assert await in_thread_for_acts(lambda: "done") == "done"
        finally:
            let_go.set()


async def test_who_asks_for_much_is_no_more_often_admitted_than_another(autojump_clock):
    admission, order = Busy(), list[str]()
    admission.spend(0.2)

    async def look(who: str) -> None:
        slot = await admission.slot(who)
        order.append(who)
        admission.budget.spent(0.01)
        slot.release()

    async with trio.open_nursery() as looking:
        for _ in range(20):
            looking.start_soon(look, "greedy")
        await trio.sleep(0.001)
        looking.start_soon(look, "modest")
    assert order.index("modest") <= 2
    assert admission._turns == {}


async def test_what_was_spent_while_the_process_stood_still_is_not_owed_for_ever(autojump_clock):
    admission = Busy()
    admission.spend(3600)
    with trio.fail_after(60):
        await admission.admit("anna")
