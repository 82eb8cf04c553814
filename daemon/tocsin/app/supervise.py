"""Keeping a part alive: a bug in it is told loudly, and the part begins anew; the others don't notice."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tocsin.errors import leaves

_FIRST_PAUSE = 1.0  # seconds, doubled up to:
_LONGEST_PAUSE = 60.0
_LIVED = 60.0  # a part that ran so long begins again with the first pause


async def supervise(
    name: str, part: Callable[[], Awaitable[None]], log: Any, crashed: Callable[[str, str], Awaitable[None]]
) -> None:
    """Run `part` for ever. It is not meant to return either: that is told and mended as a crash is.

    `crashed(name, reason)` tells the rules; cancellation passes through.
    """
    pause = _FIRST_PAUSE
    while True:
        began = trio.current_time()
        reason = "it ended by itself"
        try:
            await part()
        except* Exception as errors:  # the supervisor is where a bug of ours stops
            reason = "; ".join(f"{type(error).__name__}: {error}" for error in leaves(errors))
            log.exception("part crashed, starting it again", part=name, pause=pause)
        else:
            log.error("part ended, starting it again", part=name, pause=pause)
        await crashed(name, reason)
        if trio.current_time() - began > _LIVED:
            pause = _FIRST_PAUSE
        await trio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
