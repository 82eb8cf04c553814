"""What lies between a socket and the WebSocket library: where frames begin and end, and a stream that remembers.

`Frames` (RFC 6455, 5.2) decodes nothing; that is wsproto's business, and so is what breaks the protocol.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from tocsin.feed.budget import PeerFlood, ReadBudget
from tocsin.feed.errors import HandshakeRejected
from tocsin.feed.transport import close_at_once
from tocsin.loop_budget import LoopBudget

_OPCODE, _CONTROL = 0x0F, 0x08
_MASKED, _SIZE = 0x80, 0x7F
_LONGER = 126  # this or more: the size is in the next 2 bytes (8, if more)
_LONGEST_HEAD = 14  # bytes
MOST_FRAGMENTS = 10_000  # of one message: those of 4 MiB in pieces of 512 bytes are fewer


class Frames:
    """The frames of one connection, from the end of the handshake on; each is counted against the socket's `budget`."""

    def __init__(self, budget: ReadBudget) -> None:
        self._budget = budget
        self._payload = 0  # bytes still to come of the frame that has begun
        self._head = bytearray()  # of a frame whose head is not whole yet
        self._fragments = 0  # of the message that has begun

    def slice_end(self, data: bytes, at: int, now: float) -> int:
        """The index up to which, from `at`, `data` may be handled before other tasks have a turn. Raises PeerFlood."""
        budget, head, end = self._budget, self._head, len(data)
        while at < end:
            if self._payload:
                step = min(self._payload, end - at)
                self._payload -= step
                at += step
                continue
            if budget.is_over:
                break
            if not head and end - at >= _LONGEST_HEAD:
                at += self._begin(data[at : at + _LONGEST_HEAD], now)
                continue
            missing = _head_size(head) - len(head)
            head += data[at : at + missing]
            at += missing
            if len(head) >= _head_size(head):
                self._begin(bytes(head), now)
                head.clear()
        return min(at, end)

    def _begin(self, head: bytes, now: float) -> int:
        """A frame begins, whose head is at the beginning of `head`: the length of that, in bytes. Raises PeerFlood."""
        first, size = head[0], head[1]
        length = 2
        if size >= _LONGER:  # or masked, which no server's is
            length = _head_size(head)
            size &= _SIZE
            if size >= _LONGER:
                size = int.from_bytes(head[2:4] if size == _LONGER else head[2:10])
        self._payload = size
        data = not first & _CONTROL
        if data:
            self._fragments = 1 if first & _OPCODE else self._fragments + 1
            if self._fragments > MOST_FRAGMENTS:
                raise PeerFlood(f"it sent a message in more than {MOST_FRAGMENTS:,} fragments")
        self._budget.took(now, data=data and size > 0)
        return length


def _head_size(head: bytes | bytearray) -> int:
    """The length of a frame's head in bytes, by its first two; 2 while those aren't there."""
    if len(head) < 2:
        return 2
    size = head[1] & _SIZE
    longer = 0 if size < _LONGER else 2 if size == _LONGER else 8
    return 2 + longer + (4 if head[1] & _MASKED else 0)


_MOST_ANSWER = 65536  # bytes of an answer to the handshake that are read at all
_SWITCHED = re.compile(rb"HTTP/[0-9.]+ 101\b.*?\r?\n\r?\n", re.DOTALL)  # such an answer, to its end
_CLOSE = 0x88  # the first byte of a frame that closes


class Tap(trio.abc.Stream):
    """A stream around `inner`, which remembers the handshake's answer, the waits for the peer, and how it ended.

    Frames are handed on a slice at a time, so that a reader that never waits lets other tasks have a turn.
    """

    def __init__(self, inner: trio.abc.Stream, loop_budget: LoopBudget) -> None:
        self._inner, self._loop_budget = inner, loop_budget
        self._head: bytearray | None = bytearray()
        self._budget = ReadBudget(trio.current_time(), "frames")
        self._frames: Frames | None = None  # None: the handshake isn't done
        self._read, self._at = b"", 0  # what was read and, up to `_at`, handed on
        self._goodbye = trio.Event()  # our Close is out
        self.flooded = trio.Event()
        self._waits = 0
        self._waiting_since = 0.0
        self._waited = 0.0
        self.ended: str | None = None

    def opened(self) -> None:
        """The handshake is done: its answer is forgotten."""
        self._head = None

    def waited(self) -> float:
        """The seconds, in all, in which we waited for the peer: to send something, or to take something from us."""
        return self._waited + (trio.current_time() - self._waiting_since if self._waits else 0.0)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What the peer sent, of its frames a slice; b"" where it ended, or is to be closed (`flooded`)."""
        if self._frames is None:
            return await self._receive_answer(max_bytes)
        if self._at < len(self._read):
            await self._loop_budget.others_turn()
        else:
            await self._loop_budget.rest()
            self._read, self._at = await self._receive(max_bytes), 0
        self._budget.begin()
        try:
            end = self._frames.slice_end(self._read, self._at, trio.current_time())
        except PeerFlood as why:
            self.ended = str(why)
            self.flooded.set()
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
        self._frames = Frames(self._budget)
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
        """Close the socket at once, without a Close frame."""
        await close_at_once(self._inner)

    def answer(self) -> HandshakeRejected | None:
        """The HTTP answer to the handshake, as far as its body came; None where its head isn't complete."""
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
