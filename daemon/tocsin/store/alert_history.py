"""Alerts for who looks at them: one with all that became of it, and all of them step by step, by key, so that the millionth costs what
the first does.

Rows are those of `Reader`; each call is one query, by an index, and raises as those do.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

from tocsin.events import Key
from tocsin.store.model import EDIT
from tocsin.store.reader import ALERTS, FIRING, Reader, Row
from tocsin.store.sql import json_text

_BY_URGENCY = """
    acked_at IS NOT NULL, CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, fired_at DESC, id
"""


class Place(NamedTuple):
    """Where one is in the history: behind the alert that fired then (ISO 8601), of that id."""

    fired_at: str
    id: str


LATEST = Place("~", "")  # after any time
_STEP = """
    SELECT id, rule, severity, venue, account, entity, symbol, state, fired_at, {kind} AS kind, {event} AS event
    FROM alerts INDEXED BY {index} WHERE {where} (fired_at, id) < (?, ?) ORDER BY fired_at DESC, id DESC LIMIT ?
"""
_INDEX = {None: "alerts_fired_at", "rule": "alerts_rule", "entity": "alerts_entity"}


def alert(reader: Reader, id_: str) -> Row | None:
    """As `Reader.alerts` has it; None where there is none of exactly that id."""
    found = reader.rows(f"{ALERTS} WHERE id = ?", id_)
    return found[0] if found else None


def firing(reader: Reader, *, limit: int) -> list[Row]:
    """The alerts that fire or recover, those that nobody has first, and of these the worst."""
    these = f"SELECT id FROM alerts INDEXED BY alerts_active WHERE {FIRING} ORDER BY {_BY_URGENCY} LIMIT ?"  # noqa: S608 - ours
    return reader.rows(f"{ALERTS} WHERE id IN ({these}) ORDER BY {_BY_URGENCY}", limit)


def step(
    reader: Reader,
    before: Place,
    *,
    only: tuple[Literal["rule", "entity"], str] | None = None,
    details: bool = False,
    limit: int,
) -> list[Row]:
    """The next of all alerts, the latest first, in a few columns: of one rule or entity `only`; with `details` their `kind` and `event`,
    which are None else.
    """
    column = only[0] if only is not None else None
    query = _STEP.format(  # names are ours
        index=_INDEX[column],
        where=f"{column} = ? AND" if column is not None else "",
        kind="json_extract(data, '$.kind')" if details else "NULL",
        event="json_extract(data, '$.event')" if details else "NULL",
    )
    return reader.rows(query, *(only[1:] if only is not None else ()), before.fired_at, before.id, limit)


def by_ids(reader: Reader, ids: Collection[str]) -> list[Row]:
    """These alerts, as `Reader.alerts` has them, the latest first."""
    which = "id IN (SELECT value FROM json_each(?))"
    return reader.rows(f"{ALERTS} WHERE {which} ORDER BY fired_at DESC, id DESC", json_text([*ids]))


def about(reader: Reader, alert_: Row, *, limit: int) -> list[Row]:
    """What else was told of the entity (or group) of an alert, what fires first, then the latest."""
    return reader.rows(
        f"{ALERTS} INDEXED BY alerts_entity WHERE entity = ? AND venue = ? AND account IS ? AND id <> ?"
        f" ORDER BY NOT {FIRING}, fired_at DESC LIMIT ?",
        alert_["entity"], alert_["venue"], alert_["account"], alert_["id"], limit,
    )  # fmt: skip


def messages(reader: Reader, alert_: str, *, limit: int) -> list[Row]:
    """What was told of an alert, or waits to be, by each channel: the latest `limit`, the first first. Edits are left out."""
    found = reader.rows(
        f"SELECT * FROM delivery_history WHERE alert = ? AND state_told <> '{EDIT}' LIMIT ?",  # noqa: S608 - ours
        alert_, limit,
    )  # fmt: skip
    return found[::-1]


def fired_with(reader: Reader, alert_: str) -> Row | None:
    """The context (`data`) with which it was told that an alert fires; None where that wasn't told."""
    query = "SELECT context AS data FROM deliveries WHERE alert = ? AND state_told = 'firing' ORDER BY sequence LIMIT 1"
    found = reader.rows(query, alert_)
    return found[0] if found else None


def runs(reader: Reader, alert_: str, *, limit: int) -> list[Row]:
    """The runs of actions that an alert started, in their order."""
    return reader.rows(
        "SELECT id, action, status, reason, command, created_at, started_at, ended_at, result, told, attempts, asked_at, answered_at,"
        " answered_by FROM actions WHERE alert = ? ORDER BY created_at, rowid LIMIT ?",
        alert_, limit,
    )  # fmt: skip


def entity(reader: Reader, key: Key) -> Row | None:
    """An entity as the database has it, its fields as `data`; None where it isn't known."""
    found = reader.rows(
        "SELECT venue, kind, account, id, symbol, ended, received_at, last_seen, unconfirmed_since, data FROM entities"
        " WHERE venue = ? AND kind = ? AND account = ? AND id = ?",
        *key,
    )
    return found[0] if found else None
