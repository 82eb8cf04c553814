"""A program in a process of its own: a time limit, the first of its output, no more memory than it may; it ends with all that it started.

It is the first to be ended where memory runs out.
"""

import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

GRACE = 5.0  # seconds between TERM and KILL
_FIRST_TO_GO = "1000"  # oom_score_adj


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, or the number of a signal, negative; None where it runs on and can't be ended. `in_time`: it
    ended by itself. The first of what it wrote; `errors` are in `output`, where they weren't to be apart.
    """

    code: int | None
    output: bytes
    errors: bytes
    in_time: bool


async def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    within: float,
    *,
    stdin: bytes = b"",
    most: int,
    errors_apart: bool = False,
    memory: int | None = None,
) -> Ended:
    """After `within` seconds it is ended, as it is where who waits for it is canceled; so is what it leaves running in its process group.
    `most` bytes of each output are kept; its address space is at most `memory` bytes. OSError and ValueError where it can't be started.
    """
    process = await trio.lowlevel.open_process(
        list(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if errors_apart else subprocess.STDOUT,
        cwd="/",
        env=dict(environment),
        start_new_session=True,
    )
    output, errors = bytearray(), bytearray()
    try:
        with suppress(OSError):  # it may have ended already
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(_FIRST_TO_GO)  # noqa: ASYNC240 # the kernel's: nothing to wait for
        if memory is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
        with trio.move_on_after(within) as limit:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process, stdin)
                nursery.start_soon(_read, process.stdout, output, most)
                nursery.start_soon(_read, process.stderr, errors, most)
                await process.wait()
                # Who inherited its output may hold it open.
                nursery.cancel_scope.deadline = trio.current_time() + GRACE
        in_time = process.returncode is not None or not limit.cancelled_caught
    finally:
        await _end(process)
    return Ended(process.returncode, bytes(output), bytes(errors), in_time)


async def _feed(process: trio.Process, stdin: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 # a pipe was asked for
    with suppress(trio.BrokenResourceError):  # it doesn't want it
        await process.stdin.send_all(stdin)
    await process.stdin.aclose()


async def _read(stream: trio.abc.ReceiveStream | None, kept: bytearray, most: int) -> None:
    """All of it is read, so that it never waits for us; the first is kept."""
    if stream is not None:
        async for piece in stream:
            kept += piece[: max(most - len(kept), 0)]


async def _end(process: trio.Process) -> None:
    """Everything of its process group: TERM, then KILL."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with trio.move_on_after(GRACE):
                await process.wait()
        _signal(process, signal.SIGKILL)
        with trio.move_on_after(GRACE):  # one that became another user's doesn't hear us
            await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()


def _signal(process: trio.Process, which: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)
