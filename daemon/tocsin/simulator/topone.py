"""topone, simulated: a signed token by HTTP (one request a minute), an empty Origin, subscriptions acknowledged."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue, answer

APP_ID = "demo-app-id"
APP_KEY = "demo-app-key-topone"
TOKEN = "topapi:demo-token-of-topone"  # noqa: S105 — known to the simulator only
_TOKEN_EVERY = 60.0  # seconds between token requests; one more blocks the client


class Topone(SimulatedVenue):
    type = "topone"

    def __init__(self) -> None:
        super().__init__()
        self.token_requests: list[float] = []
        self.refuse_methods: set[str] = set()
        self.orders: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []  # orders that are over
        self.balances: list[dict[str, Any]] = []

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/u/v1/api/token", self._token),
            Route("/t/v1/order/query", self._orders),
            Route("/t/v1/order/history", self._history),
            Route("/t/v1/balance/query", self._balances),
            WebSocketRoute("/ws/user/", self._private),
            WebSocketRoute("/ws/", self._public),
        ]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "url": f"ws://{self.base}/ws/user/",
            "public_url": f"ws://{self.base}/ws/",
            "token_url": f"http://{self.base}/u/v1/api/token",
            "rest_url": f"http://{self.base}",
            "app_id": APP_ID,
            "app_key": APP_KEY,
            "streams": ["orders", "balance", "deals_ETH/BTC"],
        }

    async def _token(self, request: Request) -> Response:
        query = request.query_params
        self.secrets |= {TOKEN, query.get("sig") or TOKEN}
        signed = f"appKey={APP_KEY}&random={query.get('random')}&time={query.get('time')}"
        if query.get("appId") != APP_ID or query.get("sig") != hashlib.sha256(signed.encode()).hexdigest():
            return answer({"code": 10002, "msg": "invalid sign"})
        now = time.monotonic()
        if self.token_requests and now - self.token_requests[-1] < _TOKEN_EVERY:
            return answer({"code": 10429, "msg": "too many requests, blocked for an hour"}, 429)
        self.token_requests.append(now)
        return answer({"code": 0, "msg": "", "data": {"apiToken": TOKEN}})

    async def _orders(self, request: Request) -> Response:
        if request.headers.get("authorization") != TOKEN:
            return answer({"code": 10401, "msg": "invalid token"}, 401)
        return answer({"code": 0, "msg": "OK", "data": {"total": len(self.orders), "list": self.orders}})

    async def _history(self, request: Request) -> Response:
        if request.headers.get("authorization") != TOKEN:
            return answer({"code": 10401, "msg": "invalid token"}, 401)
        market, since = request.query_params.get("market"), int(request.query_params.get("startTime", "0"))
        found = [row for row in self.history if row["market"] == market and row["createTime"] >= since]
        return answer({"code": 0, "data": {"pageMark": 0, "list": found}})

    async def _balances(self, request: Request) -> Response:
        if request.headers.get("authorization") != TOKEN:
            return answer({"code": 10401, "msg": "invalid token"}, 401)
        return answer({"code": 0, "msg": "OK", "data": self.balances})

    async def _private(self, websocket: WebSocket) -> None:
        if self.refuse_with is not None or websocket.headers.get("origin") != "":
            await self.refused(websocket, self.refuse_with or 403)
        elif websocket.query_params.get("token") != TOKEN:
            await self.refused(websocket, 401, "invalid token")
        else:
            await websocket.accept()
            await self.hold(websocket, Client(websocket))

    async def _public(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await self.hold(websocket, Client(websocket))

    async def heard(self, client: Client, message: Any) -> None:
        if not isinstance(message, dict) or "method" not in message:
            return
        method = message["method"]
        known = method.startswith(("sub_", "unsub_")) and method not in self.refuse_methods
        if known:
            (client.topics.add if method.startswith("sub_") else client.topics.discard)(
                method.removeprefix("un")
            )
        said = {"code": 0, "msg": ""} if known else {"code": 10404, "msg": "unknown method"}
        client.push(json.dumps({"id": message.get("id"), "method": method, **said, "ts": _milliseconds()}))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def order(
    order_id: int, status: int, *, price: str, amount: str, filled: str = "0", money: str = "0"
) -> dict[str, Any]:
    """An order push; status 1 pending, 2 completed, 3 canceled, 4 partly filled then canceled."""
    left = f"{float(amount) - float(filled):g}"
    now = time.time()
    return {
        "method": "sub_orders",
        "ts": _milliseconds(),
        "data": {
            "id": order_id, "market": "ETH/BTC", "type": 1, "side": 2, "status": status, "price": price, "amount": amount,
            "left": left, "dealStock": filled, "dealMoney": money, "createTime": now, "updateTime": now,
        },
    }  # fmt: skip


def balance(asset: str, available: str, freeze: str) -> dict[str, Any]:
    return {
        "method": "sub_balance",
        "ts": _milliseconds(),
        "data": {"asset": asset, "available": available, "freeze": freeze},
    }


def deals(market: str, price: str, volume: str) -> dict[str, Any]:
    return {
        "method": f"sub_deals_{market}",
        "ts": _milliseconds(),
        "data": {"list": [[time.time(), price, volume, 2]]},
    }
