"""What an event costs where rules look at windows, by how many samples those hold."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from support.conditions import change, rule
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Instant

START = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = (
    "lowest(last, {0}) > 1e9 or highest(last, {0}) < 0 or average(last, {0}) < 0 or change(last, {0}) > 1e9"
)
EVENTS = 2000


@pytest.mark.parametrize("samples", [1000, 100_000])
def bench_window(measure, samples):
    """One event a second, so that the window is as many seconds long as it has samples."""
    told = rule(f"{{id: moved, watch: ticker, when: '{ASKED.format(f'{samples}s')}'}}")
    engine = Engine([told], Entities(), lambda: "id")
    seconds = iter(range(10**9))

    def event():
        second = next(seconds)
        at = START + timedelta(seconds=second)
        price = Decimal(100 + (second * 7919) % 1000)
        return change("ticker", {"id": "BTC", "last": str(price)}, received=at), Instant(at, float(second))

    def run(events):
        for seen, now in events:
            engine.process([seen], now)
        engine.remembered()

    for _ in range(samples // EVENTS + 1):
        run([event() for _ in range(EVENTS)])
    measure(f"windows/{samples}", run, EVENTS, setup=lambda: (([event() for _ in range(EVENTS)],), {}))
