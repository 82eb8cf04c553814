"""How one action's runs are performed: in turn, tried again or not, and what is recorded of each."""

from collections import deque
from datetime import timedelta

import msgspec
import pytest
import structlog
import trio

from support.outboxes import START
from tocsin.actions import task
from tocsin.actions.model import ActionSettings, Result
from tocsin.actions.task import ActionTask
from tocsin.clock import ManualClock
from tocsin.engine.api import AlertContext
from tocsin.secrets import Masker, Secret
from tocsin.store.model import RunRow

HOOK = ActionSettings(webhook="https://example.org/hook", max_age=timedelta(seconds=30))
BUSY = Result(ok=False, result="503", reason="503 busy hunter2", output="hunter2 is busy", again=True)
OK = Result(ok=True, result="200")
NO = Result(ok=False, result="403", reason="403")


def run_row(id_: str = "r1", **data) -> RunRow:
    context = AlertContext(
        rule="red", severity="warning", state="firing", kind="position", venue="fx", entity="p1",
        started_at=START, at=START, time=START,
    )  # fmt: skip
    return RunRow(
        id=id_, action="hedge", alert="a1", status="pending", created_at=START,
        data=msgspec.to_builtins(context) | data,
    )  # fmt: skip


class Queue:
    """Hands out `runs`, notes what becomes of them. `in_the_way` is asked for each further try, `begins` for each try."""

    def __init__(self, *runs: RunRow, why: str = "", begins: bool = True) -> None:
        self.runs, self.why, self.begins = deque(runs), why, begins
        self.begun: list[tuple[str, float, str]] = []
        self.finished: list[tuple[str, Result, float | None]] = []
        self.taken_over: list[str] = []

    async def take_over(self, action: str) -> None:
        self.taken_over.append(action)

    async def next(self, action: str) -> RunRow:
        assert action == "hedge"
        if self.runs:
            return self.runs.popleft()
        return await trio.sleep_forever()

    async def begin(self, run: RunRow, command: str) -> bool:
        self.begun.append((run.id, trio.current_time(), command))
        return self.begins

    def in_the_way(self, run: RunRow) -> str:
        return self.why

    async def finish(self, run: RunRow, result: Result, took: float | None) -> None:
        self.finished.append((run.id, result, took))


@pytest.fixture
def answers(monkeypatch):
    """What tries come to, in order; each takes a second."""
    found: deque[Result | Exception] = deque()

    async def perform(*_args) -> Result:
        await trio.sleep(1)
        answer = found.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(task, "perform", perform)
    return found


async def performed(queue: Queue, settings: ActionSettings = HOOK, clock: ManualClock | None = None) -> Queue:
    """After two minutes."""
    clock = clock or ManualClock(START)
    masker = Masker()
    masker.add(Secret("hunter2"))
    doing = ActionTask("hedge", settings, queue, clock, masker, structlog.get_logger())
    with trio.move_on_after(120):
        await doing.run()
    assert queue.taken_over == ["hedge"]
    return queue


async def test_one_after_the_other(autojump_clock, answers):
    answers += [OK, NO]
    queue = await performed(Queue(run_row("r1"), run_row("r2")))
    assert [(id_, result.ok, took) for id_, result, took in queue.finished] == [
        ("r1", True, 1.0),
        ("r2", False, 1.0),
    ]
    assert [command for _, _, command in queue.begun] == ["POST https://example.org"] * 2


async def test_what_may_succeed_is_tried_again_at_growing_distances(autojump_clock, answers):
    answers += [BUSY, BUSY, BUSY, OK]
    queue = await performed(Queue(run_row()))
    first, *others = [at for _, at, _ in queue.begun]
    assert [at - first for at in others] == pytest.approx([1 + 1, 2 + 1 + 2, 3 + 3 + 4])
    assert [(result.ok, took) for _, result, took in queue.finished] == [(True, 1.0)]


async def test_what_is_refused_for_good_is_not_tried_again(autojump_clock, answers):
    answers += [NO]
    queue = await performed(Queue(run_row()))
    assert (len(queue.begun), len(queue.finished)) == (1, 1)


async def test_no_other_try_once_something_is_in_the_way(autojump_clock, answers):
    answers += [BUSY]
    queue = await performed(Queue(run_row(), why="it isn't so any more"))
    ((_, result, _),) = queue.finished
    assert result.reason == "503 busy ***; not tried again: it isn't so any more"


async def test_no_other_try_that_would_come_too_late(autojump_clock, answers):
    answers += [BUSY]
    clock = ManualClock(START)
    clock.advance(29.5)
    queue = await performed(Queue(run_row()), clock=clock)
    ((_, result, _),) = queue.finished
    assert result.reason == "503 busy ***; not tried again: its max_age, 30s, is over before"
    assert len(queue.begun) == 1


async def test_what_may_not_begin_is_not_tried(autojump_clock, answers):
    queue = await performed(Queue(run_row(), begins=False))
    assert queue.finished == []


async def test_secrets_are_kept_out_of_what_is_recorded(autojump_clock, answers):
    answers += [BUSY, Result(ok=False, result="500", reason="hunter2", output="hunter2")]
    queue = await performed(Queue(run_row()))
    assert "hunter2" not in repr(queue.finished)


async def test_what_cannot_be_made_was_never_tried(autojump_clock, answers):
    command = ActionSettings(command=("/bin/echo", "{{ symbol }}"))
    answers += [OK]
    queue = await performed(Queue(run_row(symbol="--hunter2"), run_row("r2", symbol="BTC")), command)
    _, refused, took = queue.finished[0]
    assert (refused.ok, refused.result, took) == (False, "refused", None)
    assert "put -- before it" in refused.reason
    assert [id_ for id_, _, _ in queue.begun] == ["r2"]


async def test_a_bug_of_ours_ends_one_run_loudly_and_no_other(autojump_clock, answers, monkeypatch):
    def fails_once(*args):
        monkeypatch.undo()
        raise ZeroDivisionError

    answers += [OK]
    monkeypatch.setattr(task, "prepared", fails_once)
    queue = Queue(run_row("r1"), run_row("r2"))
    with structlog.testing.capture_logs() as logs:
        await performed(queue)
    (_, result, took), *_ = queue.finished
    assert (result.reason, took) == ("it can't be made: ZeroDivisionError", None)
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["an action can't be prepared"]
