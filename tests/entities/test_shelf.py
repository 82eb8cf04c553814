"""The indexes hold what lives, under what it is now."""

from datetime import UTC, datetime

import pytest

from tocsin.entities.shelf import Record, Shelf
from tocsin.events import Key, Position

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = Key("fx", "position", "a", "p")


def shelved(symbol, status):
    shelf = Shelf()
    record = Record(_KEY, Position(id="p", symbol=symbol, status=status), "live", _NOW, _NOW, _NOW)
    shelf.add(record)
    return shelf, record


@pytest.mark.parametrize(
    ("symbol", "status", "found"),
    [("X", "open", "X"), ("Y", "open", "Y"), ("X", "closed", ""), ("Y", "closed", "")],
)
@pytest.mark.parametrize("began", ["open", "closed"])
def test_a_position_is_found_by_the_symbol_that_it_has_while_it_lives(began, symbol, status, found):
    shelf, record = shelved("X", began)
    shelf.replace(record, Position(id="p", symbol=symbol, status=status))
    assert [name for name in "XY" if list(shelf.positions_in("fx", name))] == list(found)
    assert bool(shelf.owned("fx", "a")) is bool(found)
