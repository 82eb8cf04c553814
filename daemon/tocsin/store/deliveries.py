"""The outbox in SQLite: statements and rows, and the table of deliveries with its queries and updates."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tocsin.events import from_iso, iso
from tocsin.store.errors import StoreUnavailable, outside_told
from tocsin.store.model import Arrival, Attempt, Delivery, Gathered, NewDelivery, Questions, Recent, RunRow
from tocsin.store.sql import (
    UNREADABLE,
    Opened,
    Row,
    each,
    flat_error,
    insert,
    record_of,
    row_of,
    transaction,
    whole,
)

PUT_DELIVERY = insert("deliveries", (*NewDelivery.__struct_fields__, "status", "next_at"))
PUT_DELIVERY_ONCE = f"{PUT_DELIVERY} ON CONFLICT (id) DO NOTHING"
# An edit's id says when and where, not what: of two at the same moment the later counts.
PUT_EDIT = (
    f"{PUT_DELIVERY} ON CONFLICT (id) DO UPDATE SET context = excluded.context WHERE status = 'pending'"
)
_COLUMNS = ", ".join(Delivery.__struct_fields__)
# What is told by itself: see `NewDelivery.is_prompt`. The text is that of an index.
_PROMPT = "(severity = 'critical' OR state_told NOT IN ('firing', 'reminder', 'resolved'))"
# The first of what waits for one alert on one target: what comes after it may not overtake it, nor what a digest carries. An
# edit comes after all else: it holds up no message.
_HEAD = """
    FROM deliveries AS d
    WHERE status = 'pending' AND digest IS NULL AND channel = ? AND target = ?
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS older
        WHERE older.status = 'pending' AND older.alert = d.alert AND older.channel = d.channel
        AND older.target = d.target
        AND (older.state_told = 'edit', older.sequence) < (d.state_told = 'edit', d.sequence)
    )
"""
# Edits come last: none takes the pace from a message.
_DUE = f"SELECT sequence, {_COLUMNS} {_HEAD} AND +next_at <= ? {{}} ORDER BY {{}} LIMIT ?"
GET_DUE = {
    None: _DUE.format("", "sequence"),
    True: _DUE.format(f"AND {_PROMPT}", "state_told = 'edit', sequence"),
    False: _DUE.format(f"AND NOT {_PROMPT}", "sequence"),
}
GET_PENDING = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries WHERE status = 'pending' ORDER BY sequence LIMIT ?
"""  # noqa: S608 - names are ours
GET_NEXT_DUE = f"SELECT min(next_at) {_HEAD} AND (? IS NULL OR next_at > ?)"
IS_WAITED_ON = """
    SELECT EXISTS (SELECT 1 FROM deliveries WHERE status = 'pending' AND channel = ? AND target = ?)
"""
# What a digest would carry now: of each alert that isn't carried by another, from its first on, as far as that goes.
GET_GATHERABLE = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries AS d
    WHERE status = 'pending' AND digest IS NULL AND channel = :channel AND target = :target
    AND state_told IN ('firing', 'reminder', 'resolved') AND (severity = 'critical') = :critical AND +next_at <= :now
    AND NOT EXISTS (
        SELECT 1 FROM deliveries AS older
        WHERE older.status = 'pending' AND older.alert = d.alert AND older.channel = d.channel
        AND older.target = d.target AND older.sequence < d.sequence AND older.state_told <> 'edit' AND (
            older.digest IS NOT NULL OR older.next_at > :now
            OR older.state_told NOT IN ('firing', 'reminder', 'resolved')
            OR (older.severity = 'critical') <> :critical
        )
    )
    AND (:after IS NULL OR sequence > (SELECT sequence FROM deliveries WHERE id = :after))
    ORDER BY sequence LIMIT :limit
