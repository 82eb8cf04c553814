"""What a tick costs beside 1,000 orders of its symbol: with a rule that compares its price with each of theirs, and without."""

import pytest

from support.conditions import rule
from support.observing import Scene
from tocsin.engine.engine import Engine

ORDERS, TICKS = 1000, 200
RULES = {
    "unread": "{id: near, watch: order, when: price > 100000}",
    "linked": '{id: near, watch: order, when: "percent_from(ticker.price, price) < 1"}',
}


@pytest.mark.parametrize("what", RULES)
def bench_linked(measure, what):
    """Entities and engine, a tick at a time, while no order's limit is passed."""
    scene, ids = Scene(), map(str, range(10**9))
    engine = Engine([rule(RULES[what])], scene.entities, ids.__next__)

    def say(kind, **fields):
        engine.process(scene.say(kind, **fields), scene.clock.now())

    say("ticker", id="A", symbol="A", last="200")
    for number in range(ORDERS):
        say("order", id=f"o{number}", symbol="A", status="open", price=str(100 - number / 100))

    def run():
        for number in range(TICKS):
            say("ticker", id="A", symbol="A", last=str(150 + number % 50))

    measure(what, run, TICKS)
