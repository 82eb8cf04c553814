"""A thousand times a second somebody asks whether all is well: what happens at a venue is told as ever, and health stays known."""

import json
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from statistics import median

import pytest

from support.daemon import Folder
from support.floods import RULE, told_within
from support.mission import connected
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

pytestmark = [pytest.mark.real, pytest.mark.timed]

ALERTS, EVERY = 40, 0.25  # seconds between two
RATE = 1000  # requests a second


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


@contextmanager
def scraping(address: str, how: str):
    """What was answered is known when it is over."""
    answered: dict[str, float] = {}
    asker = subprocess.Popen(
        [sys.executable, "-m", "support.scraping", address, str(RATE), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    try:
        yield answered
        said, _ = asker.communicate(timeout=30)
        answered |= json.loads(said)
    finally:
        asker.kill()
        asker.wait()


@pytest.mark.parametrize("how", ["anew", "kept"])
@pytest.mark.parametrize("where", ["socket", "tcp"])
async def fault_scrapes(tmp_path, exchange, figure, where, how):
    folder = Folder(tmp_path / "tocsin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        tcp = f"127.0.0.1:{free.getsockname()[1]}"
    address = tcp if where == "tcp" else str(folder.path / "run" / "control.sock")
    with HttpReceiver() as hook:
        folder.write(
            venues={"healthy": exchange.topone.settings()},
            channels={"hook": hook.channel | {"rate": "100/s"}},
            rules=[RULE],
            listen={"address": tcp},
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "healthy")
            alone = await told_within(exchange, hook, ALERTS, every=EVERY)
            with scraping(address, how) as answered:
                asked = await told_within(exchange, hook, ALERTS, every=EVERY)
    name = f"{RATE:,} scrapes a second, {where}, {how}"
    figure(f"{name}: told within, median", median(asked) * 1000, unit="ms", aim=100)
    figure(f"{name}: told within, at worst", max(asked) * 1000, unit="ms", aim=500)
    figure("… median without them", median(alone) * 1000, unit="ms")
    figure("… answered", sum(answered.values()) - answered["due"], unit="/s")
    figure("… that all is well", answered["200"], unit="/s")
    titles = Counter(request.json["title"] for request in hook.requests)
    assert (len(titles), set(titles.values())) == (1 + 2 * ALERTS, {1}), "each once"
    assert answered["200"] > 50
