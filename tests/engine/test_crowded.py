"""More groups of a rule than are kept: the longest idle go, which is said once; those that the rule names stay."""

import json

import pytest

from support.conditions import node_of
from support.story import Story, compiled
from tocsin.engine import absence_rule, samples
from tocsin.engine.compile import Environment, compile_rules
from tocsin.events import Occurrence, Order, number

RULES = {
    "absent": {
        "watch": "order.filled",
        "absent": "1h",
        "per": ["symbol"],
        "where": 'symbol == "A" or amount > 0',
    },
    "counted": {"watch": "order.filled", "per": ["symbol"], "when": "times(amount > 0, 5 samples) >= 3"},
}


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    for module in (absence_rule, samples):
        monkeypatch.setattr(module, "MOST_INSTANCES", 3)


def filled(story, *symbols):
    for number_, symbol in enumerate(symbols):
        story.run_to(story.at + 60)
        order = Order(id=f"{symbol}{number_}{story.at}", symbol=symbol, amount=number("1"))
        story.say("fx", Occurrence(state=order, event="order.filled", account="a"))


def crowded(story):
    return [each.rule for each in story.engine.crowded(story.clock.now())]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_that_it_is_crowded_is_said_once(rule):
    story = Story(compiled([{"id": "r", **rule}]))
    story.connect("fx")
    filled(story, "A", "B", "C", "B", "A")
    assert crowded(story) == []
    filled(story, "D", "E")
    assert crowded(story) == ["r"]
    filled(story, "F")
    story.restart(1)
    filled(story, "G")
    assert crowded(story) == []


def test_the_longest_idle_is_missed_no_more():
    story = Story(compiled([{"id": "r", **RULES["absent"]}]))
    story.connect("fx")
    filled(story, "B", "C", "B", "D")
    story.run_to(2 * 3600)
    assert {(t["told"], t["id"]) for t in story.told} == {("firing", "A"), ("firing", "B"), ("firing", "D")}
    filled(story, "E")
    (over,) = [t for t in story.told if t["told"] == "resolved"]
    assert (over["id"], over["reason"]) == ("B", "forgotten")


def test_who_is_counted_longest_ago_is_counted_anew():
    story = Story(compiled([{"id": "r", **RULES["counted"]}]))
    story.connect("fx")
    filled(story, "A", "A", "B", "C", "D", "A")
    assert story.told == []
    filled(story, "A", "A")
    assert [t["symbol"] for t in story.told] == ["A"]


def test_more_groups_than_are_kept_can_t_be_named():
    named = ", ".join(f'"s{number_}"' for number_ in range(101))
    written = {
        "id": "r", "watch": "order.filled", "absent": "1h", "per": ["symbol", "venue"],
        "where": f"symbol in [{named}] and venue in [{named}]",
    }  # fmt: skip
    _, problems = compile_rules(
        node_of(json.dumps({"rules": [written]})).get("rules"), Environment(frozenset())
    )
    assert [problem.message for problem in problems] == ["`where` names more than 10,000 groups"]
