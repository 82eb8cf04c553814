"""Programs as actions: what they get, what is kept of them, and that they end. Real processes."""

import os
import signal

import pytest
import trio

from support.processes import LONG, alive, until
from tocsin.actions.command import execute

pytestmark = pytest.mark.real


async def sh(script, *arguments, stdin=b"{}", own=None, within=LONG):
    with trio.fail_after(LONG):
        return await execute(("/bin/sh", "-c", script, "sh", *arguments), stdin, own or {}, within)


@pytest.mark.parametrize(
    ("script", "ok", "result", "output", "reason"),
    [
        ("echo done", True, "exit 0", "done\n", ""),
        ("echo out; echo err >&2; exit 3", False, "exit 3", "out\nerr\n", "exit 3: out err"),
        (
            "kill -9 $$",
            False,
            "SIGKILL",
            "",
            "it was ended by SIGKILL: out of memory?",
        ),
        ("kill -35 $$", False, "signal 35", "", "it was ended by signal 35"),
        ("cat", True, "exit 0", '{"a": 1}', ""),
        ("exec 0<&-; exit 0", True, "exit 0", "", ""),  # it doesn't want what it is given
        (r"printf 'a\000b\033[31m\377'", True, "exit 0", "a\0b\x1b[31m\ufffd", ""),
        ("pwd", True, "exit 0", "/\n", ""),
    ],
)
async def test_what_comes_of_it(script, ok, result, output, reason):
    got = await sh(script, stdin=b'{"a": 1}')
    assert (got.ok, got.result, got.output, got.reason) == (ok, result, output, reason)


async def test_no_shell_sees_the_arguments():
    hostile = ["$(id)", "; rm -rf x", "`id`", "a\nb", "* ?", "--", "'\""]
    got = await sh('printf "%s\\0" "$@"', *hostile)
    assert got.output.split("\0")[:-1] == hostile


async def test_nothing_of_our_environment(monkeypatch):
    for name in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "STATE_DIRECTORY", "HOME", "SECRET_THING"):
        monkeypatch.setenv(name, "/nowhere")
    got = await sh("env", own={"TOCSIN_RUN": "r1"})
    names = {line.partition("=")[0] for line in got.output.splitlines()}
    assert "TOCSIN_RUN" in names
    assert names <= {"PATH", "LANG", "TOCSIN_RUN", "PWD", "OLDPWD", "SHLVL", "_"}


async def test_only_the_first_of_the_output_is_kept_and_all_is_read():
    got = await sh("head -c 5000000 /dev/zero | tr '\\0' x; echo end")
    assert (got.ok, got.output) == (True, "x" * 4096)


async def test_a_large_input_that_nobody_reads():
    got = await sh("exit 0", stdin=b"x" * 5_000_000)
    assert got.ok


async def test_what_takes_too_long_is_ended_with_all_it_started(tmp_path):
    pids = tmp_path / "pids"
    got = await sh(
        f"trap '' TERM; sleep 1000 & echo $! > {pids}; echo $$ >> {pids}; wait; sleep 1000", within=1.0
    )
    assert (got.ok, got.result, got.reason) == (False, "killed", "it took longer than 1s and was ended")
    for pid in map(int, pids.read_text().split()):
        await until(lambda pid=pid: not alive(pid))


async def test_who_inherits_the_output_keeps_nobody_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr("tocsin.processes.GRACE", 0.1)
    pid = tmp_path / "pid"
    got = await sh(f"setsid sleep 1000 & echo $! > {pid}; echo done")
    assert (got.ok, got.output) == (True, "done\n")
    os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_what_ended_in_time_isnt_called_killed(tmp_path):
    pid = tmp_path / "pid"
    got = await sh(f"setsid sleep 1000 & echo $! > {pid}; echo done", within=1.0)
    assert (got.ok, got.result, got.output) == (True, "exit 0", "done\n")
    os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_a_program_that_is_not_there():
    got = await execute(("/no/such/program",), b"", {}, LONG)
    assert (got.ok, got.result, got.again) == (False, "not started", False)
    assert got.reason.startswith("/no/such/program can't be started: ")


async def test_cancelled_it_is_ended(tmp_path):
    pid = tmp_path / "pid"
    with trio.move_on_after(LONG) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sh, f"echo $$ > {pid}; exec sleep 1000")
            await until(lambda: pid.exists() and pid.read_text())
            scope.cancel()
    assert not alive(int(pid.read_text()))


async def test_it_is_the_first_to_go_where_memory_runs_out():
    got = await sh("sleep 0.2; cat /proc/self/oom_score_adj")
    assert got.output == "1000\n"
