"""Venues that pour out what brings nothing, and junk without end, all at once: the healthy one beside them is heard.

The whole of it, flood by flood and with figures, is `./run faults tests/faults/fault_starving.py`.
"""

from contextlib import AsyncExitStack
from functools import partial
from statistics import median

import pytest

from support.fault_server import serving
from support.floods import FLOODS, RULE, serve, settings, told_within
from support.mission import connected
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real

POURED = ("empty continuation frames", "empty lines over tcp", "messages that are junk")


async def test_the_healthy_venue_is_told_of_beside_floods(folder, exchange):
    floods = [flood for flood in FLOODS if flood.name in POURED]
    async with AsyncExitStack() as stack:
        hook = stack.enter_context(HttpReceiver())
        venues = {"healthy": exchange.topone.settings()}
        for flood in floods:
            server = await stack.enter_async_context(serving(partial(serve, flood), bare=flood.bare))
            venues[flood.name.replace(" ", "-")] = settings(flood, server.port, exchange)
        folder.write(venues=venues, channels={"hook": hook.channel | {"rate": "100/s"}}, rules=[RULE])
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "healthy")
            took = await told_within(exchange, hook, 12, every=0.1)
            query = "SELECT DISTINCT venue FROM events WHERE event = 'venue.disconnected'"
            left = {flood.name.replace(" ", "-") for flood in floods if flood.left}
            await daemon.until(
                lambda: {venue for (venue,) in folder.rows(query)} == left,
                "those that bring nothing are left",
            )
        assert len(hook.requests) == 1 + len(took)
    assert median(took) < 5  # it takes some ms; beside the first of these floods it once took for ever
