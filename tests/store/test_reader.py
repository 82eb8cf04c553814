"""What other processes see, while the daemon works and after it has ended."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from support.stored import T0, alert, at, attempt, commit, delivery, opened, order
from tocsin.events import Key, Venue, number
from tocsin.store import reader as reader_module
from tocsin.store.errors import SchemaRefused, StoreUnavailable
from tocsin.store.migrations import migrate
from tocsin.store.opening import open_reading, taken
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path)
    commit(
        store,
        alerts=[
            alert("a1", state="resolved", started_at=at(-120), fired_at=at(-100), resolved_at=at(-30)),
            alert("a2", fired_at=at(-10), severity="critical"),
            alert("a3", rule="canceled", state="event", fired_at=at(-5)),
        ],
        deliveries=[
            delivery("d1", alert="a1", created_at=at(-100)),
            delivery("d2", alert="a1", state_told="resolved", created_at=at(-30)),
            delivery("d3", alert="a2", created_at=at(-10)),
        ],
    )
    store.outbox.record([attempt("d1", "sent", at(-99.5)), attempt("d2", "dead", error="chat not found")])
    yield store
    store.close()


def waiting(id_, alert="a1", seconds=-400, **more):
    return delivery(id_, alert=alert, severity="critical", created_at=at(seconds), **more)


@pytest.mark.parametrize(
    ("deliveries", "ends", "count"),
    [
        ([waiting("d1"), waiting("d2", channel="mail")], {}, 1),
        ([waiting("d1"), waiting("d2", channel="mail")], {"d2": "sent"}, 0),
        ([waiting("d1"), waiting("d2", channel="mail")], {"d2": "dead"}, 1),
        ([waiting("d1"), waiting("d2", alert="a2")], {"d2": "sent"}, 1),
        ([waiting("d1"), waiting("d2", alert="a2")], {}, 2),
        ([waiting("d1", seconds=-100)], {}, 0),
        ([waiting("d1", channel="gone")], {}, 0),
        ([waiting("d1", state_told="edit")], {}, 0),
        ([delivery("d1", created_at=at(-400))], {}, 0),
        # The firing was told; of a reminder nobody hears.
        ([waiting("d1", seconds=-900), waiting("d2", state_told="reminder")], {"d1": "sent"}, 1),
        # The one channel told it late, as one message with its end.
        (
            [
                waiting("d1"), waiting("d2", channel="mail"), waiting("d3", state_told="resolved", seconds=-350),
                waiting("d4", state_told="resolved", channel="mail", seconds=-350),
            ],
            {"d2": "superseded", "d4": "sent"},
            0,
        ),
        # The fallback has it.
        ([waiting("d1"), waiting("d2", channel="mail", seconds=-390)], {"d2": "sent"}, 0),
    ],
)  # fmt: skip
def test_critical_messages_that_reach_nobody_are_counted(tmp_path, deliveries, ends, count):
    store = opened(tmp_path)
    commit(store, deliveries=deliveries)
    store.outbox.record([attempt(id_, status, at(-300)) for id_, status in ends.items()])
    assert Reader(tmp_path / DATABASE).unheard(at(-300), ["desk", "mail"]) == count
    store.close()


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path / DATABASE)


def test_alerts_latest_first_and_only_active_ones_on_demand(store, reader):
    assert [row["id"] for row in reader.alerts()] == ["a3", "a2", "a1"]
    assert [row["id"] for row in reader.alerts(limit=1)] == ["a3"]
    (active,) = reader.alerts(active_only=True)
    assert active["id"] == "a2"
    assert active["fired_at"] == "2026-03-01T09:59:50.000000Z"
    assert active["data"] == {"fields": {"profit": "-0.49939999999990503"}}


def test_deliveries_say_what_they_are_about(store, reader):
    assert [row["id"] for row in reader.deliveries()] == ["d3", "d2", "d1"]
    assert [(row["id"], row["status"]) for row in reader.deliveries(unsent_only=True)] == [
        ("d3", "pending"),
        ("d2", "dead"),
    ]
    sent = reader.deliveries()[2]
    assert (sent["rule"], sent["title"], sent["took_seconds"]) == ("loss", "Loss on BTC-EUR", 0.5)


def test_rules_say_how_often_they_fired_and_when_last(store, reader):
    assert reader.rules() == [
        {"rule": "canceled", "fired": 1, "last_fired_at": "2026-03-01T09:59:55.000000Z", "active": 0},
        {"rule": "loss", "fired": 2, "last_fired_at": "2026-03-01T09:59:50.000000Z", "active": 1},
    ]


def test_venues_are_as_they_last_stood(store, reader):
    state = Venue(id="fx", status="disconnected", reason="403", attempts=number(2))
    commit(store, entities=[order(key=Key("fx", "venue", "", "fx"), state=state)])
    (venue,) = reader.venues()
    assert (venue["venue"], venue["status"], venue["reason"], venue["attempts"]) == (
        "fx",
        "disconnected",
        "403",
        "2",
    )


def test_the_history_of_an_alert_on_one_line(store):
    history = {row["id"]: row for row in store._db["alert_history"].rows}
    assert list(history) == ["a3", "a2", "a1"]
    told = history["a1"]
    assert (told["lasted_seconds"], told["sent"], told["unsent"], told["failed"]) == (90.0, 1, 0, 1)
    assert told["first_sent_at"] == "2026-03-01T09:58:20.500000Z"
    assert (history["a2"]["lasted_seconds"], history["a2"]["unsent"]) == (None, 1)


def test_a_reader_sees_what_was_committed_and_holds_nothing(store, reader):
    reader.alerts()
    commit(store, alerts=[alert("a4", fired_at=T0)])
    assert reader.alerts()[0]["id"] == "a4"
    assert store.checkpoint()


def test_after_the_daemon_has_ended_its_state_can_be_read(store, reader):
    store.close()
    assert len(reader.alerts()) == 3


def test_a_reader_cannot_write(store, reader):
    with reader._opened() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM alerts")


def test_no_database_yet_is_told(tmp_path, reader):
    with pytest.raises(StoreUnavailable, match="has the daemon run yet"):
        reader.alerts()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_told(tmp_path, reader):
    (tmp_path / DATABASE).write_bytes(b"not a database!!" * 256)
    with pytest.raises(StoreUnavailable, match="no database"):
        reader.alerts()


def test_another_versions_database_is_told(tmp_path, reader):
    older = Database(tmp_path / DATABASE)
    migrate(older, stop_before="0002_history_views")
    older.close()
    with pytest.raises(SchemaRefused, match="older Tocsin; start the daemon once"):
        reader.venues()


def test_a_path_with_odd_characters_is_found(tmp_path):
    odd = tmp_path / "50% of #1?"
    opened(odd).close()
    assert Reader(odd / DATABASE).alerts() == []


def test_counting_what_was_given_up_looks_at_nothing_else(store):
    plan = store._db.execute("EXPLAIN QUERY PLAN SELECT count(*) FROM deliveries WHERE status = 'dead'")
    assert "deliveries_dead" in plan.fetchone()[3]


def test_history_has_what_was_sent_word_for_word_and_each_message_its_own(store, reader):
    commit(store, deliveries=[delivery("d4", alert="a2", state_told="reminder", created_at=at(-4))])
    store.outbox.record([
        attempt("d3", "sent", at(-9), title="🔴 -60 USD BTC", body="firing: …"),
        attempt("d4", "sent", at(-3), title="🔴 still: -70 USD BTC", body="reminder: …"),
    ])  # fmt: skip
    told = {row["id"]: (row["state_told"], row["title"], row["body"]) for row in reader.deliveries()}
    assert told["d3"] == ("firing", "🔴 -60 USD BTC", "firing: …")
    assert told["d4"] == ("reminder", "🔴 still: -70 USD BTC", "reminder: …")
    titles = {row["id"]: row["title"] for row in reader.alerts()}
    assert titles["a2"] == "🔴 still: -70 USD BTC"
    assert titles["a3"] == "Loss on BTC-EUR"  # nothing was sent of it yet


def test_what_was_sent_before_it_was_kept_is_shown_as_before(tmp_path):
    older = Database(tmp_path / DATABASE)
    migrate(older, stop_before="0011_deliveries_words")
    older.execute(
        """INSERT INTO alerts (id, rule, instance, venue, entity, state, severity, started_at, fired_at, title, body, data)
        VALUES ('a1', 'loss', 'i', 'fx', 'p1', 'firing', 'info', '2026', '2026', 'as it was', 'body', '{}')"""
    )
    older.execute(
        """INSERT INTO deliveries (id, alert, channel, state_told, target, severity, status, created_at, expires_at, next_at,
        context) VALUES ('d1', 'a1', 'desk', 'firing', 0, 'info', 'sent', '2026', '2027', '2026', '{}')"""
    )
    older.conn.commit()
    older.close()
    opened(tmp_path).close()
    reader = Reader(tmp_path / DATABASE)
    assert [(row["id"], row["title"]) for row in reader.deliveries()] == [("d1", "as it was")]
    assert [(row["title"], row["body"]) for row in reader.alerts()] == [("as it was", "body")]


@pytest.fixture
def as_another_user():
    """For root, who may look everywhere."""
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_folder_of_another_users_is_said_to_be_that(tmp_path, as_another_user, request):
    folder = tmp_path / "theirs"
    with pytest.raises(StoreUnavailable, match="theirs is another user's; ask as that one, or with sudo"):
        Reader(folder / DATABASE).alerts()
    with pytest.raises(StoreUnavailable, match="is another user's"):
        taken(folder / DATABASE)


def test_another_database_in_the_same_file_is_looked_at_anew(tmp_path, store, reader):
    store.close()
    assert len(reader.alerts()) == 3
    path, other = tmp_path / DATABASE, tmp_path / "other"
    with closing(sqlite3.connect(path)) as ours, closing(sqlite3.connect(other)) as theirs:
        (version,) = ours.execute("PRAGMA schema_version").fetchone()
        theirs.execute("CREATE TABLE songs (name)")
        theirs.execute(f"PRAGMA schema_version = {version}")
        theirs.commit()
    path.write_bytes(other.read_bytes())  # the inode stays
    with pytest.raises(SchemaRefused, match="not Tocsin's"):
        reader.alerts()


def test_a_database_that_goes_while_it_is_opened_is_read_to_its_end(store, reader, monkeypatch):
    def opened_and_gone(path: Path) -> Database:
        db = open_reading(path)
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # SQLite has its files open
        path.unlink()
        return db

    monkeypatch.setattr(reader_module, "open_reading", opened_and_gone)
    assert len(reader.alerts()) == 3
    assert reader.sizes()[0] == 0


def test_what_can_not_be_looked_at_or_opened_is_told(tmp_path):
    with pytest.raises(StoreUnavailable, match="can't be looked at: File name too long"):
        Reader(tmp_path / ("x" * 300)).alerts()
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        open_reading(tmp_path / "nothing")
