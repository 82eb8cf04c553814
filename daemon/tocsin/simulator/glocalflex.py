"""glocalflex, simulated: OAuth, a bearer token in the handshake, three sockets that push from the moment they open."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tocsin.simulator.base import Client, SimulatedVenue, answer, form_or_json

USERNAME, PASSWORD = "demo@example.org", "demo-password-glocalflex"
STREAMS = ("trade", "ticker", "orderbook")


class Glocalflex(SimulatedVenue):
    type = "glocalflex"

    def __init__(self) -> None:
        super().__init__()
        self._tokens: set[str] = set()

    def routes(self) -> list[BaseRoute]:
        suffixes = ("", "/")  # the documents write none, the official client writes one
        sockets = [
            WebSocketRoute(f"/api/v1/ws/{s}{suffix}", self._socket) for s in STREAMS for suffix in suffixes
        ]
        return [Route("/auth/oauth/v2/token", self._token, methods=["POST"]), *sockets]

    def settings(self) -> Mapping[str, Any]:
        return {
            "type": self.type,
            "url": f"ws://{self.base}/api/v1/ws",
            "token_url": f"http://{self.base}/auth/oauth/v2/token",
            "username": USERNAME,
            "password": PASSWORD,
            "streams": list(STREAMS),
        }

    async def _token(self, request: Request) -> Response:
        given = await form_or_json(request)
        signed_in = (given.get("username"), given.get("password")) == (USERNAME, PASSWORD)
        if not signed_in and given.get("grant_type") != "refresh_token":
            return answer({"error": "invalid_grant", "error_description": "Invalid user credentials"}, 401)
        token = f"bearer-{secrets.token_hex(12)}"
        again = f"again-{secrets.token_hex(12)}"
        self._tokens.add(token)
        self.secrets |= {token, again}
        return answer({"access_token": token, "refresh_token": again, "expires_in": 300})

    async def _socket(self, websocket: WebSocket) -> None:
        token = websocket.headers.get("authorization", "").removeprefix("Bearer ")
        if self.refuse_with is not None or token not in self._tokens:
            await self.refused(websocket, self.refuse_with or 401)
            return
        await websocket.accept()
        stream = websocket.url.path.strip("/").rsplit("/", 1)[-1]
        hello = {
            "type": "control",
            "status": "success",
            "created_at": _now(),
            "data": {"message": f"connected to {stream}"},
        }
        await websocket.send_text(json.dumps(hello))
        await self.hold(websocket, Client(websocket, {stream}))


def _now(offset: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _delivery() -> dict[str, Any]:
    return {
        "price": 0.31, "power": 5000.0, "energy": 5000.0, "delivery_start": _now(3600), "delivery_end": _now(7200),
        "location": {"location_id": [None], "country_code": "FI", "coordinates": {"latitude": 60.2, "longitude": 24.9}},
    }  # fmt: skip


def contract(contract_id: str, status: str, order_id: str = "ord-1") -> dict[str, Any]:
    data = {"contract_id": contract_id, "order_id": order_id, "side": "sell", **_delivery()}
    return {"type": "contract_status_update", "name": status, "created_at": _now(), "data": data}


def order(order_id: str, status: str) -> dict[str, Any]:
    data = {"order_id": order_id, "side": "sell", **_delivery()}
    return {"type": "order_status_update", "name": status, "created_at": _now(), "data": data}


def trade(price: float) -> dict[str, Any]:
    return {
        "type": "ticker_update",
        "created_at": _now(),
        "data": {"closed_at": _now(), **_delivery(), "price": price},
    }
