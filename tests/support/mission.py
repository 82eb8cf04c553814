"""What the daemon is for, as rules and as things that happen at simulated venues."""

import re
from typing import Any

from support.daemon import Daemon
from tocsin.simulator import Exchange, glocalflex, topone, yourfintech

RULES: list[dict[str, Any]] = [
    {
        "id": "position-in-the-red",
        "watch": "position",
        "when": {"profit": {"below": -0.5}},
        "until": {"profit": {"above": -0.4}},
        "severity": "critical",
        "notify": ["desk", "phone", "mail"],
    },
    {"id": "order-canceled", "watch": "order.canceled", "notify": ["phone", "desk"]},
    {"id": "contract-settled", "watch": "contract.settlement_completed_success", "notify": "mail"},
]
POSITION = "be06c5da-35d4-4ca1-8865-f9b24b9038a3"


def venues(exchange: Exchange) -> dict[str, Any]:
    """The config's `venues`: those where the mission's three things happen, under names of the user's own.

    None of them is told silent, however long a busy machine takes for a test.
    """
    found = {"fx": exchange.yourfintech, "spot": exchange.topone, "power": exchange.glocalflex}
    return {name: venue.settings() | {"silent_after": "1h"} for name, venue in found.items()}


async def connected(daemon: Daemon, *names: str) -> None:
    """Until this run of the daemon has told that it is connected with these venues."""

    def those() -> set[str]:
        query = "SELECT venue FROM venues WHERE status = 'connected' AND updated_at > ?"
        return {venue for (venue,) in daemon.folder.rows(query, daemon.since)}

    await daemon.until(lambda: those().issuperset(names), f"{names} are connected")


def profit(exchange: Exchange, value: float, what: str = "updated", position: str = POSITION) -> None:
    assert exchange.yourfintech.push(yourfintech.position(what, position, profit=value, entry=89788.01))


def cancel(exchange: Exchange, order_id: int) -> None:
    """An order is placed, and canceled."""
    for status in (1, 3):
        assert exchange.topone.push(
            topone.order(order_id, status, price="0.08132", amount="1.389"), "sub_orders"
        )


def settle(exchange: Exchange, contract_id: str) -> None:
    for status in ("settlement_initiated", "settlement_completed_success"):
        assert exchange.glocalflex.push(glocalflex.contract(contract_id, status), "trade")


def headline(text: str) -> str:
    """The first line of a message, without what is another in each run: how long, how late, how bad in between."""
    return re.sub(r"late [^:]+: | after \d+ s|, worst [-.0-9]+", "", text.splitlines()[0])


def headlines(told: dict[str, list[str]]) -> dict[str, list[str]]:
    """The headline of each message, sorted."""
    return {channel: sorted(map(headline, texts)) for channel, texts in told.items()}


IN_THE_RED = "🔴 -0.51 USD BTCUSD long: profit < -0.5 · fx 9020b4e5"
OUT_OF_IT = "🟢 resolved: BTCUSD long -0.39 USD · fx 9020b4e5"
CANCELED = "🟠 canceled: ETH/BTC buy 1.389 at 0.08132 · spot"
SETTLED = "🟠 settlement completed success: contract-1 sell 5000.0 W at 0.31 · power"
WHOLE = {
    "desk": sorted([IN_THE_RED, OUT_OF_IT, CANCELED]),
    "phone": sorted([IN_THE_RED, OUT_OF_IT, CANCELED]),
    "mail": sorted([IN_THE_RED, OUT_OF_IT, SETTLED]),
}
"""All that is told of the mission from its beginning to its end, by channel: the headlines, sorted."""
