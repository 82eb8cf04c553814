"""The only writer of the database: loads state, commits batches, cares for the file. Synchronous; one thread at a time."""

import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from tocsin.events import Instant, Sample, SamplesDropped, iso
from tocsin.store import deliveries, last_run, rows
from tocsin.store.deliveries import DeliveryTable
from tocsin.store.directory import StateDirectory
from tocsin.store.errors import Damaged, StoreUnavailable, outside_told
from tocsin.store.last_run import LastRun
from tocsin.store.model import (
    AFTER_A_LOSS,
    EDIT,
    Batch,
    ButtonRow,
    Loaded,
    NewDelivery,
    Retention,
    SessionRow,
)
from tocsin.store.opening import check, log_of, open_database, open_reading, rebuild, reopen
from tocsin.store.retention import Pruned, prune
from tocsin.store.set_aside import Unreadable, as_kept, keep
from tocsin.store.sql import (
    UNREADABLE,
    Opened,
    each,
    flat_error,
    json_text,
    record_of,
    row_of,
    transaction,
    whole,
)

DATABASE = "tocsin.db"
_BUTTON_KNOWN = timedelta(days=7)  # after its time: so long it says that this is over
_NOTE_EVERY = 1.0  # seconds
_SENT_LATELY = timedelta(hours=1)  # the longest time for which a service's limit holds
_MOST_PENDING = 20_000  # deliveries that are kept in memory beside
_T = TypeVar("_T")


