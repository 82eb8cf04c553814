"""The messages of the venues' own documents, through a real socket: the events and the numbers that are in the books then.

Each number is looked for in the document's text, so that what is expected here is what is on the wire, digit for digit.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.daemon import Daemon, Folder
from support.decoding import fixture
from support.mission import connected
from tocsin.simulator import Exchange, SimulatedVenue
from tocsin.simulator.wealthsimple import Wealthsimple
from tocsin.simulator.yourfintech import Yourfintech

POSITION = "be06c5da-35d4-4ca1-8865-f9b24b9038a3"
ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
PENDING = "a29df815-31a8-4958-8c75-3df892dcc568"
CONTRACT = "9a1d1c7e-8f5b-4b0e-a6b7-1e0a7a3f2c02"
POWER_ORDER = "5f0cbb2e-4f11-4f5c-9d0b-6c3f4a9f5a01"
ETHER = "sec-z-eth-dc40261c82a191b11e53426aa25d91af"


@dataclass(frozen=True)
class Said:
    """A document's message, what it brings about, and numbers of it by the event that holds them."""

    file: str
    events: tuple[str, ...]  # "event entity"
    numbers: dict[str, dict[str, str]] = field(default_factory=dict)
    topic: str | None = None


YOURFINTECH = [
    Said("account_added.json", (f"account.added {ACCOUNT}",), {"account.added": {"balance": "0.0", "leverage": "10"}}),
    Said(
        "position_created.json",
        (f"position.opened {POSITION}",),
        {"position.opened": {"profit": "-0.00009999999997489795", "entry_price": "89788.01", "commission": "0.105"}},
    ),
    Said("position_updated.json", (f"position.updated {POSITION}",), {"position.updated": {"take_profit": "25.0"}}),
    Said(
        "position_closed.json",
        (f"position.closed {POSITION}",),
        {"position.closed": {"profit": "-0.7826999999998634", "amount": "0.01", "take_profit": "100000"}},
    ),
    Said(
        "account_update.json",
        (f"account.updated {ACCOUNT}", "balance.updated USD", "balance.trading USD"),
        {
            "balance.trading": {"change": "-0.49939999999990503", "total": "6401.125104675008"},
            "account.updated": {"balance": "6401.125104675008"},
        },
    ),
    Said(
        "pending_position_created.json",
        (f"order.created {PENDING}", f"order.open {PENDING}"),
        {"order.created": {"price": "10", "amount": "0.01"}},
    ),
]  # fmt: skip
TOPONE = [
    Said(
        "sub-orders.json",
        ("order.created 132991", "order.filled 132991"),
        {"order.filled": {"price": "0.08132", "amount": "1.389", "filled": "1.389", "cost": "0.10953654", "remaining": "0"}},
        "sub_orders",
    ),
    Said(
        "sub-balance.json",
        ("balance.updated ETH",),
        {"balance.updated": {"available": "99999980.24173", "locked": "23.596"}},
        "sub_balance",
    ),
    Said(
        "sub-deals.json",
        ("trade.executed TOP/ETH", "ticker.updated TOP/ETH"),
        {"trade.executed": {"price": "0.07877", "amount": "1.115"}},
        "sub_deals_TOP/ETH",
    ),
    Said(
        "sub-depth.json",
        ("book.updated TOP/ETH", "ticker.updated TOP/ETH"),
        {"book.updated": {"bid": "0.0793", "bid_size": "2.151", "ask": "0.0791", "ask_size": "2.038"}},
        "sub_depth_TOP/ETH_1x",
    ),
]  # fmt: skip
PIEXGO = [
    Said(
        "pinfo-order.json",
        ("order.created 1136203593297424385", "order.filled 1136203593297424385"),
        {"order.filled": {"price": "7831.1600000000", "average": "7828.08", "cost": "7828.07520000", "remaining": "0.00000000"}},
        "pinfo",
    ),
    Said(
        "pinfo-balance.json",
        ("balance.updated BTC",),
        {"balance.updated": {"available": "10000991076.10471725"}},
        "pinfo",
    ),
    Said(
        "dealinfo.json",
        ("trade.executed btc_usdt", "trade.executed btc_usdt", "ticker.updated btc_usdt"),
        {"trade.executed": {"price": "4003.9000000000", "amount": "0.01510000"}},
        "dealinfo.btc_usdt",
    ),
    Said(
        "depth.json",
        ("book.updated btc_usdt", "ticker.updated btc_usdt"),
        {"book.updated": {"bid": "3990.67", "ask": "3990.69", "bid_size": "0.21", "ask_size": "0.07", "sequence": "36296"}},
        "depth.btc_usdt",
    ),
]  # fmt: skip
GLOCALFLEX = [
    Said(
        "order_status_update.json",
        (f"order.created {POWER_ORDER}", f"order.open {POWER_ORDER}"),
        {"order.open": {"price": "0.25", "power": "1000.0"}},
        "trade",
    ),
    Said(
        "contract_status_update.json",
        (f"contract.settlement_completed_success {CONTRACT}",),
        {"contract.settlement_completed_success": {"price": "0.25", "power": "1000.0", "energy": "1.0"}},
        "trade",
    ),
    Said(
        "ticker_update.json",
        ("trade.executed FI", "ticker.updated FI"),
        {"trade.executed": {"price": "100.0", "power": "1500.0", "energy": "1.5"}},
        "ticker",
    ),
    Said(
        "expired_order_update.json",
        ("book.order_expired FI",),
        {"book.order_expired": {"price": "100.0", "power": "1500.0", "energy": "1.5"}},
        "ticker",
    ),
    Said("orderbook_update.json", ("book.updated",), {"book.updated": {"bid": "100", "ask": "11"}}, "orderbook"),
]  # fmt: skip


