"""One daemon a directory, private files, sound databases of a version that we know, durable settings."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from support.stored import T0, at, commit, opened, order
from tocsin.entities import Entities
from tocsin.events import Instant, from_iso
from tocsin.store.directory import RESERVE_SIZE
from tocsin.store.errors import SchemaRefused, StateInUse, StoreUnavailable
from tocsin.store.migrations import all_steps, migrate, migrate_to
from tocsin.store.store import DATABASE, Store

pytestmark = pytest.mark.real

STATES = Path(__file__).parents[1] / "fixtures" / "states"
HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tocsin.store.store import Store
store = Store.open(Path(sys.argv[1]), now=datetime.now(UTC))
print("open", flush=True)
sys.stdin.read()
"""


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the state directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate(timeout=10)


def test_a_second_daemon_is_refused_and_told_whose_directory_it_is(tmp_path, holder):
    with pytest.raises(StateInUse, match=f"process {holder.pid}") as caught:
        opened(tmp_path)
    assert caught.value.pid == holder.pid
    assert str(tmp_path) in str(caught.value)


def test_kill_9_leaves_nothing_that_holds_the_directory(tmp_path, holder):
    holder.kill()
    holder.wait(timeout=10)
    opened(tmp_path).close()


def test_the_same_process_is_no_exception(tmp_path):
    store = opened(tmp_path)
    with pytest.raises(StateInUse, match=str(os.getpid())):
        opened(tmp_path)
    store.close()
    store.close()  # twice is fine
    opened(tmp_path).close()


def test_a_refusal_lets_go_of_the_directory(tmp_path):
    with sqlite3.connect(tmp_path / DATABASE) as strange:
        strange.execute("CREATE TABLE shopping (item)")
    strange.close()
    for _ in range(2):
        with pytest.raises(SchemaRefused, match="not Tocsin's"):
            opened(tmp_path)


