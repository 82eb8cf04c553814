"""`tocsin.state`, beside the database: what the last run knew of it, so that one that is gone, or lost its end, is noticed.

It is written when the database is opened and closed, and at most once a second in between. It is for comparing only:
where it is missing or can't be read nothing is said. Blocks.
"""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from tocsin.events import iso

STATE = "tocsin.state"


class LastRun(Struct, frozen=True, kw_only=True):
    """`database` is its id; `at` when this was written; `alerts` and `deliveries` are the highest numbers of their rows.

    `damaged`: the run found it damaged; it is to be looked at before anything else.
    """

    database: str
    at: datetime
    closed: bool
    alerts: int
    deliveries: int
    damaged: bool = False


_decode = msgspec.json.Decoder(LastRun)


def read(folder: Path) -> LastRun | None:
    try:
        return _decode.decode((folder / STATE).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write(folder: Path, state: LastRun) -> None:
    """Whole or not at all; where there is no room, not."""
    new = folder / f"{STATE}.new"
    with suppress(OSError):
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(file, msgspec.json.encode(state) + b"\n")
        finally:
            os.close(file)
        new.replace(folder / STATE)


class Facts(Struct, kw_only=True):
    """A database as it is found: its id, the highest numbers of its rows, when a daemon was last known to live on it.

    `marked`: it wasn't closed. `without_log`: there was no write-ahead log beside it.
    """

    database: str
    alerts: int
    deliveries: int
    alive_at: str
    marked: bool
    without_log: bool


TAKEN = (
    "the database was taken while the daemon ran, the newest may be missing: "
    "copy tocsin.db-wal too, or use sqlite3's .backup, whose copies are whole"
)


def lacking(last: LastRun | None, found: Facts | None) -> str:
    """What a database lacks of what was put into it, in words; "" where nothing is known to be missing.

    `found` is None where there is no database, or an empty one.
    """
    if found is None:
        return "" if last is None else _gone(last)
    if last is None or found.database != last.database:
        other = ""
        if last is not None:
            other = (
                f"the database isn't that of the last run ({iso(last.at)}): what was in that one is not in it"
            )
        copied = TAKEN if found.marked and found.without_log else ""
        return "; ".join(filter(None, (other, copied)))
    alerts, deliveries = max(last.alerts - found.alerts, 0), max(last.deliveries - found.deliveries, 0)
    no_log = found.without_log and not last.closed
    since = f", and up to everything since {found.alive_at}" if found.alive_at else ""
    if alerts or deliveries:
        why = "the log of the database (tocsin.db-wal) is gone" if no_log else "the database lacks its end"
        return f"{why}: {alerts} alerts and {deliveries} messages are lost{since}"
    if no_log:
        return f"the log of the database (tocsin.db-wal) is gone: what was written last is lost{since}"
    return ""


def _gone(last: LastRun) -> str:
    count = f": {last.alerts} alerts and {last.deliveries} messages are lost" if last.deliveries else ""
    return f"the database of the last run ({iso(last.at)}) is gone or empty, and a new one was begun{count}"
