"""A byte stream that remembers: the first bytes of the answer, how long the peer let us wait, and how it ended.

Of the frames behind the answer it hands on a slice at a time, so that a reader that never waits lets others have a turn.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tocsin.feed.frames import Frames
from tocsin.feed.outside import HandshakeRejected
from tocsin.feed.share import LoopTime, Share, Unbearable
from tocsin.feed.transport import close_at_once

_MOST_ANSWER = 65536  # bytes of an answer to the handshake that are read at all
_SWITCHED = re.compile(rb"HTTP/[0-9.]+ 101\b.*?\r?\n\r?\n", re.DOTALL)  # such an answer, to its end
_CLOSE = 0x88  # the first byte of a frame that closes


class Tap(trio.abc.Stream):
    """Passes everything on to the stream inside."""

    def __init__(self, inner: trio.abc.Stream, loop_time: LoopTime) -> None:
        self._inner, self._loop_time = inner, loop_time
        self._head: bytearray | None = bytearray()
        self._share = Share(trio.current_time(), "frames")
        self._frames: Frames | None = None  # None: the handshake isn't done
        self._read, self._at = b"", 0  # what was read and, up to `_at`, handed on
        self._goodbye = trio.Event()  # our Close is out
        self.unbearable = trio.Event()
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
        """What the peer sent, of its frames a slice; b"" where it ended, or is to be left (`unbearable`)."""
        if self._frames is None:
            return await self._receive_answer(max_bytes)
        if self._at < len(self._read):
            await self._loop_time.others_turn()
        else:
            await self._loop_time.rest()
            self._read, self._at = await self._receive(max_bytes), 0
        self._share.begin()
        try:
            end = self._frames.slice_end(self._read, self._at, trio.current_time())
        except Unbearable as why:
            self.ended = str(why)
            self.unbearable.set()
            await self._goodbye.wait()  # the socket isn't read any more
            return b""
        begin, self._at = self._at, end
        return self._read[begin:end]

    async def _receive_answer(self, max_bytes: int | None) -> bytes:
        head = self._head if self._head is not None else bytearray()
        if len(head) >= _MOST_ANSWER:
            return b""  # an endless refusal: as if it ended here
        data, before = await self._receive(max_bytes), len(head)
        head += data
        if (switched := _SWITCHED.match(head)) is None:
            return data
        self._frames = Frames(self._share)
        self._read, self._at = data, switched.end() - before
        return data[: self._at]

    async def _receive(self, max_bytes: int | None) -> bytes:
        try:
            with self._waits_for_peer():
                data = bytes(await self._inner.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            self.ended = f"the connection broke: {error.__cause__ or error}"
            raise
        if not data:
            self.ended = "the venue ended the connection without a word"
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            with self._waits_for_peer():
                await self._inner.send_all(data)
        except trio.Cancelled:  # half a frame may be out, and nothing could follow it
            await self.abort()
            raise
        if data[:1] == bytes([_CLOSE]):
            self._goodbye.set()

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
