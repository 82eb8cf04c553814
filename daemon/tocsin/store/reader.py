"""The database for those who only look: the commands, and the control API. Never writes, never holds it for long."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from sqlite_utils import Database

from tocsin.events import Change, Instant, Key, Sample, iso
from tocsin.store import rows
from tocsin.store.deliveries import GET_CRITICAL_AT
from tocsin.store.errors import StoreUnavailable, outside_told
from tocsin.store.migrations import how_made, refuse_foreign, refuse_older
from tocsin.store.model import EDIT, EquityRow, HeldRow, InstanceRow, Loaded, Silence
from tocsin.store.opening import is_there, log_of, open_reading, size_of
from tocsin.store.schema import LATEST_SENT
from tocsin.store.sql import UNREADABLE, each, json_text, whole

Row: TypeAlias = dict[str, Any]
_T = TypeVar("_T")
_LOOK_EVERY = 20_000  # of SQLite's instructions, whether the time is up

_decode = msgspec.json.Decoder().decode
_LAST = "\U0010ffff"  # no text that begins so is greater
_AMONG = "IN (SELECT value FROM json_each(?))"
ALERTS = f"""
    SELECT id, rule, instance, venue, account, entity, symbol, state, severity, started_at, fired_at, resolved_at,
        acked_at, acked_by, acked_until, (SELECT h.reason FROM held AS h WHERE h.alert = a.id) AS held,
        coalesce({LATEST_SENT.format("title")}, title) AS title, coalesce({LATEST_SENT.format("body")}, body) AS body, data
    FROM alerts AS a
