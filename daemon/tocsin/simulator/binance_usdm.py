"""Binance USD-M futures, simulated: a listen key by HTTP, signed requests for what is open, pushes on the key's socket.

As developers.binance.com documents them (USD-M futures: user data streams, account and trade endpoints).
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue, answer

KEY = "demo-api-key-of-binance-usdm"
SECRET = "demo-secret-of-binance-usdm"  # noqa: S105 — known to the simulator only
_WINDOW = 5000  # ms, where the request says nothing of it
_OPEN = ("NEW", "PARTIALLY_FILLED")


class BinanceUsdm(SimulatedVenue):
    """`orders` are those that were ever placed, by id, as REST shows them. There is one position, in BTCUSDT."""

    type = "binance-usdm"

    def __init__(self) -> None:
        super().__init__()
        self.listen_key = _new_key()
        self.keys_given = 0
        self.orders: dict[int, dict[str, Any]] = {}
        self.held, self.entry = "0", "0"  # of BTCUSDT
        self.balances: list[dict[str, Any]] = [_rest_balance("USDT", "122.12345678")]
        self.forgotten: set[int] = set()  # orders that it no longer tells of
        self.refuse_key = False  # as one that was deleted

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/fapi/v1/listenKey", self._listen_key, methods=["POST"]),
            Route("/fapi/v1/openOrders", self._signed(self._open_orders)),
            Route("/fapi/v1/openAlgoOrders", self._signed(lambda _: answer([]))),
            Route("/fapi/v1/order", self._signed(self._order)),
            Route("/fapi/v2/positionRisk", self._signed(lambda _: answer([self._position()]))),
            Route("/fapi/v2/balance", self._signed(lambda _: answer(self.balances))),
            WebSocketRoute("/private/ws/{listen_key}", self._socket),
        ]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": "json",
            "describe": self.type,
            "given": {"key": KEY, "secret": SECRET},
            "urls": {"ws": f"ws://{self.base}/private/ws", "rest": f"http://{self.base}"},
        }

    def expire_listen_key(self) -> None:
        """What happens an hour after the key was last asked for; the socket stays, and brings nothing more."""
        expired, self.listen_key = self.listen_key, _new_key()
        self.push({"e": "listenKeyExpired", "E": str(_now()), "listenKey": expired})

    def place(self, order_id: int, **fields: Any) -> None:
        """An order is placed: it is pushed, and listed from now on. Fields as in `rest_order`."""
        self.orders[order_id] = rest_order(order_id, **fields)
        self._tell(order_id, "NEW")

    def cancel(self, order_id: int, at: int | None = None) -> None:
        """The order is canceled, `at` (ms) or now; whether anybody is connected or not."""
        self.orders[order_id] |= {"status": "CANCELED", "updateTime": at or _now()}
        self._tell(order_id, "CANCELED")

    def set_position(self, amount: str, entry: str = "64100.00") -> None:
        """The position is now so large; "0": it is closed."""
        self.held, self.entry = amount, "0" if amount == "0" else entry
        self.push(account_update(self.held, self.entry))

    def _position(self) -> dict[str, Any]:
        """As REST shows it, also where nothing is held."""
        return {
            "symbol": "BTCUSDT", "positionAmt": self.held, "entryPrice": self.entry, "breakEvenPrice": self.entry,
            "markPrice": "64050.00", "unRealizedProfit": "0", "liquidationPrice": "0", "leverage": "20",
            "maxNotionalValue": "250000", "marginType": "cross", "isolatedMargin": "0", "isAutoAddMargin": "false",
            "positionSide": "BOTH", "notional": "0", "isolatedWallet": "0", "updateTime": _now(),
        }  # fmt: skip

    def _tell(self, order_id: int, what: str) -> None:
        self.push(order_update(self.orders[order_id], what))

    # ------------------------------------------------------------------------------------------------ what is asked for

    async def _listen_key(self, request: Request) -> Response:
        if request.headers.get("x-mbx-apikey") != KEY or self.refuse_key:
            return _error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        self.keys_given += 1
        self.secrets.add(self.listen_key)
        return answer({"listenKey": self.listen_key})

    def _signed(self, respond: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            return self._refusal(request) or respond(request)

        return endpoint

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("x-mbx-apikey") != KEY or self.refuse_key:
            return _error(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        query, _, signature = request.url.query.rpartition("&signature=")
        self.secrets |= {signature} - {""}
        wanted = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, wanted):
            return _error(-1022, "Signature for this request is not valid.")
        window = int(request.query_params.get("recvWindow", _WINDOW))
        if not -window < int(request.query_params.get("timestamp", "0")) - _now() <= 1000:
            return _error(-1021, "Timestamp for this request is outside of the recvWindow.")
        return None

    def _open_orders(self, _: Request) -> Response:
        return answer([row for row in self.orders.values() if row["status"] in _OPEN])

    def _order(self, request: Request) -> Response:
        asked = request.query_params
        row = self.orders.get(int(asked.get("orderId", "0")))
        if row is None or row["orderId"] in self.forgotten or row["symbol"] != asked.get("symbol"):
            return _error(-2013, "Order does not exist.")
        return answer(row)

    async def _socket(self, websocket: WebSocket) -> None:
        if self.refuse_with is not None:
            await self.refused(websocket, self.refuse_with)
        elif websocket.path_params["listen_key"] != self.listen_key:
            await self.refused(websocket, 400, '{"code":-1125,"msg":"This listenKey does not exist."}')
        else:
            await websocket.accept()
            await self.hold(websocket, Client(websocket))


def _error(code: int, message: str, status: int = 400) -> Response:
    return answer({"code": code, "msg": message}, status)


def _new_key() -> str:
    return secrets.token_urlsafe(48)


def _now() -> int:
    """Ms"""
    return time.time_ns() // 1_000_000


def rest_order(
    order_id: int,
    *,
    symbol: str = "BTCUSDT",
    price: str = "64000.10",
    amount: str = "0.020",
    at: int | None = None,
) -> dict[str, Any]:
    """An order as REST shows it, placed `at` (ms) or now."""
    placed = at or _now()
    return {
        "avgPrice": "0.00", "clientOrderId": f"web_{order_id}", "cumQuote": "0", "executedQty": "0", "orderId": order_id,
        "origQty": amount, "origType": "LIMIT", "price": price, "reduceOnly": False, "side": "BUY", "positionSide": "BOTH",
        "status": "NEW", "stopPrice": "0", "closePosition": False, "symbol": symbol, "time": placed, "timeInForce": "GTC",
        "type": "LIMIT", "updateTime": placed, "workingType": "CONTRACT_PRICE", "priceProtect": False, "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0,
    }  # fmt: skip


def order_update(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The push about an order that REST shows so: ORDER_TRADE_UPDATE; `what` is its execution type."""
    return {
        "e": "ORDER_TRADE_UPDATE", "E": row["updateTime"], "T": row["updateTime"],
        "o": {
            "s": row["symbol"], "c": row["clientOrderId"], "S": row["side"], "o": row["type"], "f": row["timeInForce"],
            "q": row["origQty"], "p": row["price"], "ap": row["avgPrice"], "sp": row["stopPrice"], "x": what, "X": row["status"],
            "i": row["orderId"], "l": "0", "z": row["executedQty"], "L": "0", "T": row["updateTime"], "t": 0, "b": "0", "a": "0",
            "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": row["origType"], "ps": row["positionSide"], "cp": False,
            "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0,
        },
    }  # fmt: skip


def account_update(amount: str, entry: str) -> dict[str, Any]:
    """The push about the BTCUSDT position."""
    held = {
        "s": "BTCUSDT", "pa": amount, "ep": entry, "bep": entry, "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH",
    }  # fmt: skip
    return {"e": "ACCOUNT_UPDATE", "E": _now(), "T": _now(), "a": {"m": "ORDER", "B": [], "P": [held]}}


def _rest_balance(asset: str, balance: str) -> dict[str, Any]:
    return {
        "accountAlias": "SgsR", "asset": asset, "balance": balance, "crossWalletBalance": balance, "crossUnPnl": "0.00000000",
        "availableBalance": balance, "maxWithdrawAmount": balance, "marginAvailable": True, "updateTime": _now(),
    }  # fmt: skip
