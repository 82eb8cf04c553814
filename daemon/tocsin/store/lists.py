"""What screens list of the database, page by page: each list goes by its own index, however much is kept.

Each function blocks and raises StoreUnavailable, as `Reader` does.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from tocsin.events import from_iso, iso
from tocsin.store.model import EDIT
from tocsin.store.reader import Reader, Row

_SILENCES = """
    SELECT s.*,
        (SELECT a.via FROM acts AS a WHERE a.target = s.id AND a.does = 'silence' ORDER BY a.id LIMIT 1) AS via,
        (SELECT a.by FROM acts AS a WHERE a.target = s.id AND a.does = 'unsilence' ORDER BY a.id DESC LIMIT 1) AS ended_by
    FROM silences AS s
"""


def silence(reader: Reader, id_: str) -> Row | None:
    """The one of that id, whether it holds or is over."""
    return next(iter(reader.rows("SELECT * FROM silences WHERE id = ?", id_)), None)


def begun_via(reader: Reader, silences: Sequence[str]) -> dict[str, str]:
    """Via what each of these was made, by its id; none where that is not kept (yet)."""
    which = ", ".join("?" * len(silences))
    query = f"SELECT target, via FROM acts WHERE does = 'silence' AND target IN ({which}) ORDER BY id DESC"  # noqa: S608 - ours
    return {row["target"]: row["via"] for row in reader.rows(query, *silences)}


def silences_over(reader: Reader, since: datetime, now: datetime, limit: int) -> list[Row]:
    """Those that ended since then, the last to end first; `ended_by`: who took it back, else None."""
    which = """
        WHERE coalesce(s.ended_at, s.ends_at) > ? AND (s.ended_at IS NOT NULL OR s.ends_at <= ?)
        ORDER BY coalesce(s.ended_at, s.ends_at) DESC, s.id LIMIT ?
    """
    return reader.rows(f"{_SILENCES} {which}", iso(since), iso(now), limit)


def silences_between(reader: Reader, since: datetime, until: datetime, limit: int) -> list[Row]:
    """The last of those that held at some time between, in their order."""
    which = (
        "WHERE s.starts_at <= ? AND coalesce(s.ended_at, s.ends_at) >= ? ORDER BY s.starts_at DESC LIMIT ?"
    )
    return reader.rows(f"{_SILENCES} {which}", iso(until), iso(since), limit)[::-1]


# ------------------------------------------------------------------------------------------------------------ deliveries

Status: TypeAlias = Literal["pending", "dead"]
_BY_STATUS: Mapping[Status | None, tuple[str, str]] = {
    # What was edited without trouble is no message of its own.
    None: ("", f"(d.state_told <> '{EDIT}' OR d.status IN ('pending', 'dead'))"),
    "pending": ("INDEXED BY deliveries_due", "d.status = 'pending'"),
    "dead": ("INDEXED BY deliveries_dead", "d.status = 'dead'"),
}
_LAST = (1 << 63) - 1
MOST_COUNTED = 20_000  # messages of a day; in a storm nobody waits for the exact number
_OWN = f"status = 'sent' AND state_told <> '{EDIT}' AND digest IS NULL"
"""What was a message of its own."""


def deliveries(reader: Reader, status: Status | None, *, before: int | None = None, limit: int) -> list[Row]:
    """Deliveries with what they are about, the latest first, from behind that `sequence` on; as `Reader.deliveries` with their contexts.

    `about`: the alert's id, None where it is about none.
    """
    index, which = _BY_STATUS[status]
    query = f"""
        SELECT d.sequence, d.id, d.created_at, d.channel, d.target, d.state_told, d.severity, d.status, d.attempts, d.next_at,
            d.sent_at, round((julianday(d.sent_at) - julianday(d.created_at)) * 86400, 3) AS took_seconds, d.error, d.handed_to,
            d.digest, d.reason, a.id AS about, a.rule, coalesce(d.title, a.title) AS title,
            CASE d.status WHEN 'pending' THEN d.context END AS context
        FROM deliveries AS d {index} LEFT JOIN alerts AS a ON a.id = d.alert
        WHERE {which} AND d.sequence < ? ORDER BY d.sequence DESC LIMIT ?
    """  # noqa: S608 - ours
    return reader.rows(query, _LAST if before is None else before, limit)


def sent_since(reader: Reader, since: datetime) -> list[Row]:
    """By `channel` how many messages were `sent` since then, and in how many seconds half of them were taken, and 95 of a hundred.

    Of all channels together the last `MOST_COUNTED` are looked at.
    """
    query = f"""
        WITH took AS (
            SELECT channel, round((julianday(sent_at) - julianday(created_at)) * 86400, 3) AS seconds
            FROM deliveries INDEXED BY deliveries_sent_at WHERE sent_at >= ? AND {_OWN}
            ORDER BY sent_at DESC LIMIT {MOST_COUNTED}
        ), ranked AS (
            SELECT channel, seconds, row_number() OVER (PARTITION BY channel ORDER BY seconds) AS place,
                count(*) OVER (PARTITION BY channel) AS sent
            FROM took
        )
        SELECT channel, max(sent) AS sent, max(CASE place WHEN (sent + 1) / 2 THEN seconds END) AS median,
            max(CASE place WHEN (sent * 95 + 99) / 100 THEN seconds END) AS p95
        FROM ranked GROUP BY channel
    """  # noqa: S608 - ours
    return reader.rows(query, iso(since))


def told_since(reader: Reader, since: datetime) -> Row:
    """How many messages were `sent` since then, how long the `slowest` took (seconds; None: none), and when the `last` went out.

    Of all channels together the last `MOST_COUNTED` are looked at.
    """
    query = f"""
        SELECT count(*) AS sent, max(sent_at) AS last,
            round(max((julianday(sent_at) - julianday(created_at)) * 86400), 3) AS slowest
        FROM (
            SELECT sent_at, created_at FROM deliveries INDEXED BY deliveries_sent_at WHERE sent_at >= ? AND {_OWN}
            ORDER BY sent_at DESC LIMIT {MOST_COUNTED}
        )
    """  # noqa: S608 - ours
    return reader.rows(query, iso(since))[0]


def lost_since(reader: Reader, since: datetime) -> int:
    """How many of the messages that were put there since then were given up, and are with no other channel."""
    query = f"""
        SELECT count(*) AS lost FROM deliveries INDEXED BY deliveries_created_at
        WHERE created_at >= ? AND status = 'dead' AND handed_to IS NULL AND state_told <> '{EDIT}'
    """  # noqa: S608 - ours
    return int(reader.rows(query, iso(since))[0]["lost"])


def handed_over(reader: Reader, channel: str, since: datetime) -> list[Row]:
    """How many of a channel's messages that were put there since then went to which other (`handed_to`, `count`), or still wait there, too."""
    query = """
        SELECT handed_to, count(*) AS count FROM (
            SELECT handed_to FROM deliveries INDEXED BY deliveries_created_at
            WHERE created_at >= ?1 AND channel = ?2 AND handed_to IS NOT NULL
            UNION ALL
            SELECT handed_to FROM deliveries INDEXED BY deliveries_due
            WHERE status = 'pending' AND channel = ?2 AND created_at < ?1 AND handed_to IS NOT NULL
        ) GROUP BY handed_to ORDER BY handed_to
    """
    return reader.rows(query, iso(since), channel)