"""  # noqa: S608 - names are ours
# The ends of alerts of which a digest carries what came first, that are handed to no other channel.
GET_ENDS_BEHIND = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries
    WHERE status = 'pending' AND state_told = 'resolved' AND channel = ?2 AND target = ?3 AND digest IS NULL
    AND handed_to IS NULL AND alert IN (SELECT alert FROM deliveries WHERE digest = ?1)
    ORDER BY sequence
"""  # noqa: S608 - names are ours
GET_WAITING = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries
    WHERE status = 'pending' AND alert = ?1 AND channel = ?2 AND target = ?3 AND NOT EXISTS (
        SELECT 1 FROM deliveries AS part
        WHERE part.status = 'pending' AND part.alert = ?1 AND part.channel = ?2 AND part.target = ?3
        AND part.digest IS NOT NULL
    )
    ORDER BY sequence
"""  # noqa: S608 - names are ours
GET_HISTORY = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries WHERE alert = ? AND channel = ? ORDER BY sequence
"""  # noqa: S608 - names are ours
# The alerts that a digest tells of and that aren't over or acknowledged.
GET_TOLD_BY = """
    SELECT DISTINCT d.alert FROM deliveries AS d JOIN alerts AS a ON a.id = d.alert
    WHERE d.digest = ? AND d.state_told = 'firing' AND a.state <> 'resolved' AND a.acked_at IS NULL
"""
# What told of an alert and can be edited; where none is named, of all that fire.
GET_EDITABLE = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries
    WHERE alert = ? AND state_told IN ('firing', 'digest', 'question') AND status = 'sent' AND handle IS NOT NULL ORDER BY sequence
"""  # noqa: S608 - names are ours
GET_EDITABLE_FIRING = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries WHERE alert IN (
        SELECT id FROM alerts WHERE alerts.state IN ('firing', 'recovering')
    ) AND state_told = 'firing' AND status = 'sent' AND handle IS NOT NULL ORDER BY sequence
"""  # noqa: S608 - names are ours
_QUESTION_SENT = "SELECT 1 FROM deliveries WHERE alert = r.id AND state_told = 'question' AND status = 'sent'"
GET_TAKEN_UNNOTED = (
    f"SELECT id FROM actions AS r WHERE status = 'asked' AND asked_at IS NULL AND EXISTS ({_QUESTION_SENT})"  # noqa: S608 - names are ours
)
# Of the last two days: no question is open for longer than one.
GET_ENDED_UNTOLD = f"""
    SELECT {", ".join(RunRow.__struct_fields__)} FROM actions AS r
    WHERE status NOT IN ('asked', 'pending', 'begun') AND created_at > strftime('%Y-%m-%dT%H:%M:%S', 'now', '-2 days')
    AND EXISTS ({_QUESTION_SENT}) AND NOT EXISTS (
        SELECT 1 FROM deliveries WHERE alert = r.id AND state_told = 'edit'
        AND json_valid(context) AND context ->> '$.edit.became' = 'ended'
    )
"""  # noqa: S608 - names are ours
# What is urgent and nobody else has: `after` is the id of the last one that was looked at. What waits for a digest doesn't count.
GET_NOT_ESCALATED = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries AS d
    WHERE status = 'pending' AND severity = 'critical' AND channel = :channel AND target = :target
    AND handed_to IS NULL AND digest IS NULL AND NOT EXISTS (
        SELECT 1 FROM deliveries AS part
        WHERE part.status = 'pending' AND part.alert = d.alert AND part.channel = d.channel
        AND part.target = d.target AND part.digest IS NOT NULL
    )
    AND (:after IS NULL OR sequence > (SELECT sequence FROM deliveries WHERE id = :after))
    ORDER BY sequence LIMIT :limit
"""  # noqa: S608 - names are ours
GET_PENDING_TARGETS = """
    SELECT channel, target, count(*) FROM deliveries WHERE status = 'pending' GROUP BY channel, target
"""
# All that waits on a target, whatever its times say.
GET_TARGET_PENDING = f"""
    SELECT sequence, {_COLUMNS} FROM deliveries WHERE status = 'pending' AND channel = ? AND target = ?