class Store:
    """State and history of one daemon, in its state directory.

    A call that writes has committed when it returns, through to the disk; one that raises has changed nothing. Each
    raises StoreUnavailable where the machine is the reason; any other exception is a bug of ours.
    """

    def __init__(self, directory: StateDirectory, opened: Opened, now: datetime) -> None:
        self._directory = directory
        self._opened = opened
        self._open = True
        self._troubles = deque(opened.troubles)  # of the threads that work here; taken by the daemon's own
        self.outbox = DeliveryTable(opened, self._troubles)
        self._noted_at = float("-inf")  # monotonic: when tocsin.state was last written
        self._damaged = False
        self._told_gone = ""
        self._begin(now)

    @classmethod
    def open(cls, state_dir: Path, *, now: datetime) -> "Store":
        """Takes the directory and opens the database, which is made, checked and brought up to date as needed.

        Raises StateInUse, SchemaRefused or StoreUnavailable.
        """
        directory = StateDirectory(state_dir)
        try:
            store = cls(directory, _open_freeing(directory, now), now)
        except BaseException:
            directory.release()
            raise
        directory.keep_reserve()
        return store

    @property
    def path(self) -> Path:
        return self._directory.path / DATABASE

    @property
    def _db(self) -> Database:
        return self._opened.db

    def take_troubles(self) -> list[str]:
        """Problems found since the last call, as sentences for `daemon.degraded`; each is returned once."""
        found = []
        while self._troubles:
            found.append(self._troubles.popleft())
        return found

    # ------------------------------------------------------------------------------------------------------- pipeline

    def load(self) -> Loaded:
        """What the last run left. Rows that can't be read are set aside and named in `unreadable`."""
        try:
            return self._load()
        except Damaged as error:  # a database that was too large to be looked through before
            self.rebuild(str(error), datetime.now(UTC))
            return self._load()

    def _load(self) -> Loaded:
        unreadable: list[Unreadable] = []

        def read(table: str, query: str, parse: Callable[[Sequence[Any]], _T]) -> list[_T]:
            found = []
            for row in list(each(self._db, query.replace("SELECT ", "SELECT rowid, ", 1))):
                try:
                    found.append(parse(whole(row[1:])))
                except UNREADABLE as error:
                    unreadable.append(Unreadable(table, row[0], row[1:], flat_error(error)))
            return found

        with outside_told():
            entities = read("entities", rows.GET_ENTITIES, rows.entity)
            instances = read("instances", rows.GET_INSTANCES, rows.instance)
            samples = read("samples", rows.GET_SAMPLES, rows.sample)
            held = read("held", rows.GET_HELD, rows.held)
            operations = read("operations", rows.GET_OPERATIONS, rows.operation)
            silences = read("silences", rows.GET_SILENCES, rows.silence)
            runs = read("actions", rows.GET_RUNS, rows.run)
            sessions = read("sessions", rows.GET_SESSIONS, rows.session)
            recent_runs = read("actions", rows.GET_STARTED, rows.started)
            pending = self.outbox.pending(_MOST_PENDING)
            sent = self.outbox.sent(datetime.now(UTC) - _SENT_LATELY)
            more_pending = sum(self.outbox.pending_targets().values()) > len(pending)
            meta = dict(read("meta", rows.GET_META, rows.text_pair))
            notes = rows.notes(meta.items())
        try:
            alive = rows.alive((meta.get(rows.ALIVE_AT), meta.get(rows.ALIVE_STEADY)))
        except UNREADABLE:
            alive = None
        try:
            if unreadable:
                with transaction(self._opened) as db:
                    self._set_aside(db, unreadable)
        except StoreUnavailable as error:
            self._troubles.append(f"rows that can't be read stay where they are: {error}")
        return Loaded(
            entities=entities,
            instances=instances,
            samples=samples,
            alive=alive,
            held=held,
            silences=silences,
            runs=runs,
            recent_runs=recent_runs,
            sessions=sessions,
            pending=pending,
            more_pending=more_pending,
            sent=sent,
            operations=operations,
            troubles=tuple(self.take_troubles()),
            lost=self._opened.lost,
            notes=notes,
            unreadable=tuple(map(str, unreadable)),
        )

    def _set_aside(self, db: Database, found: Sequence[Unreadable]) -> None:
        """Move unreadable rows to `unreadable.jsonl`. Where that can't be written they stay in the table, and a trouble says so."""
        try:
            keep(self._directory.path, found, datetime.now(UTC))
        except OSError as error:
            trouble = f"rows that can't be read stay where they are: {error}"
            if trouble not in self._troubles:
                self._troubles.append(trouble)
            return
        for each_ in found:
            db.execute(f"DELETE FROM {each_.table} WHERE rowid = ?", [each_.rowid])  # noqa: S608 - ours

    def button(self, id_: str) -> ButtonRow | None:
        """None where there is none of that id, or it has done what it does."""
        with outside_told():
            found = [*each(self._opened.db, rows.GET_BUTTON, [id_])]
        return record_of(ButtonRow, found[0]) if found else None

    def commit(self, batch: Batch) -> None:
        """All of the batch, in one transaction."""
        # One instance may have changed several times in a batch: its last word counts.
        instances = {(row.rule, row.instance): row.record for row in batch.instances}
        held = {row.alert: row for row in batch.held}
        at = iso(batch.at)
        with transaction(self._opened) as db:
            many = db.conn.executemany
            if batch.unreadable:
                self._set_aside(db, [found for row in batch.unreadable for found in as_kept(db, row)])
            many(rows.DROP_ENTITY, batch.gone)
            for statement in (rows.DROP_VENUE, rows.DROP_OPERATIONS):
                many(statement, ((key.id,) for key in batch.gone if key.kind == "venue"))
            many(rows.PUT_ENTITY, map(rows.entity_row, batch.entities))
            many(rows.PUT_VENUE, map(rows.venue_row, filter(rows.is_venue, batch.entities)))
            many(rows.PUT_EVENT, (row for change in batch.events for row in rows.event_rows(change)))
            many(rows.PUT_OPERATION, map(row_of, batch.operations))
            many(
                rows.PUT_INSTANCE,
                ((*key, at, json_text(record)) for key, record in instances.items() if record is not None),
            )
            many(rows.DROP_INSTANCE, (key for key, record in instances.items() if record is None))
            many(rows.PUT_ALERT, map(row_of, batch.alerts))
            many(rows.PUT_ACKED, map(rows.acked_row, batch.acked))
            many(rows.PUT_ACT, map(row_of, batch.acts))
            many(rows.PUT_RUN, map(row_of, batch.runs))
            many(rows.PUT_BUTTON, map(row_of, batch.buttons))
            many(rows.DROP_BUTTON, ((id_,) for id_ in batch.pressed))
            if batch.buttons:
                db.execute(rows.DROP_OLD_BUTTONS, [iso(batch.at - _BUTTON_KNOWN)])
            edits = [each for each in batch.deliveries if each.state_told == EDIT]
            others = (each for each in batch.deliveries if each.state_told != EDIT)
            many(deliveries.PUT_DELIVERY, map(deliveries.new_delivery_row, others))
            many(deliveries.PUT_EDIT, map(deliveries.new_delivery_row, edits))
            many(
                rows.PUT_HELD,
                (
                    (row.alert, row.rule, row.reason, at, json_text(row.data))
                    for row in held.values()
                    if row.data is not None
                ),
            )
            many(rows.DROP_HELD, ((row.alert,) for row in held.values() if row.data is None))
            many(rows.PUT_SILENCE, map(row_of, batch.silences))
            many(rows.SPARSER, ((alert,) for alert in batch.sparser))
            many(rows.PUT_TRAIL, map(row_of, batch.trails))
            many(rows.PUT_EQUITY, map(row_of, batch.equity))
            _put_notes(db, batch.notes)
            if batch.prices_left_out:
                db.execute(rows.PUT_META_ONCE, [rows.PRICES_LEFT_OUT, at])
            for are_new, samples in groupby(batch.samples, lambda each: isinstance(each, Sample)):
                if are_new:
                    many(rows.PUT_SAMPLE, (rows.sample_row(s) for s in samples if isinstance(s, Sample)))
                else:
                    for gone in samples:
                        if isinstance(gone, SamplesDropped):
                            db.conn.execute(*rows.samples_gone(gone))
        if (batch.alerts or batch.deliveries) and time.monotonic() - self._noted_at >= _NOTE_EVERY:
            self._note_state()

    def alive(self, now: Instant) -> None:
        """Store the time of the last sign of life; after a restart it is `Loaded.alive`."""
        self._look_for_the_file()
        with transaction(self._opened) as db:
            db.execute(rows.PUT_META, [rows.ALIVE_AT, iso(now.wall)])
            db.execute(rows.PUT_META, [rows.ALIVE_STEADY, repr(now.steady)])
        self._note_state()

    # ----------------------------------------------------------------------------------------------------------- care

    def note(self, notes: Mapping[str, str | None]) -> None:
        """Keeps small things by their keys in `meta`; None takes one away. `Loaded.notes` has them after a restart."""
        with transaction(self._opened) as db:
            _put_notes(db, notes)

    def keep_sessions(self, sessions: Mapping[str, SessionRow | None]) -> None:
        """Keeps who is signed in to the page, by the rows' ids; None takes one away."""
        with transaction(self._opened) as db:
            db.conn.executemany(rows.PUT_SESSION, (row_of(row) for row in sessions.values() if row))
            db.conn.executemany(rows.DROP_SESSION, ((id_,) for id_, row in sessions.items() if row is None))

    def rebuild(self, reason: str, now: datetime, waiting: Sequence[NewDelivery] = ()) -> None:
        """The database is damaged: go on with a new one, made of what can be read of it, and of what is `waiting` to be sent.

        Where that can't be done now it goes on with the damaged one.
        """
        self._db.close()
        self._opened.troubles.clear()
        rebuild(self._opened, self._directory, DATABASE, now, reason, waiting=waiting)
        self._troubles.extend(self._opened.troubles)
        self._damaged = False
        self._begin(now)

    @property
    def unchecked(self) -> bool:
        """Whether the database was too large to be looked through when it was opened: see `check`."""
        return self._opened.unchecked

    def check(self) -> None:
        """Looks through the whole database, on a connection of its own: any thread may. Raises Damaged.

        What is damaged is then looked at by the next start before anything else.
        """
        with closing(open_reading(self.path)) as db:
            try:
                check(db)
            except Damaged:
                self._damaged = True
                raise
        self._opened.unchecked = False

    def apply_retention(self, retention: Retention, now: datetime) -> Pruned:
        """Removes one chunk of what has had its time. Call again while the answer says `more`."""
        with outside_told():
            return prune(self._db, retention, now)

    def checkpoint(self) -> bool:
        """Moves the log into the database; False where a reader kept some of it from being moved now."""
        with outside_told():
            waits = self._db.execute("PRAGMA busy_timeout").fetchone()[0]
            # A reader isn't waited for: commits would wait behind us.
            self._db.execute("PRAGMA busy_timeout = 0")
            try:
                (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {waits}")
        return not busy

    def free_reserve(self) -> bool:
        """Delete the reserve file, for when the disk is full. False where there was none."""
        return self._directory.free_reserve()

    def keep_reserve(self) -> bool:
        """Make the reserve file again. False where there isn't enough room yet."""
        return self._directory.keep_reserve()

    def close(self) -> None:
        """Lets go of database and directory; a second call does nothing."""
        if self._open:
            self._open = False
            try:
                with suppress(StoreUnavailable), transaction(self._opened) as db:
                    db.execute(rows.DROP_META, [rows.OPENED_AT])
                with suppress(StoreUnavailable):
                    self._note_state(closed=True)
                self._db.close()
            finally:
                self._directory.release()

    def _begin(self, now: datetime) -> None:
        """Mark the database as open, in the file itself; a disk that takes nothing is no reason not to start."""
        with outside_told():
            meta = dict(self._db.execute(rows.GET_META).fetchall())
        self._id = meta.get(rows.DATABASE_ID) or secrets.token_hex(16)
        with suppress(StoreUnavailable):
            with transaction(self._opened) as db:
                db.execute(rows.PUT_META, [rows.DATABASE_ID, self._id])
                db.execute(rows.PUT_META, [rows.OPENED_AT, iso(now)])
                db.execute(deliveries.PUT_ALL_DUE, {"now": iso(now)})
                db.execute(deliveries.FREE_PARTS)
                if self._opened.lost:  # that some of these were sent may be lost as well
                    db.execute(deliveries.PUT_NOTE, {"note": AFTER_A_LOSS})
            self.checkpoint()
            self._note_state()
        self._file = self.path.stat().st_ino

    def _note_state(self, *, closed: bool = False) -> None:
        """Write `tocsin.state`."""
        with outside_told():
            alerts, deliveries = self._db.execute(rows.GET_HIGHEST).fetchone()
        state = LastRun(
            database=self._id,
            at=datetime.now(UTC),
            closed=closed,
            alerts=alerts or 0,
            deliveries=deliveries or 0,
            damaged=self._damaged,
        )
        last_run.write(self._directory.path, state)
        self._noted_at = time.monotonic()

    def _look_for_the_file(self) -> None:
        """Notice that the file or its log was removed or replaced, and write a removed one anew from the open connection.

        Else everything written since is lost when the daemon ends. Each problem is a trouble, once.
        """
        try:
            gone = "tocsin.db" if self.path.stat().st_ino != self._file else ""
            replaced = bool(gone)
        except OSError:
            gone, replaced = "tocsin.db", False
        if not gone and not log_of(self.path).exists():
            gone = "tocsin.db-wal"
        if not gone:
            self._told_gone = ""
            return
        outcome, mended = "what is written from now on is lost when it ends", False
        if not replaced:
            try:
                reopen(self._opened, self.path)
            except (OSError, sqlite3.Error, StoreUnavailable) as error:
                outcome += f" ({error})"
            else:
                mended = True
                outcome = "it was written anew, and nothing is lost"
                self._file = self.path.stat().st_ino
        what = f"{gone} was {'replaced' if replaced else 'removed'} while the daemon runs"
        if mended or what != self._told_gone:  # tried each time, told once
            self._troubles.append(f"{what}: {outcome}")
        self._told_gone = "" if mended else what


def _put_notes(db: Database, notes: Mapping[str, str | None]) -> None:
    for name, value in notes.items():
        key = f"{rows.NOTE}{name}"
        statement, asked = (rows.PUT_META, [key, value]) if value is not None else (rows.DROP_META, [key])
        db.execute(statement, asked)


def _open_freeing(directory: StateDirectory, now: datetime) -> Opened:
    try:
        return open_database(directory, DATABASE, now)
    except StoreUnavailable as error:
        if not (error.full and directory.free_reserve()):
            raise
    return open_database(directory, DATABASE, now)
