"""An orderly stop: what was read is in the books, however much there is of it."""

import json

import pytest

from support.daemon import Folder
from support.fault_server import TEXT, Peer, frame, serving
from tocsin.simulator import piexgo

pytestmark = pytest.mark.real

MOST_LOST = 1  # the message that waits for room in the queue when the venue's task ends


async def flood(peer: Peer) -> None:
    await peer.accept()
    await peer.message()
    orders = (piexgo.order(str(number), 4, volume="1.0", remain="1.0") for number in range(1, 601))
    await peer.raw(b"".join(frame(TEXT, json.dumps(order).encode()) for order in orders))
    await peer.serve_politely()


async def test_what_was_read_is_kept(folder: Folder, exchange):
    async with serving(flood) as server:
        spot = exchange.piexgo.settings() | {"url": f"ws://127.0.0.1:{server.port}/ws", "streams": ["pinfo"]}
        # Three alerts for each message: they are read faster than they can be committed.
        rules = [{"id": f"canceled-{number}", "watch": "order.canceled"} for number in range(3)]
        nobody = {"nobody": "json://127.0.0.1:1/"}
        folder.write(venues={"spot": spot | {"record": True}}, rules=rules, channels=nobody)
        async with folder.running() as daemon:
            await daemon.until(
                lambda: len(folder.events("order.canceled")) >= 100, "it is in the midst of it"
            )
            assert await daemon.stop() == 0
    read = (folder.state / "recordings" / "spot.jsonl").read_text().count("\n")
    kept = [int(entity) for _, _, entity, _ in folder.events("order.canceled")]
    assert kept == list(range(1, len(kept) + 1))
    assert read - len(kept) <= MOST_LOST