def test_directory_and_files_are_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        store = opened(tmp_path / "new" / "state")
        commit(store, entities=[order()])
        files = {path.name: mode(path) for path in (tmp_path / "new" / "state").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert mode(tmp_path / "new" / "state") == 0o700
    assert files == {f"{DATABASE}{end}": 0o600 for end in ("", "-wal", "-shm")} | {
        "tocsin.lock": 0o600,
        "tocsin.state": 0o600,
        "reserve": 0o600,
    }


def test_a_database_that_others_could_read_is_made_private(tmp_path):
    opened(tmp_path).close()
    (tmp_path / DATABASE).chmod(0o644)
    opened(tmp_path).close()
    assert mode(tmp_path / DATABASE) == 0o600


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file/state"):
        opened(tmp_path / "file" / "state")


def test_every_commit_goes_through_to_the_disk(tmp_path):
    store = opened(tmp_path)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


def scribble(path, offset, garbage):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(garbage)


@pytest.mark.parametrize(("offset", "garbage"), [(0, b"not a database!!" * 256), (4096, b"\xff" * 8192)])
def test_a_damaged_database_is_set_aside_and_told(tmp_path, offset, garbage):
    store = opened(tmp_path)
    commit(store, entities=[order(f"o{n}") for n in range(100)])
    store.close()
    (tmp_path / f"{DATABASE}-wal").write_bytes(b"a log")
    scribble(tmp_path / DATABASE, offset, garbage)

    store = opened(tmp_path, now=at(1))
    aside = tmp_path / f"{DATABASE}.corrupt-20260301T100001Z"
    loaded = store.load()
    assert aside.read_bytes()[offset:].startswith(garbage)
    assert {change.key.id for change in loaded.entities} == {f"o{n}" for n in range(100)}, "they were not hit"
    (trouble,) = loaded.troubles
    assert f"kept as {aside.name}, and a new one was begun" in trouble
    assert loaded.lost
    commit(store, entities=[order()])
    store.close()
    store = opened(tmp_path)
    loaded = store.load()
    assert (loaded.troubles, loaded.lost) == ((), False)
    assert len(list(tmp_path.glob(f"{DATABASE}.corrupt-*Z"))) == 1
    assert len(loaded.entities) == 100
    store.close()


def test_two_damaged_databases_of_one_second_are_both_kept(tmp_path):
    for _ in range(2):
        (tmp_path / DATABASE).write_bytes(b"not a database!!" * 256)
        opened(tmp_path).close()
    assert len(list(tmp_path.glob(f"{DATABASE}.corrupt-*"))) == 2


def test_an_empty_file_is_a_new_database(tmp_path):
    (tmp_path / DATABASE).touch()
    store = opened(tmp_path)
    assert not list(tmp_path.glob(f"{DATABASE}.corrupt-*"))
    commit(store, entities=[order()])
    store.close()


def test_an_empty_database_gets_the_whole_schema(tmp_path):
    store = opened(tmp_path)
    tables = set(store._db.table_names())
    assert tables >= {
        "events", "entities", "alerts", "deliveries", "actions", "silences", "venues", "samples", "meta", "instances",
    }  # fmt: skip
    assert set(store._db.view_names()) == {"alert_history", "delivery_history"}
    assert all(store._db[name].strict for name in tables if not name.startswith("_"))
    columns = {name: list(store._db[name].columns_dict) for name in ("alerts", "deliveries", "events")}
    store.close()
    # The columns that the README documents, in its order.
    assert columns["alerts"] == [
        "id", "rule", "instance", "venue", "account", "entity", "symbol", "state", "severity", "started_at", "fired_at",
        "resolved_at", "acked_at", "title", "body", "data", "acked_by", "acked_until",
    ]  # fmt: skip
    assert columns["events"] == [
        "id", "received_at", "time", "venue", "event", "account", "entity", "symbol", "origin", "data",
    ]  # fmt: skip
    assert set(columns["deliveries"]) >= {
        "id", "alert", "state_told", "channel", "status", "attempts", "next_at", "sent_at", "error",
    }  # fmt: skip


def test_a_database_of_the_first_version_is_brought_up_to_date_with_what_it_holds(tmp_path):
    first = Database(tmp_path / DATABASE)
    migrate(first, stop_before="0002_history_views")
    first.execute(
        "INSERT INTO meta VALUES ('alive_at', '2026-03-01T10:00:00.000000Z'), ('alive_steady', '7.5')"
    )
    first.conn.commit()
    assert first.view_names() == []
    first.close()

    store = opened(tmp_path)
    assert store.load().alive == Instant(T0, 7.5)
    assert set(store._db.view_names()) == {"alert_history", "delivery_history"}
    store.close()


def test_who_has_a_message_instead_is_taken_over_from_the_older_spelling(tmp_path):
    older = Database(tmp_path / DATABASE)
    migrate(older, stop_before="0007_deliveries_handed_to")
    errors = {
        "d1": "500; handed to mail",
        "d2": "451 deferred; handed to queue",  # a service's own words
        "d3": "451 deferred; handed to queue; handed to mail",
        "d4": "403; handed to phone",  # has deliveries of that alert, but none that was handed over
        "d5": None,
    }
    rows = [(id_, f"alert of {id_}", "desk", error) for id_, error in errors.items()]
    rows += [
        (f"alert of {id_}-firing-20260101T000000000000-mail-0", f"alert of {id_}", "mail", None)
        for id_ in errors
    ]
    rows += [("p4", "alert of d4", "phone", None), ("q2", "alert of d2", "queues", None)]
    older.conn.executemany(
        """INSERT INTO deliveries (id, alert, channel, error, state_told, target, severity, status, created_at, expires_at,
        next_at, context) VALUES (?, ?, ?, ?, 'firing', 0, 'critical', 'pending', '2026', '2027', '2026', '{}')""",
        rows,
    )
    older.conn.commit()
    older.close()

    store = opened(tmp_path)
    found = store._db.execute("SELECT id, error, handed_to FROM deliveries WHERE channel = 'desk'").fetchall()
    store.close()
    assert found == [
        ("d1", "500", "mail"),
        ("d2", "451 deferred; handed to queue", None),
        ("d3", "451 deferred; handed to queue", "mail"),
        ("d4", "403; handed to phone", None),
        ("d5", None, None),
    ]


@pytest.mark.parametrize("count", range(1, len(all_steps())))
def test_what_each_step_left_is_there_after_the_others_and_kept_as_it_was(tmp_path, count):
    """The rows are those that the daemon of that step left, or one near it, as far as there were such tables then."""
    steps = all_steps()
    made = sorted(path.stem for path in STATES.glob("*.sql"))
    state = max((name for name in made if name <= steps[count - 1]), default=made[0])
    older = Database(tmp_path / DATABASE)
    migrate_to(older, steps[:count])
    with closing(sqlite3.connect(":memory:")) as left:
        left.executescript((STATES / f"{state}.sql").read_text())
        for table in older.table_names():
            names = [name for _, name, *_ in left.execute(f"PRAGMA table_info({table})")]
            columns = [name for name in older[table].columns_dict if name in names]
            if table.startswith("_") or not columns:
                continue
            rows = left.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            marks = ", ".join("?" * len(columns))
            older.conn.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
    older.conn.commit()
    older.close()

    store = opened(tmp_path)
    loaded = store.load()
    assert (loaded.unreadable, loaded.troubles) == ((), ())
    assert sorted(row.rule for row in loaded.instances) == ["deep-red", "held-red", "slow-red"]
    assert {row.record["state"] for row in loaded.instances} == {"firing", "pending"}
    assert [(each.channel, each.alert) for each in loaded.pending] == [("away", loaded.pending[0].alert)]
    assert len(loaded.held) == (count > 3)
    assert loaded.alive is not None
    store.close()
    copies = list(tmp_path.glob(f"{DATABASE}.before-*"))
    assert [copy.name for copy in copies] == [f"{DATABASE}.before-{steps[count]}"]
    assert mode(copies[0]) == 0o600
    with closing(sqlite3.connect(copies[0])) as kept:
        assert kept.execute("SELECT count(*) FROM deliveries").fetchone() == (2,)
        assert kept.execute("SELECT max(name) FROM _sqlite_migrations").fetchone() == (steps[count - 1],)
    opened(tmp_path).close()
    assert list(tmp_path.glob(f"{DATABASE}.before-*")) == copies, "only a migration makes another"


def test_only_the_last_copy_before_a_migration_is_kept(tmp_path):
    (tmp_path / f"{DATABASE}.before-0003_samples").write_text("an older one")
    older = Database(tmp_path / DATABASE)
    migrate_to(older, all_steps()[:4])
    older.close()
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.glob(f"{DATABASE}.before-*")] == [
        f"{DATABASE}.before-{all_steps()[4]}"
    ]


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path):
    store = opened(tmp_path)
    store._db["_sqlite_migrations"].insert(
        {"migration_set": "tocsin", "name": "0099_later", "applied_at": "2030"}
    )
    store.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(SchemaRefused, match=r"newer Tocsin \(0099_later\); install that version"):
        opened(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


def test_disk_space_is_put_by_and_can_be_had_back(tmp_path):
    store = opened(tmp_path)
    reserve = tmp_path / "reserve"
    assert reserve.stat().st_blocks * 512 >= RESERVE_SIZE  # really there, not a hole
    assert store.free_reserve()
    assert not reserve.exists()
    assert not store.free_reserve()
    assert store.keep_reserve()
    assert reserve.stat().st_size == RESERVE_SIZE
    store.close()


def test_without_room_no_space_is_put_by(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 3 * RESERVE_SIZE}))
    store = opened(tmp_path)
    assert not (tmp_path / "reserve").exists()
    assert not store.keep_reserve()
    store.close()


