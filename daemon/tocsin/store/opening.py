"""Opening a database: sound, or made anew of what can be read; of a version that we know, durable, and private."""

import errno
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from tocsin.store import deliveries, last_run, rows
from tocsin.store.directory import StateDirectory
from tocsin.store.errors import Damaged, StoreUnavailable, outside_told
from tocsin.store.last_run import Facts
from tocsin.store.migrations import migrate, pending_steps, refuse_foreign
from tocsin.store.model import NewDelivery
from tocsin.store.salvage import Carried, carry_over
from tocsin.store.sql import Opened

_BUSY_TIMEOUT = 2.0  # seconds; longer would hold up alerts for a stranger's lock
_WAL_KEPT = 16 << 20  # bytes; the log is cut to this when it starts over
CHECKED_AT_ONCE = 200 << 20  # bytes; a larger database is looked through when the daemon is up


def open_database(directory: StateDirectory, name: str, now: datetime) -> Opened:
    """Raises StoreUnavailable or SchemaRefused."""
    last = last_run.read(directory.path)
    path = directory.private_file(name)
    size = path.stat().st_size
    without_log = size > 0 and not log_of(path).exists()  # looked at before it is opened, which makes one
    opened = Opened(_connect(path))
    try:
        opened.unchecked = size > CHECKED_AT_ONCE and not (last is not None and last.damaged)
        try:
            _prepare(opened, path)
            facts = _facts(opened.db, without_log=without_log)
        except Damaged as error:
            opened.db.close()
            rebuild(opened, directory, name, now, str(error))
            facts = _facts(opened.db, without_log=False)
            facts.database = facts.database or (last.database if last is not None else "")
        if lacks := last_run.lacking(last, facts if size else None):
            opened.troubles.append(lacks)
            opened.lost = True
    except BaseException:
        opened.db.close()
        raise
    return opened


def rebuild(
    opened: Opened,
    directory: StateDirectory,
    name: str,
    now: datetime,
    reason: str,
    *,
    waiting: Iterable[NewDelivery] = (),
) -> None:
    """Put a new database in the place of the old one, which is closed and is set aside: with what can be read of that, and
    with what is `waiting` to be sent as far as it isn't among it.

    Where that can't be done the old one is put back, for the next try, and StoreUnavailable raised.
    """
    try:
        aside = directory.set_aside(name, now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
        try:
            new, carried = _salvaged(aside, directory.private_file(name), waiting)
        except BaseException:
            directory.put_back(aside, name)
            raise
    except BaseException:
        opened.db = _connect(directory.path / name)
        with suppress(StoreUnavailable, sqlite3.Error):  # as far as what is damaged lets it be
            _settle(opened.db)
        raise
    opened.db = new
    opened.unchecked = False
    opened.lost = True
    opened.troubles.append(f"{reason}; it is kept as {aside.name}, and a new one was begun: {carried}")


def _salvaged(damaged: Path, path: Path, waiting: Iterable[NewDelivery]) -> tuple[Database, Carried]:
    new = _connect(path)
    try:
        with outside_told():
            _settle(new)
            carried = carry_over(damaged, new)
            migrate(new)
            with new.atomic():
                new.conn.executemany(deliveries.PUT_DELIVERY_ONCE, map(deliveries.new_delivery_row, waiting))
    except OSError as error:
        new.close()
        raise StoreUnavailable(
            f"nothing can be carried over: {error}", full=error.errno == errno.ENOSPC
        ) from error
    except BaseException:
        new.close()
        raise
    return new, carried


def reopen(opened: Opened, path: Path) -> None:
    """The file or its log was removed: write it anew from what is still open, and go on with that.

    Raises OSError, sqlite3.Error or StoreUnavailable, and goes on as before.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(new)) as copy:
            opened.db.conn.backup(copy)
        # The log of the old one first: it isn't the new one's. What is open stays so, whatever name it has.
        for old in (log_of(path), path.with_name(f"{path.name}-shm")):
            old.unlink(missing_ok=True)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    # Closed before the new one is opened: SQLite takes the log of that name away with the old one.
    opened.db.close()
    try:
        opened.db = _connect(path)
        _settle(opened.db)
    except (StoreUnavailable, sqlite3.Error):
        opened.db.close()
        opened.db = _connect(path)
        _settle(opened.db)


def open_reading(path: Path) -> Database:
    """A connection that can't write, for one short query. Raises StoreUnavailable."""
    with outside_told():
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT
        )
    return Database(connection, execute_plugins=False)


