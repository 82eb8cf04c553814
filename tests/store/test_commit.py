"""What is committed is there after a restart, digit for digit; what fails leaves nothing."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from support.stored import T0, alert, at, commit, delivery, due_ids, opened, order
from tocsin.events import (
    Account,
    Balance,
    Instant,
    Key,
    Position,
    Sample,
    SamplesDropped,
    Venue,
    number,
    number_text,
)
from tocsin.store.model import Batch, InstanceRow
from tocsin.store.store import DATABASE


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path / "state")
    yield store
    store.close()


def rows(store, query, *values):
    connection = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query, values)]
    finally:
        connection.close()


@pytest.mark.parametrize(
    "wire",
    [
        "0.08132",
        "-0.49939999999990503",
        "0.00000001",
        "1e-8",
        "0E-16",
        "+1",
        "100.00",
        "9007199254740993",
        "1E+3",
    ],
)
def test_a_number_survives_digit_for_digit(tmp_path, wire):
    with_number = order(fields={"price": number(wire)})
    store = opened(tmp_path)
    commit(store, entities=[with_number], events=[with_number])
    (event,) = rows(store, "SELECT data FROM events")
    store.close()
    store = opened(tmp_path)
    (loaded,) = store.load().entities
    store.close()
    assert number_text(loaded.state.price) == wire
    assert json.loads(event["data"])["price"] == wire


@pytest.mark.parametrize(
    "change",
    [
        order(raw=None, known_since=at(-60), time=datetime(2026, 3, 1, 9, 59, 59, 123456, tzinfo=UTC)),
        order("9007199254740993", raw=None, events=("order.updated", "order.canceled"), origin="resync", ended=True,
              fields={"status": "canceled", "reason": "user's \u202e wish\n\x00", "created": at(-5)}),
        order(raw=None, key=Key("v", "position", "", "p"), state=Position(id="p", profit=number("-60.50"), side="long")),
        order(raw=None, key=Key("v", "account", "a", "a"), state=Account(id="a", trading_disabled=False), symbol=None, sent=("equity",)),
        order(raw=None, key=Key("v", "balance", "a", "XBT"), state=Balance(id="XBT", asset="XBT", total=number("0")),
              symbol=None, origin="snapshot", events=()),
    ],
    ids=lambda change: change.key.kind + "-" + change.origin,
)  # fmt: skip
def test_an_entity_is_loaded_as_it_stood(tmp_path, change):
    store = opened(tmp_path)
    commit(store, entities=[change])
    store.close()
    store = opened(tmp_path)
    assert list(store.load().entities) == [change]
    store.close()


def test_the_latest_state_replaces_the_one_before(store):
    commit(store, entities=[order(fields={"filled": number("1")})])
    commit(store, entities=[order(fields={"status": "filled"}, ended=True)])
    (loaded,) = store.load().entities
    assert loaded.ended
    assert loaded.state.status == "filled"
    assert loaded.state.filled is UNSET  # nothing of the state before is left


def test_each_event_of_a_change_is_a_row_with_the_message(store):
    change = order(events=("order.updated", "order.canceled"), raw='{"status": "CANCELED"}', time=at(-1))
    commit(store, events=[change])
    found = rows(store, "SELECT * FROM events ORDER BY id")
    assert [row["event"] for row in found] == ["order.updated", "order.canceled"]
    assert found[1] | {"id": 0, "data": ""} == {
        "id": 0,
        "received_at": "2026-03-01T10:00:00.000000Z",
        "time": "2026-03-01T09:59:59.000000Z",
        "venue": "fx",
        "event": "order.canceled",
        "account": "acc",
        "entity": "o1",
        "symbol": "BTC-EUR",
        "origin": "live",
        "data": "",
    }
    assert json.loads(found[1]["data"]) == {
        "id": "o1",
        "symbol": "BTC-EUR",
        "status": "open",
        "price": "0.08132",
        "amount": "1e-8",
        "raw": '{"status": "CANCELED"}',
    }


def test_a_venue_is_also_a_row_of_the_venues(store):
    key = Key("fx", "venue", "", "fx")
    for status, attempts in (("connecting", 0), ("disconnected", 3)):
        state = Venue(id="fx", status=status, attempts=number(attempts), since=T0)
        commit(store, entities=[order(key=key, state=state, symbol=None)])
    (found,) = rows(store, "SELECT * FROM venues")
    assert (found["venue"], found["status"], found["attempts"]) == ("fx", "disconnected", "3")
    assert found["since"] == "2026-03-01T10:00:00.000000Z"


def test_instances_are_kept_until_they_are_over(store):
    first = InstanceRow(rule="r", instance="one", record={"state": "pending", "since": "x"})
    other = InstanceRow(rule="r", instance="two", record={"state": "firing"})
    commit(store, instances=[first, other])
    later = InstanceRow(rule="r", instance="two", record={"state": "recovering"})
    commit(store, instances=[InstanceRow(rule="r", instance="one", record=None), later])
    assert list(store.load().instances) == [later]


@pytest.mark.parametrize("records", [[{"n": 1}, None], [None, {"n": 2}], [{"n": 1}, None, {"n": 2}]])
def test_the_last_word_on_an_instance_in_a_batch_counts(store, records):
    commit(store, instances=[InstanceRow(rule="r", instance="i", record=record) for record in records])
    assert [row.record for row in store.load().instances] == ([records[-1]] if records[-1] else [])


def test_an_alert_is_updated_in_place_and_stays_acknowledged(store):
    commit(store, alerts=[alert()])
    store._db.execute("UPDATE alerts SET acked_at = '2026-03-01T10:00:05.000000Z'")
    commit(store, alerts=[alert(state="resolved", resolved_at=at(60), title="over")])
    (found,) = rows(store, "SELECT * FROM alerts")
    assert found["state"] == "resolved"
    assert found["resolved_at"] == "2026-03-01T10:01:00.000000Z"
    assert found["acked_at"] == "2026-03-01T10:00:05.000000Z"
    assert json.loads(found["data"]) == {"fields": {"profit": "-0.49939999999990503"}}


def test_a_batch_with_a_failing_row_leaves_nothing(store):
    commit(store, alerts=[alert()], deliveries=[delivery("d1")])
    twice = [delivery("d2"), delivery("d1")]  # d1 exists
    instance = InstanceRow(rule="r", instance="i", record={})
    with pytest.raises(sqlite3.IntegrityError):
        commit(
            store,
            entities=[order()],
            events=[order()],
            instances=[instance],
            alerts=[alert("a2")],
            deliveries=twice,
        )
    loaded = store.load()
    assert (list(loaded.entities), list(loaded.instances)) == ([], [])
    assert rows(store, "SELECT * FROM events") == []
    assert [row["id"] for row in rows(store, "SELECT id FROM alerts")] == ["a1"]
    assert due_ids(store, T0) == ["d1"]
    commit(store, entities=[order()])  # and the store goes on
    assert len(store.load().entities) == 1


def test_text_that_no_encoding_has_is_our_bug_and_leaves_nothing(store):
    with pytest.raises(UnicodeEncodeError):
        commit(store, entities=[order("o1"), order("o2", fields={"reason": "\ud800"})])
    assert list(store.load().entities) == []


def test_hostile_text_is_only_text(store):
    hostile = "'); DROP TABLE alerts; --"
    change = order(hostile, symbol=hostile, raw=hostile)
    commit(store, entities=[change], events=[change], alerts=[alert(hostile, title=hostile)])
    assert rows(store, "SELECT title FROM alerts WHERE id = ?", hostile) == [{"title": hostile}]
    assert store.load().entities[0].key.id == hostile


def test_the_time_last_alive_is_the_last_runs(tmp_path):
    store = opened(tmp_path)
    assert store.load().alive is None
    store.alive(Instant(at(1), 1.5))
    store.alive(Instant(at(2), 2.5))
    store.close()
    store = opened(tmp_path)
    assert store.load().alive == Instant(at(2), 2.5)
    store.close()


def test_a_row_that_cannot_be_read_is_named_and_set_aside(store):
    commit(store, entities=[order("good"), order("bad"), order("worse"), order("strange")])
    store._db.execute("""UPDATE entities SET data = '{"price": "much"}' WHERE id = 'bad'""")
    store._db.execute("UPDATE entities SET data = 'no JSON' WHERE id = 'worse'")
    store._db.execute("UPDATE entities SET kind = 'teapot' WHERE id = 'strange'")
    loaded = store.load()
    assert [change.key.id for change in loaded.entities] == ["good"]
    assert len(loaded.unreadable) == 3
    assert "entities ['fx', 'order', 'acc', 'bad']: ValueError: not a number: 'much'" in loaded.unreadable


def test_an_empty_batch_is_nothing_to_commit(store):
    assert not Batch(at=T0)
    store.commit(Batch(at=T0))
    assert store.path.name == DATABASE


def test_samples_come_and_go_in_their_order(tmp_path):
    def sample(instance, seconds, value, series="ticker: last over 5m"):
        return Sample(series, instance, at(seconds), number(value))

    store = opened(tmp_path)
    store.commit(
        Batch(
            at=T0,
            samples=[
                sample("a", 0, "1.50"),
                sample("a", 1, "1E+3"),
                sample("b", 1, "3"),
                sample("a", 1, "0.1", "other"),
            ],
        )
    )
    store.commit(
        Batch(at=T0, samples=[SamplesDropped("ticker: last over 5m", "a", at(1)), sample("b", 2, "4")])
    )
    store.close()
    store = opened(tmp_path)
    kept = [(row.series, row.instance, row.at, row.value) for row in store.load().samples]
    assert kept == [
        ("ticker: last over 5m", "a", at(1), 1000),
        ("ticker: last over 5m", "b", at(1), 3),
        ("other", "a", at(1), number("0.1")),
        ("ticker: last over 5m", "b", at(2), 4),
    ]
    # A drop and what comes after it, in one batch.
    store.commit(
        Batch(
            at=T0,
            samples=[sample("b", 3, "5"), SamplesDropped("ticker: last over 5m", "b"), sample("b", 4, "6")],
        )
    )
    store.commit(Batch(at=T0, samples=[SamplesDropped("other")]))
    assert [(row.instance, row.value) for row in store.load().samples] == [("a", 1000), ("b", 6)]
    store.close()


def test_what_is_gone_leaves_the_tables_and_what_came_after_it_stays(tmp_path):
    store = opened(tmp_path)
    link = order(key=Key("fx", "venue", "", "fx"), state=Venue(id="fx", status="connected"), symbol=None)
    commit(store, entities=[order("o1"), order("o2"), link])
    commit(store, gone=[order("o1").key, order("o2").key, link.key], entities=[order("o2")])
    assert [change.key.id for change in store.load().entities] == ["o2"]
    assert store._db.execute("SELECT count(*) FROM venues").fetchone() == (0,)
    store.close()
