"""The link is lost and comes back: what is told, what is unconfirmed, and what a restart makes of it."""

import pytest
from msgspec import UNSET

from support.observing import Scene, line
from tocsin.events import Key, Unanswered, iso


@pytest.fixture
def scene():
    scene = Scene()
    scene.link("connected")
    return scene


def away(scene, seconds=125):
    scene.link("disconnected")
    scene.clock.advance(seconds)
    return scene.link("connected")


def test_the_first_connection_is_no_gap():
    scene = Scene()
    assert [line(change) for change in scene.link("connected")] == ["venue fx live: venue.connected"]
    scene = Scene()
    scene.link("disconnected")
    assert [line(change) for change in scene.link("connected")] == ["venue fx live: venue.connected"]


def test_a_gap_tells_how_long_and_what_is_unconfirmed(scene):
    scene.say("order", id="132991", symbol="ETH/BTC", status="open")
    scene.say("order", id="1", status="filled")
    scene.say("position", id="p", symbol="BTCUSD")
    scene.say("position", id="elsewhere", venue="other")
    connected, gap = away(scene)
    assert (connected.events, gap.events) == (("venue.connected",), ("venue.gap",))
    assert gap.state.reason == (
        "back after 2m 5s; 2 unconfirmed until mentioned again: order 132991 (ETH/BTC), position p (BTCUSD)"
    )
    assert gap.state.unconfirmed == 2
    assert gap.state.status == "connected"
    assert gap.origin == "synthetic"
    assert gap.previous == connected.state


def test_a_gap_of_which_nothing_was_open_is_told_and_over(scene):
    assert away(scene, 0.25)[1].state.reason == "back after 250ms; no open order or position was known"
    assert [venue.state.reason for venue in scene.entities.live("venue")] == [None]


def test_ten_are_named_and_the_rest_is_counted(scene):
    for number in range(13):
        scene.say("order", id=f"o{number}", status="open")
    reason = away(scene)[1].state.reason
    assert reason.endswith("order o8, order o9 and 3 more")
    assert reason.count("order o") == 10
    assert "13 unconfirmed" in reason


def test_hostile_ids_dont_flood_the_reason(scene):
    scene.say("order", id="x" * 10_000, symbol="y" * 10_000, status="open")
    assert len(away(scene)[1].state.reason) < 300


def test_what_is_mentioned_is_confirmed_one_by_one(scene):
    scene.say("order", id="1", status="open")
    scene.say("position", id="p", profit="1")
    away(scene)
    (counted,) = scene.say("order", id="1", status="open")  # nothing new but that it is still there
    assert line(counted) == "venue fx synthetic:"
    assert counted.state.unconfirmed == 1
    assert scene.say("order", id="1", status="open") == []
    closed, counted = scene.say("position", id="p", event="position.closed")
    assert closed.events == ("position.closed",)
    assert counted.state.unconfirmed == 0


def test_the_reason_tells_what_is_left_of_the_gap(scene):
    for id_ in ("o1", "o2", "o3"):
        scene.say("order", id=id_, status="open")
    away(scene)
    scene.say("order", id="o1", status="open")
    (venue,) = scene.entities.live("venue")
    assert venue.state.reason == "2 unconfirmed until mentioned again: order o2, order o3"
    scene.entities.forget([Key("fx", "order", "", "o2")], scene.clock.now())
    scene.say("order", id="o3", status="canceled")
    (venue,) = scene.entities.live("venue")
    assert (venue.state.unconfirmed, venue.state.reason) == (0, None)


def test_prices_confirm_nothing(scene):
    position = {"side": "long", "amount": "1", "entry_price": "1", "lot_size": "1", "profit_price": "1"}
    scene.say("position", id="p", symbol="X", **position)
    away(scene)
    assert [line(change) for change in scene.say("ticker", id="X", symbol="X", bid="1", ask="2")] == [
        "ticker X live: ticker.updated", "position p synthetic: position.updated"
    ]  # fmt: skip
    assert scene.state("venue", "fx").unconfirmed == 1


def test_what_is_mentioned_before_the_link_is_told_to_be_back_is_confirmed(scene):
    scene.say("order", id="1", status="open")
    scene.say("order", id="2", status="open")
    scene.link("disconnected")
    scene.say("order", id="1", status="open")
    assert "1 unconfirmed until mentioned again: order 2" in scene.link("connected")[1].state.reason


def test_since_is_when_the_status_changed(scene):
    scene.clock.advance(10)
    (lost,) = scene.link("disconnected")
    scene.clock.advance(10)
    (tried,) = scene.say("venue", id="fx", attempts="1")
    assert tried.state.since == lost.time
    assert tried.events == ()


