"""Four venues at their worst in one daemon, and two good ones: these are heard at once, those are told of, once each."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import trio

from support.fault_server import TEXT, FaultServer, Peer, frame, serving
from support.mission import cancel, connected, settle
from support.receivers import HttpReceiver
from tocsin.simulator import piexgo
from tocsin.simulator.yourfintech import server_message

pytestmark = pytest.mark.real

FLOOD = 10_000  # messages
GARBAGE = (
    "", "not JSON", "{", "[]", "null", '{"message_id": 1}', '{"a": NaN}', "[" * 5000, '{"message_type": {"server_message": 7}}',
    '{"message_id":"x","message_type":{"server_message":{"position":{"created":{"id":{}}}}}}', "\u202e\x1b[31m", "9" * 500,
)  # fmt: skip


async def flood(peer: Peer) -> None:
    """Says yes to everything, and then more than anybody can read."""
    await peer.accept()
    await peer.message()
    for first in range(0, FLOOD, 500):
        deals = (piexgo.deal(f"{number + 1}.00", "0.01") for number in range(first, first + 500))
        await peer.raw(b"".join(frame(TEXT, json.dumps(deal).encode()) for deal in deals))
    await peer.serve_politely()


async def reset(peer: Peer) -> None:
    await peer.reset()


def talk_garbage(sent: trio.Event) -> Callable[[Peer], Awaitable[None]]:
    """Lets the client in, and makes no sense from then on."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        asked = json.loads(await peer.message())
        accepted = {"result": "success", "session_id": "id"}
        await peer.send(server_message(auth_result=accepted, message_id=asked["message_id"]))
        for _ in range(20):
            for text in GARBAGE:
                await peer.raw(frame(TEXT, text.encode()))
        sent.set()
        await peer.serve_politely()

    return script


@pytest.fixture
def hook():
    with HttpReceiver() as receiver:
        yield receiver


async def test_good_venues_are_heard_while_others_misbehave(folder, exchange, hook):
    garbage_sent = trio.Event()
    async with AsyncExitStack() as stack:

        async def server(script: Callable[[Peer], Awaitable[None]]) -> FaultServer:
            return await stack.enter_async_context(serving(script))

        flooding, resetting = await server(flood), await server(reset)
        babbling = await server(talk_garbage(garbage_sent))
        fx = exchange.yourfintech.settings()
        folder.write(
            venues={
                "flooding": exchange.piexgo.settings()
                | {"url": f"ws://127.0.0.1:{flooding.port}/ws", "streams": ["dealinfo.btc_usdt"]},
                "refusing": fx | {"secret_key": "a-key-that-is-wrong"},
                "resetting": fx | {"url": f"ws://127.0.0.1:{resetting.port}/"},
                "babbling": fx | {"url": f"ws://127.0.0.1:{babbling.port}/"},
                "spot": exchange.topone.settings(),
                "power": exchange.glocalflex.settings(),
            },
            channels={"hook": hook.channel},
            rules=[
                {"id": "canceled", "watch": "order.canceled"},
                {"id": "settled", "watch": "contract.settlement_completed_success"},
                {
                    "id": "trouble",
                    "watch": [
                        "venue.disconnected",
                        "venue.auth_failed",
                        "venue.malformed",
                        "venue.unrecognized",
                    ],
                },
            ],
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "spot", "power")
            for number in range(5):
                began = trio.current_time()
                cancel(exchange, 7000 + number)
                settle(exchange, f"contract-{number}")
                await daemon.until(
                    lambda number=number: len(alerts(folder, "canceled", "settled")) == 2 * number + 2, "told"
                )
                assert trio.current_time() - began < 5

            def last_price() -> list[tuple[str]]:
                return folder.rows(
                    "SELECT json_extract(data, '$.last') FROM entities WHERE venue = 'flooding' AND kind = 'ticker'"
                )

            await daemon.until(lambda: last_price() == [(f"{FLOOD}.00",)], "the whole flood was read")
            with trio.fail_after(20):
                await resetting.had(3)
                await garbage_sent.wait()
            await daemon.until_all_sent(10 + 3)

    assert sorted(alerts(folder, "trouble")) == [
        ("babbling", "venue.malformed"),
        ("refusing", "venue.auth_failed"),
        ("resetting", "venue.disconnected"),
    ]
    assert flooding.connections == babbling.connections == 1
    titles = [request.json["title"] for request in hook.requests]
    assert len(titles) == 13
    assert {request.headers["x-tocsin-delivery"] for request in hook.requests} == {
        delivery for (delivery,) in folder.rows("SELECT id FROM deliveries")
    }


def alerts(folder, *rules: str) -> list[tuple[str, str]]:
    """(venue, event) of these rules' alerts."""
    marks = ", ".join("?" * len(rules))
    return folder.rows(
        f"SELECT venue, json_extract(data, '$.event') FROM alerts WHERE rule IN ({marks})", *rules
    )
