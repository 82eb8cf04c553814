"""What happened while a venue was away: found, told as late, once; and what nobody can say is said to be unconfirmed."""

import time
from typing import Any

import pytest

from support.daemon import Daemon
from support.mission import connected, headline
from tocsin.simulator import Exchange, topone

pytestmark = pytest.mark.real

RULES: list[dict[str, Any]] = [{"id": "order-canceled", "watch": "order.canceled", "notify": "phone"}]
MARKET = {"markets": ["ETH/BTC"], "silent_after": "1h"}


def an_order(order_id: int, placed: float) -> dict[str, Any]:
    """An order push, of an order that was placed then."""
    message = topone.order(order_id, 1, price="0.08132", amount="1.389")
    message["data"] |= {"createTime": placed, "updateTime": placed}
    return message


def ended(order_id: int, placed: float, at: float) -> dict[str, Any]:
    """The same, as the venue's history has it: canceled."""
    row = an_order(order_id, placed)["data"] | {"status": 3, "finishTime": at}
    del row["updateTime"], row["left"]
    return row


async def reason_is(daemon: Daemon, reason: str) -> None:
    query = "SELECT json_extract(data, '$.reason') FROM entities WHERE kind = 'venue'"
    await daemon.until(lambda: daemon.folder.rows(query) == [(reason,)], reason)


@pytest.mark.parametrize("gone", ["the venue", "the daemon"])
async def test_a_cancel_while_away_is_told_as_late_and_what_isnt_known_says_so(
    folder, people, exchange: Exchange, gone
):
    venue, now = exchange.topone, time.time()
    folder.write(venues={"spot": venue.settings() | MARKET}, channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "spot")
        for order_id in (1, 2):
            venue.push(an_order(order_id, now - 600), "sub_orders")
        await daemon.until(lambda: len(folder.events("order.open")) == 2, "both orders are known")
        venue.history = [ended(1, now - 600, now - 300)]
        if gone == "the venue":
            venue.hang_up()
        else:
            await daemon.restart()
        await daemon.until(lambda: folder.events("venue.resynced"), "it is back")
        await daemon.until_all_sent(1)
        left = "order 2 (ETH/BTC; asked for: the venue knows nothing of it)"
        await reason_is(daemon, f"1 unconfirmed until mentioned again: {left}")
        status = (await folder.command("status")).stdout
    assert folder.events("order.canceled") == [("spot", "order.canceled", "1", "resync")]
    (told,) = people.told()["phone"]
    assert headline(told) == "🟠 canceled: ETH/BTC buy 1.389 at 0.08132 · spot"
    assert "late by 5 min" in told
    assert "found after a gap: it happened while the connection was away" in told
    assert "1 not confirmed since" in status