"""  # noqa: S608 - names are ours
GET_STATUS = "SELECT status FROM deliveries WHERE id = ?"
SET_ASIDE = "UPDATE deliveries SET status = 'dead', error = ? WHERE sequence = ? AND status = 'pending'"
PUT_PART = """
    UPDATE deliveries SET digest = ?, reason = ? WHERE id = ? AND status = 'pending' AND digest IS NULL
"""
# What became of a digest became of its parts.
END_PARTS = """
    UPDATE deliveries SET
        status = :status, attempts = attempts + 1, error = :error,
        handed_to = coalesce(handed_to, (SELECT d.handed_to FROM deliveries AS d WHERE d.id = :delivery)),
        sent_at = CASE WHEN :status = 'sent' THEN :at END
    WHERE digest = :delivery AND status = 'pending'
"""
# Parts whose digest isn't there, which only damage brings about: they wait for themselves again.
FREE_PARTS = """
    UPDATE deliveries SET digest = NULL, reason = NULL WHERE status = 'pending' AND digest IS NOT NULL
    AND digest NOT IN (SELECT id FROM deliveries WHERE status = 'pending' AND state_told = 'digest')
"""
GET_ARRIVED = """
    SELECT id, created_at, CASE WHEN json_valid(context) THEN json_extract(context, '$.rule') END FROM deliveries
    WHERE created_at > ? AND created_at <= ? AND channel = ? AND target = ? AND state_told = 'firing' ORDER BY sequence
"""
GET_DIGEST_AT = """
    SELECT max(created_at) FROM deliveries
    WHERE created_at > ? AND created_at <= ? AND channel = ? AND target = ? AND state_told = 'digest'
"""
GET_CRITICAL_AT = """
    SELECT sent_at FROM deliveries
    WHERE sent_at > ? AND sent_at <= ? AND channel = ? AND target = ? AND severity = 'critical'
    AND state_told = 'firing' AND digest IS NULL
    ORDER BY sent_at
"""
GET_SENT = """
    SELECT channel, target, sent_at FROM deliveries WHERE sent_at > ? AND digest IS NULL ORDER BY sent_at
"""
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
        handed_to = coalesce(:handed_to, handed_to), title = :title, body = :body, handle = :handle,
        next_at = coalesce(:next_at, next_at),
        sent_at = CASE WHEN :status = 'sent' THEN :at END
    WHERE id = :delivery AND status = 'pending'
"""


def new_delivery_row(delivery: NewDelivery) -> Row:
    """Of `PUT_DELIVERY`: it waits, and is due at once."""
    return (*row_of(delivery), "pending", iso(delivery.created_at))


