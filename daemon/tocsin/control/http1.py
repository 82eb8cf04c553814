"""HTTP/1.1 on a listening socket, by Hypercorn, connection by connection: what goes wrong in one ends that one.

Hypercorn's own `serve` ends with all connections and the socket by any error of its parsers, which a few bytes can bring about,
and speaks HTTP/2 to who asks for it, whose resets cost more than they are worth here.
"""

import socket
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

_IDLE = 5  # seconds for a request to be whole, and between two on one connection
_MOST_HEAD = 16 << 10  # bytes of a request's line and headers
MOST_CONNECTIONS = 512  # of a socket; files are needed for venues, channels and the database, too
_BACKLOG = 100
_NOTE_EVERY = 60.0  # seconds


async def serve_http(
    app: ASGIApp,
    bound: socket.socket,
    log: Any,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves on a socket that is bound, and closes it, until cancelled. `log` is a structlog logger."""
    config, context, ended = _config(), WorkerContext(None), _Ended(log)
    # Hypercorn types ASGI apps more narrowly than Starlette types itself, and streams as if all were TLS.
    given: Any = app
    asgi = wrap_app(given, config.wsgi_max_body_size, "asgi")
    async with trio.open_nursery() as connections:

        async def connected(stream: Any) -> None:
            if len(connections.child_tasks) > MOST_CONNECTIONS:
                ended.note(["there are too many"])
                await stream.aclose()
                return
            try:
                await _Connection(asgi, config, context, {}, stream).run()
            except* Exception as errors:  # noqa: BLE001 - of the parsers; what answers is guarded by itself
                ended.note(_kinds(errors))

        bound.listen(_BACKLOG)
        async with trio.SocketListener(trio.socket.from_stdlib_socket(bound)) as listener:
            task_status.started()
            await trio.serve_listeners(connected, [listener], handler_nursery=connections)


class _Connection(TCPServer):
    """Without HTTP/2: Hypercorn's protocol of a connection wraps one of HTTP/1.1, which looks at each request for whether to change."""

    _is_over = False

    @property
    def protocol(self) -> Any:
        return self._protocol

    @protocol.setter
    def protocol(self, wrapper: Any) -> None:
        self._protocol = wrapper.protocol
        self._protocol._check_protocol = _stays  # noqa: SLF001 - it has no setting for it

    async def _read_data(self) -> None:
        """Who has left won't ask again: the connection, and its file, isn't kept for it."""
        await super()._read_data()
        self._is_over = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """An answer to who hung up meets the end of the connection, which is being sent: it is no bug of what answers."""
        if self._is_over and isinstance(event, Updated):  # that it waits for another request
            return
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:
            await self.protocol.handle(Closed())


async def _stays(_request: object) -> None:
    """A wish for another protocol is one that a server may leave out of account (RFC 9110, 7.8)."""


def _config() -> Config:
    config = Config()
    config.loglevel = "ERROR"
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_timeout = _IDLE
    config.h11_max_incomplete_size = _MOST_HEAD
    return config


def _kinds(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """What went wrong, without what was said: that is a stranger's."""
    found: list[str] = []
    for error in group.exceptions:
        found += _kinds(error) if isinstance(error, BaseExceptionGroup) else [type(error).__name__]
    return found


class _Ended:
    """Connections that we ended, in the log: how many, a line a minute at most."""

    def __init__(self, log: Any) -> None:
        self._log, self._count, self._noted_at = log, 0, float("-inf")

    def note(self, reasons: list[str]) -> None:
        self._count += 1
        if trio.current_time() - self._noted_at >= _NOTE_EVERY:
            self._log.warning(
                "connections to us were ended", connections=self._count, reason=", ".join(reasons)
            )
            self._count, self._noted_at = 0, trio.current_time()