# ------------------------------------------------------------------------------------------------------------------ runs


def runs(reader: Reader, *, before: int | None = None, limit: int) -> list[Row]:
    """Runs of actions, the latest first, from behind that `number` on; `title` is of the alert that they are `about`."""
    return reader.rows(
        "SELECT r.rowid AS number, r.*, a.id AS about, a.title FROM actions AS r LEFT JOIN alerts AS a ON a.id = r.alert"
        " WHERE r.rowid < ? ORDER BY r.rowid DESC LIMIT ?",
        _LAST if before is None else before,
        limit,
    )


def count_runs(reader: Reader, since: datetime) -> int:
    """How many began since then."""
    found = reader.rows("SELECT count(*) AS count FROM actions WHERE started_at >= ?", iso(since))
    return int(found[0]["count"])


# ------------------------------------------------------------------------------------------------------- connections

_MOST_EVENTS = 20_000


def link_events(reader: Reader, since: datetime, names: Collection[str]) -> list[Row]:
    """How the connections to venues changed since then, by events of these names, in that order: `venue event received_at data`."""
    query = f"""
        SELECT venue, event, received_at, data FROM events INDEXED BY events_event
        WHERE event IN ({_places(names)}) AND received_at >= ? ORDER BY received_at, id LIMIT {_MOST_EVENTS}
    """  # noqa: S608 - ours
    return reader.rows(query, *names, iso(since))


def links_before(reader: Reader, before: datetime, names: Collection[str]) -> list[Row]:
    """Of each `venue` the last `event` before then of those that have one of these names."""
    query = f"""
        SELECT venue, event, max(received_at) AS received_at FROM events INDEXED BY events_event
        WHERE event IN ({_places(names)}) AND received_at < ? GROUP BY venue
    """  # noqa: S608 - ours
    return reader.rows(query, *names, iso(before))


def _places(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def stops(reader: Reader, since: datetime) -> list[tuple[datetime, datetime]]:
    """When Tocsin didn't run since then: from the last that was stored before a start, up to that start."""
    query = """
        SELECT s.received_at AS started,
            (SELECT max(e.received_at) FROM events AS e WHERE e.received_at < strftime('%Y-%m-%dT%H:%M:%S', s.received_at, '-10 seconds'))
            AS stopped
        FROM events AS s INDEXED BY events_event WHERE s.event = 'daemon.started' AND s.received_at >= ? ORDER BY s.received_at LIMIT 200
    """
    found = reader.rows(query, iso(since))
    return [(from_iso(row["stopped"]), from_iso(row["started"])) for row in found if row["stopped"]]