class DeliveryTable:
    """Synchronous; for one thread at a time. Each call raises StoreUnavailable where the machine is the reason.

    A delivery that can't be read is given up, and a trouble that people are told of.
    """

    def __init__(self, opened: Opened, troubles: deque[str]) -> None:
        self._opened = opened
        self._troubles = troubles

    def pending(self, limit: int) -> list[Delivery]:
        """The first that wait, of all channels, in their order."""
        return self._read(GET_PENDING, [limit])

    def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> list[Delivery]:
        """What is to be sent now, oldest first; never one whose alert has an older one pending on this target.

        `prompt`: only what `is_prompt`, or isn't.
        """
        return self._read(GET_DUE[prompt], [channel, target, iso(now), limit])

    def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        """When `due` will next have something, past times included, or only those after `after`; None: never."""
        later = iso(after) if after else None
        for _ in range(2):
            with outside_told():
                ((time,),) = each(self._opened.db, GET_NEXT_DUE, [channel, target, later, later])
            try:
                return from_iso(time) if time else None
            except UNREADABLE:
                self._read(GET_TARGET_PENDING, [channel, target])
        return None

    def waiting(self, alert: str, channel: str, target: int) -> list[Delivery]:
        """All that is pending for an alert on a target, in order, whenever due; the first is what `due` gives."""
        return self._read(GET_WAITING, [alert, channel, target])

    def ends_behind(self, digest: str, channel: str, target: int) -> list[Delivery]:
        """Ends that wait for a digest, which carries what came first of their alerts; those that are handed over don't count."""
        return self._read(GET_ENDS_BEHIND, [digest, channel, target])

    def is_waited_on(self, channel: str, target: int) -> bool:
        """Whether anything is pending there, whenever due and whatever carries it."""
        with outside_told():
            ((found,),) = each(self._opened.db, IS_WAITED_ON, [channel, target])
        return bool(found)

    def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, limit: int, *, critical: bool
    ) -> list[Delivery]:
        """What a digest would carry, what is due now of critical alerts or of others, in order.

        `after`: only what comes after the delivery of that id; for the next page.
        """
        asked = {
            "channel": channel, "target": target, "now": iso(now), "after": after, "limit": limit, "critical": critical,
        }  # fmt: skip
        return self._read(GET_GATHERABLE, asked)

    def recent(self, channel: str, target: int, since: datetime, until: datetime) -> Recent:
        """What arrived or was sent there from `since` to `until`: what a clock that was set back calls later isn't known to be recent."""
        asked, found = [iso(since), iso(until), channel, target], []
        with outside_told():
            for row in list(each(self._opened.db, GET_ARRIVED, asked)):
                try:
                    id_, at, rule = whole(row)
                    found.append(Arrival(id_, from_iso(at), str(rule)))
                except UNREADABLE:
                    continue  # it is set aside when its turn comes
            ((digest_at,),) = each(self._opened.db, GET_DIGEST_AT, asked)
            critical_at = [from_iso(at) for (at,) in each(self._opened.db, GET_CRITICAL_AT, asked)]
        return Recent(tuple(found), from_iso(digest_at) if digest_at else None, tuple(critical_at))

    def sent(self, since: datetime) -> list[tuple[str, int, datetime]]:
        """Channel, target and time of all messages that were sent since, oldest first; what a digest carried isn't one."""
        with outside_told():
            rows = list(each(self._opened.db, GET_SENT, [iso(since)]))
        found = []
        for row in rows:
            try:
                channel, target, at = whole(row)
                found.append((channel, target, from_iso(at)))
            except UNREADABLE:
                continue  # one message more in that hour
        return found

    def gather(self, gathered: Gathered) -> list[str]:
        """A digest, which waits from now on, and its parts, which wait for it. The ids of parts that somebody else changed."""
        with transaction(self._opened) as db:
            db.conn.execute(PUT_DELIVERY, new_delivery_row(gathered.digest))
            db.conn.executemany(PUT_DELIVERY_ONCE, map(new_delivery_row, gathered.also))
            of = (gathered.digest.id, gathered.reason)
            linked = db.conn.executemany(PUT_PART, ((*of, id_) for id_, _ in gathered.parts)).rowcount
        if linked == len(gathered.parts):
            return []
        self._troubles.append(
            "somebody else changed the database while Tocsin runs: of the messages that are sent as one some don't wait there "
            "any more; what waits is read anew"
        )
        return [id_ for id_, _ in gathered.parts]

    def not_escalated(self, channel: str, target: int, after: str | None, limit: int) -> list[Delivery]:
        """What is critical, pending and handed to no other channel yet, oldest first, whenever due.

        `after`: only what comes after the delivery of that id; for the next page.
        """
        asked = {"channel": channel, "target": target, "after": after, "limit": limit}
        return self._read(GET_NOT_ESCALATED, asked)

    def history(self, alert: str, channel: str) -> list[Delivery]:
        """All that a channel was ever to tell of an alert, in order, whatever became of it."""
        return self._read(GET_HISTORY, [alert, channel])

    def told_by(self, digest: str) -> list[str]:
        """The alerts that a digest tells of and that can still be acknowledged, by their ids."""
        with outside_told():
            return [alert for (alert,) in each(self._opened.db, GET_TOLD_BY, [digest])]

    def questions_left(self) -> Questions:
        """What the last run of Tocsin left of its questions."""
        with outside_told():
            taken = [id_ for (id_,) in each(self._opened.db, GET_TAKEN_UNNOTED)]
            over = list(each(self._opened.db, GET_ENDED_UNTOLD))
        return Questions(taken, [found for row in over if (found := _run_or_none(row)) is not None])

    def editable(self, alert: str | None) -> list[Delivery]:
        """What told of that alert's firing, or of all alerts that fire, and can be edited."""
        return self._read(GET_EDITABLE_FIRING, []) if alert is None else self._read(GET_EDITABLE, [alert])

    def pending_targets(self) -> dict[tuple[str, int], int]:
        """(channel, target) -> how many deliveries wait there, channels that the config no longer has included."""
        with outside_told():
            found = list(each(self._opened.db, GET_PENDING_TARGETS))
        return {(channel, target): count for channel, target, count in found}

    def _read(self, query: str, asked: Sequence[Any] | dict[str, Any]) -> list[Delivery]:
        found, aside = [], []
        with outside_told():
            for row in list(each(self._opened.db, query, asked)):
                try:
                    found.append(record_of(Delivery, whole(row)[1:]))
                except UNREADABLE as error:
                    aside += self._set_delivery_aside(row, error)
        if aside:
            self._troubles.append(
                f"{len(aside)} message(s) that waited can't be read and are given up: {aside[0]}"
            )
        return found

    def _set_delivery_aside(self, row: Sequence[Any], error: Exception) -> list[str]:
        """What it was, where it still waited."""
        why = flat_error(error)
        sequence, *known = row[:5]
        id_, alert, state_told, channel = (
            cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in known
        )
        try:
            with outside_told():
                found = self._opened.db.execute(SET_ASIDE, [f"can't be read: {why}", sequence]).rowcount
                if found and state_told == "digest":
                    self._opened.db.execute(FREE_PARTS)
        except StoreUnavailable:
            return []  # when it is read again
        what = f"{state_told} of alert {alert} for {channel} (delivery {id_})"
        return [f"{what:.300}: {why}"] if found else []

    def record(self, attempts: Sequence[Attempt]) -> list[str]:
        """What came of sends, with the deliveries that they cause elsewhere. The ids of those that somebody else changed.

        They are passed over with what they cause elsewhere, which is told; the others are recorded. After a loss, what
        those cause that aren't there any more is kept.
        """
        changed = []
        with transaction(self._opened) as db:
            for attempt in attempts:
                came = dict(zip(Attempt.__struct_fields__, row_of(attempt), strict=True))
                recorded = db.conn.execute(PUT_ATTEMPT, came).rowcount
                if recorded != 1 and self._was_changed(attempt):
                    changed.append(attempt.delivery)
                    continue
                if attempt.status != "pending":
                    db.conn.execute(END_PARTS, came)
                db.conn.executemany(PUT_DELIVERY_ONCE, map(new_delivery_row, attempt.also))
        if changed:
            self._troubles.append(
                f"somebody else changed the database while Tocsin runs: {len(changed)} message(s) that were sent or tried don't "
                f"wait there any more (the first is delivery {changed[0]}); what waits is read anew"
            )
        return changed

    def _was_changed(self, attempt: Attempt) -> bool:
        """Whether one that isn't pending is so by another's hand."""
        found = self._opened.db.execute(GET_STATUS, [attempt.delivery]).fetchone()
        return not self._opened.lost if found is None else found[0] != attempt.status


def _run_or_none(row: Sequence[Any]) -> RunRow | None:
    """None where it can't be read: then its question stays as it is."""
    try:
        return record_of(RunRow, whole(row))
    except UNREADABLE:
        return None
