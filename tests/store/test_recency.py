"""How new what is known is, and which operations were told: kept, and taken over from a version that kept neither."""

import pytest
from sqlite_utils import Database

from support.stored import at, commit, opened, order
from tocsin.entities import Entities
from tocsin.events import Balance, Instant, Key, Observation, Order, Stamps, from_iso, number
from tocsin.store.migrations import migrate
from tocsin.store.model import OperationRow, Retention
from tocsin.store.store import DATABASE


def test_how_new_an_entity_is_is_kept_but_for_sequences(tmp_path):
    known = Balance(id="USD", available=number("1"), locked=number("2"))
    marks = (
        Stamps(time=at(1), sequence=7, connection=3, fields=0b100),
        Stamps(begun=at(-9), updated=at(2), fields=0b1000),
    )
    store = opened(tmp_path)
    key = Key("v", "balance", "", "USD")
    commit(store, entities=[order(raw=None, key=key, state=known, symbol=None, stamps=marks)])
    store.close()
    store = opened(tmp_path)
    (found,) = store.load().entities
    row = store._db.execute("SELECT stamps FROM entities").fetchone()
    store.close()
    assert found.stamps == (
        Stamps(time=at(1), connection=-1, fields=0b100),
        Stamps(begun=at(-9), updated=at(2), connection=-1, fields=0b1000),
    )
    assert '"fields":["available"]' in row[0]


def test_operations_are_kept_as_long_as_events(tmp_path):
    store = opened(tmp_path)
    told = [OperationRow(venue="fx", account="a", id=f"op{n}", at=at(n)) for n in (2, 0, 1)]
    commit(store, operations=told)
    commit(store, operations=[told[1]])  # a batch that is committed twice
    assert list(store.load().operations) == [("fx", "a", f"op{n}") for n in (0, 1, 2)]
    store.apply_retention(Retention(), at(1) + Retention().events)
    assert list(store.load().operations) == [("fx", "a", "op1"), ("fx", "a", "op2")]
    commit(store, gone=[Key("fx", "venue", "", "fx")])
    assert not store.load().operations
    store.close()


@pytest.mark.parametrize(
    ("updated", "time", "said", "believed"),
    [
        ("2026-01-01T00:00:05Z", "2026-01-01T00:00:05Z", 4, False),
        ("2026-01-01T00:00:05Z", "2026-01-01T00:00:05Z", 6, True),
        # A stamp that had been believed, and was ahead of its receipt.
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 4, True),
    ],
)
def test_an_older_version_s_times_order_by_the_same_measure(tmp_path, updated, time, said, believed):
    older = Database(tmp_path / DATABASE)
    migrate(older, stop_before="0009_recency")
    older.execute(
        """INSERT INTO entities (venue, kind, account, id, ended, origin, events, known_since, time, received_at, data)
        VALUES ('v', 'order', '', 'o', 0, 'live', '[]', '2026-01-01T00:00:00Z', ?, '2026-01-01T00:00:05.5Z', ?)""",
        [time, f'{{"id":"o","status":"open","price":"1","updated":"{updated}"}}'],
    )
    older.conn.commit()
    older.close()

    store = opened(tmp_path)
    loaded = store.load()
    store.close()
    assert not loaded.unreadable
    entities = Entities(loaded.entities, loaded.operations)
    state = Order(id="o", price=number("2"), updated=from_iso(f"2026-01-01T00:00:0{said}Z"))
    changes = entities.apply("v", Observation(state=state), Instant(at(60), 0.0), None)
    assert bool(changes) is believed
