"""Described venues, whole: sign-in, refusal, renewal, a gap, a resync, and what happened while away, once on a phone each.

One of them signs in by REST and listens by a key; the other logs in in its socket.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from support.daemon import Daemon
from support.mission import connected, headline
from tocsin.simulator import Exchange
from tocsin.simulator.binance_usdm import BinanceUsdm
from tocsin.simulator.bybit import Bybit

pytestmark = pytest.mark.real

RULES: list[dict[str, Any]] = [
    {"id": "order-canceled", "watch": "order.canceled", "notify": "phone"},
    {"id": "position-closed", "watch": "position.closed", "notify": "phone"},
    {"id": "key-refused", "watch": "venue.auth_failed", "notify": "phone"},
]


@dataclass(frozen=True)
class Expected:
    """What is told of a venue: its orders, how it calls them, and its words for a key that it won't have."""

    canceled: str
    refused: str
    ids: tuple[Any, Any, Any]


OF = {
    "binance_usdm": Expected(
        "canceled: BTCUSDT buy 0.02 at 64000.10 · px",
        "Invalid API-key, IP, or permissions for action. (-2015)",
        (8886774, 8886775, 8886776),
    ),
    "bybit": Expected(
        "canceled: ETHUSDT buy 0.50 at 3641.50, CancelByUser · px", "Invalid apikey", ("a-1", "a-2", "a-3")
    ),
}


async def told(daemon: Daemon, people: Any, count: int) -> list[str]:
    """What the phone shows once it has so many messages, and nothing more is on its way."""
    await daemon.until_all_sent(count)
    return people.told()["phone"]


@asynccontextmanager
async def reconnecting(daemon: Daemon) -> AsyncIterator[None]:
    """What happens within it leads to another connection."""
    before = len(daemon.folder.events("venue.connected"))
    yield
    await daemon.until(lambda: len(daemon.folder.events("venue.connected")) > before, "it is connected anew")


async def away(daemon: Daemon, venue: BinanceUsdm | Bybit) -> None:
    """The connection is lost, and the venue lets nobody in until `refuse_with` is None again."""
    lost = len(daemon.folder.events("venue.disconnected"))
    venue.refuse_with = 503
    venue.hang_up()
    await daemon.until(lambda: len(daemon.folder.events("venue.disconnected")) > lost, "it is away")


@pytest.mark.parametrize("name", OF)
async def test_a_described_venue_is_as_good_as_a_built_in_one(folder, people, exchange: Exchange, name):
    venue, expected = getattr(exchange, name), OF[name]
    first, second, third = expected.ids
    folder.write(
        venues={"px": venue.settings() | {"silent_after": "1h"}},
        channels=people.channels(folder),
        rules=RULES,
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "px")
        await daemon.until(
            lambda: folder.rows("SELECT 1 FROM entities WHERE kind = 'balance' AND id = 'USDT'"), "a snapshot"
        )

        if isinstance(venue, BinanceUsdm):
            async with reconnecting(daemon):
                venue.expire_listen_key()

        venue.place(first)
        venue.cancel(first)
        (live,) = await told(daemon, people, 1)
        assert headline(live) == f"🟠 {expected.canceled}"
        assert "gap" not in live

        ago = int(time.time() * 1000) - 600_000
        for order in (second, third):
            venue.place(order, at=ago)
        venue.set_position("0.50")
        await daemon.until(lambda: len(folder.events("order.open")) == 3, "all orders are known")
        await away(daemon, venue)
        venue.cancel(second, at=ago + 300_000)
        venue.cancel(third)
        venue.forgotten.add(third)
        venue.set_position("0")
        venue.refuse_with = None
        await daemon.until(lambda: folder.events("venue.resynced"), "it is back")
        canceled, closed = sorted((await told(daemon, people, 3))[1:], key=headline)
        assert headline(canceled) == f"🟠 {expected.canceled}"
        assert "late by 5 min" in canceled
        assert headline(closed).startswith("🟠 closed: ")
        assert all("found after a gap" in late for late in (canceled, closed))
        query = "SELECT json_extract(data, '$.reason') FROM entities WHERE kind = 'venue'"
        await daemon.until(lambda: "asked for: " in folder.rows(query)[0][0], "what can't be said is told")
        (reason,) = folder.rows(query)[0]
        assert reason.startswith(f"1 unconfirmed until mentioned again: order {third} (")

        venue.refuse_key = True
        venue.hang_up()
        refused = (await told(daemon, people, 4))[3]
        assert expected.refused in refused
        (row,) = folder.rows("SELECT status FROM venues")
        assert row == ("auth_failed",)

        venue.refuse_key = False
        async with reconnecting(daemon):
            assert (await folder.command("reload")).returncode == 0  # tries at once what was refused
        venue.cancel(third)
        assert len(await told(daemon, people, 5)) == 5
    assert [origin for *_, origin in folder.events("position.closed")] == ["resync"]
    assert folder.events("order.canceled") == [
        ("px", "order.canceled", str(first), "live"),
        ("px", "order.canceled", str(second), "resync"),
        ("px", "order.canceled", str(third), "live"),
    ]
