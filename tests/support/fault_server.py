"""Peers that misbehave: a raw WebSocket server that follows a script, and a TCP proxy whose faults can be switched."""

import base64
import hashlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import trio

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A server's frame: unmasked."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 1 << 16:
        return head + b"\x7e" + struct.pack("!H", size) + payload
    return head + b"\x7f" + struct.pack("!Q", size) + payload


def reset_on_close(stream: trio.SocketStream) -> None:
    """Closing it will send RST, not FIN."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Peer:
    """One connection to a `FaultServer`, as its script sees it. `number` counts from 0; `head` is the request."""

    def __init__(self, stream: trio.abc.Stream, number: int) -> None:
        self.stream, self.number = stream, number
        self.head = ""
        self._buffer = bytearray()
        self._sending = trio.Lock()  # scripts speak in several tasks

    @property
    def path(self) -> str:
        return self.head.split(" ", 2)[1]

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name:
                return value.strip()
        return None

    async def read_head(self) -> None:
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self.head, self._buffer = head.decode(), bytearray(rest)

    async def read_body(self) -> bytes:
        """The rest of a plain HTTP request."""
        size = int(self.header("content-length") or 0)
        while len(self._buffer) < size:
            await self._more()
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return body

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise trio.BrokenResourceError("the client is gone")
        self._buffer += data

    async def raw(self, data: bytes) -> None:
        async with self._sending:
            await self.stream.send_all(data)

    async def answer(self, status: str, body: bytes = b"", *, headers: str = "", length: bool = True) -> None:
        """A plain HTTP answer; without `length` its body ends with the connection."""
        size = f"Content-Length: {len(body)}\r\n" if length else ""
        await self.raw(f"HTTP/1.1 {status}\r\n{size}{headers}\r\n".encode() + body)

    async def accept(self) -> None:
        key = (self.header("sec-websocket-key") or "").encode()
        token = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        await self.raw(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {token}\r\n\r\n".encode()
        )

    async def send(self, message: Any) -> None:
        """A text frame: a text as it is, anything else as JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.raw(frame(TEXT, text.encode()))

    async def close(self, code: int = 1000) -> None:
        await self.raw(frame(CLOSE, struct.pack("!H", code)))

    async def frame(self) -> tuple[int, bytes]:
        """The client's next frame, unmasked."""
        while (found := self._parse()) is None:
            await self._more()
        return found

    def _parse(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size == 126:
            if len(data) < 4:
                return None
            size, at = struct.unpack("!H", data[2:4])[0], 4
        end = at + 4 + size
        if len(data) < end:
            return None
        mask = data[at : at + 4]
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data[at + 4 : end]))
        opcode = data[0] & 0x0F
        del data[:end]
        return opcode, payload

    async def message(self) -> str:
        """The client's next text; its pings are answered on the way."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT:
                return payload.decode()
            if opcode == PING:
                await self.raw(frame(PONG, payload))
            if opcode == CLOSE:
                raise trio.BrokenResourceError("the client said goodbye")

    async def serve_politely(self) -> None:
        """Answer pings and the Close until the client is gone."""
        with suppress(*GONE):
            while True:
                opcode, payload = await self.frame()
                if opcode == PING:
                    await self.raw(frame(PONG, payload))
                if opcode == CLOSE:
                    await self.raw(frame(CLOSE, payload))
                    return

    async def reset(self) -> None:
        assert isinstance(self.stream, trio.SocketStream)
        reset_on_close(self.stream)
        await trio.aclose_forcefully(self.stream)


Script = Callable[[Peer], Awaitable[None]]


class FaultServer:
    """Runs `script` for each connection, after having read the request's head (unless `bare`)."""

    def __init__(self, script: Script, *, bare: bool = False) -> None:
        self.script, self._bare = script, bare
        self.port = 0
        self.connections = 0
        self.open = 0
        self.changed = trio.Event()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def handle(self, stream: trio.abc.Stream) -> None:
        peer = Peer(stream, self.connections)
        self.connections += 1
        self.open += 1
        self._tell()
        try:
            if not self._bare:
                await peer.read_head()
            await self.script(peer)
        except (*GONE, ssl.SSLError):
            pass  # the client went away, or wouldn't trust us
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
            self.open -= 1
            self._tell()

    async def had(self, connections: int) -> None:
        while self.connections < connections:
            await self.changed.wait()

    async def all_gone(self) -> None:
        while self.open:
            await self.changed.wait()


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, bare: bool = False
) -> AsyncIterator[FaultServer]:
    """A server on loopback for as long as the context lasts."""
    server = FaultServer(script, bare=bare)
    async with trio.open_nursery() as nursery:
        listeners: Any = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server.port = listeners[0].socket.getsockname()[1]
        if tls is not None:
            listeners = [trio.SSLListener(listener, tls, https_compatible=True) for listener in listeners]
        nursery.start_soon(trio.serve_listeners, server.handle, listeners)
        yield server
        nursery.cancel_scope.cancel()


class ChaosProxy:
    """Passes TCP on to `port`. `mode` may be changed at any time; it bears on open connections too."""

    Mode = Literal["pass", "blackhole", "reset", "refuse", "drip"]

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.port = 0
        self.connections = 0
        self._mode: ChaosProxy.Mode = "pass"
        self._changed = trio.Event()

    @property
    def mode(self) -> "ChaosProxy.Mode":
        return self._mode

    @mode.setter
    def mode(self, mode: "ChaosProxy.Mode") -> None:
        self._mode = mode
        self._changed.set()
        self._changed = trio.Event()

    async def _pump(self, source: trio.SocketStream, to: trio.SocketStream) -> None:
        async for data in source:
            while self.mode == "blackhole":
                await self._changed.wait()
            pieces = [data[i : i + 1] for i in range(len(data))] if self.mode == "drip" else [data]
            for piece in pieces:
                await to.send_all(piece)
                await trio.lowlevel.checkpoint()

    async def handle(self, client: trio.SocketStream) -> None:
        self.connections += 1
        if self.mode == "refuse":
            reset_on_close(client)
            return
        upstream = await trio.open_tcp_stream("127.0.0.1", self._upstream)
        try:
            await self._connect(client, upstream)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(upstream)

    async def _connect(self, client: trio.SocketStream, upstream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:

            async def one_way(source: trio.SocketStream, to: trio.SocketStream) -> None:
                with suppress(*GONE):
                    await self._pump(source, to)
                nursery.cancel_scope.cancel()

            async def until_reset() -> None:
                while self.mode != "reset":
                    await self._changed.wait()
                reset_on_close(client)
                nursery.cancel_scope.cancel()

            nursery.start_soon(one_way, client, upstream)
            nursery.start_soon(one_way, upstream, client)
            nursery.start_soon(until_reset)


@asynccontextmanager
async def proxied(upstream: int) -> AsyncIterator[ChaosProxy]:
    """A chaos proxy before a port of loopback."""
    proxy = ChaosProxy(upstream)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy.handle, listeners)
        yield proxy
        nursery.cancel_scope.cancel()
