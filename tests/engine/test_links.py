"""What is woken by a change of what it reads: no more than is needed, and all that a look at everybody would tell."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.conditions import rule
from support.models import model
from support.observing import Scene
from support.story import Story
from tocsin.engine import linked
from tocsin.engine.engine import Engine
from tocsin.engine.rule import Rule
from tocsin.events import Account, Observation, Order, Ticker
from tocsin.events import number as wire_number

WHEN = (
    "ticker.price < price",
    "percent_from(ticker.price, price) < 1",
    "abs(ticker.price - price) < 2",
    "abs(percent_from(ticker.price, price)) <= 5 and filled < 3",
    "price * 1.01 > ticker.price * 2 - 3 or ticker.price > 8",
    "not (ticker.price > 2 * filled)",
    "ticker.price == price",
    "ticker.bid / ticker.ask < 0.9",
    'symbol == "A" and (3 - ticker.price) / 2 > price - 4',
    "crosses_above(ticker.price, price)",
    "changed(ticker.price) and price > 3",
    "ticker.price > previous(ticker.price)",
    "missing(ticker.price)",
    "price / ticker.price > 2",
    "account.equity - price < 3 and ticker.price > 2",
    "account.equity < ticker.price",
    "account.margin_level < 50",
    "highest(ticker.price, 5s) > 7",
)
NUMBERS = st.sampled_from(["~", "0", "1", "2", "3", "4.5", "5", "7", "9"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ticker"), st.sampled_from("AAB"), st.fixed_dictionaries({"last": NUMBERS, "bid": NUMBERS, "ask": NUMBERS})),
        st.tuples(st.just("order"), st.sampled_from("AAb"), st.fixed_dictionaries({"price": NUMBERS, "filled": NUMBERS})),
        st.tuples(st.just("account"), st.just("a"), st.fixed_dictionaries({"equity": NUMBERS, "margin": NUMBERS})),
    ),
    min_size=2,
    max_size=14,
)  # fmt: skip


def played(rules: list[Rule], steps: list[tuple[str, str, dict[str, str]]]) -> list[list[str]]:
    scene, ids = Scene(), map(str, range(1000))
    engine = Engine(rules, scene.entities, ids.__next__)
    told = []
    for number, (kind, name, said) in enumerate(steps):
        if kind == "order":
            fields = said | {"id": f"{name}{number % 3}", "symbol": name, "account": "a", "status": "open"}
        else:
            fields = said | {"id": name} | ({"symbol": name} if kind == "ticker" else {})
        scene.clock.advance(1)
        taken = engine.process(scene.say(kind, **fields), scene.clock.now())
        told.append(
            sorted(
                f"{moved.rule} {moved.instance} {moved.state}" for each in taken for moved in each.transitions
            )
        )
    return told


@model(suite=150, many=20_000)
@given(st.lists(st.sampled_from(WHEN), min_size=1, max_size=3, unique=True), STEPS)
def test_limits_tell_what_a_look_at_every_reader_tells(whens, steps):
    rules = [rule(f"{{id: r{place}, watch: order, when: '{when}'}}") for place, when in enumerate(whens)]
    told = played(rules, steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linked, "_concerned", lambda there, _change, _living: tuple(there.all))
        assert told == played(rules, steps)


def test_a_tick_wakes_whose_limit_it_passes():
    scene, asked = Scene(), []
    engine = Engine(
        [rule("{id: near, watch: order, when: ticker.price < price}")], scene.entities, lambda: "id"
    )
    engine.process(scene.say("ticker", id="A", symbol="A", last="100"), scene.clock.now())
    for price in range(1, 100):
        changes = scene.say("order", id=f"o{price}", symbol="A", price=str(price), status="open")
        engine.process(changes, scene.clock.now())
    with pytest.MonkeyPatch.context() as patch:
        concerned = linked._concerned
        patch.setattr(linked, "_concerned", lambda *given: asked.append([*concerned(*given)]) or asked[-1])
        for last in ("99.5", "97.5", "200"):
            engine.process(scene.say("ticker", id="A", symbol="A", last=last), scene.clock.now())
    assert [sorted(key.id for key in keys) for keys in asked] == [[], ["o98", "o99"], ["o98", "o99"]]


def test_a_limit_is_where_the_comparison_turns():
    (limit,) = linked.reading(
        rule('{id: x, watch: order, when: "percent_from(ticker.price, price) < 1"}'), "ticker"
    ).limits
    scene = Scene()
    scene.say("ticker", id="A", symbol="A", last="100")
    (order,) = scene.say("order", id="o", symbol="A", price="50", status="open")
    assert limit.at(order, "ticker") == Decimal("50.5")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("{id: x, watch: order, when: ticker.price < price}", {"account": ..., "ticker": {"price"}}),
        ("{id: x, watch: order.open}", {"account": ...}),
        ("{id: x, watch: order.open, title: '{{ ticker.bid }} {{ticker . ask}}'}", {"account": ..., "ticker": {"bid", "ask"}}),
        ("{id: x, watch: order.open, message: '{% set t = ticker %}{{ t.last }}'}", {"account": ..., "ticker": ...}),
        ("{id: x, watch: order.open, when: venue.status == 'connected'}", {"account": ..., "venue": {"status"}}),
        ("{id: x, watch: order.open, then: {watch: order.updated, when: ticker.last > 1, within: 1m}}", {"account": ..., "ticker": {"last"}}),
        ("{id: x, watch: order, when: price > 1, value: ticker.last}", {"account": ..., "ticker": {"last"}}),
    ],
)  # fmt: skip
def test_an_alert_keeps_what_its_rule_names_of_a_ticker_and_a_venue(
    written: str, kept: dict[str, Any]
) -> None:
    story = Story([rule(written)])
    story.connect("fx")
    story.say("fx", Observation(state=Account(id="a", equity=wire_number("5"), balance=wire_number("4"))))
    prices = {name: wire_number("2") for name in ("last", "bid", "ask")}
    story.say("fx", Observation(state=Ticker(id="B", symbol="B", **prices)))
    order = Order(id="o", symbol="B", price=wire_number("3"), status="open")
    story.say("fx", Observation(state=order, account="a"))
    story.say("fx", Observation(state=Order(id="o", price=wire_number("4")), account="a"))
    linked = story.told[0]["linked"]
    assert linked.keys() == kept.keys()
    for link, names in kept.items():
        found = linked[link]["fields"].keys()
        assert len(found) > 3 if names is ... else found == names
