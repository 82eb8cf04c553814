"""Where the demo's messages arrive: an HTTP server on loopback that Apprise's `json://` posts to."""

import socket
from collections.abc import Callable

import trio
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tocsin.simulator.base import serve_routes


class Arrived(Struct, frozen=True):
    """One message as a person would have got it."""

    channel: str
    title: str
    body: str
    kind: str  # Apprise's word: info, success, warning, failure


class Receiver:
    """Hands each message to `arrived`. `url(channel)` is what the config says for that channel."""

    def __init__(self, arrived: Callable[[Arrived], None]) -> None:
        self._arrived = arrived
        self._port = 0

    def url(self, channel: str) -> str:
        return f"json://127.0.0.1:{self._port}/{channel}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self._port = listener.getsockname()[1]
        task_status.started()
        await serve_routes([Route("/{channel}", self._take, methods=["POST"])], listener)

    async def _take(self, request: Request) -> JSONResponse:
        told = await request.json()
        channel = request.path_params["channel"]
        self._arrived(Arrived(channel, told.get("title", ""), told.get("message", ""), told.get("type", "")))
        return JSONResponse({"ok": True})
