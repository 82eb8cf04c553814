"""A disk that is held, hangs or lies, seen by people. `./run faults` has the same at length."""

import time

import pytest

from support.daemon import Folder
from support.damaged import prepare, started
from support.disk import KINDS, RULES, Phone, Trade, begin, heard, why_no_shim, with_shim
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real


@pytest.fixture
def phone():
    with Phone() as phone:
        yield phone


@pytest.mark.parametrize("kind", KINDS)
async def test_alerts_go_out_once_and_marked_while_the_database_takes_nothing(
    tmp_path, exchange, phone, kind
):
    folder = Folder(tmp_path / "tocsin")
    folder.write(venues={"spot": exchange.topone.settings()}, channels={"phone": phone.channel}, rules=RULES)
    if kind == "hanging":
        if reason := why_no_shim():
            pytest.skip(reason)
        with_shim(folder)
    trade = Trade(exchange, 5)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await begin(daemon, phone, trade)
        with KINDS[kind](folder):
            since = time.monotonic()
            await trade.go_on(10)
            await daemon.until(
                lambda: all(phone.told(order) for order in trade.pushed), "each is told meanwhile"
            )
        assert heard(phone, trade, since, time.monotonic(), strict=False)
        await daemon.until_all_sent(len(trade.pushed))
    assert [order for order in trade.pushed if len(phone.told(order)) != 1] == []


async def test_damaged_states_start_and_tell(tmp_path):
    prepared = prepare(tmp_path, 500)
    with HttpReceiver() as phone:
        for seed in (0, 4, 8, 16):  # without its log; pages; an inner page; its beginning
            _, missed = await started(seed, prepared, tmp_path, phone, 500)
            assert missed == 0
