"""A record of measures, as large as wanted, and a daemon in this process whose numbers are looked at."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import trio

from support.daemon_parts import Lines
from tocsin.app.daemon import Daemon
from tocsin.app.serve import serve
from tocsin.config.load import load_settings
from tocsin.config.settings import Settings
from tocsin.control.client import SOCKET
from tocsin.control.measures import (
    ActionMeasures,
    ChannelMeasures,
    Measures,
    RuleMeasures,
    Stored,
    VenueMeasures,
)
from tocsin.meters import Meters

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
KINDS = (
    "account",
    "balance",
    "book",
    "order",
    "position",
    "ticker",
    "trade",
)  # as many as any venue supplies


def measured(
    *, venues: int = 1, channels: int = 1, rules: int = 1, actions: int = 1, **other: Any
) -> Measures:
    """Of a daemon that is well and knows nothing."""
    fresh: dict[str, Any] = {
        "version": "1.2.3",
        "pid": 4,
        "config": "config.yaml",
        "state_dir": "state",
        "dry_run": False,
        "now": NOW,
        "started_at": NOW - timedelta(hours=1),
        "reloaded_at": NOW - timedelta(hours=1),
        "reload_success": True,
        "progress_at": NOW,
        "wrong": (),
        "attention": (),
        "degraded": frozenset(),
        "venues": tuple(
            VenueMeasures(
                name=f"venue{number}",
                status="connected",
                last_message=NOW,
                shown={"venue": f"venue{number}", "status": "connected"},
                entities=dict.fromkeys(KINDS, 0),
            )
            for number in range(venues)
        ),
        "channels": tuple(
            ChannelMeasures(name=f"channel{number}", up=True, in_storm=False, quiet=False)
            for number in range(channels)
        ),
        "actions": tuple(
            ActionMeasures(name=f"action{number}", circuit_open=False) for number in range(actions)
        ),
        "actions_paused": False,
        "rules": tuple(
            RuleMeasures(id=f"rule{number}", severity="warning", enabled=True, blind=False)
            for number in range(rules)
        ),
        "alerts": {},
        "held": 0,
        "reports_due": {},
        "silences_active": 0,
        "inbox_waiting": 0,
        "inbox_capacity": 2000,
        "unwritten": 0,
        "counted": Meters(),
    }
    return Measures(**{**fresh, **other})


def stored(**other: Any) -> Stored:
    fresh = {"waiting": {}, "dead": 0, "acknowledged": {}, "unacknowledged": {}, "database_bytes": 0, "wal_bytes": 0}  # fmt: skip
    return Stored(**{**fresh, **other})


def series(text: str) -> dict[str, float]:
    """Each series of a text exposition, `name{label="value"}` -> number, without process and Python's own."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        name, _, number = line.rpartition(" ")
        if name.startswith("tocsin_"):
            found[name] = float(number)
    return found


class Watched:
    """A daemon in this process."""

    def __init__(self, daemon: Daemon, log: Lines, state: Path) -> None:
        self.daemon, self.log, self.state = daemon, log, state

    async def get(self, path: str, **headers: str) -> httpx.Response:
        transport = httpx.AsyncHTTPTransport(uds=str(self.state / SOCKET))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
            return await client.get(path, headers=headers)

    async def series(self) -> dict[str, float]:
        return series((await self.get("/metrics")).text)

    async def answers(self) -> None:
        """Until its socket does."""
        while True:
            try:
                await self.get("/readyz")
            except httpx.TransportError:
                await trio.sleep(0.01)
            else:
                return

    async def until(self, seen: Callable[[], bool]) -> None:
        while not seen():  # noqa: ASYNC110 - what is looked at has no event
            await trio.sleep(0.02)


@asynccontextmanager
async def watched(
    folder: Path, config: str, *, change: Callable[[Settings], Settings] = lambda settings: settings
) -> AsyncIterator[Watched]:
    """Runs a daemon with that config for as long as the block lasts, half a minute at most; it reads the file at a reload.

    `change` makes of the settings what no config can say.
    """
    (folder / "config.yaml").write_text(config)
    log, state = Lines(), folder / "state"

    def load() -> Settings:
        return change(load_settings(folder / "config.yaml", environ={}, validate_url=None))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            daemon: Daemon = await nursery.start(
                lambda task_status: serve(load(), load, log=log, runtime=state, task_status=task_status)
            )
            seen = Watched(daemon, log, state)
            await seen.answers()
            yield seen
            daemon.stop()
            await daemon.stopped.wait()
            nursery.cancel_scope.cancel()
