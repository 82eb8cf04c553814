"""An action by a program: its arguments, never a shell; the alert as JSON on its standard input; a time limit; the first of its output.

It runs as the service's user. Its environment is PATH, LANG and TOCSIN_*, nothing of the service's own; its folder is /; it is the
first to be ended where memory runs out.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta

from tocsin.actions.model import MOST_OUTPUT, Result
from tocsin.alerts.plain import flat
from tocsin.processes import run
from tocsin.quantities import duration_text

_SAID = 200  # characters of its output that stand in the reason
_WHY: Mapping[int, str] = {signal.SIGKILL: ": out of memory?"}  # nobody else says so
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def execute(arguments: Sequence[str], stdin: bytes, own: Mapping[str, str], within: float) -> Result:
    """`own`: TOCSIN_* variables. After `within` seconds it is ended. What it leaves running in its process group is killed with it."""
    environment = {"PATH": os.environ.get("PATH", _PATH), "LANG": os.environ.get("LANG", "C.UTF-8"), **own}
    try:
        ended = await run(arguments, environment, within, stdin=stdin, most=MOST_OUTPUT)
    except (OSError, ValueError) as error:
        return Result(ok=False, result="not started", reason=f"{arguments[0]} can't be started: {error}")
    return _result(ended.code, ended.output.decode(errors="replace"), within, in_time=ended.in_time)


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


def _called(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"
