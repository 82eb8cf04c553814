"""What of a message is kept: what isn't mentioned, what is cleared, the newest spelling, what is momentary."""

from decimal import Decimal

import pytest
from msgspec import UNSET

from support.observing import Scene
from tocsin.events import Key, Observation, Order, from_iso, number, number_text


@pytest.fixture
def scene():
    return Scene()


def test_what_is_not_mentioned_stays_and_null_clears(scene):
    scene.say("order", id="1", status="open", price="3", stop_loss="2")
    (change,) = scene.say("order", id="1", stop_loss="~", price="4")
    assert change.state.price == 4
    assert change.state.stop_loss is None
    assert change.state.status == "open"
    assert change.previous.price == 3
    assert change.previous.stop_loss == 2


def test_null_for_what_was_never_known_is_no_change(scene):
    scene.say("order", id="1", status="open")
    assert scene.say("order", id="1", stop_loss="~") == []


@pytest.mark.parametrize(
    ("first", "second"), [("1", "1.00"), ("0.00000001", "1E-8"), ("0", "0E-16"), ("5", "+5")]
)
def test_equal_numbers_are_no_change_and_the_newest_spelling_is_kept(scene, first, second):
    scene.say("order", id="1", status="open", price=first)
    assert scene.say("order", id="1", status="open", price=second) == []
    assert number_text(scene.state("order", "1").price) == second


def test_digits_are_kept_through_everything(scene):
    (change,) = scene.say(
        "balance", id="USD", change="-0.49939999999990503", total="6401.125104675008", cause="trading"
    )
    assert number_text(change.state.change) == "-0.49939999999990503"
    assert number_text(scene.restarted().state("balance", "USD").total) == "6401.125104675008"


def test_what_speaks_of_one_message_only_is_missing_after_the_next(scene):
    scene.say("balance", id="USD", total="9", change="-1", cause="commission", comment="fee")
    (change,) = scene.say("balance", id="USD", total="8")
    assert change.events == ("balance.updated",)
    assert (change.state.change, change.state.cause, change.state.comment) == (UNSET, UNSET, UNSET)


def test_an_expired_order_is_told_with_its_book_and_not_kept(scene):
    scene.say("book", id="X", symbol="X", bid="1", ask="2")
    (change,) = scene.say("book", id="X", symbol="X", price="7", event="book.order_expired", passing=True)
    assert change.state.price == 7
    assert change.state.bid == 1
    assert change.symbol == "X"
    assert scene.state("book", "X").price is UNSET


def test_a_trade_leaves_nothing_of_the_one_before(scene):
    scene.say("trade", id="X", symbol="X", price="1", side="buy", amount="2")
    change = scene.say("trade", id="X", symbol="X", price="1")[0]
    assert change.state.side is UNSET
    assert change.previous.side == "buy"


def test_what_a_change_carries(scene):
    scene.say("account", id="a", balance="5")
    now = scene.clock.now().wall
    (change,) = scene.say(
        "order", id="1", symbol="X", account="a", status="open", time="2025-12-31T23:59:59Z"
    )
    assert change.key == Key("fx", "order", "a", "1")
    assert change.account == "a"
    assert change.symbol == "X"
    assert change.linked["account"].state.balance == 5
    assert change.raw == "raw"
    assert change.time == from_iso("2025-12-31T23:59:59Z")
    assert change.received == now == change.known_since
    assert change.previous is None
    assert not change.ended
    scene.clock.advance(60)
    (later,) = scene.say("order", id="1", account="a", status="filled")
    assert later.ended
    assert later.known_since == now
    assert later.time == later.received == scene.clock.now().wall


def test_states_are_never_changed_in_place(scene):
    observed = Order(id="1", status="open", price=number("1"))
    (first,) = scene.apply(Observation(state=observed))
    scene.say("order", id="1", price="2")
    assert first.state.price == Decimal(1)
    assert observed.price == Decimal(1)


def test_accounts_and_venues_are_apart(scene):
    for account, venue in (("a", "fx"), ("b", "fx"), ("a", "other")):
        (change,) = scene.say("order", id="1", status="open", account=account, venue=venue)
        assert change.events == ("order.created", "order.open")
    assert len(scene.entities.live("order")) == 3


def test_what_is_no_observation_is_a_bug_of_ours(scene):
    with pytest.raises(TypeError, match="not an observation"):
        scene.apply("hello")
