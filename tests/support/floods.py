"""What a venue may pour out beside healthy ones, each as a script for `FaultServer`; and a healthy one that is listened to.

`bare` scripts speak lines over TCP, the others WebSocket. All are prebuilt blocks, so that pouring costs as little as can be.
"""

import json
import re
from collections.abc import Awaitable, Callable
from itertools import count
from math import inf
from typing import Any, NamedTuple

import trio

from support.fault_server import BINARY, GONE, PING, PONG, TEXT, Peer, frame
from support.mission import cancel
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange, piexgo
from tocsin.simulator.yourfintech import server_message

_BLOCK = 65536  # bytes
_MESSAGES_A_SECOND = 100_000


class Throttle(NamedTuple):
    """`left`: what it brings isn't worth a connection, so that one is closed and the venue told to be away."""

    name: str
    pour: Callable[[Peer], Awaitable[None]]
    bare: bool = False
    left: bool = False


def _endless(block: bytes, begin: bytes = b"") -> Callable[[Peer], Awaitable[None]]:
    async def pour(peer: Peer) -> None:
        await peer.raw(begin)
        many = block * max(_BLOCK // len(block), 1)
        while True:
            await peer.raw(many)

    return pour


async def _read_all(peer: Peer) -> None:
    while await peer.stream.receive_some():
        pass


async def _pings(peer: Peer) -> None:
    """Read too: a peer that takes no pongs is noticed by that."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read_all, peer)
            await _endless(frame(PING, b"12345678"))(peer)
    except* GONE:
        pass


async def _messages(peer: Peer) -> None:
    """Orders that change with each, in steady time."""
    order = json.dumps(piexgo.order("1", 0, volume="1000000", remain="REMAIN"))
    begin, end = order.encode().split(b"REMAIN")
    head = frame(TEXT, begin + b"1000000" + end)[: -len(begin + end) - 7]
    remain = count(1_000_000)
    while True:
        began = trio.current_time()
        await peer.raw(b"".join(b"%b%b%d%b" % (head, begin, next(remain), end) for _ in range(500)))
        await trio.sleep_until(began + 500 / _MESSAGES_A_SECOND)


_EMPTY = frame(0, fin=False)
_DEALS = json.dumps(
    {
        "topic": "dealinfo",
        "symbol": "btc_usdt",
        "deals": [
            {"time": 1_790_000_000_000 + number, "direct": 0, "price": f"{7000 + number}", "vol": "1"}
            for number in range(1_500)
        ],
    }
).encode()
FLOODS = [
    Throttle("empty continuation frames", _endless(_EMPTY, frame(TEXT, b"{", fin=False)), left=True),
    Throttle(
        "fragments of one byte", _endless(frame(0, b" ", fin=False), frame(TEXT, b"{", fin=False)), left=True
    ),
    Throttle("pings", _pings, left=True),
    Throttle("pongs", _endless(frame(PONG)), left=True),
    Throttle("empty messages", _endless(frame(TEXT)), left=True),
    Throttle("empty lines over tcp", _endless(b"\r\n"), bare=True, left=True),
    Throttle("lines of junk over tcp", _endless(b"{}\r\n"), bare=True),
    Throttle("frames of 5 MiB", _endless(frame(BINARY, b"x" * (5 << 20)))),
    Throttle("4 MiB of glued messages", _endless(frame(TEXT, b"{}\r\n" * (1 << 20)))),
    Throttle("messages of 1,500 trades", _endless(frame(TEXT, _DEALS))),
    Throttle("messages of 1,500 trades, glued", _endless(frame(TEXT, b"\r\n".join([_DEALS] * 40)))),
    Throttle("messages that are junk", _endless(frame(TEXT, b"junk"))),
    Throttle("100,000 messages a second", _messages),
]


async def serve(flood: Throttle, peer: Peer) -> None:
    """Let the client in, and pour."""
    if flood.bare:
        if not (said := await peer.stream.receive_some()):
            raise trio.BrokenResourceError("the client is gone")
        asked = json.loads(said)
        answer = server_message(auth_result={"result": "success"}, message_id=asked["message_id"])
        await peer.raw(json.dumps(answer).encode() + b"\r\n")
    else:
        await peer.accept()
        await peer.message()
    await flood.pour(peer)


def settings(flood: Throttle, port: int, exchange: Exchange) -> dict[str, Any]:
    """Of the venue in the config that connects there."""
    if flood.bare:
        return {**exchange.yourfintech.settings(), "url": f"tcp://127.0.0.1:{port}"}
    return {**exchange.piexgo.settings(), "url": f"ws://127.0.0.1:{port}/ws", "streams": ["pinfo"]}


_FIRST = 7000
RULE = {"id": "canceled", "watch": "order.canceled", "title": "order-{{ id }}."}


async def first_told(exchange: Exchange, hook: HttpReceiver) -> float:
    """Cancel an order at the healthy venue: the seconds until a person hears of it, with those in which what sends is loaded."""
    began = trio.current_time()
    cancel(exchange, _FIRST)
    with trio.move_on_after(60):
        while not hook.requests:  # noqa: ASYNC110 - its threads know no event of ours
            await trio.sleep(0.01)
        return trio.current_time() - began
    return inf


async def told_within(exchange: Exchange, hook: HttpReceiver, number: int, *, every: float) -> list[float]:
    """Cancel so many orders at the healthy venue, one after the other: the seconds until a person hears of each.

    One that is never told takes infinitely long. Where nothing was told before, what is told first isn't counted.
    """
    if not hook.requests:
        await first_told(exchange, hook)
    begin = _FIRST + len(hook.requests)
    sent: dict[int, float] = {}
    took: dict[int, float] = {}

    def note() -> None:
        for request in hook.requests[1:]:
            found = re.search(r"order-(\d+)\.", request.json["title"])
            if found and int(found[1]) in sent:
                took.setdefault(int(found[1]), trio.current_time() - sent[int(found[1])])

    async def listen() -> None:
        while len(took) < number:
            note()
            await trio.sleep(0.005)

    with trio.move_on_after(number * every + 20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            for order in range(begin, begin + number):
                sent[order] = trio.current_time()
                cancel(exchange, order)
                await trio.sleep(every)
    return [took.get(order, inf) for order in sent]
