"""What would be, worked out for the page: in a process of its own, in time, within its memory, one at a time. Real processes."""

import sys
from pathlib import Path

import pytest
import trio

from support.processes import LONG, alive, until
from support.what_ifs import kept
from tocsin.page.what_if import AlreadyAsking, NobodyWaits, WhatIfFailed, WhatIfs, WrongEdit

pytestmark = pytest.mark.real
SAID = ("red.when.profit.below=-60",)
MOVES = [(day * 86400.0, -45 - day % 3 * 10) for day in range(15)]


class Log:
    def __init__(self) -> None:
        self.lines: list[dict] = []

    def error(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def config(tmp_path) -> Path:
    return kept(tmp_path, MOVES)


def script(text: str) -> tuple[str, ...]:
    """A program that takes tocsin's place, and its arguments."""
    return (sys.executable, "-c", f"import os, sys, time\n{text}")


async def test_it_is_the_commands_answer(config, log, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    with trio.fail_after(LONG):
        told = await WhatIfs(config, log, within=LONG).ask((*SAID, "closed.cooldown=1h"))
    assert (told.as_it_is.alerts, told.edited.alerts) == (5, 5)
    assert [each.words for each in told.coverage] == [
        "profit kept at 15 moments in 14 days; between them unknown",
        "position.closed kept 0 times in 14 days: all that came",
    ]
    assert told.at_least
    assert told.edits[0].after == "-60"
    assert "profit: {below: -60}" in told.diff
    assert log.lines == []


async def test_what_can_not_be_set_is_told_in_words(config, log):
    with trio.fail_after(LONG):
        with pytest.raises(WrongEdit) as refused:
            await WhatIfs(config, log, within=LONG).ask(("red.when.loss.below=3",))
    assert "nothing is called `when.loss.below` there" in str(refused.value)
    assert "red has when.profit.below (-50)" in str(refused.value)
    assert log.lines == []


@pytest.mark.parametrize(
    "said", [(), ("red.for=1s",) * 51, ("red.for=" + "1" * 2000,), ("red.for=\0",)], ids=repr
)
async def test_nothing_is_run_for_what_is_no_edit(config, log, said):
    with pytest.raises(WrongEdit, match="set from 1 to 50 numbers"):
        await WhatIfs(config, log, program=("/no/such/program",)).ask(said)


async def test_without_a_database_it_says_so(config, log):
    (config.parent / "state" / "tocsin.db").rename(config.parent / "gone")
    with trio.fail_after(LONG), pytest.raises(WhatIfFailed, match="has the daemon run yet"):
        await WhatIfs(config, log, within=LONG).ask(SAID)


async def test_a_second_one_is_told_to_wait_and_a_third_need_not(config, log, tmp_path):
    begun = tmp_path / "begun"
    asked = WhatIfs(config, log, program=script(f"open({str(begun)!r}, 'w').close(); time.sleep(1000)"))
    with trio.fail_after(LONG):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asked.ask, SAID)
            await until(begun.exists)
            with pytest.raises(
                AlreadyAsking, match="another one is being worked out, which takes at most 30 s"
            ):
                await asked.ask(SAID)
            nursery.cancel_scope.cancel()
    asked = WhatIfs(config, log, program=("/no/such/program",))
    for _ in range(2):
        with pytest.raises(WhatIfFailed, match="it can't be started: No such file"):
            await asked.ask(SAID)


async def test_what_takes_too_long_is_ended_with_all_it_started(config, log, tmp_path):
    pids = tmp_path / "pids"
    slow = script(
        f"child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000')\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child}}')\ntime.sleep(1000)"
    )
    with trio.fail_after(LONG), pytest.raises(WhatIfFailed, match="longer than 2 s and was ended"):
        await WhatIfs(config, log, program=slow, within=2.0).ask(SAID)
    for pid in map(int, pids.read_text().split()):
        await until(lambda pid=pid: not alive(pid))


async def test_when_who_asked_goes_away_it_is_ended(config, log, tmp_path):
    pid = tmp_path / "pid"
    slow = script(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)")

    async def gone() -> None:
        await until(lambda: pid.exists() and pid.read_text())

    with trio.fail_after(LONG), pytest.raises(NobodyWaits):
        await WhatIfs(config, log, program=slow).ask(SAID, gone)
    assert not alive(int(pid.read_text()))


async def test_more_memory_than_it_may_it_does_not_get(config, log):
    greedy = script("time.sleep(0.5)\nx = bytearray(200 << 20)\nprint(len(x))")
    with trio.fail_after(LONG), pytest.raises(WhatIfFailed, match="more memory than 100 MiB"):
        await WhatIfs(config, log, program=greedy, memory=100 << 20).ask(SAID)
    assert [line["event"] for line in log.lines] == ["what if failed"]


async def test_it_goes_first_where_memory_runs_out(config, log):
    score = script("time.sleep(0.5)\nsys.exit('tocsin: ' + open('/proc/self/oom_score_adj').read())")
    with trio.fail_after(LONG), pytest.raises(WhatIfFailed, match=r"^1000$"):
        await WhatIfs(config, log, program=score).ask(SAID)


@pytest.mark.parametrize(
    "program",
    ["raise ValueError('a bug, and s3cr3t')", "print('{}')", "print('{' * 100)", "print('x' * (5 << 20))", "sys.exit(3)"],
)  # fmt: skip
async def test_a_bug_is_told_in_the_log_alone(config, log, program):
    with trio.fail_after(LONG), pytest.raises(WhatIfFailed, match=r"^it failed; the daemon's log says how$"):
        await WhatIfs(config, log, program=script(program)).ask(SAID)
    assert [line["event"] for line in log.lines] == ["what if failed"]


async def test_no_secret_of_the_config_is_in_what_it_says(config, log):
    config.write_text(
        config.read_text().replace("secret_key: k", "secret_key: s3cr3tk3ys3cr3tk3y, no_such_key: 1")
    )
    with trio.fail_after(LONG), pytest.raises(WrongEdit) as refused:
        await WhatIfs(config, log, within=LONG).ask(SAID)
    assert "no_such_key" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
