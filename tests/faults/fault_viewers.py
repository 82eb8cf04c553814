"""Twenty people look at the page, others send half requests, read no answers and send bodies that are too large: what happens at a
venue is told as ever.
"""

import socket
from collections import Counter
from contextlib import ExitStack, contextmanager
from statistics import median

import pytest

from support.daemon import Folder
from support.floods import RULE, told_within
from support.looking import TOKENS, VIEWERS, Viewers, free_address
from support.mission import connected
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

pytestmark = [pytest.mark.real, pytest.mark.timed]

ALERTS, EVERY = 40, 0.25  # seconds between two
HALVES, MUTE, LARGE = 200, 20, 10


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


@contextmanager
def rude(address: str):
    """Connections that are a burden to a server."""
    host, _, port = address.rpartition(":")
    signed = f"Host: {address}\r\nAuthorization: Bearer {TOKENS[-1]}\r\n"
    with ExitStack() as stack:
        for text in (
            *[f"GET / HTTP/1.1\r\nHost: {address}\r\nX-Half: "] * HALVES,
            *[f"GET /help/rules HTTP/1.1\r\n{signed}\r\n" * 20] * MUTE,
            *[f"POST /silences HTTP/1.1\r\n{signed}Content-Length: 1048576\r\n\r\n" + "x" * 16384] * LARGE,
        ):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(text.encode())
        yield


async def fault_viewers(tmp_path, exchange, figure):
    folder = Folder(tmp_path / "tocsin")
    address = free_address()
    with HttpReceiver() as hook:
        folder.write(
            venues={"healthy": exchange.topone.settings()},
            channels={"hook": hook.channel | {"rate": "100/s"}},
            rules=[RULE],
            people=Viewers.people,
            listen={"address": address},
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "healthy")
            alone = await told_within(exchange, hook, ALERTS, every=EVERY)
            before = _resident(daemon.pid)
            with Viewers(address) as viewers:
                viewers.wait()
                looked_at = await told_within(exchange, hook, ALERTS, every=EVERY)
                after = _resident(daemon.pid)
                seen = viewers.over()
            with rude(address):
                burdened = await told_within(exchange, hook, ALERTS, every=EVERY)
    for name, took in (("alone", alone), ("20 look", looked_at), ("rude ones", burdened)):
        figure(f"{name}: told within, median", median(took) * 1000, unit="ms", aim=100)
        figure(f"{name}: told within, at worst", max(took) * 1000, unit="ms", aim=500)
    figure("memory that 20 who look take", (after - before) / 1024, unit="MiB", aim=60)
    titles = Counter(request.json["title"] for request in hook.requests)
    assert (len(titles), set(titles.values())) == (1 + 3 * ALERTS, {1}), "each once"
    assert seen["200"] == seen["fetched"] > VIEWERS


def _resident(pid: int) -> int:
    """KiB."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
