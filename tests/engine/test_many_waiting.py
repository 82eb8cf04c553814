"""Many first events of one `unless` at once: none is lost, and each costs as much as the first did."""

import pytest

from support.story import Story, compiled
from tocsin.events import Observation, Order
from tocsin.store.sql import json_text

_MANY = 400


class Weighed(Story):
    written = 0  # characters of rules' state that went to the store

    def commit(self, batch):
        self.written += sum(len(json_text(row.record)) for row in batch.instances if row.record)
        super().commit(batch)


def story():
    rule = {
        "id": "r",
        "watch": "order.open",
        "per": ["venue"],
        "unless": {"watch": "order.filled", "within": "10m"},
    }
    played = Weighed(compiled([rule]))
    played.connect("fx")
    return played


def opened(played, count, every=0.1):
    """Orders o0, o1 … begin; what was written for each."""
    weights = []
    for n in range(count):
        played.run_to(played.at + every)
        before = played.written
        played.say("fx", Observation(state=Order(id=f"o{n}", status="open"), account="a"))
        weights.append(played.written - before)
    return weights


def test_an_event_costs_the_same_whatever_waits_already():
    weights = opened(story(), _MANY)
    assert 0 < max(weights) <= 2 * min(weights)


@pytest.mark.parametrize("restarted", [False, True])
def test_each_is_told_when_its_own_time_is_over(restarted):
    played = story()
    opened(played, _MANY)
    if restarted:
        played.restart(1)
        opened_late = Observation(state=Order(id="late", status="open"), account="a")
        played.say("fx", opened_late)
    played.run_to(600.05 + 0.05 * _MANY)
    assert {t["id"] for t in played.told} == {f"o{n}" for n in range(_MANY // 2)}
    played.run_to(1300)
    assert len(played.told) == _MANY + restarted
    assert not played.stored


@pytest.mark.parametrize("restarted", [False, True])
def test_a_second_takes_back_all_that_wait(restarted):
    played = story()
    opened(played, _MANY)
    if restarted:
        played.restart(1)
    before = played.written
    played.say("fx", Observation(state=Order(id="o3", status="filled"), account="a"))
    assert played.written - before < 10_000
    played.run_to(2000)
    assert played.told == []
