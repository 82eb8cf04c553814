"""On what the control API is served: the Unix socket, and TCP where the config says so."""

import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from starlette.types import ASGIApp

from tocsin.config.listening import Address
from tocsin.control.http1 import serve_http

_LOOK_EVERY = 2.0  # seconds; a socket whose file was removed hears nobody any more
_AGAIN = 10.0  # seconds until a port that somebody else has is tried again
_UNREAD = 5000  # milliseconds that an answer may wait for who asked to read it


async def serve_control(
    app: ASGIApp,
    path: Path,
    mode: int,
    *,
    log: Any,
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
                await nursery.start(serve_http, app, listener, log)
                heard()
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                while _stamp(path) == ours:  # noqa: ASYNC110 - a file has no event
                    await trio.sleep(look_every)
                nursery.cancel_scope.cancel()
        finally:
            if _stamp(path) == ours:
                path.unlink()  # noqa: ASYNC240 - one system call, while being cancelled


class TcpPort:
    """An address that is ours from when somebody first serves on it until it is let go: also while what serves is started again, so
    that nobody else on this machine gets what is meant for us. `trouble` is told, once, why nobody can listen there. `log` is a structlog logger.
    """

    def __init__(self, address: Address, log: Any, trouble: Callable[[str], Awaitable[None]]) -> None:
        self.address, self._log, self._trouble = address, log, trouble
        self._bound: socket.socket | None = None

    async def serve(
        self, app: ASGIApp, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled, by which it is let go, too; a port that somebody else has is tried again.

        Started with the address: of port 0 the system chooses one.
        """
        try:
            if self._bound is None:
                self._bound = await _bound(
                    partial(_tcp_listener, self.address), str(self.address), self._trouble, _AGAIN
                )
            host, port, *_ = self._bound.getsockname()
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_http, app, self._bound.dup(), self._log)
                task_status.started(Address(host, port))
        except* trio.Cancelled:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Somebody else may have it."""
        if self._bound is not None:
            self._bound.close()
            self._bound = None


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
