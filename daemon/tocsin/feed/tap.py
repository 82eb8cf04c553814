"""A byte stream that remembers: the first bytes of the answer, how long the peer let us wait, and how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tocsin.feed.outside import HandshakeRejected
from tocsin.feed.transport import close_at_once

_MOST_ANSWER = 65536  # bytes of an answer to the handshake that are read at all


class Tap(trio.abc.Stream):
    """Passes everything on to the stream inside."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self._head: bytearray | None = bytearray()
        self._waits = 0
        self._waiting_since = 0.0
        self._waited = 0.0
        self.ended: str | None = None

    def opened(self) -> None:
        """The handshake is done: no more is remembered of the bytes."""
        self._head = None

    def waited(self) -> float:
        """The seconds, in all, in which we waited for the peer: to send something, or to take something from us."""
        return self._waited + (trio.current_time() - self._waiting_since if self._waits else 0.0)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._head is not None and len(self._head) >= _MOST_ANSWER:
            return b""  # an endless refusal: as if it ended here
        try:
            with self._waits_for_peer():
                data = bytes(await self._inner.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            self.ended = f"the connection broke: {error.__cause__ or error}"
            raise
        if not data:
            self.ended = "the venue ended the connection without a word"
        if self._head is not None:
            self._head += data
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            with self._waits_for_peer():
                await self._inner.send_all(data)
        except trio.Cancelled:  # half a frame may be out, and nothing could follow it
            await self.abort()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def abort(self) -> None:
        """Free the socket without a goodbye."""
        await close_at_once(self._inner)

    def answer(self) -> HandshakeRejected | None:
        """The HTTP answer as far as it came, where the head of it is complete."""
        head, complete, body = bytes(self._head or b"").partition(b"\r\n\r\n")
        first, *rest = head.split(b"\r\n")
        words = first.split(None, 2)
        if not complete or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            return None
        headers = {}
        for line in rest:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return HandshakeRejected(int(words[1]), headers, body)

    @contextmanager
    def _waits_for_peer(self) -> Iterator[None]:
        if not self._waits:
            self._waiting_since = trio.current_time()
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            if not self._waits:
                self._waited += trio.current_time() - self._waiting_since