def test_a_set_wall_clock_doesnt_make_a_gap_longer(scene):
    scene.link("disconnected")
    scene.clock.jump_wall(86400)
    scene.clock.advance(5)
    assert scene.link("connected")[1].state.reason.startswith("back after 5s;")


# ---------------------------------------------------------------------------------------------------------- snapshots


def snapshot(scene, *orders, **begins):
    scene.snapshot("order", "position", **begins)
    for order in orders:
        scene.say("order", **order)
    return scene.end()


def test_a_snapshot_after_a_gap_says_what_it_found(scene):
    snapshot(scene, {"id": "1", "symbol": "ETH/BTC", "status": "open"}, {"id": "2", "status": "open"})
    scene.say("position", id="p", symbol="X")
    away(scene)
    (resynced,) = snapshot(scene, {"id": "1", "status": "canceled"}, {"id": "3", "status": "open"})
    assert resynced.events == ("venue.resynced",)
    assert resynced.state.unconfirmed == 2
    assert resynced.state.reason == (
        "2 found changed: order.canceled order 1 (ETH/BTC), order.open order 3; 2 still unconfirmed: order 2, position p (X)"
    )


def test_what_became_of_an_order_is_told_as_of_when_it_became_so(scene):
    """The answer for an order that a full snapshot no longer has is an observation as those of a snapshot are."""
    snapshot(scene, {"id": "1", "symbol": "ETH/BTC", "status": "open"})
    at = scene.clock.now().wall
    away(scene)
    snapshot(scene)
    canceled, counted = scene.say("order", id="1", status="canceled", updated=iso(at), origin="snapshot")
    assert line(canceled) == "order 1 resync: order.updated order.canceled"
    assert canceled.time == at < canceled.received
    assert (counted.events, counted.state.unconfirmed, counted.state.reason) == ((), 0, None)


def test_what_isnt_answered_stays_unconfirmed_and_says_why(scene):
    snapshot(scene, {"id": "1", "symbol": "ETH/BTC", "status": "open"}, {"id": "2", "status": "open"})
    away(scene)
    snapshot(scene)
    (told,) = scene.apply(Unanswered("order", "1", None, "asked for: HTTP 500"))
    assert told.events == ()
    assert told.state.reason == (
        "2 unconfirmed until mentioned again: order 1 (ETH/BTC; asked for: HTTP 500), order 2"
    )
    assert told.state.unconfirmed == 2
    (counted,) = scene.say("order", id="1", status="open")
    assert counted.state.reason == "1 unconfirmed until mentioned again: order 2"
    for known in ("1", "3"):  # what is confirmed, or not known at all
        assert scene.apply(Unanswered("order", known, None, "asked for: HTTP 500")) == []


def test_a_snapshot_without_a_difference(scene):
    snapshot(scene, {"id": "1", "status": "open"})
    away(scene)
    (resynced,) = snapshot(scene, {"id": "1", "status": "open"})
    assert resynced.state.reason == "nothing had changed; nothing unconfirmed"
    assert resynced.state.unconfirmed == 0
    assert snapshot(scene, {"id": "1", "status": "open"}) == []  # resynced once a gap


def test_absence_is_not_evidence(scene):
    """An order that is no longer among a polled venue's pending ones isn't known to be canceled."""
    snapshot(scene, {"id": "1", "status": "open"}, live=True)
    (counted,) = snapshot(scene, live=True)
    assert counted.events == ()
    assert counted.state.unconfirmed == 1
    assert scene.state("order", "1").status == "open"
    (counted,) = snapshot(scene, {"id": "1", "status": "open"}, live=True)
    assert counted.state.unconfirmed == 0


def test_a_snapshot_of_one_account_says_nothing_of_another(scene):
    scene.say("order", id="1", status="open", account="a")
    scene.say("order", id="2", status="open", account="b")
    scene.snapshot("order", account="a")
    (counted,) = scene.end()
    assert counted.state.unconfirmed == 1


def test_an_end_without_a_beginning(scene):
    assert scene.end() == [] == Scene().end()


def test_a_snapshot_of_a_venue_whose_link_nobody_spoke_of():
    scene = Scene()
    assert snapshot(scene, {"id": "1", "status": "open"}) == []
    assert snapshot(scene) == []


# ----------------------------------------------------------------------------------------------------------- restart


def test_a_restart_is_a_gap_for_what_was_open(scene):
    scene.say("order", id="1", symbol="X", status="open")
    scene.clock.advance(10)
    scene.say("balance", id="USD", total="1")
    scene = scene.restarted()
    scene.clock.advance(3600)
    scene.say("venue", id="fx", status="connecting")
    assert scene.state("venue", "fx").status == "connecting"
    connected, gap = scene.link("connected")
    assert connected.events == ("venue.connected",)
    assert gap.state.reason == "back after 1h; 1 unconfirmed until mentioned again: order 1 (X)"
    assert (
        line(scene.say("order", id="1", status="canceled")[0]) == "order 1 live: order.updated order.canceled"
    )


