"""What is forgotten, and when: by age, then by size; market data first, and never what is unsent or still firing.

Each call removes a chunk and returns, so that commits are never held up for long.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from sqlite_utils import Database

from tocsin.events import KINDS, Key, iso
from tocsin.events.vocabulary import events
from tocsin.store.model import SESSION_LASTS, Retention

CHUNK = 500  # rows of a table
EQUITY_KEPT = timedelta(hours=48)
"""For so long it is kept what accounts were worth."""
_PAGES_GIVEN_BACK = 256  # a call

_MARKET_EVENTS = tuple(name for kind in KINDS.values() if kind.market_data for name in events(kind.kind))
# An entity that an alert still speaks of stays, whatever became of it.
_FORGETTABLE_ENTITY = """
    ended = 1 AND NOT EXISTS (
        SELECT 1 FROM alerts AS a
        WHERE a.state IN ('firing', 'recovering') AND a.venue = entities.venue AND a.entity = entities.id
    )
"""
_FORGETTABLE_ALERT = """
    state IN ('resolved', 'event') AND NOT EXISTS (
        SELECT 1 FROM deliveries AS d WHERE d.alert = alerts.id AND d.status = 'pending'
    ) AND NOT EXISTS (SELECT 1 FROM held WHERE held.alert = alerts.id)
    AND NOT EXISTS (SELECT 1 FROM actions AS r WHERE r.alert = alerts.id AND r.status IN ('pending', 'begun'))
"""


class Pruned(Struct, frozen=True, kw_only=True):
    """What one call removed; `acts`: what people did, and silences; `sessions`: of the page; `equity`: what accounts were worth. `more`: there is more to remove; `over`: too large, and nothing may be removed."""

    events: int = 0
    operations: int = 0
    alerts: int = 0
    deliveries: int = 0
    entities: tuple[Key, ...] = ()
    acts: int = 0
    sessions: int = 0
    equity: int = 0
    more: bool = False
    over: bool = False

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(
            events=self.events + other.events,
            operations=self.operations + other.operations,
            alerts=self.alerts + other.alerts,
            deliveries=self.deliveries + other.deliveries,
            entities=self.entities + other.entities,
            acts=self.acts + other.acts,
            sessions=self.sessions + other.sessions,
            equity=self.equity + other.equity,
            more=other.more,
            over=other.over,
        )

    def __bool__(self) -> bool:
        counts = (
            self.events,
            self.operations,
            self.alerts,
            self.deliveries,
            self.acts,
            self.sessions,
            self.equity,
        )
        return any(counts) or bool(self.entities)


def prune(db: Database, retention: Retention, now: datetime) -> Pruned:
    """Removes one chunk, in one transaction; then gives space back to the disk while the file is too large."""
    pruned = Pruned()
    with db.atomic():
        for step in _by_age(db, retention, now):
            pruned += step
        if not pruned and (over := _used(db) > retention.max_size):
            pruned = next(filter(None, _by_size(db)), Pruned(over=over))
    # What one chunk may have left is found by the next call.
    return pruned + Pruned(more=bool(pruned) or _give_back(db, retention), over=pruned.over)


def _by_age(db: Database, retention: Retention, now: datetime) -> Iterator[Pruned]:
    events_before, alerts_before = iso(now - retention.events), iso(now - retention.alerts)
    yield _drop_events(db, "received_at < ?", events_before)
    yield _drop_entities(db, "received_at < ?", events_before)
    yield Pruned(
        operations=_delete(db, "operations", "rowid", "received_at < ?", "received_at", events_before)
    )
    yield _drop_alerts(db, "fired_at < ? AND coalesce(resolved_at, '') < ?", alerts_before, alerts_before)
    # Notifications that were about no alert of ours.
    yield Pruned(
        deliveries=_delete(
            db,
            "deliveries",
            "sequence",
            "created_at < ? AND status <> 'pending' AND alert NOT IN (SELECT id FROM alerts)",
            "created_at",
            alerts_before,
        )
    )
    over = "coalesce(ended_at, ends_at) < ?"
    yield Pruned(acts=_delete(db, "acts", "id", "at < ?", "at", alerts_before))
    yield Pruned(equity=_delete(db, "equity", "rowid", "at < ?", "at", iso(now - EQUITY_KEPT)))
    yield Pruned(acts=_delete(db, "silences", "rowid", over, "ends_at", alerts_before))
    yield Pruned(
        sessions=_delete(db, "sessions", "rowid", "seen_at < ?", "seen_at", iso(now - SESSION_LASTS))
    )


def _by_size(db: Database) -> Iterator[Pruned]:
    """Steps that free space: market events, then other events, ended entities, finished alerts. Each runs only where those before found nothing."""
    oldest = {
        name: received_at
        for name in _MARKET_EVENTS
        for (received_at,) in db.execute("SELECT min(received_at) FROM events WHERE event = ?", [name])
        if received_at
    }
    if oldest:
        yield _drop_events(db, "event = ?", min(oldest, key=lambda name: oldest[name]))
    yield _drop_events(db, "true")
    yield _drop_entities(db, "true")
    yield _drop_alerts(db, "true")


def _drop_events(db: Database, which: str, *values: str) -> Pruned:
    return Pruned(events=_delete(db, "events", "id", which, "received_at", *values))


def _drop_entities(db: Database, which: str, *values: str) -> Pruned:
    rows = db.execute(
        f"""
        DELETE FROM entities WHERE rowid IN (
            SELECT rowid FROM entities WHERE {which} AND {_FORGETTABLE_ENTITY} ORDER BY received_at LIMIT {CHUNK}
        ) RETURNING venue, kind, account, id
        """,  # noqa: S608 - conditions are ours, above
        values,
    ).fetchall()
    return Pruned(entities=tuple(Key(*row) for row in rows))


def _drop_alerts(db: Database, which: str, *values: str) -> Pruned:
    """Finished alerts with their deliveries, actions and trails."""
    ids = db.execute(
        f"SELECT id FROM alerts WHERE {which} AND {_FORGETTABLE_ALERT} ORDER BY fired_at LIMIT {CHUNK}",  # noqa: S608 - same
        values,
    ).fetchall()
    deliveries = 0
    for alert in ids:
        deliveries += db.execute("DELETE FROM deliveries WHERE alert = ?", alert).rowcount
        for table in ("actions", "trails"):
            db.execute(f"DELETE FROM {table} WHERE alert = ?", alert)  # noqa: S608 - ours
        db.execute("DELETE FROM alerts WHERE id = ?", alert)
    return Pruned(alerts=len(ids), deliveries=deliveries)


def _delete(db: Database, table: str, key: str, which: str, order: str, *values: str) -> int:
    statement = f"""
        DELETE FROM {table} WHERE {key} IN (
            SELECT {key} FROM {table} WHERE {which} ORDER BY {order} LIMIT {CHUNK}
        )
    """  # noqa: S608 - all words are ours, above
    count: int = db.execute(statement, values).rowcount
    return count


def _used(db: Database) -> int:
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def _give_back(db: Database, retention: Retention) -> bool:
    """Cuts free pages off a file that is larger than it may be; True where there are more."""
    pages = _pragma(db, "page_count")
    if pages * _pragma(db, "page_size") <= retention.max_size or not _pragma(db, "freelist_count"):
        return False
    # execute() would stop after the first page: to it, a statement without columns has no rows to step through.
    db.conn.executescript(f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK})")
    return _pragma(db, "page_count") < pages


def _pragma(db: Database, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value