def log_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def check(db: Database) -> None:
    """Raises Damaged where SQLite finds something wrong."""
    with outside_told():
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Damaged(f"the database is damaged ({found:.200})")


def _connect(path: Path) -> Database:
    # isolation_level None: transactions begin where we say so, never behind our back.
    with outside_told():
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=_BUSY_TIMEOUT, check_same_thread=False
        )
    return Database(connection, execute_plugins=False)


def _prepare(opened: Opened, path: Path) -> None:
    db = opened.db
    if not opened.unchecked:
        check(db)
    with outside_told():
        refuse_foreign(db, path)
        _settle(db)
        if db.table_names() and (steps := pending_steps(db)):
            _copy_before(db, path, steps[0], opened)
        migrate(db)


def _copy_before(db: Database, path: Path, step: str, opened: Opened) -> None:
    """What is to be brought up to date is kept as it is, for who wants to go back; the last such copy only."""
    copy = path.with_name(f"{path.name}.before-{step}")
    new = copy.with_name(f"{copy.name}.new")
    try:
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        with closing(sqlite3.connect(new)) as kept:
            db.conn.backup(kept)
        new.replace(copy)
    except (OSError, sqlite3.OperationalError) as error:
        new.unlink(missing_ok=True)
        opened.troubles.append(f"the database is brought up to date without a copy of how it was: {error}")
        return
    for older in path.parent.glob(f"{path.name}.before-*"):
        if older != copy:
            with suppress(OSError):
                older.unlink()


def _settle(db: Database) -> None:
    # Before the first table, or never: lets retention give space back in small steps.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # WAL with FULL loses no acknowledged commit to a power cut; NORMAL does.
    if (mode := db.execute("PRAGMA journal_mode = WAL").fetchone()[0]) != "wal":
        raise StoreUnavailable(f"no write-ahead log here (only {mode}); put state_dir on a local disk")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")


def _facts(db: Database, *, without_log: bool) -> Facts:
    with outside_told():
        meta = dict(db.execute(rows.GET_META).fetchall())
        alerts, messages = db.execute(rows.GET_HIGHEST).fetchone()
    return Facts(
        database=meta.get(rows.DATABASE_ID, ""),
        alerts=alerts or 0,
        deliveries=messages or 0,
        alive_at=meta.get(rows.ALIVE_AT, ""),
        marked=rows.OPENED_AT in meta,
        without_log=without_log,
    )


def taken(path: Path) -> str:
    """What to say of a database that was copied from a running daemon without its log; "" of any other.

    Raises StoreUnavailable where we may not look.
    """
    if not is_there(path) or size_of(log_of(path)):
        return ""
    try:
        with open_reading(path) as db:
            meta = dict(db.execute(rows.GET_META).fetchall())
    except (sqlite3.Error, StoreUnavailable):
        return ""  # who reads it in earnest says what is wrong
    last = last_run.read(path.parent)
    at_home = last is not None and last.database == meta.get(rows.DATABASE_ID)
    return f"{path}: {last_run.TAKEN}" if rows.OPENED_AT in meta and not at_home else ""


def is_there(path: Path) -> bool:
    """Raises StoreUnavailable where we may not look, or can't."""
    return _stat(path) is not None


def size_of(path: Path) -> int:
    """Bytes; 0 where there is no such file. Raises StoreUnavailable as `is_there` does."""
    found = _stat(path)
    return found.st_size if found is not None else 0


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise StoreUnavailable(f"{path.parent} is another user's; ask as that one, or with sudo") from None
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be looked at: {error.strerror or error}") from None
