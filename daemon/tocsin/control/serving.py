"""On what the control API is served: the Unix socket, and TCP where the config says so. One server, Hypercorn, for both."""

import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.types import ASGIApp

_LOOK_EVERY = 2.0  # seconds; a socket whose file was removed hears nobody any more
_AGAIN = 10.0  # seconds until a port that somebody else has is tried again
_IDLE = 5  # seconds for a request to be whole, and between two on one connection
_UNREAD = 5000  # milliseconds that an answer may wait for who asked to read it
_MOST_HEAD = 16 << 10  # bytes of a request's line and headers


class Address(NamedTuple):
    """Where to listen: an IP address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """An IP address as it stands in URLs."""
    return f"[{host}]" if ":" in host else host


def address_of(text: str) -> Address:
    """Of `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`."""
    host, _, port = text.rpartition(":")
    return Address("127.0.0.1" if host == "localhost" else host.strip("[]"), int(port))


async def serve_control(
    app: ASGIApp,
    path: Path,
    mode: int,
    *,
    trouble: Callable[[str], Awaitable[None]],
    heard: Callable[[], None] = lambda: None,
    look_every: float = _LOOK_EVERY,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on the Unix socket at `path`, made with permissions `mode`, until cancelled.

    It is made again when somebody removes it; a socket that nobody listens on is replaced. `trouble` is told, once, why
    it can't be made, and `heard` is called when it is.
    """
    while True:
        listener = await _bound(partial(_listener, path, mode), str(path), trouble, look_every)
        ours = _stamp(path)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_serve, app, listener)
                heard()
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                while _stamp(path) == ours:  # noqa: ASYNC110 - a file has no event
                    await trio.sleep(look_every)
                nursery.cancel_scope.cancel()
        finally:
            if _stamp(path) == ours:
                path.unlink()  # noqa: ASYNC240 - one system call, while being cancelled


async def serve_tcp(
    app: ASGIApp,
    address: Address,
    *,
    trouble: Callable[[str], Awaitable[None]],
    task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on that address until cancelled; `trouble` is told, once, why nobody can listen there, and it is tried again.

    Started with the address: of port 0 the system chooses one.
    """
    listener = await _bound(partial(_tcp_listener, address), str(address), trouble, _AGAIN)
    host, port, *_ = listener.getsockname()
    async with trio.open_nursery() as nursery:
        await nursery.start(_serve, app, listener)
        task_status.started(Address(host, port))


async def _bound(
    bind: Callable[[], socket.socket], where: str, trouble: Callable[[str], Awaitable[None]], again: float
) -> socket.socket:
    """What `bind` makes; where it can't, `trouble` is told why, each reason once, and it is tried again after so many seconds."""
    told = ""
    while True:
        try:
            return bind()
        except OSError as error:
            reason = f"{where}: {error.strerror or error}"
        if reason != told:
            await trouble(reason)
        told = reason
        await trio.sleep(again)


async def _serve(app: ASGIApp, listener: socket.socket, task_status: trio.TaskStatus[list[str]]) -> None:
    config = Config()
    # Hypercorn's own binding leaves the umask behind when it fails.
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    config.errorlog = None
    config.graceful_timeout = 0.5
    config.include_server_header = False
    config.keep_alive_timeout = _IDLE
    config.h11_max_incomplete_size = _MOST_HEAD
    config.alpn_protocols = ["http/1.1"]
    # Hypercorn types ASGI apps more narrowly than Starlette types itself.
    asgi: Any = app
    await serve(asgi, config, shutdown_trigger=trio.sleep_forever, mode="asgi", task_status=task_status)


def _tcp_listener(address: Address) -> socket.socket:
    """OSError where somebody else listens there, or nobody can."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of each connection, too: who asks and doesn't read the answer is cut off. Hypercorn would wait for ever.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD)
        listener.bind((address.host, address.port))
    except BaseException:
        listener.close()
        raise
    return listener


def _listener(path: Path, mode: int) -> socket.socket:
    """A socket bound to `path`. OSError where something else is there."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)
    try:
        if path.is_socket() and not _is_heard(path):
            path.unlink()
        listener.bind(str(path))
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _is_heard(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(1)
        try:
            knocking.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
