"""What all tables are read and written with: the connection, transactions, JSON, statements."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, TypeAlias, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, field, structs
from sqlite_utils import Database

from tocsin.events import from_iso, iso, number_text, stored_number
from tocsin.store.errors import outside_told

Row: TypeAlias = tuple[str | int | None, ...]
R = TypeVar("R", bound=Struct)

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Opened(Struct):
    """The one writing connection, and what was found.

    `troubles` are to be told to people. `lost`: what was known of alerts is lost in part, and conditions that hold may be
    told again. `unchecked`: nobody has looked through it yet.
    """

    db: Database
    troubles: list[str] = field(default_factory=list)
    lost: bool = False
    unchecked: bool = False


@contextmanager
def transaction(opened: Opened) -> Iterator[Database]:
    """All that is done within, or nothing. Raises StoreUnavailable where the machine is the reason."""
    with outside_told(), opened.db.atomic():
        yield opened.db


def json_text(value: Any) -> str:
    return _encode(value).decode()


def json_mapping(text: str) -> dict[str, Any]:
    """ValueError on what is no JSON object."""
    return _decode(text)


def row_of(record: Struct) -> Row:
    """The cells of a record, in the order of its fields: times as ISO 8601 text, numbers as their digits, mappings as JSON, the rest as it is."""
    return tuple(map(_cell, structs.astuple(record)))


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):
        return number_text(value)
    return json_text(value) if isinstance(value, Mapping) else value


def record_of(shape: type[R], row: Sequence[Any]) -> R:
    """The record whose `row_of` this is; NULL is None, where the field can be. One of `UNREADABLE` where it is none."""
    cells = zip(_readers(shape).items(), row, strict=True)
    return shape(**{name: read(cell) for (name, read), cell in cells})


@cache
def _readers(shape: type[Struct]) -> dict[str, Callable[[Any], Any]]:
    """How a cell of each field is read."""
    return {field.name: _reader(field.type) for field in structs.fields(shape)}


def _reader(kind: Any) -> Callable[[Any], Any]:
    """A mapping is never NULL in a row: None in its place says that the row goes."""
    kinds = {get_origin(each) or each for each in (kind, *get_args(kind))}  # of `X | None` also X
    if Mapping in kinds:
        return json_mapping
    read = from_iso if datetime in kinds else stored_number if Decimal in kinds else _as_it_is
    return _or_none(read) if NoneType in kinds else read


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda cell: None if cell is None else read(cell)


def _as_it_is(cell: Any) -> Any:
    if cell is None:
        raise ValueError("no value")  # of a column that has one in all rows: only damage brings it about
    return cell


UNREADABLE = (ValueError, KeyError, TypeError, ArithmeticError, AttributeError)
"""What reading a damaged row, or another version's, may raise; msgspec's and Unicode's errors are ValueErrors."""


def each(
    db: Database,
    query: str,
    asked: Sequence[Any] | dict[str, Any] = (),
    columns: list[str] | None = None,
) -> Iterator[Sequence[Any]]:
    """The rows, one by one. Text that isn't UTF-8, which only damage brings about, comes as its bytes: see `whole`.

    `columns` gets their names, before the first row.
    """
    seen = 0
    try:
        found = db.execute(query, asked)
        if columns is not None:
            columns[:] = [column[0] for column in found.description]
        for row in found:
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
