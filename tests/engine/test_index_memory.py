"""What looks at more than one event is left out by the index only where that changes nothing."""

import pytest

from support.conditions import change, rule
from tocsin.engine.index import Index


@pytest.mark.parametrize(
    ("written", "fields", "event", "reached"),
    [
        # Histories go on by themselves, so the rule needn't hear of every event.
        ("{watch: ticker, when: 'symbol == \"BTC\" and percent_change(last, 5m) > 3'}", {"symbol": "ETH", "last": 1}, "ticker.updated", False),
        ("{watch: ticker, when: 'symbol == \"BTC\" and percent_change(last, 5m) > 3'}", {"symbol": "BTC", "last": 1}, "ticker.updated", True),
        ("{watch: ticker, when: 'lowest(last, 5m) > 3'}", {"last": 1}, "ticker.updated", True),
        ("{watch: ticker, when: 'last < lowest(last, 5m)'}", {"last": 1}, "ticker.updated", True),
        ("{watch: ticker, when: 'peak(last) - last > 3'}", {"last": 1}, "ticker.updated", True),
        # Every event that passes `where` is counted, whatever `when` says beside that.
        ("{watch: order.rejected, when: 'side == \"buy\" and count(10m) >= 3'}", {"side": "sell"}, "order.rejected", True),
        ('{watch: order.rejected, where: side == "buy", when: count(10m) >= 3}', {"side": "sell"}, "order.rejected", False),
        ('{watch: order.rejected, where: side == "buy", when: count(10m) >= 3}', {"side": "buy"}, "order.rejected", True),
        ('{watch: order.rejected, where: side == "buy", when: count(10m) >= 3}', {}, "order.rejected", True),
    ],
)  # fmt: skip
def test_who_hears_of_it(written, fields, event, reached):
    index = Index([rule(written.replace("{watch", "{id: r, watch", 1))])
    seen = change(event.partition(".")[0], fields, events=(event,))
    assert bool(index.candidates(seen)) is reached
