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

pytestmark = pytest.mark.real

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
        (f"position.opened {POSITION}", f"account.updated {ACCOUNT}"),  # whose equity it changes
        {"position.opened": {"profit": "-0.00009999999997489795", "entry_price": "89788.01", "commission": "0.105"}},
    ),
    Said("position_updated.json", (f"position.updated {POSITION}",), {"position.updated": {"take_profit": "25.0"}}),
    Said(
        "position_closed.json",
        (f"position.closed {POSITION}", f"account.updated {ACCOUNT}"),
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
    Said(
        "orderbook_update.json",
        ("book.updated flex", "ticker.updated flex"),
        {"book.updated": {"bid": "100", "ask": "11"}},
        "orderbook",
    ),
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
    assert sorted(got) == sorted(said.events), said.file
    for event, numbers in said.numbers.items():
        data = next(data for name, _, _, data in found if name == event)
        assert {name: data.get(name) for name in numbers} == numbers, (said.file, event)
        for number in numbers.values():
            assert number in wire, (said.file, number)
        assert data["raw"].strip() == wire.strip(), said.file


async def test_venues_that_push(folder, exchange: Exchange):
    streams = {"streams": ["orders", "balance", "deals_TOP/ETH", "depth_TOP/ETH_1x"]}
    folder.write(
        venues={
            "fx": exchange.yourfintech.settings(),
            "spot": exchange.topone.settings() | streams,
            "pix": exchange.piexgo.settings(),
            "power": exchange.glocalflex.settings(),
        },
        store_market_data="all",
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "pix", "power")
        await say(daemon, exchange.yourfintech, "fx", YOURFINTECH)
        await say(daemon, exchange.topone, "spot", TOPONE)
        await say(daemon, exchange.piexgo, "pix", PIEXGO)
        await say(daemon, exchange.glocalflex, "power", GLOCALFLEX)
        assert not folder.events(
            "venue.malformed", "venue.unrecognized", "venue.disconnected", "venue.refused"
        )


async def test_yourfintech_over_tcp(folder, nursery):
    venue = Yourfintech(tcp=True)
    await nursery.start(venue.serve)
    settings = venue.settings()
    assert settings["url"].startswith("tcp://")
    folder.write(venues={"fx": settings}, store_market_data="all")
    async with folder.running() as daemon:
        await connected(daemon, "fx")
        await say(daemon, venue, "fx", YOURFINTECH)
        venue.push({"message_id": "b7d1", "message_type": "Ping"})
        pong = {"message_id": "b7d1", "message_type": "Pong"}
        await daemon.until(lambda: pong in venue.received, "the ping is answered")


async def test_wealthsimple_in_snapshots(folder, nursery):
    """The first snapshot makes no events; what differs in the next one has happened."""
    venue = Wealthsimple(poll="1s")
    await nursery.start(venue.serve)
    folder.write(venues={"broker": venue.settings()}, store_market_data="all")

    def gives(*accounts: str, quotes: tuple[str, ...] = ()) -> None:
        venue.accounts = [fixture("wealthsimple", name) for name in accounts]
        venue.quotes = [fixture("wealthsimple", name) for name in quotes]

    def numbers(event: str, entity: str) -> dict[str, Any]:
        return next(data for name, of, _, data in happened(folder, "broker") if (name, of) == (event, entity))

    gives("account.json")
    async with folder.running(secrets=lambda: venue.secrets) as daemon:
        await connected(daemon, "broker")
        assert happened(folder, "broker") == []
        gives("account-with-order.json", quotes=("price-quote.json", "price-quote-equity.json"))
        await daemon.until(lambda: len(happened(folder, "broker")) >= 4, "the second snapshot's events")
    assert sorted((event, entity, origin) for event, entity, origin, _ in happened(folder, "broker")) == [
        ("order.created", "order-aabcabc1abc", "live"),
        ("order.filled", "order-aabcabc1abc", "live"),
        ("ticker.updated", "sec-s-aabcabc1abc", "live"),
        ("ticker.updated", ETHER, "live"),
    ]
    ether = numbers("ticker.updated", ETHER)
    assert (ether["last"], ether["bid"]) == ("2334.106495274", "2320.4235842069015")
    assert ether["ask"] == "2347.823601361888"
    assert "volume" not in ether  # zeros of a crypto quote mean: not supplied
    equity = numbers("ticker.updated", "sec-s-aabcabc1abc")
    assert (equity["last"], equity["bid_size"], equity["volume"]) == ("36.3900", "5200", "703243")
    assert equity["raw"].strip() == fixture("wealthsimple", "price-quote-equity.json").strip()
    assert folder.rows("SELECT count(*) FROM events WHERE event = 'venue.connected'") == [(1,)]


async def test_topone_s_opening_snapshot(folder, exchange: Exchange):
    """By REST: entities, digit for digit, and nothing that has happened."""
    exchange.topone.orders = json.loads(fixture("topone", "rest-orders.json"))["data"]["list"]
    exchange.topone.balances = json.loads(fixture("topone", "rest-balances.json"))["data"]["list"]
    streams = {"markets": ["TOP/ETH"]}
    folder.write(venues={"spot": exchange.topone.settings() | streams})

    def known() -> dict[str, dict[str, Any]]:
        rows = folder.rows("SELECT id, data FROM entities WHERE kind IN ('order', 'balance')")
        return {entity: json.loads(data) for entity, data in rows}

    async with folder.running(secrets=exchange.secrets) as daemon:
        await daemon.until(lambda: known().keys() == {"26211", "ETH"}, "the snapshot is in the books")
    order, balance = known()["26211"], known()["ETH"]
    assert (order["status"], order["side"], order["price"]) == ("open", "buy", "0.00001057")
    assert (order["amount"], order["remaining"]) == ("10000", "10000")
    assert (balance["available"], balance["locked"]) == ("8517.32476151", "0")
    assert happened(folder, "spot") == []