"""  # noqa: S608 - names are ours
FIRING = "state IN ('firing', 'recovering')"  # as the index alerts_active has it
_CALLED = f"(id {_AMONG} OR symbol {_AMONG} OR account {_AMONG})"


class Reader:
    """Each call is one query on a connection of its own, which is closed when it returns.

    Rows are dicts by column name, times and numbers as the database's text, `data` decoded. What the daemon itself goes
    on with is read as it reads it, and left out where this version can't. Every call raises StoreUnavailable where there
    is no database or it can't be read, SchemaRefused where it is another version's. `within`: how many seconds a connection may be
    at work before its query is given up; that, too, is StoreUnavailable.
    """

    def __init__(self, path: Path, within: float | None = None) -> None:
        self._path, self._within = path, within
        self._db: Database | None = None
        self._known: object = None  # how a file is made that was found to be ours

    @contextmanager
    def snapshot(self) -> Iterator["Reader"]:
        """A reader that sees everything as it is at one moment, on one connection."""
        with self._opened() as db, outside_told():
            db.execute("BEGIN")
            reader = Reader(self._path)
            reader._db = db
            yield reader

    def prices_left_out(self) -> bool:
        """Whether the events of what prices moved, of positions and accounts, were ever left out."""
        found = self._read(rows.GET_META, lambda row: row[0] == rows.PRICES_LEFT_OUT)
        return any(found)

    # ---------------------------------------------------------------------------------------------------- as it is told

    def alerts(self, *, active_only: bool = False, limit: int = 1000) -> list[Row]:
        """Alerts in the words of what was sent of each last, else in those to be sent, latest first; with `active_only` those that fire or recover."""
        which = f"INDEXED BY alerts_active WHERE {FIRING}" if active_only else ""
        return self.rows(f"{ALERTS} {which} ORDER BY fired_at DESC, id LIMIT ?", limit)

    def deliveries(
        self, *, unsent_only: bool = False, contexts: bool = False, limit: int = 1000
    ) -> list[Row]:
        """Deliveries with what they are about, latest first; with `unsent_only` those that wait or were given up.

        With `contexts` what those that wait are made of, too (JSON): `title` is of the alert until they are sent.
        """
        which = "h.status IN ('pending', 'dead')" if unsent_only else "true"
        of = "(SELECT d.context FROM deliveries AS d WHERE d.id = h.id AND d.status = 'pending') AS context"
        what = f"h.*, {of}" if contexts else "h.*"
        return self.rows(f"SELECT {what} FROM delivery_history AS h WHERE {which} LIMIT ?", limit)  # noqa: S608 - ours

    def critical_sent(self, channel: str, target: int, since: datetime, until: datetime) -> int:
        """How many critical firings went out there by themselves from `since` to `until`."""
        return len(self.rows(GET_CRITICAL_AT, iso(since), iso(until), channel, target))

    def unsent(self) -> list[Row]:
        """By `channel` how many deliveries are `waiting`, `since` when the oldest, and `critical_since` (or None); `next_try` of what failed."""
        return self.rows("""
            SELECT channel, count(*) AS waiting, min(created_at) AS since, min(CASE WHEN attempts THEN next_at END) AS next_try,
                min(CASE severity WHEN 'critical' THEN created_at END) AS critical_since
            FROM deliveries WHERE status = 'pending' GROUP BY channel
        """)

    def count_dead(self) -> int:
        """How many deliveries were given up."""
        return int(self.rows("SELECT count(*) AS dead FROM deliveries WHERE status = 'dead'")[0]["dead"])

    def undelivered(self, since: datetime) -> list[Row]:
        """By `channel` what was refused or unanswered: how much is `waiting` to be tried again, `oldest` since when; and how much that
        was put there `since` then was `given_up`, and is with no other channel.
        """
        return self.rows(
            f"""
            SELECT channel, sum(status = 'pending') AS waiting, min(CASE status WHEN 'pending' THEN created_at END) AS oldest,
                sum(status = 'dead') AS given_up
            FROM deliveries
            WHERE state_told <> '{EDIT}' AND handed_to IS NULL
                AND ((status = 'pending' AND attempts > 0) OR (status = 'dead' AND created_at > ?))
            GROUP BY channel ORDER BY channel
            """,  # noqa: S608 - ours
            iso(since),
        )

    def fired(self, since: datetime, limit: int) -> list[Row]:
        """The alerts that fired since then, the latest first, without what they are made of."""
        return self.rows(
            "SELECT id, rule, venue, account, entity, symbol, state, severity, fired_at, resolved_at, acked_at, acked_by,"
            " acked_until, title FROM alerts WHERE fired_at > ? ORDER BY fired_at DESC, id LIMIT ?",
            iso(since), limit,
        )  # fmt: skip

    def count_fired(self, since: datetime) -> int:
        """How many alerts fired since then."""
        found = self.rows("SELECT count(*) AS count FROM alerts WHERE fired_at > ?", iso(since))
        return int(found[0]["count"])

    def unheard(self, before: datetime, channels: Collection[str]) -> int:
        """How many critical notifications wait on one of these channels since before then, and no channel told anybody of that alert
        since they were put there. What a digest carries waits with the digest.
        """
        found = self.rows(
            f"""
            SELECT count(*) AS count FROM (
                SELECT DISTINCT d.alert, d.state_told FROM deliveries AS d
                WHERE d.status = 'pending' AND d.severity = 'critical' AND d.state_told <> '{EDIT}' AND d.digest IS NULL
                    AND d.created_at <= ? AND d.channel {_AMONG}
                    AND NOT EXISTS (
                        SELECT 1 FROM deliveries AS o WHERE o.alert = d.alert AND o.status = 'sent'
                            AND o.state_told <> '{EDIT}' AND o.created_at >= d.created_at
                    )
            )
            """,  # noqa: S608 - ours
            iso(before), json_text(list(channels)),
        )  # fmt: skip
        return int(found[0]["count"])

    def firing(self) -> list[Row]:
        """Of alerts that fire: how many (`count`) of a `severity` are `acked` (1) or aren't (0)."""
        return self.rows("""
            SELECT severity, acked_at IS NOT NULL AS acked, count(*) AS count
            FROM alerts WHERE state IN ('firing', 'recovering') GROUP BY severity, acked
        """)

    def venues(self) -> list[Row]:
        """The connections as they last stood."""
        return self.rows("SELECT * FROM venues ORDER BY venue")

    def told_of(self, what: Literal["venue", "account", "symbol"]) -> list[str]:
        """Every venue, account or symbol that is known, or that an alert was about."""
        query = f"""
            SELECT {what} AS told FROM entities WHERE {what} <> '' AND kind NOT IN ('venue', 'daemon')
            UNION SELECT {what} FROM alerts WHERE {what} <> ''
        """  # noqa: S608 - names are ours
        return [str(row["told"]) for row in self.rows(query)]

    def called_like(self, kinds: Collection[str], rule: str, beginning: str) -> list[str]:
        """Ids and accounts that begin so, of what is of these kinds, and what a rule's alerts whose ids begin so are about."""
        begins = f"substr({{}}, 1, {len(beginning)}) = ?"
        query = f"""
            SELECT id AS name FROM entities WHERE kind {_AMONG} AND {begins.format("id")}
            UNION SELECT account FROM entities WHERE kind {_AMONG} AND {begins.format("account")}
            UNION SELECT entity FROM alerts WHERE rule = ? AND ({begins.format("id")} OR {begins.format("entity")})
        """  # noqa: S608 - ours
        asked = json_text(list(kinds))
        found = self.rows(query, asked, beginning, asked, beginning, rule, beginning, beginning)
        return [str(row["name"]) for row in found]

    def ids_of(self, venue: str, kind: str, *, limit: int) -> list[str]:
        """The ids of a venue's entities of a kind, the latest first."""
        query = "SELECT id FROM entities WHERE venue = ? AND kind = ? ORDER BY received_at DESC LIMIT ?"
        return [str(row["id"]) for row in self.rows(query, venue, kind, limit)]

    def kinds_of(self, venue: str, id_: str) -> list[str]:
        """Of what kinds a venue has entities of that id."""
        query = "SELECT DISTINCT kind FROM entities WHERE venue = ? AND id = ? ORDER BY kind"
        return [str(row["kind"]) for row in self.rows(query, venue, id_)]

    def rules(self) -> list[Row]:
        """Each rule that ever fired: how often, when last, and how many of its alerts are active."""
        return self.rows("""
            SELECT rule, count(*) AS fired, max(fired_at) AS last_fired_at,
                sum(state IN ('firing', 'recovering')) AS active
            FROM alerts GROUP BY rule ORDER BY rule
        """)

    def events(self, *, after: int = 0, limit: int = 1000, kinds: Collection[str] | None = None) -> list[Row]:
        """What happened (to what is of these kinds), in the order in which it was kept, from behind the event of id `after` on."""
        which, named = _of_kinds(kinds)
        query = f"SELECT * FROM events WHERE id > ? AND {which} ORDER BY id LIMIT ?"  # noqa: S608 - ours
        return self.rows(query, after, *named, limit)

    def before_last(self, count: int, kinds: Collection[str] | None = None) -> int:
        """The id of the event behind which the last so many events stand; 0 where there are no more."""
        which, named = _of_kinds(kinds)
        query = f"SELECT id FROM events WHERE {which} ORDER BY id DESC LIMIT 1 OFFSET ?"  # noqa: S608 - ours
        found = self.rows(query, *named, count)
        return int(found[0]["id"]) if found else 0

    def events_named(
        self, names: Collection[str], called: Collection[str] | None = None, *, limit: int
    ) -> list[Row]:
        """What happened of these names (`order.*` for all of a kind), latest first; `called` as in `entities`."""
        named = " OR ".join("event GLOB ?" for _ in names)
        which = f"({named})" + (f" AND {_CALLED.replace('id IN', 'entity IN')}" if called is not None else "")
        query = f"SELECT * FROM events WHERE {which} ORDER BY id DESC LIMIT ?"  # noqa: S608 - ours
        return self.rows(query, *names, *_thrice(called), limit)

    def events_of(self, key: Key, *, limit: int) -> list[Row]:
        """What happened to one entity, latest first."""
        return self.rows(
            "SELECT * FROM events WHERE entity = ? AND venue = ? AND event GLOB ? ORDER BY id DESC LIMIT ?",
            key.id, key.venue, f"{key.kind}.*", limit,
        )  # fmt: skip

    def alerts_of(self, rule: str, *, limit: int = 1000) -> list[Row]:
        """A rule's alerts, latest first."""
        return self.rows(f"{ALERTS} WHERE rule = ? ORDER BY fired_at DESC LIMIT ?", rule, limit)

    def alerts_called(self, beginning: str, *, limit: int) -> list[Row]:
        """Alerts whose ids begin so, those that fire first, then the latest."""
        return self.rows(
            f"{ALERTS} WHERE id >= ? AND id <= ? AND substr(id, 1, ?) = ? ORDER BY NOT {FIRING}, fired_at DESC LIMIT ?",
            beginning, beginning + _LAST, len(beginning), beginning, limit,
        )  # fmt: skip

    def acts_on(self, target: str, *, limit: int = 100) -> list[Row]:
        """What people did to an alert or a silence, latest first."""
        return self.rows("SELECT * FROM acts WHERE target = ? ORDER BY id DESC LIMIT ?", target, limit)

    def acknowledgements(self) -> list[Row]:
        """Each ack and unack of an alert, first to last, beside the alert's rule, venue, account and entity, and until when the last
        one holds.
        """
        return self.rows(
            "SELECT acts.at, acts.by, acts.does, a.rule, a.venue, a.account, a.entity,"
            " CASE WHEN a.acked_at = acts.at THEN a.acked_until END AS until"
            " FROM acts JOIN alerts AS a ON a.id = acts.target WHERE acts.does IN ('ack', 'unack') ORDER BY acts.id"
        )

    def silence_rows(self, now: str, *, everything: bool = False, limit: int = 1000) -> list[Row]:
        """Silences that hold at `now` (ISO 8601) or later, those that end first before others; of all, the latest first."""
        if everything:
            return self.rows("SELECT * FROM silences ORDER BY created_at DESC, id LIMIT ?", limit)
        which = "ended_at IS NULL AND ends_at > ?"
        return self.rows(f"SELECT * FROM silences WHERE {which} ORDER BY ends_at, id LIMIT ?", now, limit)  # noqa: S608 - ours

    def runs(self, *, limit: int = 1000) -> list[Row]:
        """Runs of actions with the title of the alert that started them, latest first."""
        return self.rows(
            "SELECT r.*, a.rule, a.symbol, a.title FROM actions AS r LEFT JOIN alerts AS a ON a.id = r.alert"
            " ORDER BY r.created_at DESC, r.rowid DESC LIMIT ?",
            limit,
        )

    def last_firing(self, rule: str) -> Row | None:
        """The context of the last notification that told of a firing of that rule; None where there is none."""
        found = self.rows(
            "SELECT d.context AS data FROM deliveries AS d JOIN alerts AS a ON a.id = d.alert"
            " WHERE a.rule = ? AND d.state_told = 'firing' ORDER BY d.sequence DESC LIMIT 1",
            rule,
        )
        context = found[0]["data"] if found else None
        return context if isinstance(context, dict) else None

    def sizes(self) -> tuple[int, int]:
        """Bytes of the database, and of its log."""
        return size_of(self._path), size_of(log_of(self._path))

    def count_events(self, after: int = 0, kinds: Collection[str] | None = None) -> int:
        """How much happened (to what is of these kinds) behind the event of id `after`."""
        which, named = _of_kinds(kinds)
        query = f"SELECT count(*) AS count FROM events WHERE id > ? AND {which}"  # noqa: S608 - ours
        return int(self.rows(query, after, *named)[0]["count"])

    # ------------------------------------------------------------------------------------- as the daemon goes on with it

    def entities(self, kind: str, called: Collection[str] | None = None) -> list[Change]:
        """Everything of a kind that is known, as it stands; of one of these ids, symbols or accounts, where they are given."""
        which = f" AND {_CALLED}" if called is not None else ""
        query = f"{rows.GET_ENTITIES} WHERE kind = ?{which} ORDER BY venue, account, id"
        return self._read(query, rows.entity, kind, *_thrice(called))

    def living(self, kind: str, limit: int) -> list[Change]:
        """What of a kind isn't over, as it stands: the first of them, by venue, account and id."""
        query = (
            f"{rows.GET_ENTITIES} WHERE kind = ? AND ended = 0 ORDER BY venue, account, id LIMIT {limit:d}"
        )
        return self._read(query, rows.entity, kind)

    def count_living(self, kind: str) -> int:
        """How much of a kind isn't over."""
        found = self.rows("SELECT count(*) AS count FROM entities WHERE kind = ? AND ended = 0", kind)
        return int(found[0]["count"])

    def instances(self, rule: str) -> list[InstanceRow]:
        """A rule's state for each entity (or group), as the engine keeps it."""
        return self._read(f"{rows.GET_INSTANCES} WHERE rule = ? ORDER BY instance", rows.instance, rule)

    def samples(self, series: str) -> list[Sample]:
        """What is kept of one series, in the order in which it was kept."""
        return self._read(rows.GET_SERIES, rows.sample, series)

    def held(self) -> list[HeldRow]:
        """What waits until nothing stands in its way any more, in the order in which it was held."""
        return self._read(rows.GET_HELD, rows.held)

    def silences(self) -> list[Silence]:
        """Those that weren't taken back, over or not."""
        return self._read(rows.GET_SILENCES, rows.silence)

    def loaded(self) -> Loaded:
        """All that the daemon would go on with if it started now, but for what waits to be sent."""
        return Loaded(
            entities=self._read(rows.GET_ENTITIES, rows.entity),
            instances=self._read(rows.GET_INSTANCES, rows.instance),
            alive=self.alive(),
            samples=self._read(rows.GET_SAMPLES, rows.sample),
            held=self.held(),
            silences=self.silences(),
            operations=self._read(rows.GET_OPERATIONS, rows.operation),
            notes=self.notes(),
        )

    def trail(self, alert: str) -> list[tuple[datetime, Decimal]]:
        """What the number of an alert was, and when, from half an hour before it; in the order of time."""
        return self._read(rows.GET_TRAIL, rows.valued_at, alert)

    def equity(self, venue: str, account: str, since: datetime) -> list[tuple[datetime, Decimal]]:
        """What an account was worth since then, in the order of time."""
        return self._read(rows.GET_EQUITY, rows.valued_at, venue, account, iso(since))

    def all_equity(self, since: datetime) -> list[EquityRow]:
        """The same of all accounts."""
        return self._read(rows.GET_ALL_EQUITY, rows.equity_row, iso(since))

    def notes(self) -> dict[str, str]:
        """Small things by their keys."""
        return rows.notes(self._read(rows.GET_META, rows.text_pair))

    def alive(self) -> Instant | None:
        """When the daemon last wrote that it lives."""
        (found,) = self._read(rows.GET_ALIVE, rows.alive, rows.ALIVE_AT, rows.ALIVE_STEADY)
        return found

    def _read(self, query: str, parse: Callable[[Sequence[Any]], _T], *values: str | None) -> list[_T]:
        found = []
        with self._opened() as db, outside_told():
            for row in each(db, query, values):
                try:
                    found.append(parse(whole(row)))
                except UNREADABLE:
                    continue  # the daemon says so when it starts
        return found

    def rows(self, query: str, *values: int | str | None) -> list[Row]:
        """What any query finds, column by name."""
        with self._opened() as db, outside_told():
            names: list[str] = []
            found = [
                dict(zip(names, map(_shown, row), strict=True)) for row in each(db, query, values, names)
            ]
        for row in found:
            if "data" in row:
                row["data"] = _decoded(row["data"])
        return found

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        if self._db is not None:
            yield self._db
            return
        if not is_there(self._path):
            raise StoreUnavailable(f"there is no {self._path}; has the daemon run yet?")
        with open_reading(self._path) as db:
            if self._within is not None:
                over = time.monotonic() + self._within
                db.conn.set_progress_handler(lambda: time.monotonic() > over, _LOOK_EVERY)
            with outside_told():
                self._refuse_unknown(db)
            yield db

    def _refuse_unknown(self, db: Database) -> None:
        """Looks through what is made otherwise than the last one was: that takes longer than most queries."""
        made = how_made(db)
        if made != self._known:
            refuse_foreign(db, self._path)
            refuse_older(db, self._path)
            self._known = made


def _shown(cell: Any) -> Any:
    return cell.decode(errors="replace") if isinstance(cell, bytes) else cell


def _decoded(data: str) -> Any:
    try:
        return _decode(data)
    except UNREADABLE:
        return {"unreadable": data}


def _of_kinds(kinds: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """The condition on events of these kinds, and its values; of None, one that holds of all."""
    if kinds is None:
        return "true", ()
    return f"({' OR '.join('event GLOB ?' for _ in kinds) or 'false'})", tuple(f"{kind}.*" for kind in kinds)


def _thrice(called: Collection[str] | None) -> tuple[str, ...]:
    return () if called is None else (json_text(list(called)),) * 3
