"""Bybit's private stream of API v5, simulated: a signed login in the socket, one subscription, pings in JSON; signed REST.

As bybit-exchange.github.io/docs/v5 documents them.
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue, answer

KEY = "demo-api-key-of-bybit"
SECRET = "demo-secret-of-bybit"  # noqa: S105 — known to the simulator only
_TOPICS = ("order", "position", "wallet", "execution")
_OPEN = ("New", "PartiallyFilled", "Untriggered")


class Bybit(SimulatedVenue):
    """`orders` are those that were ever placed, by id, as push and REST show them alike. There is one position, in ETHUSDT;
    all is linear and in USDT.
    """

    type = "bybit"

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.position = position("0")
        self.wallet = _wallet("10262.91")
        self.forgotten: set[str] = set()  # orders that it no longer tells of
        self.pings = 0
        self.refuse_key = False  # as one that was deleted
        self._signed_in: set[Client] = set()

    def routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute("/v5/private", self._socket),
            Route("/v5/order/realtime", self._rest(self._open_orders)),
            Route("/v5/order/history", self._rest(self._history)),
            Route("/v5/position/list", self._rest(self._positions)),
            Route("/v5/account/wallet-balance", self._rest(lambda _: [self.wallet])),
        ]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": "json",
            "describe": self.type,
            "given": {"key": KEY, "secret": SECRET},
            "urls": {"ws": f"ws://{self.base}/v5/private", "rest": f"http://{self.base}"},
        }

    def place(self, order_id: str, **fields: Any) -> None:
        """An order is placed: it is pushed, and listed from now on. Fields as in `order`."""
        self.orders[order_id] = order(order_id, **fields)
        self.tell("order", self.orders[order_id])

    def cancel(self, order_id: str, at: int | None = None) -> None:
        """The order is canceled by its user, `at` (ms) or now; whether anybody is connected or not."""
        self._becomes(order_id, {"orderStatus": "Cancelled", "cancelType": "CancelByUser"}, at)

    def fill(self, order_id: str) -> None:
        """All of it trades."""
        row = self.orders[order_id]
        self._becomes(order_id, {"orderStatus": "Filled", "cumExecQty": row["qty"], "avgPrice": row["price"]})

    def set_position(self, size: str, profit: str = "0") -> None:
        """The position is now so large, a short one; "0": it is closed, with that result."""
        self.position = position(size, profit)
        self.tell("position", self.position)

    def _becomes(self, order_id: str, changed: Mapping[str, Any], at: int | None = None) -> None:
        self.orders[order_id] |= {**changed, "updatedTime": str(at or _now())}
        self.tell("order", self.orders[order_id])

    def tell(self, topic: str, *rows: Mapping[str, Any]) -> int:
        """Push these to those who subscribed to that topic."""
        message = {"topic": topic, "id": secrets.token_hex(8), "creationTime": _now(), "data": list(rows)}
        return self.push(message, topic)

    # ------------------------------------------------------------------------------------------------------- the socket

    async def _socket(self, websocket: WebSocket) -> None:
        if self.refuse_with is not None:
            await self.refused(websocket, self.refuse_with)
            return
        await websocket.accept()
        client = Client(websocket)
        try:
            await self.hold(websocket, client)
        finally:
            self._signed_in.discard(client)

    async def heard(self, client: Client, message: Any) -> None:
        said = message if isinstance(message, dict) else {}
        match said.get("op"):
            case "ping":
                self.pings += 1
                client.push(json.dumps({"op": "pong", "args": [str(_now())], "conn_id": "demo"}))
            case "auth":
                refusal = self._auth_refusal(said.get("args") or [])
                if not refusal:
                    self._signed_in.add(client)
                client.push(json.dumps(refusal or _accepted("auth")))
            case "subscribe" if client not in self._signed_in:
                client.push(json.dumps(_refused("subscribe", "Request not authorized")))
            case "subscribe":
                topics = [str(topic) for topic in said.get("args") or []]
                odd = next((topic for topic in topics if topic not in _TOPICS), None)
                if odd is None:
                    client.topics |= set(topics)
                client.push(
                    json.dumps(
                        _refused("subscribe", f"Invalid topic: {odd}") if odd else _accepted("subscribe")
                    )
                )

    def _auth_refusal(self, given: list[Any]) -> dict[str, Any] | None:
        key, expires, signature = (*given, None, None, None)[:3]
        self.secrets |= {str(signature)} - {"None"}
        if key != KEY or self.refuse_key:
            return {"op": "auth", "success": False, "retCode": 10003, "retMsg": "Invalid apikey", "connId": "demo"}  # fmt: skip
        if not isinstance(expires, int) or expires <= _now():
            return {"op": "auth", "success": False, "retCode": 10004, "retMsg": "Request expired", "connId": "demo"}  # fmt: skip
        if signature != _sign(f"GET/realtime{expires}"):
            return {"op": "auth", "success": False, "retCode": 10004, "retMsg": "Invalid sign", "connId": "demo"}  # fmt: skip
        return None

    # ------------------------------------------------------------------------------------------------ what is asked for

    def _rest(self, rows: Any) -> Any:
        """The endpoint that lists what `rows` finds for a query, if the request is signed well."""

        async def endpoint(request: Request) -> Response:
            refusal = self._refusal(request)
            code, words = refusal or (0, "OK")
            found = [] if refusal else rows(request.query_params)
            result = {
                "category": request.query_params.get("category", ""),
                "nextPageCursor": "",
                "list": found,
            }
            return answer(
                {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": _now()}
            )

        return endpoint

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        key, at, window, signature = (
            request.headers.get(f"x-bapi-{name}", "")
            for name in ("api-key", "timestamp", "recv-window", "sign")
        )
        self.secrets |= {signature} - {""}
        if key != KEY or self.refuse_key:
            return 10003, "API key is invalid."
        if not at.isdigit() or abs(int(at) - _now()) > int(window or "5000"):
            return 10002, "invalid request, please check your server timestamp or recv_window param"
        if signature != _sign(f"{at}{key}{window}{request.url.query}"):
            return 10004, "error sign! please check your signature generation algorithm."
        return None

    def _open_orders(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return (
            [row for row in self.orders.values() if row["orderStatus"] in _OPEN] if _is_linear(query) else []
        )

    def _positions(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Those that are held; of a symbol that is asked for also where nothing is."""
        if query.get("category") != "linear" or query.get("settleCoin", "USDT") != "USDT":
            return []
        asked = query.get("symbol")
        return [self.position] if asked in (None, self.position["symbol"]) else []

    def _history(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        row = self.orders.get(query.get("orderId", ""))
        known = row is not None and row["orderId"] not in self.forgotten and query.get("category") == "linear"
        return [row] if known and row is not None else []


def _is_linear(query: Mapping[str, str]) -> bool:
    return query.get("category") == "linear" and query.get("settleCoin") == "USDT"


def _sign(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def _accepted(op: str) -> dict[str, Any]:
    return {"success": True, "ret_msg": "", "op": op, "conn_id": "demo"}


def _refused(op: str, words: str) -> dict[str, Any]:
    return {"success": False, "ret_msg": words, "op": op, "conn_id": "demo"}


def _now() -> int:
    """Ms"""
    return time.time_ns() // 1_000_000


def order(
    order_id: str,
    *,
    symbol: str = "ETHUSDT",
    price: str = "3641.50",
    amount: str = "0.50",
    at: int | None = None,
) -> dict[str, Any]:
    """An order, placed `at` (ms) or now."""
    placed = str(at or _now())
    return {
        "category": "linear", "symbol": symbol, "orderId": order_id, "side": "Buy", "orderType": "Limit",
        "cancelType": "UNKNOWN", "price": price, "qty": amount, "timeInForce": "GTC", "orderStatus": "New",
        "orderLinkId": "", "reduceOnly": False, "leavesQty": amount, "leavesValue": "", "cumExecQty": "0",
        "cumExecValue": "", "avgPrice": "", "positionIdx": 0, "cumExecFee": "0", "createdTime": placed,
        "updatedTime": placed, "rejectReason": "EC_NoError", "triggerPrice": "", "takeProfit": "", "stopLoss": "",
        "closeOnTrigger": False, "stopOrderType": "", "triggerDirection": 0, "tpslMode": "", "createType": "CreateByUser",
    }  # fmt: skip


def position(size: str, profit: str = "0", *, entry: str = "3641.07") -> dict[str, Any]:
    """The ETHUSDT position, a short one; of one that is closed (size "0") `profit` is the result."""
    now, held = str(_now()), size != "0"
    return {
        "positionIdx": 0, "tradeMode": 0, "riskId": 11, "riskLimitValue": "900000", "symbol": "ETHUSDT",
        "side": "Sell" if held else "", "size": size, "entryPrice": entry if held else "0", "leverage": "30",
        "positionValue": "0", "positionBalance": "0", "markPrice": "3641.33", "positionIM": "0", "positionMM": "0",
        "takeProfit": "0", "stopLoss": "0", "trailingStop": "0", "unrealisedPnl": profit if held else "0",
        "cumRealisedPnl": "-25.06", "curRealisedPnl": "0" if held else profit, "createdTime": now, "updatedTime": now,
        "tpslMode": "Full", "liqPrice": "0", "bustPrice": "", "category": "linear", "positionStatus": "Normal",
        "adlRankIndicator": 2, "autoAddMargin": 0, "seq": 1, "isReduceOnly": False,
    }  # fmt: skip


def _wallet(equity: str) -> dict[str, Any]:
    return {
        "accountIMRate": "0", "accountMMRate": "0", "totalEquity": equity, "totalWalletBalance": equity,
        "totalMarginBalance": equity, "totalAvailableBalance": equity, "totalPerpUPL": "0", "totalInitialMargin": "0",
        "totalMaintenanceMargin": "0", "accountType": "UNIFIED",
        "coin": [{"coin": "USDT", "equity": equity, "usdValue": equity, "walletBalance": equity, "locked": "0"}],
    }  # fmt: skip