async def say(daemon: Daemon, venue: SimulatedVenue, name: str, said: list[Said]) -> None:
    for each in said:
        count = len(happened(daemon.folder, name))
        assert venue.push(fixture(venue.type, each.file), each.topic) == 1, each.file
        await daemon.until(lambda: len(happened(daemon.folder, name)) >= count + len(each.events), each.file)  # noqa: B023 - called here
        compare(each, happened(daemon.folder, name)[count:], fixture(venue.type, each.file))


def happened(folder: Folder, venue: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    rows = folder.rows("SELECT event, entity, origin, data FROM events WHERE venue = ? ORDER BY id", venue)
    return [
        (event, entity, origin, json.loads(data))
        for event, entity, origin, data in rows
        if not event.startswith("venue.")
    ]


def compare(said: Said, found: list[tuple[str, str, str, dict[str, Any]]], wire: str) -> None:
    got = [f"{event} {entity}" for event, entity, _, _ in found]
    assert len(got) == len(said.events), (said.file, got)
    for one, expected in zip(sorted(got), sorted(said.events), strict=True):
        assert one.startswith(expected), (said.file, got)
    for event, numbers in said.numbers.items():
        data = next(data for name, _, _, data in found if name == event)
        assert {name: data.get(name) for name in numbers} == numbers, (said.file, event)
        for number in numbers.values():
            assert number in wire, (said.file, number)
        assert data["raw"] == wire, said.file


async def test_every_venue(folder, exchange: Exchange):
    streams = {"streams": ["orders", "balance", "deals_TOP/ETH", "depth_TOP/ETH_1x"]}
    folder.write(
        venues={
            "fx": exchange.yourfintech.settings(),
            "spot": exchange.topone.settings() | streams,
            "pix": exchange.piexgo.settings(),
            "power": exchange.glocalflex.settings(),
        },
        store_market_data="all",
        rules=[],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "pix", "power")
        await say(daemon, exchange.yourfintech, "fx", YOURFINTECH)
        await say(daemon, exchange.topone, "spot", TOPONE)
        await say(daemon, exchange.piexgo, "pix", PIEXGO)
        await say(daemon, exchange.glocalflex, "power", GLOCALFLEX)
    assert {
        origin for venue in ("fx", "spot", "pix", "power") for _, _, origin, _ in happened(folder, venue)
    } == {"live", "synthetic"}
