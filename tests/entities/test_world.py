"""What the engine and the pipeline ask: what lives, what stands, whose account; and forgetting."""

import pytest

from support.observing import Scene, line
from tocsin.engine.api import World
from tocsin.events import Key


@pytest.fixture
def scene():
    scene = Scene()
    scene.say("account", id="a", balance="5", currency="USD")
    scene.say("order", id="1", symbol="X", account="a", status="open")
    scene.say("order", id="2", account="a", status="filled")
    scene.say("position", id="p", symbol="X", account="a", profit="-3")
    return scene


def test_live_is_what_has_not_ended(scene):
    world: World = scene.entities
    assert [change.key.id for change in world.live("order")] == ["1"]
    (position,) = world.live("position")
    account = world.get(Key("fx", "account", "a", "a"))
    assert position.linked["account"].state == account.state
    assert account.state.equity == 2
    scene.say("position", id="p", account="a", event="position.closed")
    assert list(world.live("position")) == []


def test_an_entity_as_it_stands(scene):
    stands = scene.entities.get(Key("fx", "order", "a", "2"))
    assert stands.ended
    assert stands.state.status == "filled"
    assert (stands.events, stands.previous, stands.raw) == ((), None, None)
    assert scene.entities.get(Key("fx", "order", "a", "3")) is None


@pytest.mark.parametrize(
    ("order", "belongs_to"),
    [
        ({"account": "a", "symbol": "x"}, {"account", "ticker", "venue"}),
        ({"account": "b", "symbol": "x"}, {"ticker", "venue"}),
        ({"symbol": "x"}, {"ticker", "venue"}),
        ({"account": "a", "symbol": "Y"}, {"account", "venue"}),
        ({"account": "a"}, {"account", "venue"}),
    ],
)
def test_what_an_entity_belongs_to(scene, order, belongs_to):
    scene.say("ticker", id="X", symbol="X", last="101")
    (change,) = scene.say("order", id="9", **order)
    assert set(change.linked) & {"account", "ticker"} == belongs_to - {"venue"}


def test_what_was_forgotten_is_seen_for_the_first_time(scene):
    scene.entities.forget(
        [Key("fx", "order", "a", "2"), Key("fx", "order", "a", "unknown")], scene.clock.now()
    )
    (change,) = scene.say("order", id="2", account="a", status="filled")
    assert change.events == ("order.created", "order.filled")
    assert change.previous is None


def test_a_forgotten_position_moves_nothing_any_more(scene):
    scene.link("connected")
    scene.link("disconnected")
    scene.link("connected")
    assert scene.state("venue", "fx").unconfirmed == 2
    scene.entities.forget([Key("fx", "position", "a", "p")], scene.clock.now())
    account = scene.say("account", id="a", balance="6")[0].state
    assert account.equity == 6
    (_, counted) = scene.say("order", id="1", account="a", price="3")
    assert counted.state.unconfirmed == 0


def test_a_venue_that_is_no_longer_configured(scene):
    scene.link("connected")
    scene.say("order", id="1", venue="other", status="open")
    keys = scene.entities.venues_removed("fx")
    assert len(keys) == 5
    assert all(key.venue == "fx" for key in keys)
    assert [change.venue for change in scene.entities.live("order")] == ["other"]
    assert scene.entities.venues_removed("fx") == []
    assert [line(change) for change in scene.link("connected")] == ["venue fx live: venue.connected"]
