"""A database that is damaged, gone, cut short or copied: what can be read goes on, what is lost is said, and it starts."""

import errno
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from support.stored import T0, alert, at, attempt, commit, delivery, due_ids, opened, order
from tocsin.events import Instant
from tocsin.store import opening
from tocsin.store.errors import Damaged, StoreUnavailable
from tocsin.store.last_run import STATE, TAKEN, Facts, LastRun, lacking, read
from tocsin.store.model import AFTER_A_LOSS, HeldRow, InstanceRow
from tocsin.store.opening import taken
from tocsin.store.reader import Reader
from tocsin.store.salvage import carry_over
from tocsin.store.store import DATABASE

PAGE = 4096
COUNT = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A state with some hundred alerts, a third of them unsent, stopped in order."""
    folder = tmp_path_factory.mktemp("made")
    store = opened(folder)
    for first in range(0, COUNT, 50):
        numbers = range(first, first + 50)
        orders = [order(f"o{n}", raw="x" * 1000) for n in numbers]
        commit(
            store,
            entities=orders,
            events=orders,
            alerts=[alert(f"a{n}") for n in numbers],
            deliveries=[
                delivery(f"d{n}", alert=f"a{n}", context={"rule": "loss", "pad": "p" * 400}) for n in numbers
            ],
            instances=[
                InstanceRow(rule="loss", instance=f"fx/order/acc/o{n}", record={"n": n}) for n in numbers
            ],
            held=[HeldRow(alert=f"a{n}", rule="loss", reason="night", data={"n": n}) for n in numbers],
        )
        store.outbox.record([attempt(f"d{n}") for n in numbers if n % 3])
    store.alive(Instant(at(600), 600.0))
    store.close()
    return folder


@pytest.fixture
def state(made, tmp_path):
    """A copy of it, to be hurt."""
    shutil.copytree(made, tmp_path / "state")
    return tmp_path / "state"


def set_aside(state):
    """The damaged databases that are kept, without their logs."""
    return [path for path in state.glob(f"{DATABASE}.corrupt-*") if not path.name.endswith(("-wal", "-shm"))]


def hurt(state, seed):
    """One of many ways in which a file gets damaged."""
    chance = random.Random(seed)
    path = state / DATABASE
    size = path.stat().st_size
    kind = chance.choice(("bytes", "page", "pages", "cut", "beginning", "zeros"))
    with path.open("r+b") as file:
        if kind == "bytes":
            for _ in range(chance.choice((1, 10, 100))):
                file.seek(chance.randrange(size))
                file.write(chance.randbytes(1))
        elif kind in ("page", "pages"):
            for _ in range(1 if kind == "page" else 10):
                file.seek(chance.randrange(size // PAGE) * PAGE)
                file.write(chance.randbytes(PAGE))
        elif kind == "cut":
            file.truncate(chance.randrange(size))
        elif kind == "beginning":
            file.write(chance.randbytes(chance.choice((1, 100, PAGE))))
        else:
            file.seek(chance.randrange(size))
            file.write(bytes(chance.choice((512, 8 * PAGE))))


@pytest.mark.parametrize("seed", range(24))
def test_it_always_starts_and_what_can_be_read_is_there(state, seed):
    hurt(state, seed)
    try:
        with closing(sqlite3.connect(f"file:{state / DATABASE}?mode=ro", uri=True)) as plain:
            query = "SELECT id FROM deliveries WHERE status = 'pending' AND json_valid(context)"
            readable = {id_ for (id_,) in plain.execute(query)}
    except (sqlite3.Error, UnicodeDecodeError):
        readable = set()
    store = opened(state)
    loaded = store.load()
    pending = {each.id for each in loaded.pending}
    missing = readable - pending
    assert len(missing) <= len(loaded.unreadable), f"{missing} can be read"
    if len(pending) < COUNT // 3:
        assert loaded.troubles or loaded.unreadable
    commit(store, alerts=[alert("new")], deliveries=[delivery("new", alert="new")])
    store.outbox.record([attempt("new")])
    store.close()
    store = opened(state)
    assert len(set_aside(state)) <= 1, "once is enough"
    assert not store.load().troubles
    store.close()


def test_what_is_lost_is_counted(state):
    """Every other page of the messages is gone."""
    with closing(sqlite3.connect(state / DATABASE)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()
    with (state / DATABASE).open("r+b") as file:
        pages = [int.from_bytes(b, "big") for b in children(file, root)]
        for page in pages[2::2]:
            file.seek((page - 1) * PAGE)
            file.write(b"\xff" * PAGE)
    store = opened(state)
    loaded = store.load()
    (carried,) = store._db.execute("SELECT count(*) FROM deliveries").fetchone()
    assert 0 < carried < COUNT
    assert len(loaded.pending) > 0
    trouble = " ".join(loaded.troubles)
    assert (
        f"300 alerts and {carried} messages ({len(loaded.pending)} of them unsent) are carried over"
        in trouble
    )
    assert "messages between them are lost; rows are lost of: deliveries" in trouble
    assert len(loaded.entities) == len(loaded.instances) == len(loaded.held) == COUNT
    store.close()


def children(file, root):
    """The pages that an inner page of a table points to, in order."""
    file.seek((root - 1) * PAGE)
    page = file.read(PAGE)
    assert page[0] == 0x05
    count = int.from_bytes(page[3:5], "big")
    cells = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(count)]
    return [*(page[cell : cell + 4] for cell in cells), page[8:12]]


# ------------------------------------------------------------------------------------------------ gone, cut short, replaced


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_a_database_that_is_gone_is_told_with_what_is_lost(state, how):
    (state / DATABASE).unlink() if how == "removed" else (state / DATABASE).write_bytes(b"")
    store = opened(state)
    loaded = store.load()
    (trouble,) = loaded.troubles
    assert "is gone or empty, and a new one was begun: 300 alerts and 300 messages are lost" in trouble
    assert loaded.lost
    store.close()
    store = opened(state)
    assert not store.load().troubles
    store.close()


def killed(state):
    """As `kill -9` leaves it: files as they are at this moment, nothing closed."""
    store = opened(state)
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    store.alive(Instant(at(700), 700.0))
    copy = state.with_name("killed")
    shutil.copytree(state, copy)
    store.close()
    return copy


def test_a_crash_alone_loses_nothing_and_says_nothing(state):
    store = opened(killed(state))
    assert (store.load().troubles, store.load().lost) == ((), False)
    assert "late" in due_ids(store, T0, limit=1000)
    store.close()


def test_a_database_without_its_log_is_told_with_what_is_lost(state):
    after = killed(state)
    (after / f"{DATABASE}-wal").unlink()
    store = opened(after)
    loaded = store.load()
    (trouble,) = loaded.troubles
    assert "(tocsin.db-wal) is gone: 1 alerts and 1 messages are lost, and up to everything since" in trouble
    assert loaded.lost
    assert all(each.context["notes"] == [AFTER_A_LOSS] for each in loaded.pending)
    store.close()


def test_an_older_copy_in_its_place_is_told(state):
    older = (state / DATABASE).read_bytes()
    store = opened(state)
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    store.close()
    (state / DATABASE).write_bytes(older)
    store = opened(state)
    (trouble,) = store.load().troubles
    assert "lacks its end: 1 alerts and 1 messages are lost" in trouble
    store.close()


LAST = LastRun(database="x", at=T0, closed=True, alerts=10, deliveries=20)
FOUND = Facts(
    database="x", alerts=10, deliveries=20, alive_at="2026-03-01T09:59:00Z", marked=False, without_log=True
)


@pytest.mark.parametrize(
    ("last", "found", "said"),
    [
        (None, None, None),
        (LAST, FOUND, None),
        (None, FOUND, None),
        (LAST, {"database": "y"}, "isn't that of the last run"),
        (LAST, {"alerts": 7, "deliveries": 20}, "lacks its end: 3 alerts and 0 messages are lost, and up to"),
        ({"closed": False}, {"marked": True}, "what was written last is lost, and up to everything since 2026"),
        ({"closed": False}, {"marked": True, "without_log": False}, None),
        (None, {"marked": True}, TAKEN),
        (None, {"marked": True, "without_log": False}, None),
        (LAST, {"database": "y", "marked": True}, TAKEN),
    ],
)  # fmt: skip
def test_what_a_database_lacks_shows_beside_what_the_last_run_knew(last, found, said):
    last = (
        LastRun(**{name: getattr(LAST, name) for name in LAST.__struct_fields__} | last)
        if isinstance(last, dict)
        else last
    )
    if isinstance(found, dict):
        found = Facts(**{name: getattr(FOUND, name) for name in FOUND.__struct_fields__} | found)
    text = lacking(last, found)
    assert said in text if said else text == ""


def test_the_state_beside_it_says_what_was_written_and_whether_it_was_closed(state):
    before = read(state)
    assert before is not None
    assert (before.closed, before.alerts, before.deliveries) == (True, 300, 300)
    store = opened(state)
    opened_ = read(state)
    assert (opened_.closed, opened_.database) == (False, before.database)
    store._noted_at -= 1  # a second ago
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    commit(store, alerts=[alert("later")], deliveries=[delivery("later", alert="later")])
    assert read(state).deliveries == 301, "at most once a second"
    store.close()
    assert (read(state).closed, read(state).deliveries) == (True, 302)


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe", b"[]", b'{"database": 1}'])
def test_a_state_that_cannot_be_read_says_nothing(state, garbage):
    (state / STATE).write_bytes(garbage)
    store = opened(state)
    assert not store.load().troubles
    store.close()


# ------------------------------------------------------------------------------------------------------- while it runs


def test_a_file_that_is_removed_while_it_runs_is_written_anew_and_told(state):
    store = opened(state)
    (state / DATABASE).unlink()
    store.alive(Instant(at(1), 1.0))
    assert store.take_troubles() == [
        "tocsin.db was removed while the daemon runs: it was written anew, and nothing is lost"
    ]
    assert (state / DATABASE).stat().st_mode & 0o777 == 0o600
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    store.alive(Instant(at(2), 2.0))
    assert store.take_troubles() == []
    store.close()
    store = opened(state)
    loaded = store.load()
    assert not loaded.troubles
    assert (len(loaded.entities), "late" in due_ids(store, T0, limit=1000)) == (COUNT, True)
    store.close()


def test_a_log_that_is_removed_while_it_runs_costs_nothing(state):
    store = opened(state)
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    (state / f"{DATABASE}-wal").unlink()
    store.alive(Instant(at(1), 1.0))
    (trouble,) = store.take_troubles()
    assert trouble.startswith("tocsin.db-wal was removed")
    copy = state.with_name("killed")
    shutil.copytree(state, copy)
    store.close()
    store = opened(copy)
    assert "late" in due_ids(store, T0, limit=1000)
    store.close()


def test_a_file_that_is_replaced_while_it_runs_is_left_alone_and_told_once(state):
    store = opened(state)
    other = state / "other"
    shutil.copy(state / DATABASE, other)
    other.replace(state / DATABASE)
    for second in range(3):
        store.alive(Instant(at(second), 1.0))
    (trouble,) = store.take_troubles()
    assert (
        trouble
        == "tocsin.db was replaced while the daemon runs: what is written from now on is lost when it ends"
    )
    store.close()


def test_one_that_is_found_to_be_damaged_while_it_runs_is_made_anew(state):
    store = opened(state)
    store.checkpoint()
    with store.path.open("r+b") as file:
        file.seek(40 * PAGE)
        file.write(b"\xff" * (store.path.stat().st_size - 40 * PAGE))
    store._db.execute("PRAGMA shrink_memory")
    many = [order(f"o{n}") for n in range(COUNT)]
    with pytest.raises(Damaged) as error:
        commit(store, entities=many, events=many)
    store.rebuild(str(error.value), T0 + timedelta(hours=1))
    (trouble,) = store.take_troubles()
    assert "and a new one was begun" in trouble
    commit(store, entities=many, events=many)
    store.close()
    store = opened(state)
    assert len(store.load().entities) == COUNT
    store.close()


def test_a_large_one_is_looked_through_later_and_what_is_found_is_mended_at_the_next_start(
    state, monkeypatch
):
    monkeypatch.setattr("tocsin.store.opening.CHECKED_AT_ONCE", 0)
    store = opened(state)
    assert store.unchecked
    store.check()
    assert not store.unchecked
    store.close()
    with closing(sqlite3.connect(state / DATABASE)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_entity'").fetchone()
    with (state / DATABASE).open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    store = opened(state)
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.check()
    assert not set_aside(state)
    store.close()
    store = opened(state)
    assert len(set_aside(state)) == 1
    assert len(store.load().entities) == COUNT
    store.close()


def full_soon(monkeypatch):
    """New databases find no room after some pages."""
    settle = opening._settle

    def narrow(db):
        settle(db)
        db.execute("PRAGMA max_page_count = 60")

    monkeypatch.setattr(opening, "_settle", narrow)


def unreadable_indices(state):
    """An index is damaged: the database as a whole is, and all rows can be read."""
    with closing(sqlite3.connect(state / DATABASE)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_entity'").fetchone()
    with (state / DATABASE).open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xff" * PAGE)


def test_a_disk_that_gets_full_while_a_damaged_one_is_made_anew_costs_nothing_at_the_start(
    state, monkeypatch
):
    unreadable_indices(state)
    with monkeypatch.context() as patch:
        full_soon(patch)
        with pytest.raises(StoreUnavailable, match="full"):
            opened(state)
    assert not set_aside(state)
    store = opened(state)
    loaded = store.load()
    assert (len(loaded.entities), len(loaded.pending), loaded.lost) == (COUNT, COUNT // 3, True)
    store.close()


def test_a_disk_that_gets_full_while_a_damaged_one_is_made_anew_costs_nothing_at_run_time(state, monkeypatch):
    store = opened(state)
    with monkeypatch.context() as patch:
        full_soon(patch)
        with pytest.raises(StoreUnavailable, match="full"):
            store.rebuild("the database is damaged", T0)
    assert not set_aside(state)
    store.alive(Instant(at(1), 1.0))
    assert store.take_troubles() == []
    commit(store, alerts=[alert("late")])
    store.rebuild("the database is damaged", T0)
    assert (len(store.load().entities), len(set_aside(state))) == (COUNT, 1)
    store.close()


def test_a_salvage_that_fails_leaves_no_transaction_behind(state, tmp_path, monkeypatch):
    def fail(_self):
        raise MemoryError

    monkeypatch.setattr("tocsin.store.salvage._Reading.__iter__", fail)
    with closing(Database(sqlite3.connect(tmp_path / "new.db", isolation_level=None))) as new:
        with pytest.raises(MemoryError):
            carry_over(state / DATABASE, new)
        assert not new.conn.in_transaction


def test_what_is_unsent_and_what_fires_comes_first_however_little_time_there_is(state, tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.store.salvage._WITHIN", 0.0)
    monkeypatch.setattr("tocsin.store.salvage._CHUNK", COUNT // 3)
    with closing(Database(sqlite3.connect(tmp_path / "new.db", isolation_level=None))) as new:
        carried = carry_over(state / DATABASE, new)
        (unsent,) = new.execute("SELECT count(*) FROM deliveries WHERE status = 'pending'").fetchone()
    assert unsent == carried.unsent == COUNT // 3
    assert carried.rows["deliveries"] < COUNT
    assert carried.rows["alerts"] > 0
    assert "deliveries" in carried.torn


def test_what_is_known_to_wait_is_in_the_new_one_too_once(state):
    store = opened(state)
    lost = delivery("only known", alert="a1")
    store.rebuild("the database is damaged", T0, [delivery("d0", alert="a0"), lost])
    pending = [each.id for each in store.load().pending]
    assert (pending.count("d0"), pending.count(lost.id), len(pending)) == (1, 1, COUNT // 3 + 1)
    store.close()


def test_what_was_sent_of_a_lost_row_is_passed_over_and_what_it_causes_is_kept(state):
    store = opened(state)
    store.rebuild("the database is damaged", T0)
    fallback = delivery("f1", channel="mail")
    store.outbox.record([attempt("lost with its page", "dead", also=(fallback,)), attempt("d0")])
    assert due_ids(store, T0, channel="mail") == ["f1"]
    assert store.outbox.record([attempt("d0", "dead")]) == ["d0"]  # it is there, and sent
    store.close()


@pytest.mark.parametrize("removed", [DATABASE, f"{DATABASE}-wal"])
def test_what_is_removed_is_written_anew_as_soon_as_it_can_be(state, monkeypatch, removed):
    store = opened(state)
    commit(store, alerts=[alert("late")], deliveries=[delivery("late", alert="late")])
    (state / removed).unlink()

    def refuse(*_):
        raise OSError(errno.EACCES, "not now")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        for second in range(3):
            store.alive(Instant(at(second), 1.0))
    (trouble,) = store.take_troubles()
    assert trouble.startswith(
        f"{removed} was removed while the daemon runs: what is written from now on is lost"
    )
    commit(store, alerts=[alert("later")], deliveries=[delivery("later", alert="later")])
    store.alive(Instant(at(4), 4.0))
    (trouble,) = store.take_troubles()
    assert trouble.endswith("it was written anew, and nothing is lost")
    store.alive(Instant(at(5), 5.0))
    assert store.take_troubles() == []
    store.close()
    store = opened(state)
    assert {"late", "later"} <= set(due_ids(store, T0, limit=1000))
    store.close()


@pytest.mark.parametrize("failing", ["_connect", "_settle"])
def test_one_that_is_written_anew_goes_on_where_it_cannot_be_opened_at_once(state, monkeypatch, failing):
    store = opened(state)
    (state / DATABASE).unlink()
    real = getattr(opening, failing)

    def once(given):
        monkeypatch.setattr(opening, failing, real)
        raise StoreUnavailable("not now")

    monkeypatch.setattr(opening, failing, once)
    store.alive(Instant(at(1), 1.0))
    commit(store, alerts=[alert("late")])
    (trouble,) = store.take_troubles()
    assert trouble.endswith("nothing is lost")
    store.close()


def test_what_is_taken_while_a_thread_adds_to_it_is_told_once(state, monkeypatch):
    store = opened(state)
    taken_meanwhile = []

    class Slow(list):
        def __iter__(self):
            taken_meanwhile.extend(store.take_troubles())
            return super().__iter__()

    def rebuilt(made, *_, **__):
        made.troubles = Slow(["made anew"])
        made.db = opening._connect(state / DATABASE)

    (state / f"{DATABASE}-wal").unlink()
    store.alive(Instant(at(1), 1.0))
    monkeypatch.setattr("tocsin.store.store.rebuild", rebuilt)
    store.rebuild("the database is damaged", T0)
    (before,) = taken_meanwhile
    assert before.startswith(f"{DATABASE}-wal was removed")
    assert store.take_troubles() == ["made anew"]
    store.close()


# ------------------------------------------------------------------------------------------------------------- copies


def test_a_copy_knows_whether_it_was_taken_while_the_daemon_ran(state, tmp_path):
    store = opened(state)
    commit(store, alerts=[alert("late")])
    folder = tmp_path / "copies"
    folder.mkdir()
    running, stopped = folder / "running.db", folder / "stopped.db"
    shutil.copy(state / DATABASE, running)
    assert taken(store.path) == "", "the database itself isn't one"
    store.close()
    shutil.copy(state / DATABASE, stopped)
    assert TAKEN in taken(running)
    assert TAKEN in taken(running), "also when it was looked at before"
    assert taken(stopped) == taken(folder / "none.db") == ""
    assert Reader(running).count_events() == COUNT


def test_a_copy_with_its_log_is_whole(state, tmp_path):
    store = opened(state)
    commit(store, alerts=[alert("late")])
    for end in ("", "-wal"):
        shutil.copy(f"{store.path}{end}", tmp_path / f"copy.db{end}")
    store.close()
    assert taken(tmp_path / "copy.db") == ""
