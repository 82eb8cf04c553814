"""Silences and what people did outlast a restart and an upgrade; a silence that was taken back is kept, and not loaded."""

from datetime import timedelta

from sqlite_utils import Database

from support.stored import T0, alert, opened
from tocsin.events import iso
from tocsin.store.migrations import all_steps, migrate_to
from tocsin.store.model import Acked, Act, Batch, Retention, Silence
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE


def silence(id_: str, **changes) -> Silence:
    times = {"created_at": T0, "starts_at": T0, "ends_at": T0 + timedelta(hours=2)}
    return Silence(**{"id": id_, "matchers": "venue=fx", "reason": "why not", **times, **changes})


def test_they_are_there_after_a_restart(tmp_path):
    kept, ended = silence("s1"), silence("s2", created_at=T0 + timedelta(seconds=1))
    store = opened(tmp_path / "state")
    store.commit(Batch(at=T0, silences=[kept, ended]))
    assert list(store.load().silences) == [kept, ended]
    store.commit(Batch(at=T0, silences=[silence("s2", ended_at=T0 + timedelta(minutes=1))]))
    store.close()
    store = opened(tmp_path / "state")
    assert list(store.load().silences) == [kept]
    store.close()


def test_those_of_an_older_version_were_made_by_nobody_known_and_have_held_nothing(tmp_path):
    steps = all_steps()
    older = Database(tmp_path / DATABASE)
    migrate_to(older, steps[: steps.index("0012_acts")])
    times = (iso(T0), iso(T0), iso(T0 + timedelta(hours=2)), None)
    older.execute("INSERT INTO silences VALUES ('s1', 'venue=fx', 'why not', ?, ?, ?, ?)", times)
    older.conn.commit()
    older.close()
    store = opened(tmp_path)
    assert list(store.load().silences) == [silence("s1")]
    store.commit(Batch(at=T0, silences=[silence("s1", held=2, created_by="anna")]))
    assert list(store.load().silences) == [silence("s1", held=2, created_by="anna")]
    store.close()


def test_what_people_did_is_kept_and_so_is_who_has_an_alert(tmp_path):
    store = opened(tmp_path)
    until = T0 + timedelta(hours=4)
    act = Act(at=T0, by="anna", via="cli", does="ack", target="a1", why="on it")
    store.commit(Batch(at=T0, alerts=[alert("a1")], acked=[Acked(alert="a1", at=T0, by="anna", until=until)], acts=[act]))  # fmt: skip
    store.commit(Batch(at=T0, alerts=[alert("a1", title="again")]))  # what is told of it again leaves that
    reader = Reader(store.path)
    (row,) = reader.alerts()
    assert (row["acked_at"], row["acked_by"], row["acked_until"]) == (iso(T0), "anna", iso(until))
    assert [(each["by"], each["does"], each["why"]) for each in reader.acts_on("a1")] == [
        ("anna", "ack", "on it")
    ]
    store.commit(Batch(at=T0, acked=[Acked(alert="a1", at=None)]))
    (row,) = reader.alerts()
    assert (row["acked_at"], row["acked_by"], row["acked_until"]) == (None, None, None)
    store.close()


def test_what_was_done_and_what_is_over_has_its_time(tmp_path):
    store = opened(tmp_path)
    acts = [Act(at=T0 + timedelta(days=days), by="a", via="cli", does="ack", target=f"a{days}") for days in (0, 400)]  # fmt: skip
    store.commit(Batch(at=T0, acts=acts, silences=[silence("s1"), silence("s2", ends_at=T0 + timedelta(days=400))]))  # fmt: skip
    pruned = store.apply_retention(Retention(), T0 + timedelta(days=401))
    assert (pruned.acts, pruned.more) == (2, True)
    assert not store.apply_retention(Retention(), T0 + timedelta(days=401))
    assert [row["target"] for row in Reader(store.path).acts_on("a400")] == ["a400"]
    assert Reader(store.path).acts_on("a0") == []
    assert [each.id for each in store.load().silences] == ["s2"]
    store.close()
