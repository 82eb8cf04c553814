"""Groups, where messages tell of several entities: judged once each, as they then stand, and alike over any restart or reload."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from support.observing import state_of
from support.story import compiled
from tocsin.alerts.wording import Style
from tocsin.clock import ManualClock
from tocsin.entities import Entities
from tocsin.events import Observation, Position
from tocsin.ruletest.runner import notifications
from tocsin.ruletest.simulation import Simulation

SHARED_MEMORY = Path("/dev/shm")  # its commits wait for no disk
RULES = compiled(
    [
        {"id": "red", "watch": "position", "when": "profit < -50"},
        {"id": "loss", "watch": "position", "per": ["account"], "when": "sum(profit) < -50"},
        {"id": "lasts", "watch": "position", "per": ["account"], "when": "sum(profit) < -50", "for": "20s"},
        {"id": "both", "watch": "position", "per": ["symbol"], "when": "count() > 1", "until": "count() < 1"},
        {"id": "allowed", "watch": "position", "per": ["account"], "where": "account.trading_disabled == false",
         "when": "sum(profit) < -50"},
        {"id": "old", "watch": "order", "per": ["symbol"], "where": "age() > 7s", "when": "count() > 0"},
        {"id": "older", "watch": "order", "per": [], "where": "age() > 20s", "when": "count() > 1", "for": "5s"},
        {"id": "equity", "watch": "account", "when": "equity < 60"},
    ]
)  # fmt: skip
START = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNTS = st.sampled_from(["a1", "a2"])


def _of(kind: str, account: st.SearchStrategy[Any], **fields: Any) -> st.SearchStrategy[Any]:
    given_ = {
        name: field if isinstance(field, st.SearchStrategy) else st.just(field)
        for name, field in fields.items()
    }
    return st.tuples(st.just(kind), account, st.fixed_dictionaries(given_))


PRICED = {
    "symbol": "B",
    "amount": "1",
    "lot_size": "1",
    "profit_price": "1",
    "entry_price": "100",
    "currency": "USD",
}
ONE = st.one_of(
    _of("position", ACCOUNTS, id=st.sampled_from(["p1", "p2"]), side="long", status="open", **PRICED),
    _of("position", ACCOUNTS, id="p3", side="short", status="open", **PRICED),  # hedges the others
    _of("position", ACCOUNTS, id=st.sampled_from(["p1", "p2", "p3"]), status="closed"),
    _of("account", st.none(), id=ACCOUNTS, balance="100", trading_disabled=st.sampled_from(["true", "false"])),
    _of(
        "order",
        ACCOUNTS,
        id=st.sampled_from(["o1", "o2"]),
        symbol=st.sampled_from(["B", "C"]),
        status=st.sampled_from(["open", "open", "canceled"]),
    ),
)  # fmt: skip
PRICES = st.sampled_from([40, 100, 160])
MESSAGES = st.lists(
    st.tuples(st.sampled_from([0, 1, 4, 10]), PRICES, st.lists(ONE, max_size=3)), min_size=2, max_size=6
)


def observed(said: tuple[str, str | None, dict[str, Any]]) -> Observation:
    kind, account, fields = said
    flags = {name: value == "true" if name == "trading_disabled" else value for name, value in fields.items()}
    return Observation(state=state_of(kind, flags), account=account)


def quote(price: float) -> Observation:
    return Observation(
        state=state_of("ticker", {"id": "B", "symbol": "B", "bid": f"{price}", "ask": f"{price}"})
    )


def lived(messages: list[Any], at_these: set[int], otherwise: str) -> tuple[list[dict[str, Any]], list[bool]]:
    """What is told where, before the messages of these numbers, something else is done; and whether, after each, `loss`
    stood as the positions did.
    """

    async def run(clock: ManualClock, folder: Path) -> tuple[list[dict[str, Any]], list[bool]]:
        async with trio.open_nursery() as nursery:
            simulation = Simulation(
                style=Style(),
                rules=RULES,
                channels=["phone"],
                clock=clock,
                state_dir=folder / "state",
                nursery=nursery,
            )
            await simulation.start(["fx"])
            at, right = 0.0, []
            for number, (later, price, said) in enumerate(messages):
                if number in at_these:
                    await simulation.run_until(at + later // 2)
                    await (
                        simulation.restart(0)
                        if otherwise == "restart"
                        else simulation.reload(simulation.rules)
                    )
                at += later
                await simulation.run_until(at)
                # Always another price: what was told before a restart is none until it is told again.
                await simulation.say("fx", (quote(price + number / 100), *map(observed, said)))
                alerts = {alert["id"] for alert in await simulation.lasting() if alert["rule"] == "loss"}
                right.append(alerts == losing(simulation.entities))
            await simulation.run_until(at + 30)
            await simulation.stop()
        told = notifications(simulation.told)
        return sorted(
            told, key=lambda item: [item[name] for name in ("at", "rule", "id", "state", "body")]
        ), right

    clock = ManualClock(START)
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        return trio.run(run, clock, Path(folder), clock=clock)


def losing(entities: Entities) -> set[str]:
    """The accounts whose open positions' known profits sum to less than -50."""
    profits: dict[str, Any] = {}
    for change in entities.live("position"):
        assert isinstance(change.state, Position)
        profit = getattr(change.state, "profit", None)
        profits[change.key.account] = profits.get(change.key.account, 0) + (profit or 0)
    return {account for account, profit in profits.items() if profit < -50}


@pytest.mark.parametrize("otherwise", ["restart", "reload"])
@model(suite=15, many=500)
@given(messages=MESSAGES, at_these=st.sets(st.integers(0, 5), min_size=1, max_size=3))
def test_a_group_is_as_its_members_are(otherwise: str, messages: list[Any], at_these: set[int]) -> None:
    told, right = lived(messages, at_these, otherwise)
    assert all(right)
    assert told == lived(messages, set(), otherwise)[0]
