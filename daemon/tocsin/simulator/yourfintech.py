"""yourfintech, simulated: an auth message first, then events; Ping and Pong; WebSocket, and TCP with CRLF."""

import json
import time
import uuid
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import trio
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue

SECRET_KEY = "demo-secret-key-yourfintech"  # noqa: S105 — known to the simulator only
ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
TRADER = "8bb66514-657e-4fad-8619-41daa873f4aa"
_PING_EVERY = 5.0  # seconds


class Yourfintech(SimulatedVenue):
    type = "yourfintech"

    def __init__(self, *, tcp: bool = False) -> None:
        super().__init__()
        self._tcp = tcp
        self._lines = ""

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute("/", self._socket)]

    def settings(self) -> Mapping[str, Any]:
        url = f"tcp://{self._lines}" if self._tcp else f"ws://{self.base}/"
        return {"type": self.type, "url": url, "secret_key": SECRET_KEY}

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(super().serve)
            listeners = await nursery.start(partial(trio.serve_tcp, self._line_client, 0, host="127.0.0.1"))
            self._lines = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.start_soon(self._ping)
            task_status.started()

    async def _ping(self) -> None:
        while True:
            await trio.sleep(_PING_EVERY)
            self.push({"message_id": str(uuid.uuid4()), "message_type": "Ping"})

    async def _socket(self, websocket: WebSocket) -> None:
        if self.refuse_with is not None:
            await self.refused(websocket, self.refuse_with)
            return
        await websocket.accept()
        first = json.loads(await websocket.receive_text())
        result = _auth_result(first)
        await websocket.send_text(json.dumps(result[1]))
        if result[0]:
            await self.hold(websocket, Client(websocket))
        else:
            await websocket.close(1008)

    async def _line_client(self, stream: trio.SocketStream) -> None:
        """The same over plain TCP, each message ended by CRLF."""
        lines = _Lines(stream)
        client = Client(lines)  # type: ignore[arg-type]  # what Client needs of a WebSocket: send_text and close
        first = await lines.receive()
        if first is None:
            return
        accepted, result = _auth_result(json.loads(first))
        await lines.send_text(json.dumps(result))
        if not accepted:
            await stream.aclose()
            return
        self.clients.append(client)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.write)
                while (line := await lines.receive()) is not None:
                    self.received.append(json.loads(line))
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone
        finally:
            self.clients.remove(client)


class _Lines:
    """A TCP stream that looks like a WebSocket to `Client`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def send_text(self, text: str) -> None:
        await self._stream.send_all(text.encode() + b"\r\n")

    async def close(self, _code: int) -> None:
        await self._stream.aclose()

    async def receive(self) -> str | None:
        while b"\r\n" not in self._buffer:
            chunk = await self._stream.receive_some(65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()


def _auth_result(message: Any) -> tuple[bool, dict[str, Any]]:
    given = (
        message.get("message_type", {}).get("client_message", {}).get("auth_request", {}).get("secret_key")
    )
    accepted = given == SECRET_KEY
    result = {"result": "success" if accepted else "unauthorized", "session_id": "id" if accepted else None}
    return accepted, server_message(auth_result=result, message_id=message.get("message_id"))


def server_message(*, message_id: str | None = None, **content: Any) -> dict[str, Any]:
    """The envelope around everything that the server says."""
    return {"message_id": message_id or str(uuid.uuid4()), "message_type": {"server_message": content}}


def bid_ask(symbol: str, bid: float, ask: float) -> dict[str, Any]:
    return server_message(bid_ask={"id": symbol, "bid": bid, "ask": ask, "date": time.time_ns() // 1000})


def account(balance: float, operation: tuple[str, float] | None = None) -> dict[str, Any]:
    """account_added, or with an operation (type, delta) account_update."""
    now = time.time_ns() // 1000
    body = {
        "id": ACCOUNT, "trader_id": TRADER, "currency": "USD", "balance": balance, "trading_disabled": False,
        "leverage": 10, "trading_group": "Main", "stop_out": 100, "create_date": now, "last_update_date": now, "metadata": {},
    }  # fmt: skip
    if operation is None:
        return server_message(account_event={"account_added": body})
    kind, delta = operation
    happened = {
        "id": str(uuid.uuid4()), "trader_id": TRADER, "account_id": ACCOUNT, "operation_type": kind, "delta": delta,
        "date_time_unix_ms": now, "comment": f"{kind} of the demo",
    }  # fmt: skip
    return server_message(account_event={"account_update": {"account": body, "operation": happened}})


def position(
    what: str, position_id: str, *, profit: float, entry: float, lots: float = 0.01, **more: Any
) -> dict[str, Any]:
    """A position event, `what` being created, updated or closed, with the fields that the documents show."""
    now = time.time_ns() // 1000
    body = {
        "id": position_id, "trader_id": TRADER, "account_id": ACCOUNT, "asset_pair": "BTCUSD", "lost_amount": lots,
        "side": "Buy", "leverage": 0, "create_date": _begun(position_id), "tp_in_instrument_price": None, "tp_in_currency": None,
        "sl_in_instrument_price": None, "sl_in_currency": None, "profit": profit, "metadata": {}, "last_update_date": now,
        "asset_open_price": entry, "open_date": _begun(position_id), "close_date": None, "close_reason": None, "asset_close_price": None,
        "base": "BTC", "quote": "USD", "collateral_currency": "USD", "margin_price": entry, "profit_price": 1,
        "swaps": [], "lots_amount": lots, "lots_size": 1, "commission": 0.105,
    }  # fmt: skip
    return server_message(position={what: body | more})


def pending(what: str, order_id: str, *, price: float, **more: Any) -> dict[str, Any]:
    """A pending position (an order), `what` being created, updated, canceled, failed or executed."""
    now = time.time_ns() // 1000
    body = {
        "id": order_id, "trader_id": TRADER, "account_id": ACCOUNT, "asset_pair": "BTCUSD", "lots_amount": 0.01, "side": "Sell",
        "create_date": _begun(order_id), "tp_in_instrument_price": None, "tp_in_currency": None, "sl_in_instrument_price": None,
        "sl_in_currency": None, "metadata": {}, "last_update_date": now, "base": "BTC", "quote": "USD",
        "collateral_currency": "USD", "desire_price": price, "lots_size": 1, "execute_price": 0, "order_type": "Limit",
        "init_price": 89813.57,
    }  # fmt: skip
    return server_message(pending_position={what: body | more})


@cache
def _begun(id_: str) -> int:  # noqa: ARG001 # it is remembered by it
    """When it was first spoken of, in microseconds: of one life all messages give the same."""
    return time.time_ns() // 1000
