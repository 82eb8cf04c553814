"""What is so now, thing by thing: what the page is made of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import trio

from support.snapshots import World
from tocsin.control.snapshot import Countdown, Refusing
from tocsin.events import Key

LOSS = {"id": "loss", "watch": "position", "when": "profit < -50", "for": "1m", "keep_firing_for": "2m"}


def test_the_life_of_an_alert():
    world = World(LOSS)
    began = world.clock.now().wall
    world.say("position", symbol="BTCUSD", profit="-60.50", currency="USD")
    (pending,) = world.look().alerts
    assert (pending.rule, pending.key, pending.symbol) == (
        "loss",
        Key("fx", "position", "a1", "p1"),
        "BTCUSD",
    )
    assert (pending.state, pending.since, pending.alert) == ("pending", began, "alert1")
    assert (pending.value, pending.value_of, pending.currency, pending.worst) == (
        "-60.50",
        "profit",
        "USD",
        "-60.50",
    )
    assert (pending.distance.value, pending.distance.limit) == ("-60.50", "-50")
    assert pending.timer == Countdown("for", 60.0, began + timedelta(seconds=60))
    assert pending.far == 0.0
    world.pass_(60)
    (firing,) = world.look().alerts
    assert (firing.state, firing.timer) == ("firing", None)
    assert firing.since == began + timedelta(seconds=61)
    world.say("position", symbol="BTCUSD", profit="-20")
    (recovering,) = world.look().alerts
    assert (recovering.state, recovering.value, recovering.worst) == ("recovering", "-20", "-60.50")
    assert (recovering.timer.key, recovering.since) == ("keep_firing_for", firing.since)
    world.pass_(130)
    assert not world.look().alerts


def test_what_is_as_before_is_the_same_object():
    world = World(LOSS)
    for id_, profit in (("p1", "-60"), ("p2", "5")):
        world.say("position", id=id_, symbol="BTCUSD", profit=profit)
    before = world.look()
    world.say("position", id="p2", profit="6")
    after = world.look()
    assert after.entities["order"] is before.entities["order"]
    assert after.entities["position"] is not before.entities["position"]
    assert world.entity(after, "position", "p1") is world.entity(before, "position", "p1")
    assert world.entity(after, "position", "p2").state.profit == Decimal(6)
    assert after.silences is before.silences


def test_it_is_shared_by_all_that_look_within_250_ms():
    world = World(LOSS)
    first = world.look()
    world.say("position", profit="-60")
    world.clock.advance(0.2)
    assert world.snapshots.snapshot() is first
    world.clock.advance(0.1)
    assert world.snapshots.snapshot().entities["position"]


def act(world):
    world.changes["acts"] += 1


def reload(world):
    world.measuring.reloads += 1


@pytest.mark.parametrize("does", [act, reload])
def test_what_somebody_does_makes_what_was_looked_at_before_old_at_once(does):
    world = World(LOSS)
    first = world.look()
    world.say("position", profit="-60")
    does(world)
    second = world.snapshots.snapshot()
    assert second is not first
    assert second.alerts
    assert world.snapshots.snapshot() is second


def test_a_count_that_runs_ends_at_the_same_time_whenever_it_is_looked_at():
    world = World({**LOSS, "when": 'side == "long"'})
    world.say("position", side="long")
    (first,) = world.look().alerts
    world.clock.jump_wall(0.2)
    (second,) = world.look().alerts
    assert second is first


def test_of_a_venue_that_is_away_all_stands_as_it_was_heard_last():
    world = World(LOSS)
    world.say("position", profit="-60")
    world.pass_(10)
    world.link("disconnected")
    snapshot = world.look()
    assert snapshot.away == {"fx": world.heard_at["fx"]}
    (watched,) = snapshot.alerts
    assert watched.stale_since == world.heard_at["fx"]
    assert (watched.timer.due, watched.timer.left) == (None, 50.0)
    assert watched.unconfirmed
    world.link("connected")
    world.say("position", profit="-60")
    snapshot = world.look()
    assert (snapshot.away, snapshot.alerts[0].stale_since) == ({}, None)
    assert not snapshot.alerts[0].unconfirmed


def test_the_most_urgent_first():
    def rule(id_, severity, when, **more):
        return {"id": id_, "watch": "position", "when": when, "severity": severity, **more}

    world = World(
        rule("info", "info", "profit < -10"),
        rule("pending", "critical", "profit < -11", **{"for": "1h"}),
        rule("critical", "critical", "profit < -12"),
        rule("warning", "warning", "profit < -13"),
    )
    world.say("position", id="p1", profit="-60")
    world.pass_(1)
    world.say("position", id="p2", profit="-60")
    found = [(watched.rule, watched.key.id) for watched in world.look().alerts]
    assert found == [
        ("critical", "p2"), ("critical", "p1"), ("pending", "p2"), ("pending", "p1"), ("warning", "p2"), ("warning", "p1"),
        ("info", "p2"), ("info", "p1"),
    ]  # fmt: skip
    assert world.look().nearest[Key("fx", "position", "a1", "p2")].rule == "critical"


def test_a_group_is_called_by_its_name_and_what_is_missed_is_there_too():
    world = World(
        {"id": "all", "watch": "position", "per": "account", "when": "sum(profit) < -100"},
        {"id": "quiet", "watch": "order.filled", "absent": "1m", "per": "venue", "where": 'venue == "fx"'},
    )
    for id_, profit in (("p1", "-60"), ("p2", "-60.5")):
        world.say("position", id=id_, profit=profit, currency="USD")
    world.pass_(70)
    quiet, group = sorted(world.look().alerts, key=lambda watched: watched.rule, reverse=True)
    assert (group.rule, group.key.id, group.value, group.value_of, group.currency) == ("all", "a1", "-120.5", "sum of profit", "USD")  # fmt: skip
    assert (quiet.rule, quiet.state, quiet.value, quiet.far) == ("quiet", "firing", None, None)


def test_which_rules_are_out_of_their_hours_is_so_by_time_alone():
    hours = {"tz": "UTC", "open": ["00:00-00:02"]}
    world = World(
        LOSS, {**LOSS, "id": "day", "active": hours}, {**LOSS, "id": "told", "notify_during": hours}
    )
    world.clock.set_wall(datetime(2026, 1, 5, tzinfo=UTC))
    assert world.look().shut == frozenset()
    world.pass_(120)
    assert world.look().shut == {("day", "active"), ("told", "notify_during")}


def test_a_channel_that_takes_nothing():
    world = World(LOSS)
    since = world.clock.now().wall
    world.outages.begin("phone", 0, "403 Forbidden", since, tell=True)
    world.outages.begin("gone", 0, "403 Forbidden", since, tell=True)
    assert world.look().outages == {"phone": Refusing(since, "403 Forbidden")}


@pytest.mark.parametrize(("attempts", "far"), [("0", None), ("1", 0.5)])
def test_nothing_beside_nothing_is_not_near(attempts, far):
    world = World(
        {"id": "tries", "watch": "position", "when": f"leverage > {'0' if far is None else '2'}", "for": "1h"}
    )
    world.say("position", profit="1", leverage=attempts)
    trio.run(world.sample, 10.0, 5.0)
    closest = world.look().closest
    assert [each.far for each in closest] == ([] if far is None else [far])
