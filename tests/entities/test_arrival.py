"""Messages that bear their venue's times, in whatever order they arrive: in the end what is known is the same."""

from datetime import timedelta
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from support.observing import Scene
from tocsin.events import Account, Balance, Book, Observation, Order, Position, Ticker, from_iso, number

START = from_iso("2026-01-01T00:00:00Z")
NUMBERS = st.sampled_from(["0", "1", "1.0", "2.5", "7"]).map(number)
# Of each kind: its values, of which a message may mention some; and the name of the time that it bears.
VALUES = {
    Balance: ("available", "locked", "total"),
    Account: ("balance", "buying_power", "withdrawable"),
    Ticker: ("bid", "ask", "last"),
    Book: ("bid", "ask", "bid_depth"),
}


@st.composite
def messages(draw, kind):
    """In the order in which the venue made them, each a second after the one before."""
    found = []
    for second in range(draw(st.integers(2, 6))):
        values = {name: draw(st.one_of(st.just(UNSET), st.none(), NUMBERS)) for name in VALUES[kind]}
        state = kind(id="X", **values)
        found.append(Observation(state=state, account="X", time=START + timedelta(seconds=second)))
    return found


def known(kind, observations, restart=0):
    scene = Scene()
    for number_, observation in enumerate(observations):
        scene.apply(observation)
        if restart and number_ % restart == 0:
            scene = scene.restarted()
    found = scene.state(kind.kind, "X", "X")
    return {name: getattr(found, name) or None for name in VALUES[kind]}


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_values_are_as_new_as_the_message_that_filled_them(kind, data):
    made = data.draw(messages(kind))
    latest = dict.fromkeys(VALUES[kind], UNSET)
    for observation in made:
        for name in latest:
            if (value := getattr(observation.state, name)) is not UNSET:
                latest[name] = value
    arrived = data.draw(st.permutations(made))
    assert known(kind, arrived, data.draw(st.integers(0, 2))) == {
        name: value or None for name, value in latest.items()
    }


STEPS = st.lists(st.sampled_from(["open", "fill"]), max_size=4)
ENDS = st.sampled_from([None, "filled", "canceled", "expired"])


@st.composite
def order_lives(draw):
    """An order's messages as its venue made them: it is opened, fills, and may end."""
    steps = ["open", *draw(STEPS)]
    fills = list(accumulate(int(step == "fill") for step in steps))
    found = [
        Order(
            id="X",
            status="partially_filled" if filled else "open",
            filled=number(str(filled)),
            amount=number("9"),
        )
        for filled in fills
    ]
    if (end := draw(ENDS)) is not None:
        filled = number("9") if end == "filled" else found[-1].filled
        found.append(Order(id="X", status=end, filled=filled, amount=number("9")))
    return found


@settings(max_examples=60, deadline=None)
@given(order_lives(), st.data())
def test_an_order_ends_as_it_did(made, data):
    dated = [
        Observation(state=structs.replace(state, updated=START + timedelta(seconds=second)))
        for second, state in enumerate(made)
    ]
    scene = Scene()
    for observation in data.draw(st.permutations(dated)):
        scene.apply(observation)
    state = scene.state("order", "X")
    assert (state.status, state.filled) == (made[-1].status, made[-1].filled)


@settings(max_examples=60, deadline=None)
@given(order_lives(), st.data())
def test_without_times_what_was_filled_never_shrinks_and_an_end_stays(made, data):
    scene = Scene()
    most, ended = number("0"), None
    for state in data.draw(st.permutations(made)):
        scene.apply(Observation(state=state))
        known = scene.state("order", "X")
        most = max(most, state.filled)
        assert known.filled == most
        assert ended is None or known.status == ended
        ended = known.status if known.status in Order.ended else None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_only_the_latest_life_is_known(lives):
    """Of each life an opening and a close, told in any order of lives."""
    scene = Scene()
    scene.clock.advance(3600)
    for heard, life in enumerate(lives, 1):
        opened = START + timedelta(minutes=life)
        scene.apply(Observation(state=Position(id="X", amount=number(str(life)), opened=opened)))
        assert scene.state("position", "X").amount == max(lives[:heard])
