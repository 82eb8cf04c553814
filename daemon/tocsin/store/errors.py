"""Errors of the store: causes outside of the program (disk, locks, damage) apart from bugs of ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.errors import TocsinError

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DAMAGE_SAID = ("Could not decode to UTF-8", "malformed", "unsupported file format")
# Primary result codes (https://www.sqlite.org/rescode.html) that say something of the machine, not of our statements.
_OUTSIDE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk can't be read or written",
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "another connection holds the database",
    sqlite3.SQLITE_READONLY: "the database is not writable",
    sqlite3.SQLITE_PERM: "the database may not be accessed",
    sqlite3.SQLITE_CANTOPEN: "the database can't be opened",
    sqlite3.SQLITE_PROTOCOL: "the database's lock can't be had",
    sqlite3.SQLITE_INTERRUPT: "the query took too long",
    sqlite3.SQLITE_SCHEMA: "the database was made anew meanwhile",
}


class StoreError(TocsinError):
    """The database can't be worked on. No bug of ours: who only looks is told so."""


class StoreUnavailable(StoreError):
    """Nothing can be read or committed now, for a reason outside of the program; nothing of the call was kept.

    `reason` is fit to be shown; `full` says that room on the disk would help.
    """

    def __init__(self, reason: str, *, full: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.full = full


class Damaged(StoreUnavailable):
    """The file itself is broken: trying again doesn't help, a new one made of what can be read of it does."""


class StateInUse(TocsinError):
    """Another daemon works on this state directory. `pid` is its process, None where it couldn't be read."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{directory} is in use by {who}; stop that daemon, or give this one a state_dir of its own"
        )
        self.directory = directory
        self.pid = pid


class SchemaRefused(StoreError):
    """The database is sound, but not one that this version of Tocsin can work on."""


@contextmanager
def outside_told() -> Iterator[None]:
    """Turns SQLite's errors about the machine into StoreUnavailable; those that are bugs of ours pass unchanged."""
    try:
        yield
    except sqlite3.Error as error:
        code = _primary(error)
        if _is_damage(error):
            what = "the file is no database" if code == sqlite3.SQLITE_NOTADB else "the database is damaged"
            raise Damaged(f"{what} ({error})") from error
        if code not in _OUTSIDE:
            raise
        raise StoreUnavailable(f"{_OUTSIDE[code]} ({error})", full=code == sqlite3.SQLITE_FULL) from error
    except UnicodeDecodeError as error:
        raise Damaged("the database is damaged (a text of it is none)") from error


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken; of some kinds of damage it does so in words only."""
    return (
        _primary(error) in _DAMAGED
        or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
        or any(words in str(error) for words in _DAMAGE_SAID)
    )


def _primary(error: sqlite3.Error) -> int:
    # Errors that the sqlite3 module raises itself (a wrong number of parameters) carry no code.
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
