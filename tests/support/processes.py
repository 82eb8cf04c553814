"""Processes that tests watch: whether they live, and waiting for what they do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

LONG = 120.0  # seconds that nothing takes


async def until(seen: Callable[[], Any]) -> None:
    """What happens in other processes rings no event here."""
    with trio.fail_after(LONG):
        while not seen():  # noqa: ASYNC110
            await trio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
