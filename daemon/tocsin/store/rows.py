"""Between what the daemon holds and what the tables hold: the statements, and the rows that go with them. No I/O."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import msgspec

from tocsin.events import (
    Change,
    Instant,
    Key,
    Sample,
    SamplesDropped,
    Stamps,
    Venue,
    from_iso,
    iso,
    number_text,
    stored_number,
)
from tocsin.events.vocabulary import bits_of_fields, fields_of_bits, from_plain, to_plain
from tocsin.store.model import (
    Acked,
    Act,
    AlertRow,
    ButtonRow,
    EquityRow,
    HeldRow,
    InstanceRow,
    RunRow,
    SessionRow,
    Silence,
    TrailRow,
)
from tocsin.store.sql import Row, insert, iso_or_none, json_mapping, json_text, record_of, upsert

_decode_words = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_marks = msgspec.json.Decoder(list[dict[str, Any]]).decode
_words = lru_cache(maxsize=1024)(_decode_words)  # the same few event names, a hundred thousand times


# ---------------------------------------------------------------------------------------------------- entities, events

_ENTITY_COLUMNS = (
    "venue", "kind", "account", "id", "symbol", "ended", "origin", "events", "known_since", "time", "received_at",
    "last_seen", "sent", "stamps", "unconfirmed_since", "data",
)  # fmt: skip
PUT_ENTITY = upsert("entities", _ENTITY_COLUMNS, ("venue", "kind", "account", "id"))
DROP_ENTITY = "DELETE FROM entities WHERE venue = ? AND kind = ? AND account = ? AND id = ?"
GET_ENTITIES = f"SELECT {', '.join(_ENTITY_COLUMNS)} FROM entities"  # noqa: S608 - names are ours


def entity_row(change: Change) -> Row:
    return (
        *change.key,
        change.symbol,
        int(change.ended),
        change.origin,
        json_text(change.events),
        iso(change.known_since),
        iso(change.time),
        iso(change.received),
        iso_or_none(change.last_seen),
        json_text(change.sent),
        stamps_text(change),
        iso_or_none(change.unconfirmed_since),
        json_text(to_plain(change.state)),
    )


def stamps_text(change: Change) -> str | None:
    """How new the entity is: `[{"updated": …, "time": …, "fields": […]}]`, an object for all that came by one message.

    A sequence isn't kept: it counts within one connection.
    """
    if change.stamps is None:
        return None
    plain = []
    for mark in change.stamps:
        kept: dict[str, Any] = {
            name: iso(at)
            for name, at in (("begun", mark.begun), ("updated", mark.updated), ("time", mark.time))
            if at is not None
        }
        if mark.fields:
            kept["fields"] = fields_of_bits(change.kind, mark.fields)
        plain.append(kept)
    return json_text(plain)


def _stamps(kind: str, text: str | None) -> tuple[Stamps, ...] | None:
    if text is None:
        return None
    found = []
    for kept in _decode_marks(text):
        begun, updated, time = (
            from_iso(kept[name]) if name in kept else None for name in ("begun", "updated", "time")
        )
        fields = bits_of_fields(kind, kept.get("fields", ()))
        found.append(Stamps(begun=begun, updated=updated, time=time, connection=-1, fields=fields))
    return tuple(found)


def entity(row: Sequence[Any]) -> Change:
    """The entity as it stood. KeyError or ValueError where the row isn't one that this vocabulary knows."""
    (
        venue,
        kind,
        account,
        id_,
        symbol,
        ended,
        origin,
        events,
        known_since,
        time,
        received,
        seen,
        sent,
        stamps,
        unconfirmed,
        data,
    ) = row
    return Change(
        key=Key(venue, kind, account, id_),
        events=_words(events),
        state=from_plain(kind, json_mapping(data)),
        previous=None,
        origin=origin,
        time=from_iso(time),
        received=from_iso(received),
        known_since=from_iso(known_since),
        ended=bool(ended),
        symbol=symbol,
        last_seen=from_iso(seen) if seen is not None else None,
        sent=_words(sent),
        stamps=_stamps(kind, stamps),
        unconfirmed_since=from_iso(unconfirmed) if unconfirmed else None,
    )


