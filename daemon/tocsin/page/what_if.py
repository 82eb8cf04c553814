"""What would be if a rule's numbers were others: `tocsin replay --set` in a process of its own, one at a time.

It takes what time and memory it may, and the daemon none of it: 30 s, 512 MiB of addresses, the first to go where memory runs out. It
looks at the latest events alone (from when on stands in the result). The shape of that is in `tocsin.replay.comparison`; what can be set of
a rule, for a form, gives `tocsin.config.rule_text.settable_of`.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import trio

from tocsin.alerts.wording import span_text
from tocsin.control.server import Log
from tocsin.errors import TocsinError
from tocsin.processes import Ended, run
from tocsin.replay.comparison import WhatIf

WITHIN = 30.0  # seconds
MEMORY = 512 << 20  # bytes of addresses; with 100,000 events it takes 150 MiB of them
_MOST_OUTPUT = 4 << 20  # bytes; an ordinary result has 0.1 MiB
LATEST = 20_000  # events that are looked at, those of the kinds that the rules read; 10 s on a slow core
_MOST_EDITS, _LONGEST = 50, 2000  # edits, and characters of one
_NO_MEMORY = (
    "MemoryError",
    "Cannot allocate memory",
    "failed to map segment",
    "error return without exception set",  # CPython itself, where there is none left for the error
)
_WRONG = (2, 78)  # exit codes: what was asked for is wrong
_OURS = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")  # of the environment: the daemon's alone


class WhatIfFailed(TocsinError):
    """There is no answer; the text says why."""


class WrongEdit(WhatIfFailed):
    """What was set can't be: which, where, and what can."""


class AlreadyAsking(WhatIfFailed):
    """Somebody else's is being worked out."""


class NobodyWaits(WhatIfFailed):
    """Who asked has gone."""


class WhatIfs:
    """`config`: the daemon's own. `program`: what runs `tocsin`, with the arguments that it always has."""

    def __init__(
        self,
        config: Path,
        log: Log,
        *,
        program: Sequence[str] = (sys.executable, "-P", "-m", "tocsin"),
        within: float = WITHIN,
        memory: int = MEMORY,
    ) -> None:
        self._arguments = [
            *program,
            "replay",
            "--config",
            str(config.absolute()),
            f"--last={LATEST}",
            "--json",
        ]
        self._log, self._within, self._memory = log, within, memory
        self._asking = False

    async def ask(self, said: Sequence[str], gone: Callable[[], Awaitable[Any]] | None = None) -> WhatIf:
        """What would be if this were `said`, as `tocsin.config.edits` has it. `gone` returns when nobody waits for the answer any more.

        Raises WhatIfFailed.
        """
        if not said or len(said) > _MOST_EDITS or any(len(each) > _LONGEST or "\0" in each for each in said):
            raise WrongEdit(f"set from 1 to {_MOST_EDITS} numbers, each in at most {_LONGEST:,} characters")
        if self._asking:
            raise AlreadyAsking(
                f"another one is being worked out, which takes at most {self._time}: try again then"
            )
        self._asking = True
        try:
            ended = await self._run(said, gone)
        finally:
            self._asking = False
        return self._result(ended)

    @property
    def _time(self) -> str:
        return span_text(timedelta(seconds=self._within))

    async def _run(self, said: Sequence[str], gone: Callable[[], Awaitable[Any]] | None) -> Ended:
        environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        ended: Ended | None = None
        failed = ""
        async with trio.open_nursery() as nursery:

            async def leave(gone: Callable[[], Awaitable[Any]]) -> None:
                await gone()
                nursery.cancel_scope.cancel()

            if gone is not None:
                nursery.start_soon(leave, gone)
            try:
                ended = await run(
                    [*self._arguments, *(f"--set={each}" for each in said)],
                    environment,
                    self._within,
                    most=_MOST_OUTPUT,
                    errors_apart=True,
                    memory=self._memory,
                )
            except OSError as error:
                failed = f"it can't be started: {error.strerror}"
            nursery.cancel_scope.cancel()
        if failed:
            raise WhatIfFailed(failed)
        if ended is None:
            raise NobodyWaits("nobody waits for it any more")
        return ended

    def _result(self, ended: Ended) -> WhatIf:
        errors = ended.errors.decode(errors="replace").strip()
        if not ended.in_time:
            raise WhatIfFailed(
                f"it took longer than {self._time} and was ended; `tocsin replay --set` on the command line has no limit"
            )
        if ended.code in _WRONG:
            raise WrongEdit(errors)
        if ended.code == 0:
            with suppress(msgspec.MsgspecError):
                return msgspec.json.decode(ended.output, type=WhatIf)
        if ended.code == 1 and errors.startswith("tocsin: "):
            raise WhatIfFailed(errors.removeprefix("tocsin: "))
        self._log.error("what if failed", code=ended.code, errors=errors[-_LONGEST:])
        if (ended.code or 0) < 0 or any(words in errors for words in _NO_MEMORY):
            raise WhatIfFailed(
                f"it was ended: more memory than {self._memory >> 20} MiB would have been needed?"
            )
        raise WhatIfFailed("it failed; the daemon's log says how")
