"""What all statements and rows are made with."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from sqlite_utils import Database

from tocsin.events import iso

Row: TypeAlias = tuple[str | int | None, ...]

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_text(value: Any) -> str:
    return _encode(value).decode()


def json_mapping(text: str) -> dict[str, Any]:
    """ValueError on what is no JSON object."""
    return _decode(text)


UNREADABLE = (ValueError, KeyError, TypeError, ArithmeticError, AttributeError)
"""What reading a damaged row, or another version's, may raise; msgspec's and Unicode's errors are ValueErrors."""


def each(db: Database, query: str, asked: Sequence[Any] | dict[str, Any] = ()) -> Iterator[Sequence[Any]]:
    """The rows, one by one. Text that isn't UTF-8, which only damage brings about, comes as its bytes: see `whole`."""
    seen = 0
    try:
        for row in db.execute(query, asked):
            seen += 1
            yield row
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    else:
        return
    text_factory, db.conn.text_factory = db.conn.text_factory, _text_or_bytes
    try:
        rows = db.execute(query, asked).fetchall()
    finally:
        db.conn.text_factory = text_factory
    yield from rows[seen:]


def whole(row: Sequence[Any]) -> Sequence[Any]:
    """The row. ValueError where a text of it isn't one; we keep no bytes."""
    if bytes in map(type, row):
        raise ValueError("a text that is none")
    return row


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def flat_error(error: Exception) -> str:
    """What is wrong with a row, fit to be kept: on one line, without the row's own broken text."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.encode("ascii", errors="replace").decode()[:200]


def insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names are ours


def upsert(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """Columns that aren't listed keep what they hold."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"


def iso_or_none(time: datetime | None) -> str | None:
    return iso(time) if time else None