def test_a_disk_that_is_full_at_the_start_is_helped_with_the_reserve(tmp_path, monkeypatch):
    opened(tmp_path).close()
    reserve = tmp_path / "reserve"
    real = sys.modules["tocsin.store.store"].open_database

    def full_while_reserved(*given):
        if reserve.exists():
            raise StoreUnavailable("the disk is full", full=True)
        return real(*given)

    monkeypatch.setattr("tocsin.store.store.open_database", full_while_reserved)
    store = Store.open(tmp_path, now=T0)
    commit(store, entities=[order()])
    store.close()


def test_an_older_versions_entities_were_last_seen_when_they_last_changed(tmp_path):
    older = Database(tmp_path / DATABASE)
    migrate(older, stop_before="0008_entities_last_seen")
    at = "2026-01-01T00:00:05Z"
    older.execute(
        """INSERT INTO entities (venue, kind, account, id, symbol, ended, origin, events, known_since, time, received_at, data)
        VALUES ('fx', 'order', 'a', 'o1', 'BTC', 0, 'live', '["order.open"]', ?, ?, ?, '{"id": "o1", "status": "open"}')""",
        [at, at, at],
    )
    older.conn.commit()
    older.close()

    store = opened(tmp_path)
    (loaded,) = store.load().entities
    store.close()
    assert (loaded.key.id, loaded.last_seen, loaded.received) == ("o1", None, from_iso(at))
    (standing,) = Entities([loaded]).live("order")
    assert standing.last_seen == loaded.received
