"""What a batch keeps: of market data, unless the config says otherwise, what made a rule fire; an instance once."""

from typing import Any

import pytest

from support.story import Story, compiled, seconds
from tocsin.events import Observation, Order, Ticker, number
from tocsin.store.model import Batch


class _Kept(Story):
    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.events: list[str] = []
        super().__init__(compiled(rules))

    def commit(self, batch: Batch) -> None:
        self.events += [
            f"{change.key.id} {getattr(change.state, 'last', None)}"
            for change in batch.events
            if change.kind == "ticker"
        ]
        super().commit(batch)


CASES = {
    "nothing fires": ([{"id": "x", "watch": "ticker", "when": "last > 9"}], []),
    "an entity's alert": ([{"id": "x", "watch": "ticker", "when": "last > 2"}], ["A 3", "A 1"]),
    "an event": ([{"id": "x", "watch": "ticker.updated", "when": "last == 2"}], ["A 2"]),
    "a group's alert": (
        [{"id": "x", "watch": "ticker", "per": [], "when": "sum(last) > 4"}],
        ["A 3", "A 1"],
    ),
    "the second of two": (
        [{"id": "x", "watch": "ticker.updated", "when": "last == 2", "per": [],
          "then": {"watch": "ticker.updated", "when": "last == 3", "within": "1h"}}],
        ["A 3"],
    ),
}  # fmt: skip


def test_of_what_came_together_all_that_moved_the_group_is_kept() -> None:
    story = _Kept([{"id": "x", "watch": "ticker", "per": ["venue"], "when": "sum(last) > 4"}])
    story.connect("fx")
    said = (("A", "3"), ("B", "2"))
    story.say(
        "fx",
        *(Observation(state=Ticker(id=name, symbol=name, last=number(last))) for name, last in said),
    )
    story.say("px", Observation(state=Ticker(id="C", symbol="C", last=number("1"))))
    assert story.events == ["A 3", "B 2"]


@pytest.mark.parametrize(("rules", "kept"), CASES.values(), ids=CASES)
def test_of_market_data_what_made_a_rule_fire_is_kept(rules: list[dict[str, Any]], kept: list[str]) -> None:
    story = _Kept(rules)
    for at, symbol, last in (
        ("0s", "A", "0"),
        ("1s", "B", "2"),
        ("2s", "A", "2"),
        ("3s", "A", "3"),
        ("4s", "A", "1"),
    ):
        story.run_to(seconds(at))
        story.step({"venue": "fx", "ticker": {"id": symbol, "symbol": symbol, "last": last}})
    assert [event for event in story.events if event != "B 2"] == kept


def test_what_a_cooldown_holds_back_of_a_flood_is_written_once_a_batch_and_goes_on_in_another_run() -> None:
    written: list[Batch] = []

    class Written(Story):
        def commit(self, batch: Batch) -> None:
            written.append(batch)
            super().commit(batch)

    story = Written(compiled([{"id": "c", "watch": "order.canceled", "cooldown": "15m"}]))
    story.connect("fx")
    story.say("fx", Observation(state=Order(id="o0", status="canceled")))
    story.say("fx", *(Observation(state=Order(id=f"o{each}", status="canceled")) for each in range(1, 100)))
    (row,) = written[-1].instances
    assert row.record is not None
    assert (row.record["held"], row.record["latest"]["entity"]) == (99, "o99")
    story.restart(60)
    story.run_to(seconds("15m"))
    story.expect([{"id": "o0", "suppressed": "0"}, {"id": "o99", "suppressed": "99"}])