PUT_OPERATION = upsert("operations", ("venue", "account", "id", "received_at"), ("venue", "account", "id"))
GET_OPERATIONS = "SELECT venue, account, id FROM operations ORDER BY received_at, rowid"
DROP_OPERATIONS = "DELETE FROM operations WHERE venue = ?"


def operation(row: Sequence[Any]) -> tuple[str, str, str]:
    venue, account, id_ = row
    return venue, account, id_


PUT_EVENT = insert(
    "events",
    ("received_at", "time", "venue", "event", "account", "entity", "symbol", "origin", "data"),
)


def event_rows(change: Change) -> Iterable[Row]:
    """One row an event; each holds the fields as they stood after it, and the message."""
    data = json_text(to_plain(change.state) | ({} if change.raw is None else {"raw": change.raw}))
    received, time = iso(change.received), iso(change.time)
    for name in change.events:
        yield (
            received,
            time,
            change.venue,
            name,
            change.account,
            change.key.id,
            change.symbol,
            change.origin,
            data,
        )


_VENUE_FIELDS = ("status", "reason", "attempts", "since", "last_message", "unconfirmed")
PUT_VENUE = upsert("venues", ("venue", *_VENUE_FIELDS, "updated_at"), ("venue",))


DROP_VENUE = "DELETE FROM venues WHERE venue = ?"


def venue_row(change: Change) -> Row:
    plain = to_plain(change.state)
    return (change.venue, *(plain.get(name) for name in _VENUE_FIELDS), iso(change.received))


def is_venue(change: Change) -> bool:
    return isinstance(change.state, Venue)


# --------------------------------------------------------------------------------------------------- instances, alerts

PUT_INSTANCE = upsert("instances", ("rule", "instance", "updated_at", "data"), ("rule", "instance"))
DROP_INSTANCE = "DELETE FROM instances WHERE rule = ? AND instance = ?"
GET_INSTANCES = "SELECT rule, instance, data FROM instances"
instance = partial(record_of, InstanceRow)

# What is held is told in the order in which it was held; an upsert leaves it its place.
PUT_HELD = upsert("held", ("alert", "rule", "reason", "updated_at", "data"), ("alert",))
DROP_HELD = "DELETE FROM held WHERE alert = ?"
GET_HELD = "SELECT alert, rule, reason, data FROM held ORDER BY rowid"
held = partial(record_of, HeldRow)

_SILENCE_COLUMNS = Silence.__struct_fields__
PUT_SILENCE = upsert("silences", _SILENCE_COLUMNS, ("id",))
GET_SILENCES = (
    f"SELECT {', '.join(_SILENCE_COLUMNS)} FROM silences WHERE ended_at IS NULL ORDER BY created_at, id"  # noqa: S608 - names are ours
)
silence = partial(record_of, Silence)

PUT_ALERT = upsert("alerts", AlertRow.__struct_fields__, ("id",))
PUT_ACKED = "UPDATE alerts SET acked_at = ?, acked_by = ?, acked_until = ? WHERE id = ?"
PUT_BUTTON = insert("buttons", ButtonRow.__struct_fields__)
DROP_BUTTON = "DELETE FROM buttons WHERE id = ?"
DROP_OLD_BUTTONS = "DELETE FROM buttons WHERE expires_at < ?"
GET_BUTTON = f"SELECT {', '.join(ButtonRow.__struct_fields__)} FROM buttons WHERE id = ?"  # noqa: S608 - names are ours
_RUN_COLUMNS = RunRow.__struct_fields__
PUT_RUN = upsert("actions", _RUN_COLUMNS, ("id",))
GET_RUNS = f"SELECT {', '.join(_RUN_COLUMNS)} FROM actions WHERE status IN ('asked', 'pending', 'begun') ORDER BY created_at, rowid"  # noqa: S608 - names are ours
# Of the last day: for longer no rate of an action counts.
GET_STARTED = "SELECT action, started_at FROM actions WHERE started_at > strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 day') ORDER BY started_at"
run = partial(record_of, RunRow)


def started(row: Sequence[Any]) -> tuple[str, datetime]:
    """Which action's run began when."""
    action, at = row
    return action, from_iso(at)


PUT_SESSION = upsert("sessions", SessionRow.__struct_fields__, ("id",))
DROP_SESSION = "DELETE FROM sessions WHERE id = ?"
GET_SESSIONS = f"SELECT {', '.join(SessionRow.__struct_fields__)} FROM sessions"  # noqa: S608 - names are ours
session = partial(record_of, SessionRow)

