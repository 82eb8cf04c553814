"""What the daemon is for, as rules and as things that happen at simulated venues."""

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
    """The config's `venues`: those where the mission's three things happen, under names of the user's own."""
    return {
        "fx": exchange.yourfintech.settings(),
        "spot": exchange.topone.settings(),
        "power": exchange.glocalflex.settings(),
    }


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


def headlines(told: dict[str, list[str]]) -> dict[str, list[str]]:
    """The first line of each message, sorted."""
    return {channel: sorted(text.splitlines()[0] for text in texts) for channel, texts in told.items()}


IN_THE_RED = "critical, firing: profit -0.51 < -0.5, BTCUSD long on fx"
OUT_OF_IT = "critical, resolved: profit is -0.39, BTCUSD long on fx"
CANCELED = "firing: order.canceled, ETH/BTC buy order on spot"
SETTLED = "firing: contract.settlement_completed_success, contract contract-1 on power"
WHOLE = {
    "desk": sorted([IN_THE_RED, OUT_OF_IT, CANCELED]),
    "phone": sorted([IN_THE_RED, OUT_OF_IT, CANCELED]),
    "mail": sorted([IN_THE_RED, OUT_OF_IT, SETTLED]),
}
"""All that is told of the mission from its beginning to its end, by channel: the headlines, sorted."""
