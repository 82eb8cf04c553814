"""`unreadable.jsonl` in the state directory: rows that could not be read, a line each, for who wants to know what was lost."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from tocsin.events import iso
from tocsin.store.model import UnreadableRow

FILE = "unreadable.jsonl"


class Unreadable(Struct, frozen=True):
    """A row of a table, and why it can't be read."""

    table: str
    rowid: int
    row: Sequence[Any]
    why: str

    def __str__(self) -> str:
        return f"{self.table} {_shown(self.row[:4])!r:.200}: {self.why}"


_BY_KEY = {
    "instances": "SELECT rowid, * FROM instances WHERE rule = ? AND instance = ?",
    "held": "SELECT rowid, * FROM held WHERE alert = ?",
    "silences": "SELECT rowid, * FROM silences WHERE id = ?",
    "actions": "SELECT rowid, * FROM actions WHERE id = ?",
}


def as_kept(db: Database, row: UnreadableRow) -> Iterator[Unreadable]:
    """The row as it stands in its table, if it does."""
    for rowid, *cells in db.execute(_BY_KEY[row.table], row.key).fetchall():
        yield Unreadable(row.table, rowid, cells, row.why)


def keep(folder: Path, rows: Sequence[Unreadable], now: datetime) -> None:
    """Adds the rows to the file, which only its owner may read. Raises OSError."""
    lines = b"".join(
        msgspec.json.encode(
            {"found_at": iso(now), "table": row.table, "row": _shown(row.row), "why": row.why}
        )
        + b"\n"
        for row in rows
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(folder / FILE, flags, 0o600), "wb") as file:
        file.write(lines)


def _shown(row: Sequence[Any]) -> list[Any]:
    return [cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in row]
