"""Opening a database: sound or set aside, of a version that we know, durable, and private from its first byte."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from tocsin.store.directory import StateDirectory
from tocsin.store.errors import StoreUnavailable, is_damage, outside_told
from tocsin.store.migrations import migrate, refuse_foreign

_BUSY_TIMEOUT = 2.0  # seconds; longer would hold up alerts for a stranger's lock
_WAL_KEPT = 16 << 20  # bytes; the log is cut to this when it starts over


def open_database(directory: StateDirectory, name: str, now: datetime) -> tuple[Database, Path | None]:
    """The one writing connection, and where a damaged database was moved, if it was.

    Raises StoreUnavailable or SchemaRefused.
    """
    set_aside = None
    db = _connect(directory.private_file(name))
    try:
        if not _is_sound(db):
            db.close()
            set_aside = directory.set_aside(name, now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
            db = _connect(directory.private_file(name))
        with outside_told():
            refuse_foreign(db, directory.path / name)
            _settle(db)
            migrate(db)
    except BaseException:
        db.close()
        raise
    return db, set_aside


def open_reading(path: Path) -> Database:
    """A connection that can't write, for one short query."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT
    )
    return Database(connection, execute_plugins=False)


def _connect(path: Path) -> Database:
    # isolation_level None: transactions begin where we say so, never behind our back.
    with outside_told():
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=_BUSY_TIMEOUT, check_same_thread=False
        )
    return Database(connection, execute_plugins=False)


def _is_sound(db: Database) -> bool:
    try:
        return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        with outside_told():
            raise


def _settle(db: Database) -> None:
    # Before the first table, or never: lets retention give space back in small steps.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # WAL with FULL loses no acknowledged commit to a power cut; NORMAL does.
    if (mode := db.execute("PRAGMA journal_mode = WAL").fetchone()[0]) != "wal":
        raise StoreUnavailable(f"no write-ahead log here (only {mode}); put state_dir on a local disk")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
