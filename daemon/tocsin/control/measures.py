"""What is so now, in numbers and words: the one record that `/metrics`, `tocsin status` and the heartbeat read.

What the daemon knows in memory is `Measures`, made on its loop; what only the database knows is `Stored`, read in a thread. Counters
count from the start of the process, as `counted` says; what the database counts is of all time.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct

from tocsin.engine.api import Severity
from tocsin.events import from_iso
from tocsin.meters import Meters
from tocsin.store.reader import Reader

Json = dict[str, Any]

DEGRADED = ("store", "delivery", "venue", "control", "memory_queue")
"""The parts that can be degraded while the daemon is healthy."""


class VenueMeasures(Struct, frozen=True, kw_only=True):
    """One venue's connection. `shown` is its entity as JSON with what people read beside; `entities` counts what lives, by kind."""

    name: str
    status: str
    last_message: datetime | None
    shown: Mapping[str, Any]
    entities: Mapping[str, int]


class ChannelMeasures(Struct, frozen=True, kw_only=True):
    """One channel. `up`: no URL's last request was refused or unanswered; `quiet`: but for what is critical all waits there."""

    name: str
    up: bool
    in_storm: bool
    quiet: bool


class ActionMeasures(Struct, frozen=True, kw_only=True):
    """One action. `circuit_open`: failures in a row have stopped it."""

    name: str
    circuit_open: bool


class RuleMeasures(Struct, frozen=True, kw_only=True):
    """One rule of the config."""

    id: str
    severity: Severity
    enabled: bool
    blind: bool


class Stored(Struct, frozen=True, kw_only=True):
    """What the database says. `waiting`: by channel how many deliveries wait, since when the oldest, and since when
    the oldest critical one; `dead`: how many were ever given up; `acknowledged` and `unacknowledged`: alerts that
    fire, by severity. Sizes are in bytes.
    """

    waiting: Mapping[str, tuple[int, datetime, datetime | None]]
    dead: int
    acknowledged: Mapping[str, int]
    unacknowledged: Mapping[str, int]
    database_bytes: int
    wal_bytes: int


class Measures(Struct, frozen=True, kw_only=True):
    """What the daemon knows at the moment `now`.

    `reports_due`: when each report is told next. `alerts`: how many are in a state (pending, firing, recovering), by
    (severity, state). `held`: notifications that wait until nothing mutes them. `wrong`: why it isn't healthy;
    `attention`: what somebody should look into all the same.
    """

    version: str
    pid: int
    config: str
    state_dir: str
    dry_run: bool
    now: datetime
    started_at: datetime
    reloaded_at: datetime
    reload_success: bool
    progress_at: datetime
    wrong: tuple[str, ...]
    attention: tuple[str, ...]
    degraded: frozenset[str]
    venues: tuple[VenueMeasures, ...]
    channels: tuple[ChannelMeasures, ...]
    actions: tuple[ActionMeasures, ...]
    actions_paused: bool
    rules: tuple[RuleMeasures, ...]
    alerts: Mapping[tuple[str, str], int]
    held: int
    reports_due: Mapping[str, datetime]
    silences_active: int
    inbox_waiting: int
    inbox_capacity: int
    unwritten: int
    counted: Meters

    @property
    def healthy(self) -> bool:
        return not self.wrong

    @property
    def firing(self) -> int:
        """Alerts that fire or recover, of all severities."""
        return sum(count for (_, state), count in self.alerts.items() if state != "pending")

    @property
    def pending(self) -> int:
        """What may come to fire, of all severities."""
        return sum(count for (_, state), count in self.alerts.items() if state == "pending")


def stored(database: Path) -> Stored:
    """What the database says. Blocks; StoreUnavailable, SchemaRefused."""
    with Reader(database).snapshot() as reader:
        database_bytes, wal_bytes = reader.sizes()
        firing: dict[bool, dict[str, int]] = {True: {}, False: {}}
        for row in reader.firing():
            firing[bool(row["acked"])][row["severity"]] = row["count"]
        return Stored(
            waiting={
                row["channel"]: (row["waiting"], from_iso(row["since"]), moment(row["critical_since"]))
                for row in reader.unsent()
            },
            dead=reader.count_dead(),
            acknowledged=firing[True],
            unacknowledged=firing[False],
            database_bytes=database_bytes,
            wal_bytes=wal_bytes,
        )


def moment(text: object) -> datetime | None:
    """Of one in ISO 8601; None of what is none."""
    return from_iso(text) if isinstance(text, str) and text else None


def status(measures: Measures, stored: Stored | None) -> Json:
    """What `tocsin status` tells. What the database would say is null where it didn't answer."""
    return {
        "version": measures.version,
        "pid": measures.pid,
        "config": measures.config,
        "state_dir": measures.state_dir,
        "started_at": measures.started_at.isoformat(),
        "now": measures.now.isoformat(),
        "dry_run": measures.dry_run,
        "healthy": measures.healthy,
        "wrong": [*measures.wrong],
        "attention": [*measures.attention],
        "venues": [dict(venue.shown) for venue in measures.venues],
        "channels": [channel.name for channel in measures.channels],
        "rules": len(measures.rules),
        "waiting": measures.inbox_waiting,
        "unwritten": measures.unwritten,
        "firing": measures.firing,
        "held": measures.held,
        "silences": measures.silences_active,
        "reports_due": {report: due.isoformat() for report, due in measures.reports_due.items()},
        "acknowledged": sum(stored.acknowledged.values()) if stored else None,
        "unsent": sum(count for count, *_ in stored.waiting.values()) if stored else None,
        "dead": stored.dead if stored else None,
    }


@cache
def version_of(package: str) -> str:
    """Of an installed package; empty in a bundle without metadata. Reads a file the first time."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
