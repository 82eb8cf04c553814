"""What the simulated venues share: a real HTTP and WebSocket server on a free loopback port, and who is connected."""

import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event
from hypercorn.trio import serve
from hypercorn.trio.tcp_server import TCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

_BACKLOG = 1000  # messages waiting for a client that doesn't read; one more and it is dropped


class _Server(TCPServer):
    """hypercorn 0.18 may shut a connection while it answers the peer's Close there, and raises: it is gone, no more."""

    async def protocol_send(self, event: Event) -> None:
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:
            await self.protocol.handle(Closed())


hypercorn.trio.run.TCPServer = _Server  # type: ignore[attr-defined]  # it offers no other way


async def serve_routes(routes: list[BaseRoute], listener: socket.socket) -> None:
    """Answer on that listening socket until cancelled."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    config.errorlog = None
    config.graceful_timeout = 0.1
    app: Any = Starlette(routes=routes)  # which Hypercorn types more narrowly
    await serve(app, config, shutdown_trigger=trio.sleep_forever, mode="asgi")


class Client:
    """One connected socket: the topics it has subscribed to, and what waits to be sent to it."""

    def __init__(self, socket: WebSocket, topics: set[str] | None = None) -> None:
        self._socket = socket
        self.topics = topics if topics is not None else set()
        self._send, self._receive = trio.open_memory_channel[str | None](_BACKLOG)

    def push(self, text: str) -> None:
        try:
            self._send.send_nowait(text)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._send.close()
        except trio.ClosedResourceError:  # it is being hung up
            pass

    def hang_up(self) -> None:
        """Close the connection after what waits has been sent."""
        self._send.close()

    async def write(self) -> None:
        """Send what is pushed until `hang_up`; then close as a server does."""
        async with self._receive:
            async for text in self._receive:
                if text is not None:
                    await self._socket.send_text(text)
        await self._socket.close(1000)


class SimulatedVenue(ABC):
    """One venue, playing its documents. `base` is `127.0.0.1:PORT` once `serve` has started."""

    type: str

    def __init__(self) -> None:
        self.base = ""
        self.clients: list[Client] = []
        self.received: list[Any] = []  # what clients said, decoded: for tests
        # Tokens, tickets, signatures that went over the wire: for tests that look for leaks.
        self.secrets: set[str] = set()
        self.refuse_with: int | None = None  # an HTTP status with which the next handshakes are refused

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """The paths of the venue's documents."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """What the config says to reach this venue, secrets included."""

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.base = f"127.0.0.1:{listener.getsockname()[1]}"
        task_status.started()
        await serve_routes(self.routes(), listener)

    def push(self, message: Any, topic: str | None = None) -> int:
        """Send to every client (that subscribed to `topic`); how many there were."""
        text = message if isinstance(message, str) else json.dumps(message)
        chosen = [client for client in self.clients if topic is None or topic in client.topics]
        for client in chosen:
            client.push(text)
        return len(chosen)

    def hang_up(self) -> None:
        """Close every connection, as a venue that restarts does."""
        for client in self.clients:
            client.hang_up()

    async def hold(self, websocket: WebSocket, client: Client) -> None:
        """Read and write one accepted socket until either side ends it."""
        self.clients.append(client)
        try:
            async with trio.open_nursery() as nursery:

                async def write() -> None:
                    await client.write()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(write)
                try:
                    while True:
                        await self._heard(client, await websocket.receive_text())
                except WebSocketDisconnect:
                    nursery.cancel_scope.cancel()
        finally:
            self.clients.remove(client)

    async def _heard(self, client: Client, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = text
        self.received.append(message)
        await self.heard(client, message)

    async def heard(self, client: Client, message: Any) -> None:  # noqa: B027 — most venues answer nothing
        """A client said something after it was let in. Nothing follows, unless the venue's documents say so."""

    async def refused(self, websocket: WebSocket, status: int, body: str = "") -> None:
        """Answer the handshake with an HTTP status instead of 101."""
        await websocket.send_denial_response(Response(body, status_code=status))


async def form_or_json(request: Request) -> dict[str, Any]:
    """The request's fields, however it sent them."""
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        loaded = json.loads(body or b"{}")
        return loaded if isinstance(loaded, dict) else {}
    return dict(parse_qsl(body.decode()))


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))
