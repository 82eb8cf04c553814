"""One row that can't be read is set aside, told and counted; the rest goes on."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from msgspec import structs

from support.stored import T0, alert, commit, delivery, opened, order
from tocsin.events import Instant, Sample
from tocsin.store.model import Delivery, HeldRow, InstanceRow, Silence, UnreadableRow
from tocsin.store.set_aside import FILE
from tocsin.store.sql import UNREADABLE, record_of, row_of
from tocsin.store.store import DATABASE

BROKEN = {
    "text that is none": "CAST(x'ff' AS TEXT)",
    "nothing": "''",
    "no JSON, no number, no time": "'{'",
}
# Table -> (a column that has to make sense, where the rows are in what is loaded).
TABLES = {
    "entities": ("data", "entities"),
    "entities, a time": ("known_since", "entities"),
    "instances": ("data", "instances"),
    "samples": ("value", "samples"),
    "samples, a time": ("time", "samples"),
    "held": ("data", "held"),
    "silences": ("ends_at", "silences"),
    "deliveries": ("context", "pending"),
    "deliveries, a time": ("expires_at", "pending"),
}


@pytest.fixture
def state(tmp_path):
    store = opened(tmp_path)
    numbers = range(3)
    commit(
        store,
        entities=[order(f"o{n}") for n in numbers],
        instances=[InstanceRow(rule="loss", instance=f"i{n}", record={"n": n}) for n in numbers],
        samples=[Sample("s", f"i{n}", T0, Decimal(n)) for n in numbers],
        held=[HeldRow(alert=f"a{n}", rule="loss", reason="night", data={"n": n}) for n in numbers],
        alerts=[alert(f"a{n}") for n in numbers],
        deliveries=[delivery(f"d{n}", alert=f"a{n}") for n in numbers],
        silences=[
            Silence(id=f"s{n}", matchers="venue=fx", reason="", created_at=T0, starts_at=T0, ends_at=T0)
            for n in numbers
        ],
    )
    store.alive(Instant(T0, 1.0))
    store.close()
    return tmp_path


def broken(state, table, column, value):
    with closing(sqlite3.connect(state / DATABASE)) as db:
        middle = f"(SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET 1)"
        db.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = {middle}")
        db.commit()


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("what", TABLES)
def test_the_rest_goes_on(state, what, value):
    table, _, _ = what.partition(",")
    column, part = TABLES[what]
    broken(state, table, column, value)
    store = opened(state)
    loaded = store.load()
    assert len(getattr(loaded, part)) == 2
    said = [*loaded.unreadable, *loaded.troubles]
    assert len(said) == 1
    assert not list(state.glob(f"{DATABASE}.corrupt-*")), "no reason to begin anew"
    store.close()
    if table != "deliveries":  # those stay, as given up: `tocsin deliveries` shows them
        (line,) = map(json.loads, (state / FILE).read_text().splitlines())
        assert (line["table"], (state / FILE).stat().st_mode & 0o777) == (table, 0o600)
    store = opened(state)
    loaded = store.load()
    assert (len(getattr(loaded, part)), loaded.unreadable, loaded.troubles) == (2, (), ()), "told once"
    store.close()


RECORDS = (
    Delivery(**structs.asdict(delivery("d1")), next_at=T0),
    InstanceRow(rule="loss", instance="i1", record={}),
    HeldRow(alert="a1", rule="loss", reason="night", data={}),
    Silence(id="s1", matchers="venue=fx", reason="", created_at=T0, starts_at=T0, ends_at=T0),
)
OPTIONAL = {"sent_at", "error", "handed_to", "handle", "digest", "reason", "ended_at"}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_damaged_records_header_makes_null_of_any_column(record):
    """A column's NOT NULL is asked for at writing only."""
    row, names = row_of(record), record.__struct_fields__
    assert record_of(type(record), row) == record
    for place, name in enumerate(names):
        damaged = (*row[:place], None, *row[place + 1 :])
        if name in OPTIONAL and getattr(record, name) is None:
            assert getattr(record_of(type(record), damaged), name) is None
        else:
            with pytest.raises(UNREADABLE):
                record_of(type(record), damaged)


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("key", ["alive_at", "alive_steady", "database_id", "opened_at"])
def test_what_the_daemon_notes_of_itself_keeps_it_from_nothing(state, key, value):
    with closing(sqlite3.connect(state / DATABASE)) as db:
        db.execute(f"UPDATE meta SET value = {value} WHERE key = ?", [key])
        db.commit()
    store = opened(state)
    assert len(store.load().entities) == 3
    commit(store, alerts=[alert("new")])
    store.close()


LOADED = {"instances": ("loss", "i1"), "held": ("a1",), "silences": ("s1",)}


@pytest.mark.parametrize("table", LOADED)
def test_what_was_loaded_and_makes_no_sense_is_set_aside_before_its_place_is_taken(state, table):
    store = opened(state)
    fresh = [InstanceRow(rule="loss", instance="i1", record={"n": "fresh"})] if table == "instances" else []
    found = UnreadableRow(table=table, key=LOADED[table], why="KeyError('asks')")
    for _ in range(2):  # also where the disk refused it the first time
        commit(store, unreadable=[found])
    commit(store, instances=fresh)
    (line,) = map(json.loads, (state / FILE).read_text().splitlines())
    assert (line["table"], line["why"]) == (table, "KeyError('asks')")
    assert set(LOADED[table]) < set(line["row"])
    loaded = store.load()
    assert len(getattr(loaded, table)) == 2 + len(fresh)
    assert (loaded.unreadable, loaded.troubles) == ((), ())
    store.close()


@pytest.mark.parametrize("table", LOADED)
def test_where_that_file_cannot_be_written_they_stay_and_it_is_said(state, table):
    (state / FILE).mkdir()
    store = opened(state)
    for _ in range(2):
        commit(store, unreadable=[UnreadableRow(table=table, key=LOADED[table], why="no sense")])
    (trouble,) = store.take_troubles()
    assert trouble.startswith("rows that can't be read stay where they are: ")
    assert len(getattr(store.load(), table)) == 3
    store.close()