PUT_ACT = insert("acts", Act.__struct_fields__)


def acked_row(acked: Acked) -> Row:
    return iso_or_none(acked.at), acked.by if acked.at else None, iso_or_none(acked.until), acked.alert


# ------------------------------------------------------------------------------------------------------------- samples

_SAMPLE_COLUMNS = ("series", "instance", "time", "value")
PUT_SAMPLE = insert("samples", _SAMPLE_COLUMNS)
GET_SAMPLES = f"SELECT {', '.join(_SAMPLE_COLUMNS)} FROM samples ORDER BY id"  # noqa: S608 - names are ours
GET_SERIES = f"SELECT {', '.join(_SAMPLE_COLUMNS)} FROM samples WHERE series = ? ORDER BY id"  # noqa: S608 - names are ours
DROP_SAMPLES = "DELETE FROM samples WHERE series = ? AND instance = ? AND time < ?"
DROP_SERIES = "DELETE FROM samples WHERE series = ? AND time < ?"
_NO_END = "~"  # after any time


def sample_row(sample: Sample) -> Row:
    return (sample.series, sample.instance, iso(sample.at), number_text(sample.value))


def sample(row: Sequence[Any]) -> Sample:
    series, instance, time, value = row
    return Sample(series, instance, from_iso(time), Decimal(value))


def samples_gone(gone: SamplesDropped) -> tuple[str, Row]:
    """The statement, and what goes with it."""
    before = iso(gone.before) if gone.before is not None else _NO_END
    if gone.instance is None:
        return DROP_SERIES, (gone.series, before)
    return DROP_SAMPLES, (gone.series, gone.instance, before)


# -------------------------------------------------------------------------------------------------------------- trails

PUT_TRAIL = upsert("trails", TrailRow.__struct_fields__, ("alert", "at"))
SPARSER = """
    DELETE FROM trails WHERE rowid IN (
        SELECT rowid FROM (SELECT rowid, row_number() OVER (ORDER BY at) AS place FROM trails WHERE alert = ?)
        WHERE place % 2 = 0
    )
"""
GET_TRAIL = "SELECT at, value FROM trails WHERE alert = ? ORDER BY at"
PUT_EQUITY = upsert("equity", EquityRow.__struct_fields__, ("venue", "account", "at"))
GET_EQUITY = "SELECT at, value FROM equity WHERE venue = ? AND account = ? AND at >= ? ORDER BY at"
GET_ALL_EQUITY = "SELECT venue, account, at, value FROM equity WHERE at >= ? ORDER BY at"
equity_row = partial(record_of, EquityRow)


def valued_at(row: Sequence[Any]) -> tuple[datetime, Decimal]:
    at, value = row
    return from_iso(at), stored_number(value)


# ---------------------------------------------------------------------------------------------------------------- meta

PUT_META = upsert("meta", ("key", "value"), ("key",))
PUT_META_ONCE = insert("meta", ("key", "value")).replace("INSERT", "INSERT OR IGNORE", 1)
PRICES_LEFT_OUT = "prices_left_out_since"
DROP_META = "DELETE FROM meta WHERE key = ?"
GET_META = "SELECT key, value FROM meta"
ALIVE_AT, ALIVE_STEADY = "alive_at", "alive_steady"
DATABASE_ID = "database_id"
NOTE = "note "  # the beginning of the keys of small things that rooms keep
OPENED_AT = "opened_at"  # there from the opening to the closing: what has it was copied from a running daemon, or it died
GET_HIGHEST = "SELECT (SELECT max(rowid) FROM alerts), (SELECT max(sequence) FROM deliveries)"
GET_ALIVE = "SELECT (SELECT value FROM meta WHERE key = ?), (SELECT value FROM meta WHERE key = ?)"


def text_pair(row: Sequence[Any]) -> tuple[str, str]:
    key, value = row
    return key, value


def notes(meta: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The small things that rooms keep, by their keys."""
    return {key.removeprefix(NOTE): value for key, value in meta if key.startswith(NOTE)}


def alive(row: Sequence[Any]) -> Instant | None:
    """When the daemon last wrote that it lives."""
    at, steady = row
    return Instant(from_iso(at), float(steady)) if at and steady else None
