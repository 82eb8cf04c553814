"""A restart, or a reload of the same rules, at any moment: what is told, when and in which words stays the same."""

import json
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from tocsin.alerts.wording import Style
from tocsin.ruletest.bench import Bench
from tocsin.ruletest.clock import SteppedClock
from tocsin.ruletest.model import Action, Restart, RuleTests, Says, Silence
from tocsin.ruletest.reading import read_tests
from tocsin.ruletest.runner import notifications

SHARED_MEMORY = Path("/dev/shm")  # its commits wait for no disk
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
ELSEWHERE = {"restart": {"restart": True}, "reload": {"reload": []}}


def told(said: list[tuple[int, dict]], at_these: set[int], otherwise: dict) -> list[dict]:
    """All that is told where, before the steps of these numbers, something else is done."""
    steps, at = (
        [{"at": "0s", "venue": venue, "account": {"id": "a1", "margin_level": 100}} for venue in BOTH],
        0,
    )
    for number, (later, step) in enumerate(said):
        if number in at_these:
            steps.append({"at": f"{at + later // 2}s", **otherwise})
        at += later
        steps.append({"at": f"{at}s", **step})
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        path = Path(folder) / "it.yaml"
        path.write_text(RULES + f"tests: {json.dumps([{'name': 'it', 'steps': steps}])}\n")
        tests = read_tests(path)
        clock = SteppedClock(tests.tests[0].start)
        return trio.run(_play, tests, clock, Path(folder), clock=clock)


async def _play(tests: RuleTests, clock: SteppedClock, folder: Path) -> list[dict]:
    async with trio.open_nursery() as nursery:
        bench = Bench(
            style=Style(),
            rules=tests.rules,
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
        )
        await bench.start(tests.tests[0].venues)
        for step in tests.tests[0].steps:
            await bench.run_until(step.at)
            await _do(bench, step.action)
        await bench.run_until(step.at + 200)
        await bench.stop()
    # What is due at one instant may come in another order; what spoke while its venue was away, which none does, is forgotten.
    found = [
        {**item, "body": "" if item["rule"] == "away" else item["body"]} for item in notifications(bench.told)
    ]
    return sorted(found, key=itemgetter("at", "rule", "id", "state", "body"))


async def _do(bench: Bench, action: Action) -> None:
    match action:
        case Says():
            await bench.say(action.venue, (action.observed,))
        case Silence():
            await bench.silence(action.match, action.lasts)
        case Restart():
            await bench.restart(action.down)
        case _:
            await bench.reload(bench.rules)


@pytest.mark.parametrize("otherwise", ELSEWHERE.values(), ids=ELSEWHERE)
@model(suite=40, many=500)
@given(said=STEPS | ORDERS, at_these=st.sets(st.integers(0, 13), min_size=1, max_size=4))
def test_it_changes_nothing(otherwise, said, at_these):
    assert told(said, at_these, otherwise) == told(said, set(), otherwise)
