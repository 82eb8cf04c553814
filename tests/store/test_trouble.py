"""kill -9, a full disk, a locked or vanished database: what was acknowledged stays, what fails is told as what it is."""

import random
import sqlite3
import subprocess
import sys

import pytest

from support.stored import T0, alert, attempt, commit, delivery, due_ids, opened, order
from tocsin.store.errors import StoreUnavailable

pytestmark = pytest.mark.real

# Commits batch after batch, says of each when it is acknowledged, and marks half of them sent.
WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.stored import alert, attempt, commit, delivery, opened, order
store = opened(Path(sys.argv[1]))
n = int(sys.argv[3])
while True:
    n += 1
    change = order(f"o{n}", raw="x" * 3000)
    commit(store, entities=[change], events=[change], alerts=[alert(f"a{n}")], deliveries=[delivery(f"d{n}", alert=f"a{n}")])
    print("committed", n, flush=True)
    if n % 2:
        store.outbox.record([attempt(f"d{n}")])
        print("sent", n, flush=True)
"""


def test_kill_9_loses_no_acknowledged_commit(tmp_path, pytestconfig):
    chance = random.Random(20260301)
    acknowledged = {"committed": set(), "sent": set()}
    last = 0
    for _ in range(4):
        arguments = [str(tmp_path), str(pytestconfig.rootpath / "tests"), str(last)]
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True
        )
        said = [worker.stdout.readline() for _ in range(chance.randint(1, 120))]
        worker.kill()
        said += worker.stdout.read().splitlines()  # what it had said by then
        worker.stdout.close()
        worker.wait(timeout=10)
        for words in map(str.split, said):
            if len(words) == 2 and words[0] in acknowledged:
                acknowledged[words[0]].add(int(words[1]))

        store = opened(tmp_path)
        entities = {change.key.id for change in store.load().entities}
        statuses = dict(store._db.execute("SELECT id, status FROM deliveries").fetchall())
        events = {name for (name,) in store._db.execute("SELECT entity FROM events")}
        store.close()
        assert {f"o{n}" for n in acknowledged["committed"]} <= entities
        assert {f"d{n}" for n in acknowledged["sent"]} <= {
            name for name, s in statuses.items() if s == "sent"
        }
        # Whole or not at all: the deliveries, the events and the entities are of the same commits.
        assert (
            {name[1:] for name in statuses}
            == {name[1:] for name in entities}
            == {name[1:] for name in events}
        )
        last = len(entities)
    assert len(acknowledged["committed"]) > 50


def test_a_full_disk_is_told_and_leaves_nothing_of_the_batch(tmp_path):
    store = opened(tmp_path)
    commit(store, alerts=[alert()], deliveries=[delivery("d1")])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    many = [order(f"o{n}", raw="x" * 4000) for n in range(100)]
    with pytest.raises(StoreUnavailable, match="the disk is full") as caught:
        commit(store, entities=many, events=many, deliveries=[delivery("d2", alert="a2")])
    assert caught.value.full
    assert store.load().entities == []
    assert due_ids(store, T0) == ["d1"]

    store.outbox.record([attempt("d1")])  # what still fits goes on
    store._db.execute("PRAGMA max_page_count = 1000000")
    commit(store, entities=many, events=many)
    assert len(store.load().entities) == 100
    store.close()


def test_a_stranger_who_holds_the_database_is_told(tmp_path):
    store = opened(tmp_path)
    store._db.execute("PRAGMA busy_timeout = 0")
    stranger = sqlite3.connect(store.path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds the database") as caught:
        commit(store, entities=[order()])
    assert not caught.value.full
    stranger.execute("ROLLBACK")
    stranger.close()
    commit(store, entities=[order()])
    assert len(store.load().entities) == 1
    store.close()


def test_a_database_damaged_while_in_use_is_told(tmp_path):
    store = opened(tmp_path)
    many = [order(f"o{n}") for n in range(200)]
    commit(store, entities=many, events=many)
    store.checkpoint()
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (store.path.stat().st_size - 4096))
    store._db.execute("PRAGMA shrink_memory")
    with pytest.raises(StoreUnavailable, match="damaged"):
        commit(store, entities=many, events=many)
    store.close()


def test_a_bug_of_ours_is_no_trouble_of_the_machine(tmp_path):
    store = opened(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        commit(store, deliveries=[delivery("d1"), delivery("d1")])
    store._db.execute("DROP TABLE events")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        commit(store, entities=[order()], events=[order()])
    assert store.load().entities == []
    store.close()


def test_a_checkpoint_does_not_wait_for_readers(tmp_path):
    store = opened(tmp_path)
    commit(store, entities=[order()])
    reader = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM entities").fetchone() == (1,)
    commit(store, entities=[order("o2")])
    assert not store.checkpoint()
    reader.close()
    assert store.checkpoint()
    assert store.path.with_name("tocsin.db-wal").stat().st_size == 0
    assert store._db.execute("PRAGMA busy_timeout").fetchone()[0] > 0
    store.close()
