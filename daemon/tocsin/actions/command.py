"""An action by a program: its arguments, never a shell; the alert as JSON on its standard input; a time limit; the first of its output.

It runs as the service's user. Its environment is PATH, LANG and TOCSIN_*, nothing of the service's own; its folder is /; it is the
first to be ended where memory runs out.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import trio

from tocsin.actions.model import MOST_OUTPUT, Result
from tocsin.alerts.plain import flat
from tocsin.quantities import duration_text

_SAID = 200  # characters of its output that stand in the reason
_GRACE = 5.0  # seconds between TERM and KILL
_FIRST_TO_GO = "1000"  # oom_score_adj
_WHY: Mapping[int, str] = {signal.SIGKILL: ": out of memory?"}  # nobody else says so
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def execute(arguments: Sequence[str], stdin: bytes, own: Mapping[str, str], within: float) -> Result:
    """`own`: TOCSIN_* variables. After `within` seconds it is ended. What it leaves running in its process group is killed with it."""
    environment = {"PATH": os.environ.get("PATH", _PATH), "LANG": os.environ.get("LANG", "C.UTF-8"), **own}
    try:
        process = await trio.lowlevel.open_process(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Result(ok=False, result="not started", reason=f"{arguments[0]} can't be started: {error}")
    with suppress(OSError):  # it may have ended already
        Path(f"/proc/{process.pid}/oom_score_adj").write_text(_FIRST_TO_GO)  # noqa: ASYNC240 # the kernel's: nothing to wait for
    kept = bytearray()
    try:
        with trio.move_on_after(within) as limit:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process, stdin)
                nursery.start_soon(_read, process, kept)
                await process.wait()
                # Who inherited its output may hold it open.
                nursery.cancel_scope.deadline = trio.current_time() + _GRACE
        in_time = process.returncode is not None or not limit.cancelled_caught
    finally:
        await _end(process)
    return _result(process.returncode, bytes(kept).decode(errors="replace"), within, in_time=in_time)


def _result(code: int | None, output: str, within: float, *, in_time: bool) -> Result:
    """`code`: how it ended, a signal's number negative; None where it runs on. `in_time`: it ended by itself within `within` seconds."""
    if code is None:
        what, reason = "runs on", "it can't be ended: it isn't ours any more"
    elif not in_time:
        what = "killed"
        reason = f"it took longer than {duration_text(timedelta(seconds=within))} and was ended"
    elif code < 0:
        what = _called(-code)
        reason = f"it was ended by {what}{_WHY.get(-code, '')}"
    else:
        what = f"exit {code}"
        said = f": {flat(output.strip()[-_SAID:])}" if output.strip() else ""
        reason = f"{what}{said}" if code else ""
    return Result(ok=code == 0 and in_time, result=what, output=output, reason=reason)


async def _feed(process: trio.Process, stdin: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 # a pipe was asked for
    with suppress(trio.BrokenResourceError):  # it doesn't want it
        await process.stdin.send_all(stdin)
    await process.stdin.aclose()


async def _read(process: trio.Process, kept: bytearray) -> None:
    """All of it is read, so that it never waits for us; the first is kept."""
    assert process.stdout is not None  # noqa: S101 # a pipe was asked for
    async for piece in process.stdout:
        kept += piece[: max(MOST_OUTPUT - len(kept), 0)]


async def _end(process: trio.Process) -> None:
    """Everything of its process group: TERM, then KILL."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with trio.move_on_after(_GRACE):
                await process.wait()
        _signal(process, signal.SIGKILL)
        with trio.move_on_after(_GRACE):  # one that became another user's doesn't hear us
            await process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                await stream.aclose()


def _called(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def _signal(process: trio.Process, which: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)
