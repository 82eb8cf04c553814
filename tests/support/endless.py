"""Services whose answers never end, on loopback: each a server of its own that counts what it could send."""

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Self

_CHUNK = 64 << 10
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Talk = Callable[["Endless", socket.socket], None]


class Endless(AbstractContextManager["Endless"]):
    """A server that says `talk` to whoever connects. `sent` counts bytes, `ended` the connections that the other side left."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.sent = self.begun = self.ended = 0
        self.closing = threading.Event()
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        self.begun += 1
        with connection, suppress(OSError):
            self._talk(self, connection)
        self.ended += 1

    def say(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.sent += len(data)

    def for_ever(self, connection: socket.socket, data: bytes, every: float = 0.0) -> None:
        while not self.closing.wait(every):
            self.say(connection, data)


def _after_request(connection: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(_CHUNK)
        if not part:
            raise ConnectionResetError
        got += part


def body(server: Endless, connection: socket.socket) -> None:
    _after_request(connection)
    server.say(connection, _HEAD + b"\r\n")
    server.for_ever(connection, b"x" * _CHUNK)


def chunks(server: Endless, connection: socket.socket) -> None:
    _after_request(connection)
    server.say(connection, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    server.for_ever(connection, b"%x\r\n" % _CHUNK + b"x" * _CHUNK + b"\r\n")


def packed(server: Endless, connection: socket.socket) -> None:
    """Zeros by gzip: a thousand times as much as goes over the wire."""
    import zlib

    _after_request(connection)
    server.say(connection, _HEAD + b"Content-Encoding: gzip\r\n\r\n")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    while not server.closing.is_set():
        server.say(connection, packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH))


def moved(server: Endless, connection: socket.socket) -> None:
    """A redirect, whose body is read too."""
    _after_request(connection)
    server.say(connection, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n")
    server.for_ever(connection, b"x" * _CHUNK)


def drip(server: Endless, connection: socket.socket) -> None:
    _after_request(connection)
    server.say(connection, _HEAD + b"\r\n")
    server.for_ever(connection, b"x", every=0.2)


def headers(server: Endless, connection: socket.socket) -> None:
    _after_request(connection)
    server.say(connection, _HEAD)
    server.for_ever(connection, b"X-More: " + b"x" * 60_000 + b"\r\n")


def continues(server: Endless, connection: socket.socket) -> None:
    """Interim answers, of which there may be any number."""
    _after_request(connection)
    server.for_ever(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 500)


def greeting(server: Endless, connection: socket.socket) -> None:
    server.for_ever(connection, b"220-welcome to a long greeting\r\n" * 1000)


def slow_greeting(server: Endless, connection: socket.socket) -> None:
    server.for_ever(connection, b"220-please wait\r\n", every=0.2)


def extensions(server: Endless, connection: socket.socket) -> None:
    server.say(connection, b"220 localhost ESMTP\r\n")
    connection.recv(_CHUNK)
    server.for_ever(connection, b"250-X-EXTENSION\r\n" * 2000)


HTTP: dict[str, Talk] = {
    each.__name__: each for each in (body, chunks, packed, moved, drip, headers, continues)
}
MAIL: dict[str, Talk] = {each.__name__: each for each in (greeting, slow_greeting, extensions)}


def url(name: str, port: int) -> str:
    """The channel's URL for the service of that name."""
    if name in HTTP:
        return f"json://127.0.0.1:{port}/{name}"
    return f"mailto://bell:hunter2secret@127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure&from=bell@example.org&to=me@example.org"
