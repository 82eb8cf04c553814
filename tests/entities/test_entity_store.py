"""The indexes hold what lives, under what it is now."""

from datetime import UTC, datetime

import pytest

from tocsin.entities.entity_store import EntityStore
from tocsin.events import Key, Order, Position

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = Key("fx", "position", "a", "p")


def stored(symbol, status):
    store = EntityStore()
    state = Position(id="p", symbol=symbol, status=status)
    return store, store.add(_KEY, state, origin="live", time=_NOW, received=_NOW, known_since=_NOW)


@pytest.mark.parametrize(
    ("symbol", "status", "found"),
    [("X", "open", "X"), ("Y", "open", "Y"), ("X", "closed", ""), ("Y", "closed", "")],
)
@pytest.mark.parametrize("began", ["open", "closed"])
def test_a_position_is_found_by_the_symbol_that_it_has_while_it_lives(began, symbol, status, found):
    store, record = stored("X", began)
    store.replace(record, Position(id="p", symbol=symbol, status=status))
    assert [name for name in "XY" if list(store.positions_in("fx", name))] == list(found)


def test_what_many_have_in_common_is_kept_once():
    store, records = EntityStore(), []
    for line in ("a1 x BTCUSD", "a1 y BTCUSD", "b1 x BTCUSD"):
        account, id_, symbol = line.split()  # texts of its own in each, as in messages
        state = Order(id=id_, symbol=symbol)
        key = Key("fx", "order", account, id_)
        records.append(store.add(key, state, origin="live", time=_NOW, received=_NOW, known_since=_NOW))
        assert records[-1].key == key
        assert store.find(key) is records[-1]
    assert len({id(record.state.symbol) for record in records}) == 1
    assert records[0].home is records[1].home is not records[2].home


def test_of_a_venue_that_is_dropped_nothing_is_left():
    store, position = stored("X", "open")
    other = Key("other", "position", "a", "p")
    store.add(other, position.state, origin="live", time=_NOW, received=_NOW, known_since=_NOW)
    closed = store.add(
        Key("fx", "position", "a", "q"), Position(id="q", symbol="X", status="closed"),
        origin="live", time=_NOW, received=_NOW, known_since=_NOW,
    )  # fmt: skip
    assert store.drop_venue("fx") == [_KEY, closed.key]
    assert [record.key for record in store] == [record.key for record in store.live("position")] == [other]
    assert not store.knows("fx")
    assert not list(store.positions_in("fx", "X"))
    assert list(store.live("position", "fx")) == []
    assert [record.key for record in store.live("position", "other")] == [other]
