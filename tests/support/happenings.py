"""What may happen to rules of every kind: random messages, links and silences, as rule tests have them."""

from hypothesis import strategies as st

RULES = """
rules:
  - {id: level, watch: position, when: profit < -50, until: profit > -40, for: 30s, keep_firing_for: 1m, repeat: 3m}
  - {id: plain, watch: position, when: profit < -50, on_gap: resolve, value: profit}
  - {id: falls, watch: position, when: previous(profit) > profit}
  - {id: low, watch: position, when: account.margin_level < 60}
  - {id: group, watch: position, per: [account], when: sum(profit) < -60, for: 30s}
  - {id: day, watch: position, when: profit < -50, active: {tz: UTC, open: "00:02-00:06"}}
  - {id: told, watch: position, when: profit < -50, notify_during: {tz: UTC, open: "00:03-00:08"}}
  - {id: after, watch: position, when: profit < -50, inhibited_by: [away]}
  - {id: old, watch: order, when: status == "open" and age() > 1m}
  - {id: over, watch: order, when: status == "rejected"}
  - {id: canceled, watch: order.canceled, cooldown: 2m, repeat: 5m}
  - {id: often, watch: order.rejected, when: count(3m) >= 2}
  - {id: unfilled, watch: order.open, unless: {watch: [order.filled, order.canceled], within: 90s}}
  - {id: anew, watch: order.canceled, then: {watch: position.closed, match: {symbol: symbol}, within: 2m}}
  - {id: undone, watch: order.canceled, per: [symbol], unless: {watch: order.open, within: 45s}}
  - id: dearer
    watch: order.canceled
    per: [symbol]
    unless: {watch: [order.open, order.updated], when: price > first.price, within: 90s}
  - {id: moved-on, watch: order.open, per: [symbol], then: {watch: [order.canceled, order.filled], within: 45s}}
  - {id: unfilled-each, watch: [order.filled, order.rejected], absent: 2m, per: [venue], repeat: 3m}
  - {id: none-at-all, watch: order.filled, where: price > 1, absent: 90s, per: [], active: {tz: UTC, open: "00:01-00:06"}}
  - {id: edge, watch: ticker, when: "crosses_above(last, 100)"}
  - {id: moved, watch: ticker, when: "abs(percent_change(last, 1m)) > 5"}
  - {id: drop, watch: ticker, when: drawdown(last) > 8}
  - {id: away, watch: venue, when: {status: disconnected}}
channels: [phone]
"""


BOTH = ("fx", "px")


def _fields(kind: str, venues: tuple[str, ...] = ("fx",), **fields: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries({"venue": st.sampled_from(venues), kind: st.fixed_dictionaries(fields)})


ORDER = _fields(
    "order",
    BOTH,
    id=st.sampled_from(["o1", "o2", "o3"]),
    account=st.just("a1"),
    symbol=st.just("B"),
    status=st.sampled_from(["open", "canceled", "filled", "rejected"]),
    price=st.sampled_from([1, 2]),
)
LINK = st.sampled_from([{turn: venue} for turn in ("disconnect", "connect") for venue in BOTH])


SAID = st.one_of(
    _fields(
        "position",
        id=st.sampled_from(["p1", "p2"]),
        account=st.just("a1"),
        symbol=st.just("B"),
        currency=st.just("USD"),
        profit=st.sampled_from([-90, -60, -45, -10, 5]),
    ),
    _fields("position", id=st.sampled_from(["p1", "p2"]), account=st.just("a1"), status=st.just("closed")),
    ORDER,
    _fields("ticker", symbol=st.just("B"), last=st.sampled_from([90, 97, 101, 108])),
    _fields("account", id=st.just("a1"), margin_level=st.sampled_from([40, 100])),
    LINK,
    st.just({"silence": {"match": "rule=~.*e.*", "for": "2m"}}),
)
LATER = st.sampled_from([0, 1, 10, 30, 60])
STEPS = st.lists(st.tuples(LATER, SAID), min_size=3, max_size=14)
ORDERS = st.lists(st.tuples(LATER, ORDER | LINK), min_size=3, max_size=14)  # sequences across both venues
