"""wealthsimple, simulated: OAuth with a one-time password, single-use tickets, a snapshot and then the close."""

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import SimulatedVenue, answer, form_or_json

USERNAME, PASSWORD, ONE_TIME = "demo@example.org", "demo-password", "123456"
REFRESH_TOKEN = "demo-refresh-token-wealthsimple"  # noqa: S105 — known to the simulator only
_CLAIM = "demo.otp.claim"


class Wealthsimple(SimulatedVenue):
    type = "wealthsimple"

    def __init__(self, *, poll: str = "2s") -> None:
        super().__init__()
        self._poll = poll
        self._access: set[str] = set()
        self._refresh = {REFRESH_TOKEN}
        self._tickets: set[str] = set()
        # What the next snapshot shows: messages, or their very text.
        self.accounts: list[dict[str, Any] | str] = [account("tfsa-abcabc", "1500.25")]
        self.quotes: list[dict[str, Any] | str] = [quote(2334.106495274)]

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/oauth/v2/token", self._token, methods=["POST"]),
            Route("/websocket-ticket", self._ticket, methods=["POST"]),
            WebSocketRoute("/websocket", self._socket),
        ]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "url": f"ws://{self.base}/websocket",
            "ticket_url": f"http://{self.base}/websocket-ticket",
            "token_url": f"http://{self.base}/v1/oauth/v2/token",
            "refresh_token": REFRESH_TOKEN,
            "client_id": "demo-client",
            "poll": self._poll,
        }

    async def _token(self, request: Request) -> Response:
        given = await form_or_json(request)
        if given.get("grant_type") == "refresh_token" and given.get("refresh_token") in self._refresh:
            return self._granted()
        if given.get("grant_type") == "password" and (given.get("username"), given.get("password")) == (
            USERNAME,
            PASSWORD,
        ):
            otp = request.headers.get("x-wealthsimple-otp", "").partition(";")[0]
            if otp == ONE_TIME and request.headers.get("x-wealthsimple-otp-authenticated-claim") == _CLAIM:
                return self._granted()
            demand = {
                "X-Wealthsimple-OTP-Required": "true",
                "X-Wealthsimple-OTP": "required; method=app",
                "X-Wealthsimple-OTP-Authenticated-Claim": _CLAIM,
            }
            return answer({"error": "invalid_grant"}, 401, demand)
        return answer({"error": "invalid_grant"}, 401)

    def _granted(self) -> Response:
        access, refresh = f"access-{secrets.token_hex(12)}", f"refresh-{secrets.token_hex(12)}"
        self._access.add(access)
        self._refresh.add(refresh)
        self.secrets |= {access, refresh}
        return answer(
            {
                "access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh,
                "scope": "invest.read trade.read", "created_at": int(time.time()),
            }
        )  # fmt: skip

    async def _ticket(self, request: Request) -> Response:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._access:
            return answer({"error": "unauthorized"}, 401)
        ticket = secrets.token_hex(12)
        self._tickets.add(ticket)
        self.secrets.add(ticket)
        return answer({"ticket": ticket})

    async def _socket(self, websocket: WebSocket) -> None:
        ticket = websocket.query_params.get("ticket", "")
        if self.refuse_with is not None or ticket not in self._tickets:
            await self.refused(websocket, self.refuse_with or 403)
            return
        self._tickets.discard(ticket)
        await websocket.accept()
        greeting = {
            "type": "GREETING",
            "parameter": "websocket-abcbcbcbcbcbcbcbc",
            "deviceId": "123123123123123",
        }
        self.secrets |= {greeting["parameter"], greeting["deviceId"]}
        for message in (greeting, *self.accounts, *self.quotes):
            await websocket.send_text(message if isinstance(message, str) else json.dumps(message))
        await websocket.close(1000)


def account(account_id: str, balance: str, orders: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    money = {"amount": float(balance), "currency": "CAD"}
    return {
        "type": "ACCOUNT", "id": account_id, "version": 2, "buying_power": money, "available_to_withdraw": money,
        "current_balance": money, "net_deposits": {"amount": 1000, "currency": "CAD"},
        "withdrawn_earnings": {"amount": 0, "currency": "CAD"}, "pending_orders": orders or [],
        "inkind_transfer": "upgrade_completed",
    }  # fmt: skip


def order(order_id: str, status: str, *, symbol: str = "SHOP") -> dict[str, Any]:
    return {
        "order_id": order_id, "symbol": symbol, "order_type": "buy_quantity", "order_sub_type": "limit", "quantity": 2,
        "fill_quantity": 2 if status == "posted" else 0, "limit_price": {"amount": 95.5, "currency": "CAD"}, "stop_price": None, "status": status,
    }  # fmt: skip


def quote(last: float, security: str = "sec-z-eth-dc40261c82a191b11e53426aa25d91af") -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    price = {
        "object": "spot_quote", "security_id": security, "amount": last, "currency": "CAD", "ask": round(last * 1.006, 6),
        "ask_size": 0, "bid": round(last * 0.994, 6), "bid_size": 0, "high": 0, "last_size": 0, "low": 0, "open": 0, "volume": 0,
        "quote_date": now, "quoted_as_of": now, "last": last,
    }  # fmt: skip
    return {"type": "PRICE_QUOTE", "prices": {security: price}}
