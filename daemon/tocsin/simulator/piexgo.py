"""piexgo, simulated: subscriptions by topic, the private one signed; no acknowledgements, only refusals."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue

# The key pair of the documents' own signature example.
API_KEY = "f730a934-0631-4b65-a4f9-d8df20600139"
API_SECRET = "bc13094354d3bef8db1e5912b59af90586a37324"  # noqa: S105


class Piexgo(SimulatedVenue):
    type = "piexgo"

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute("/ws", self._socket)]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "url": f"ws://{self.base}/ws",
            "api_key": API_KEY,
            "api_secret": API_SECRET,
            "streams": ["pinfo", "dealinfo.btc_usdt", "depth.btc_usdt"],
        }

    async def _socket(self, websocket: WebSocket) -> None:
        if self.refuse_with is not None:
            await self.refused(websocket, self.refuse_with)
            return
        await websocket.accept()
        await self.hold(websocket, Client(websocket))

    async def heard(self, client: Client, message: Any) -> None:
        if not isinstance(message, dict):
            return
        topic = str(message.get("topic", ""))
        self.secrets |= {str(message[name]) for name in ("apikey", "signature") if message.get(name)}
        if message.get("op") == "unsubscribe":
            client.topics.discard(topic)
        elif message.get("op") == "subscribe":
            if topic == "pinfo" and not _signed(message):
                client.push(
                    json.dumps(
                        {"topic": topic, "err_code": 10440, "err_msg": "api_key or signature is wrong"}
                    )
                )
            else:
                client.topics.add(topic)


def _signed(message: Mapping[str, Any]) -> bool:
    digest = hmac.new(API_SECRET.encode(), API_KEY.encode(), hashlib.sha256).digest()
    return message.get("apikey") == API_KEY and message.get("signature") == base64.b64encode(digest).decode()


def deal(price: str, volume: str) -> dict[str, Any]:
    made = {"time": time.time_ns() // 1_000_000, "direct": 0, "price": price, "vol": volume}
    return {"topic": "dealinfo", "symbol": "btc_usdt", "deals": [made]}


def depth(bid: float, ask: float, change_id: int) -> dict[str, Any]:
    return {
        "topic": "depth",
        "symbol": "btc_usdt",
        "buy_book": [{"index": i, "price": round(bid - i / 10, 2), "qty": 0.21} for i in range(5)],
        "sell_book": [{"index": i, "price": round(ask + i / 10, 2), "qty": 0.07} for i in range(5)],
        "change_id": change_id,
    }


def order(
    order_id: str, status: int, *, volume: str, remain: str, price: str = "7831.1600000000"
) -> dict[str, Any]:
    """An order push; status 0 open, 2 finished, 4 canceled, 5 rejected."""
    now = time.time_ns()
    return {
        "topic": "pinfo",
        "type": "order",
        "data": {
            "order_price": price, "price": "7828.08", "stop": "0.0000000000", "market_price": "0.0000000000", "volume": volume,
            "remain": remain, "amount": "7828.07520000", "type": "buy", "timestamp": now // 1_000_000_000, "order_id": order_id,
            "market": "BTC_USDT", "status": status, "flag": 0, "id": now,
        },
    }  # fmt: skip


def balance(token: str, which: str, value: str) -> dict[str, Any]:
    return {
        "topic": "pinfo",
        "type": "balance",
        "data": {"token": token, "type": which, "value": value, "id": 10897125},
    }
