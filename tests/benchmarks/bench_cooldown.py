"""What an event costs that a cooldown holds back, beside one that its rule isn't about."""

from datetime import UTC, datetime

import pytest

from support.conditions import change, rule
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Instant

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
COUNT = 2000
RULE = "{id: canceled, watch: order.canceled, when: filled > 0, cooldown: 1h, per: [symbol]}"


@pytest.mark.parametrize("what", ["unlike", "suppressed"])
def bench_suppressed(measure, what):
    """The whole of the engine, an event at a time, and what is to be kept of it at the end of a batch of them all."""
    engine = Engine([rule(RULE)], Entities(), lambda: "id")
    filled = "0" if what == "unlike" else "1"
    changes = [
        change(
            "order",
            {
                "id": f"o{number}",
                "symbol": "BTCUSD",
                "side": "buy",
                "filled": filled,
                "amount": "2",
                "price": "100",
            },
            {"id": f"o{number}"},
            {"balance": "1000", "equity": "900"},
            events=("order.canceled",),
            symbol="BTCUSD",
        )
        for number in range(COUNT)
    ]

    def run():
        kept = {}
        for each in changes:
            taken = engine.process([each], NOW)
            found = [transition for each_taken in taken for transition in each_taken.transitions]
            kept |= {(each.rule, each.instance): each.record for each in found}
        for record in kept.values():
            record()

    engine.process(changes[:1], NOW)
    measure(what, run, COUNT)
