"""What conditions come to, over changes as the entities make them: see conditions.yaml."""

from pathlib import Path
from typing import Any

import pytest

from support.conditions import NOW, change, rows, sound, text_node
from tocsin.config.yaml import load
from tocsin.document import Mapping, Sequence

CASES = Path(__file__).with_name("conditions.yaml")


def _written() -> list[Any]:
    node, problems = load(CASES)
    assert not problems
    assert isinstance(node, Sequence)
    return [row.get("when") for row in node if isinstance(row, Mapping)]


@pytest.mark.parametrize(
    ("row", "written"),
    list(zip(rows(CASES), _written(), strict=True)),
    ids=lambda value: str(value["when"]) if isinstance(value, dict) else "",
)
def test_condition(row: dict[str, Any], written: Any) -> None:
    kind = row["watch"]
    condition = sound(written, kind, event=row.get("event", False))
    seen = change(
        kind, row["fields"], row.get("previous"), row.get("account"), events=tuple(row.get("happened", ()))
    )
    assert condition.holds(seen, NOW) is row["truth"]
    if "told" in row:
        assert condition.describe(seen, NOW) == row["told"]
    assert list(condition.missing(seen, NOW)) == row.get("missing", [])
    # The canonical spelling means the same.
    again = sound(text_node(condition.source), kind, event=row.get("event", False))
    assert again.source == condition.source
    assert again.tree == condition.tree
    assert again.holds(seen, NOW) is row["truth"]


@pytest.mark.parametrize(
    ("written", "edge", "timed", "fields"),
    [
        ("profit < -50", False, False, ("profit",)),
        ("crosses_below(profit, account.equity)", True, False, ("profit", "account.equity")),
        ("changed(stop_loss) or profit < 5 and profit > 1", True, False, ("stop_loss", "profit")),
        ("age() > 5m", False, True, ()),
        ("time_since(opened) > 5m and previous(profit) > 3", False, True, ("opened", "profit")),
    ],
)
def test_what_the_engine_asks_of_it(written: str, edge: bool, timed: bool, fields: tuple[str, ...]) -> None:
    condition = sound(text_node(written), "position")
    assert (condition.edge, condition.timed, condition.fields) == (edge, timed, fields)


def test_the_symbol_is_the_entitys_own_or_the_changes() -> None:
    condition = sound(text_node('symbol == "BTCUSD"'), "account")
    assert condition.holds(change("account", {}, symbol="BTCUSD"), NOW) is True
    assert condition.holds(change("account", {}), NOW) is None
    of_order = sound(text_node('symbol == "BTCUSD"'), "order")
    assert of_order.holds(change("order", {}, symbol="BTCUSD"), NOW) is True
    assert of_order.holds(change("order", {"symbol": "ETHUSD"}, symbol="BTCUSD"), NOW) is False


def test_half_a_character_in_a_venues_text_does_no_harm() -> None:
    condition = sound(text_node('matches(symbol, "B.")'), "order")
    assert condition.holds(change("order", {"symbol": "B\ud800"}), NOW) is True


def test_a_long_text_is_cut_where_it_is_told() -> None:
    condition = sound(text_node('reason != "x"'), "order")
    assert len(condition.describe(change("order", {"reason": "y" * 5000}), NOW)) < 200


@pytest.mark.parametrize(
    ("kind", "when", "fields", "words", "limit"),
    [
        ("position", "abs(profit) > 5", {"profit": "-6.1"}, "size of profit 6.1 > 5", "size of profit > 5"),
        ("position", "profit < -5", {"profit": "-6.10000000000001"}, "profit -6.1 < -5", "profit < -5"),
        ("order", "age() > 5m", {}, "age 10m > 5m", "age > 5m"),
        (
            "contract", "time_since(delivery_end) > 2h", {"delivery_end": "2025-11-01T22:00:01Z"},
            "time since delivery_end 60d 2h > 2h", "time since delivery_end > 2h",
        ),
        ("order", "(price + round(amount)) * 2 > 3", {"price": "2", "amount": "1"}, "((price + amount) * 2) 6 > 3", "((price + amount) * 2) > 3"),
        ("position", 'default(reason, "") != "tp"', {}, "", ""),
        ("position", 'default(reason, "") != "tp"', {"reason": "sl"}, "reason is sl", "reason is sl"),
        ("position", 'profit < -5 and not matches(event, "liq")', {"profit": "-6"}, "profit -6 < -5", "profit < -5"),
        ("position", 'symbol == "X" and profit < -5', {"symbol": "X", "profit": "-6"}, "profit -6 < -5", "profit < -5"),
    ],
)  # fmt: skip
def test_what_people_read_of_it(kind, when, fields, words, limit):
    """No functions, and nothing that every message says anyway."""
    seen = change(kind, fields)
    told = sound(text_node(when), kind, event="event" in when)
    assert told.describe(seen, NOW, wording="words") == words
    assert told.describe(seen, NOW, wording="limit") == limit
