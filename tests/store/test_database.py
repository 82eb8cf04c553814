"""The store under trio: in a thread of its own, finished once begun, untouched by other threads' troubles."""

import sqlite3
import threading
from functools import partial

import pytest
import trio

from support.stored import T0, alert, at, attempt, commit, delivery, order
from tocsin.events import Instant
from tocsin.store.database import Database, in_thread, inline
from tocsin.store.errors import StateInUse, StoreUnavailable
from tocsin.store.model import Batch, InstanceRow, Retention
from tocsin.store.retention import CHUNK, Pruned


@pytest.fixture(params=[in_thread, lambda: inline], ids=["thread", "inline"])
async def database(request, tmp_path):
    database = await Database.open(tmp_path, now=T0, run_sync=request.param())
    yield database
    await database.close()


async def test_everything_that_the_store_does(database):
    with trio.fail_after(10):
        batch = Batch(
            at=T0,
            entities=[order()],
            events=[order()],
            instances=[InstanceRow(rule="r", instance="i", record={"state": "firing"})],
            alerts=[alert()],
            deliveries=[delivery("d1"), delivery("d2", state_told="resolved")],
        )
        await database.commit(batch)
        await database.alive(Instant(at(5), 5.5))
        loaded = await database.load()
        assert [change.key.id for change in loaded.entities] == ["o1"]
        assert loaded.alive == Instant(at(5), 5.5)
        assert [found.id for found in await database.due("desk", 0, T0, 10)] == ["d1"]
        assert [found.id for found in await database.waiting("a1", "desk", 0)] == ["d1", "d2"]
        await database.record([attempt("d1")])
        assert await database.next_due("desk", 0) == T0
        assert await database.pending_targets() == {("desk", 0): 1}
        assert await database.apply_retention(Retention(), T0, heard) == Pruned()
        assert await database.checkpoint()
        assert await database.free_reserve()
        assert await database.keep_reserve()
        assert database.path.exists()


async def test_trouble_and_bugs_are_told_apart(database):
    store = database._store
    with pytest.raises(sqlite3.IntegrityError):
        await database.commit(Batch(at=T0, deliveries=[delivery("d1"), delivery("d1")]))
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    many = [order(f"o{n}") for n in range(500)]
    with pytest.raises(StoreUnavailable):
        await database.commit(Batch(at=T0, entities=many, events=many))
    assert (await database.load()).entities == []


async def heard(_pruned: Pruned) -> None:
    await trio.lowlevel.checkpoint()


async def test_retention_goes_on_to_its_end_and_tells_of_each_chunk(database):
    await database.commit(Batch(at=T0, events=[order() for _ in range(CHUNK * 2 + 1)]))
    chunks: list[int] = []

    async def hear(pruned: Pruned) -> None:
        await trio.lowlevel.checkpoint()
        chunks.append(pruned.events)

    assert (await database.apply_retention(Retention(), at(40 * 86400), hear)).events == CHUNK * 2 + 1
    assert chunks == [CHUNK, CHUNK, 1, 0]


async def test_a_cancelled_caller_changes_nothing(database):
    with trio.CancelScope() as scope:
        scope.cancel()
        await database.commit(Batch(at=T0, entities=[order()]))
    assert scope.cancelled_caught
    assert (await database.load()).entities == []


async def test_closing_works_while_everything_is_cancelled(tmp_path):
    database = await Database.open(tmp_path, now=T0)
    with pytest.raises(StateInUse):
        await Database.open(tmp_path, now=T0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await database.close()
    await (await Database.open(tmp_path, now=T0)).close()


class Gate:
    """Holds a call of the store, once begun in its thread, until it is opened."""

    def __init__(self, store, name):
        self.entered, self.opened = threading.Event(), threading.Event()
        self._real = getattr(store, name)

    def __call__(self, *arguments):
        self.entered.set()
        assert self.opened.wait(10)
        return self._real(*arguments)


async def begun(gate):
    await trio.to_thread.run_sync(partial(gate.entered.wait, 10))


async def test_a_commit_that_began_is_finished_though_its_caller_is_cancelled(tmp_path, monkeypatch):
    database = await Database.open(tmp_path, now=T0)
    gate = Gate(database._store, "commit")
    monkeypatch.setattr(database._store, "commit", gate)
    acknowledged = []

    async def caller():
        await database.commit(Batch(at=T0, entities=[order()]))
        acknowledged.append(True)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller)
            await begun(gate)
            nursery.cancel_scope.cancel()
            gate.opened.set()
        assert acknowledged
        assert len((await database.load()).entities) == 1
        await database.close()


async def test_calls_come_one_after_the_other_and_need_no_place_among_other_threads(tmp_path, monkeypatch):
    database = await Database.open(tmp_path, now=T0)
    gate = Gate(database._store.outbox, "due")
    monkeypatch.setattr(database._store.outbox, "due", gate)
    others = trio.to_thread.current_default_thread_limiter()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(database.due, "desk", 0, T0, 10)
            await begun(gate)
            nursery.start_soon(database.alive, Instant(at(1), 1.5))
            await trio.testing.wait_all_tasks_blocked()
            assert others.borrowed_tokens == 0
            alive = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
            assert alive.execute("SELECT count(*) FROM meta WHERE key = 'alive_at'").fetchone() == (
                0,
            )  # waits for its turn
            alive.close()
            gate.opened.set()
        assert (await database.load()).alive == Instant(at(1), 1.5)
        await database.close()


async def test_a_simulation_runs_inline_on_the_very_store(tmp_path):
    database = await Database.open(tmp_path, now=T0, run_sync=inline)
    seen = []
    real = database._store.commit
    database._store.commit = lambda batch: (seen.append(threading.current_thread()), real(batch))
    await database.commit(Batch(at=T0, entities=[order()]))
    assert seen == [threading.main_thread()]
    commit(database._store, entities=[order("o2")])
    assert len((await database.load()).entities) == 2
    await database.close()
