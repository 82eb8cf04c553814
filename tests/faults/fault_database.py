"""A database that is locked, or whose disk hangs, for 40 s: from the sixth second on each alert is told at once, marked.

Origin of the lock: github SigNoz/signoz 10087, Joulenap/joulenap PR 41, apache/steve 70.
"""

import time
from collections import Counter

import pytest
import trio

from support.daemon import Folder
from support.disk import KINDS, RULES, Phone, Trade, begin, heard, why_no_shim, with_shim
from tocsin.delivery.outbox import NOTE
from tocsin.simulator import Exchange

pytestmark = pytest.mark.real
SECONDS = 40.0
each_kind = pytest.mark.parametrize(
    "kind",
    ["locked", pytest.param("hanging", marks=pytest.mark.skipif(bool(why_no_shim()), reason=why_no_shim()))],
)


@pytest.fixture
def phone():
    with Phone() as phone:
        yield phone


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


@pytest.fixture
def folder(tmp_path, exchange, phone):
    made = Folder(tmp_path / "tocsin")
    made.write(venues={"spot": exchange.topone.settings()}, channels={"phone": phone.channel}, rules=RULES)
    return made


@each_kind
@pytest.mark.parametrize("rate", [1, 10])
async def fault_nobody_waits_for_the_disk(folder, exchange, phone, *, figure, kind, rate):
    if kind == "hanging":
        with_shim(folder)
    trade = Trade(exchange, rate)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await begin(daemon, phone, trade)
        with KINDS[kind](folder):
            since = time.monotonic()
            await trade.go_on(SECONDS)
            until = time.monotonic()
        took = heard(phone, trade, since, until)
        await daemon.until_all_sent(len(trade.pushed))
        await trade.go_on(2)
        await daemon.until_all_sent(len(trade.pushed))
        assert "nothing can be committed" in daemon.log()
    told = {order: phone.told(order) for order in trade.pushed}
    assert [order for order, times in told.items() if len(times) != 1] == [], "each once: the process lived"
    assert NOTE not in told[max(told)][0][1], "no mark when the disk works again"
    statuses = Counter(status for (status,) in folder.rows("SELECT status FROM deliveries"))
    assert statuses == {"sent": len(trade.pushed)}
    figure(f"database {kind}, {rate}/s: told within, worst", max(took), unit="s", aim=2)


@each_kind
async def fault_killed_meanwhile(folder, exchange, phone, *, kind):
    """Nothing is lost, and what is told twice was marked the first time."""
    if kind == "hanging":
        with_shim(folder)
    trade = Trade(exchange, 5)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await begin(daemon, phone, trade)
        with KINDS[kind](folder):
            since = time.monotonic()
            await trade.go_on(12)
            heard(phone, trade, since, time.monotonic())
            killed = time.monotonic()
            daemon.kill()
        await daemon.start()
        await daemon.until(lambda: not folder.unsent(), "all is sent")
        await trio.sleep(1)
    for order, at in trade.pushed.items():
        told = phone.told(order)
        # What was on its way into the daemon is lost with it; no venue says that again.
        assert told or at > killed - 1, f"{order} was told to nobody"
        assert len(told) <= 1 or NOTE in told[0][1], (
            f"{order} was told {len(told)} times, the first without the mark"
        )