def test_a_restart_with_nothing_open_is_none(scene):
    scene.say("order", id="1", status="filled")
    scene = scene.restarted()
    (connected,) = scene.link("connected")
    assert connected.events == ("venue.connected",)
    assert connected.state.unconfirmed is UNSET


def test_a_restart_in_an_outage_goes_on_with_it(scene):
    scene.say("position", id="p")
    scene.clock.advance(60)
    scene.link("disconnected")
    scene.clock.advance(60)
    scene = scene.restarted()
    assert scene.say("venue", id="fx", status="connecting") == []
    assert scene.link("disconnected") == []  # told before the restart
    scene.clock.advance(60)
    assert scene.link("connected")[1].state.reason.startswith("back after 2m;")


def test_an_outage_with_nothing_open_is_a_gap_over_a_restart_too(scene):
    scene.say("order", id="1", status="filled")
    scene.link("disconnected")
    scene.clock.advance(60)
    scene = scene.restarted()
    scene.clock.advance(60)
    connected, gap = scene.link("connected")
    assert connected.events == ("venue.connected",)
    assert gap.state.reason.startswith("back after 2m")


def test_after_a_restart_a_snapshot_is_compared_with_what_was_stored(scene):
    snapshot(scene, {"id": "1", "status": "open"})
    scene = scene.restarted()
    scene.link("connected")
    scene.snapshot("order", "position")
    (change,) = scene.say("order", id="1", status="filled")
    assert line(change) == "order 1 resync: order.updated order.filled"
    assert scene.end()[0].events == ("venue.resynced",)


def test_a_wall_clock_set_back_over_a_restart(scene):
    scene.say("position", id="p")
    scene = scene.restarted()
    scene.clock.jump_wall(-3600)
    assert scene.link("connected")[1].state.reason.startswith("back after 0s;")


# ------------------------------------------------------------------------------------------- how the feed tells of it


def test_a_polled_venue_is_back_when_its_snapshot_is_whole(scene):
    snapshot(scene, {"id": "1", "status": "open"}, {"id": "2", "status": "open"})
    scene.link("disconnected")
    scene.clock.advance(60)
    scene.snapshot("order", "position")  # breaks off
    scene.say("order", id="1", status="open")
    (counted,) = snapshot(scene, {"id": "1", "status": "canceled"})
    assert counted.state.unconfirmed == 1
    connected, gap, resynced = scene.link("connected")
    assert [change.events for change in (connected, gap, resynced)] == [
        ("venue.connected",),
        ("venue.gap",),
        ("venue.resynced",),
    ]
    assert gap.state.reason == "back after 1m; 1 unconfirmed until mentioned again: order 2"
    assert resynced.state.reason == "1 found changed: order.canceled order 1; 1 still unconfirmed: order 2"
    assert snapshot(scene, {"id": "2", "status": "open"}, live=True)[0].events == ()


def test_a_restart_in_an_outage_keeps_since(scene):
    (lost,) = scene.link("disconnected", since="2026-01-01T00:00:00Z")
    scene.clock.advance(60)
    scene = scene.restarted()
    assert scene.say("venue", id="fx", status="connecting", since="2026-01-01T00:01:00Z") == []
    (again,) = scene.link("disconnected", attempts="1", since="2026-01-01T00:01:01Z")
    assert again.events == ()
    assert again.state.since == lost.state.since


def test_refused_credentials_say_nothing_of_a_link_that_lives(scene):
    (refused,) = scene.link("auth_failed", reason="bad key")
    assert refused.events == ("venue.auth_failed",)
    assert refused.state.status == "connected"
    (again,) = scene.link("auth_failed", reason="bad key")
    assert again.events == ("venue.auth_failed",)  # the feed says it only when it is news


def test_refused_credentials_are_not_told_anew_by_a_restart(scene):
    scene.link("disconnected")
    (refused,) = scene.link("auth_failed", status="auth_failed", reason="bad key")
    assert refused.events == ("venue.auth_failed",)
    scene = scene.restarted()
    assert scene.link("auth_failed", status="auth_failed", reason="bad key") == []
    (other,) = scene.link("auth_failed", status="auth_failed", reason="expired key")
    assert other.events == ("venue.auth_failed",)


def test_a_venue_that_refused_every_stream_was_away(scene):
    scene.say("order", id="1", status="open")
    scene.say("venue", id="fx", status="refused", reason="no stream left")
    assert scene.link("connected")[1].events == ("venue.gap",)
