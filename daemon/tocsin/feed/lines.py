"""Messages over TCP or TLS, each ended by CRLF."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tocsin.feed.budget import PeerFlood, ReadBudget
from tocsin.feed.errors import Lost, UnreadableMessage, text_of
from tocsin.feed.transport import Target, close_at_once, open_stream
from tocsin.loop_budget import LoopBudget

_END = b"\r\n"
_BUFFER = 65536  # bytes read at once
_SHOWN = 200  # bytes of a line that is too long


class LineConnection:
    """An open stream of lines; see `Connection`. `longest` is in bytes, the line end not counted."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        longest: int,
        send_within: float,
        close_within: float,
        loop_budget: LoopBudget,
    ) -> None:
        self._loop_budget = loop_budget
        self._stream = stream
        self._longest = longest
        self._send_within, self._close_within = send_within, close_within
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no line end
        self._skipped = 0  # bytes left out so far of a line that is too long
        self._start = b""  # and how it began
        self._budget = ReadBudget(trio.current_time(), "lines")
        self._sending = trio.Lock()

    async def receive(self) -> str:
        while True:
            if self._budget.is_over:
                await self._loop_budget.others_turn()
                self._budget.begin()
            line = self._next_line()
            if line is None:
                await self._loop_budget.rest()
                await self._read()
                self._budget.begin()
                continue
            try:
                self._budget.took(trio.current_time(), data=bool(line))
            except PeerFlood as why:
                await close_at_once(self._stream)
                raise Lost(f"{why}: closed") from None
            if line:
                return text_of(line, "a message")

    def _next_line(self) -> bytes | None:
        """A whole line, if there is one; UnreadableMessage at the end of one that was too long."""
        end = self._buffer.find(_END, max(self._searched - 1, 0))
        too_long = (len(self._buffer) if end < 0 else end) + self._skipped > self._longest
        if end < 0:
            if too_long:
                self._leave_out(len(self._buffer) - 1)  # the last byte may be the CR
            self._searched = len(self._buffer)
            return None
        self._searched = 0
        if too_long:
            self._leave_out(end)
            size, start = self._skipped, self._start
            del self._buffer[: len(_END)]
            self._skipped, self._start = 0, b""
            raise UnreadableMessage(
                f"a message of {size} bytes, larger than max_message_size ({self._longest}), was left out",
                start.decode("utf-8", "replace"),
            )
        line = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        return line

    def _leave_out(self, count: int) -> None:
        self._start = self._start or bytes(self._buffer[:_SHOWN])
        self._skipped += count
        del self._buffer[:count]

    async def _read(self) -> None:
        try:
            data = await self._stream.receive_some(_BUFFER)
        except trio.BrokenResourceError as error:
            raise Lost(f"the connection broke: {error.__cause__ or error}") from None
        except trio.ClosedResourceError:
            raise Lost("closed by us", clean=True) from None
        if not data:
            torn = bool(self._buffer or self._skipped)
            raise Lost(f"closed by the venue{' in the middle of a message' if torn else ''}", clean=not torn)
        self._buffer += data

    async def send(self, text: str) -> None:
        async with self._sending:
            try:
                with trio.fail_after(self._send_within):
                    await self._stream.send_all(text.encode() + _END)
            except trio.TooSlowError:
                await close_at_once(self._stream)
                raise Lost(f"it took nothing from us for {self._send_within:g} s") from None
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Lost(f"the connection broke: {error.__cause__ or 'closed'}") from None
            except trio.Cancelled:  # half a line may be out
                await close_at_once(self._stream)
                raise

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._close_within):
            try:
                await self._stream.aclose()
            except trio.BrokenResourceError:
                return  # gone already


@asynccontextmanager
async def open_lines(
    target: Target,
    *,
    tls: ssl.SSLContext | None,
    connect_within: float,
    longest: int,
    send_within: float,
    close_within: float,
    loop_budget: LoopBudget,
) -> AsyncIterator[LineConnection]:
    """Connect, hold, and on leaving close. ConnectFailed where no connection comes about."""
    stream = await open_stream(target.host, target.port, tls, connect_within)
    connection = LineConnection(
        stream, longest=longest, send_within=send_within, close_within=close_within, loop_budget=loop_budget
    )
    try:
        yield connection
    finally:
        await connection.aclose()
        await close_at_once(stream)
