"""One venue pours out whatever a socket can bring: what happens at the healthy one beside it is told as ever."""

from functools import partial
from statistics import median

import pytest

from support.daemon import Folder
from support.fault_server import serving
from support.floods import FLOODS, RULE, first_told, serve, settings, told_within
from support.mission import connected
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

pytestmark = [pytest.mark.real, pytest.mark.timed]

ALERTS, EVERY = 40, 0.25  # of the healthy venue; seconds between two


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
async def fault_a_flood_beside_a_healthy_venue(tmp_path, exchange, figure, flood):
    folder = Folder(tmp_path / "tocsin")
    with HttpReceiver() as hook:
        async with serving(partial(serve, flood), bare=flood.bare) as server:
            folder.write(
                venues={
                    "flood": settings(flood, server.port, exchange),
                    "healthy": exchange.topone.settings(),
                },
                channels={"hook": hook.channel | {"rate": "100/s"}},
                rules=[RULE],
            )
            async with folder.running(secrets=exchange.secrets) as daemon:
                await connected(daemon, "healthy")
                await server.had(1)
                first = await first_told(exchange, hook)
                took = await told_within(exchange, hook, ALERTS, every=EVERY)
                away = folder.events("venue.disconnected")
    figure(f"{flood.name}: told first, just started, within", first, unit="s", aim=2)
    figure(f"{flood.name}: told within, median", median(took) * 1000, unit="ms", aim=500)
    figure(f"{flood.name}: told within, at worst", max(took) * 1000, unit="ms", aim=2000)
    assert len(hook.requests) == 1 + ALERTS, "each once"
    assert bool(away) == flood.left or "5 MiB" in flood.name
