"""What is kept of a sequence: gone on with, or named as unreadable where another version had written it."""

import pytest

from support.story import Story, compiled
from tocsin.engine.api import Saved
from tocsin.engine.engine import Engine
from tocsin.engine.trace import Asked
from tocsin.events import Observation, Order
from tocsin.store.sql import json_mapping

RULE = {
    "id": "r",
    "watch": "order.open",
    "per": ["venue"],
    "unless": {"watch": "order.updated", "within": "10m"},
}


@pytest.fixture
def story():
    """One first event waits, of which the record is kept."""
    played = Story(compiled([RULE]))
    played.connect("fx")
    played.say("fx", Observation(state=Order(id="o1", status="open"), account="a"))
    return played


def kept(story):
    ((_, key),) = story.stored
    return Saved(rule="r", instance=key, record=json_mapping(story.stored["r", key]))


def restored(story, record):
    engine = Engine(story.rules, story.entities, lambda: "a1")
    _, unreadable = engine.restore(
        [Saved(rule="r", instance=kept(story).instance, record=record)], None, story.clock.now()
    )
    return engine, unreadable


def waiting(story, engine):
    return [each.entity.id for each in engine.explain(story.rules[0], Asked(None), story.clock.now())]


def test_it_goes_on(story):
    record = dict(kept(story).record)
    engine, unreadable = restored(story, record)
    assert not unreadable
    assert engine.deadline() == story.clock.now().steady + 600
    assert waiting(story, engine) == ["o1"]


FIRST = {"change": None, "until": "2026-01-01T00:10:00Z", "condition": "", "missing": []}
OTHERS = {
    "another shape": lambda record: {**record, "first": None, "before": None},
    "several firsts": lambda record: {
        **{key: value for key, value in record.items() if key != "first"},
        "firsts": [FIRST],
        "frozen": None,
    },
    "no number": lambda record: {**record, "first": {**record["first"], "stood": "long"}},
    "no time": lambda record: {**record, "first": {**record["first"], "at": 3}},
    "a field of its own": lambda record: {**record, "first": {**record["first"], "change": {"key": ["fx"]}}},
}


@pytest.mark.parametrize("another", OTHERS.values(), ids=OTHERS)
def test_what_another_version_wrote_is_named(story, another):
    record = another(dict(kept(story).record))
    engine, unreadable = restored(story, record)
    assert len(unreadable) == 1
    assert (unreadable[0][0].rule, unreadable[0][0].instance) == ("r", kept(story).instance)
    assert engine.deadline() is None
    assert waiting(story, engine) == []
