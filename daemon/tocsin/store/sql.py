"""What all statements and rows are made with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from tocsin.events import iso

Row: TypeAlias = tuple[str | int | None, ...]

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_text(value: Any) -> str:
    return _encode(value).decode()


def json_mapping(text: str) -> dict[str, Any]:
    """ValueError on what is no JSON object."""
    return _decode(text)


def insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names are ours


def upsert(table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """Columns that aren't listed keep what they hold."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"


def iso_or_none(time: datetime | None) -> str | None:
    return iso(time) if time else None
