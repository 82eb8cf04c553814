"""The outbox's rows: deliveries as they are asked for, put, and tried. No I/O."""

from collections.abc import Sequence
from typing import Any

from tocsin.events import from_iso, iso
from tocsin.store.model import Attempt, Delivery, NewDelivery
from tocsin.store.sql import Row, insert, iso_or_none, json_mapping, json_text, whole

PUT_DELIVERY = insert(
    "deliveries",
    (
        "id", "alert", "state_told", "channel", "target", "severity", "status", "created_at", "expires_at", "next_at", "context",
    ),
)  # fmt: skip
PUT_DELIVERY_ONCE = f"{PUT_DELIVERY} ON CONFLICT (id) DO NOTHING"
_DELIVERY_COLUMNS = (
    "sequence", "id", "alert", "state_told", "channel", "target", "severity", "status", "attempts", "created_at", "expires_at",
    "next_at", "sent_at", "error", "handed_to", "context",
)  # fmt: skip
# The first of what waits for one alert on one target: what comes after it may not overtake it.
_HEAD = """
    FROM deliveries AS d
    WHERE status = 'pending' AND channel = ? AND target = ?
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS older
        WHERE older.status = 'pending' AND older.alert = d.alert AND older.channel = d.channel
        AND older.target = d.target AND older.sequence < d.sequence
    )
"""
GET_DUE = f"SELECT {', '.join(_DELIVERY_COLUMNS)} {_HEAD} AND next_at <= ? ORDER BY sequence LIMIT ?"
GET_PENDING = f"""
    SELECT {", ".join(_DELIVERY_COLUMNS)} FROM deliveries WHERE status = 'pending' ORDER BY sequence LIMIT ?
"""  # noqa: S608 - names are ours
GET_NEXT_DUE = f"SELECT min(next_at) {_HEAD}"
GET_WAITING = f"""
    SELECT {", ".join(_DELIVERY_COLUMNS)} FROM deliveries
    WHERE status = 'pending' AND alert = ? AND channel = ? AND target = ? ORDER BY sequence
"""  # noqa: S608 - names are ours
GET_HISTORY = f"""
    SELECT {", ".join(_DELIVERY_COLUMNS)} FROM deliveries WHERE alert = ? AND channel = ? ORDER BY sequence
"""  # noqa: S608 - names are ours
# What is urgent and nobody else has: `after` is the id of the last one that was looked at.
GET_NOT_ESCALATED = f"""
    SELECT {", ".join(_DELIVERY_COLUMNS)} FROM deliveries
    WHERE status = 'pending' AND severity = 'critical' AND channel = :channel AND target = :target
    AND handed_to IS NULL
    AND (:after IS NULL OR sequence > (SELECT sequence FROM deliveries WHERE id = :after))
    ORDER BY sequence LIMIT :limit
"""  # noqa: S608 - names are ours
GET_PENDING_TARGETS = """
    SELECT channel, target, count(*) FROM deliveries WHERE status = 'pending' GROUP BY channel, target
"""
# All that waits on a target, whatever its times say.
GET_TARGET_PENDING = f"""
    SELECT {", ".join(_DELIVERY_COLUMNS)} FROM deliveries WHERE status = 'pending' AND channel = ? AND target = ?
"""  # noqa: S608 - names are ours
GET_STATUS = "SELECT status FROM deliveries WHERE id = ?"
SET_ASIDE = "UPDATE deliveries SET status = 'dead', error = ? WHERE sequence = ? AND status = 'pending'"
# A remark on all that waits; of contexts that aren't JSON there is nothing to add to.
PUT_NOTE = """
    UPDATE deliveries SET context = json_set(
        context, '$.notes', json_insert(coalesce(json_extract(context, '$.notes'), '[]'), '$[#]', :note)
    )
    WHERE status = 'pending' AND json_valid(context) AND instr(context, :note) = 0
"""
# At a start: by how much the clock was set back since, so long nothing would be due otherwise.
PUT_ALL_DUE = "UPDATE deliveries SET next_at = :now WHERE status = 'pending' AND next_at > :now"
# Superseded is what was never tried.
PUT_ATTEMPT = """
    UPDATE deliveries SET
        status = :status, attempts = attempts + (:status <> 'superseded'), error = :error,
        handed_to = coalesce(:handed_to, handed_to), title = :title, body = :body, next_at = coalesce(:next_at, next_at),
        sent_at = CASE WHEN :status = 'sent' THEN :at END
    WHERE id = :id AND status = 'pending'
"""


def new_delivery_row(delivery: NewDelivery) -> Row:
    created = iso(delivery.created_at)
    return (
        delivery.id,
        delivery.alert,
        delivery.state_told,
        delivery.channel,
        delivery.target,
        delivery.severity,
        "pending",
        created,
        iso(delivery.expires_at),
        created,  # due at once
        json_text(delivery.context),
    )


def attempt_row(attempt: Attempt) -> dict[str, str | None]:
    return {
        "id": attempt.delivery,
        "status": attempt.status,
        "at": iso(attempt.at),
        "error": attempt.error,
        "next_at": iso_or_none(attempt.next_at),
        "handed_to": attempt.handed_to,
        "title": attempt.title,
        "body": attempt.body,
    }


def delivery(row: Sequence[Any]) -> Delivery:
    """One of `sql.UNREADABLE` where the row can't be read."""
    (
        _sequence, id_, alert, state_told, channel, target, severity, status, attempts, created_at, expires_at, next_at, sent_at, error,
        handed_to, context,
    ) = whole(row)  # fmt: skip
    return Delivery(
        id=id_,
        alert=alert,
        state_told=state_told,
        channel=channel,
        target=target,
        severity=severity,
        status=status,
        attempts=attempts,
        created_at=from_iso(created_at),
        expires_at=from_iso(expires_at),
        next_at=from_iso(next_at),
        sent_at=from_iso(sent_at) if sent_at else None,
        error=error,
        handed_to=handed_to,
        context=json_mapping(context),
    )
