"""WebSockets that can't hang, leak or cancel anybody: trio-websocket 0.12.2 behind a guard, on its public API.

Used plainly that package hangs on a peer that is silent in the handshake or that doesn't close, loses the status of a
rejection whose body ends with the connection, leaves a half-written frame behind a cancelled send, and, when the peer
pings after our Close, lets an error of its reader cancel whoever opened the connection. Here the reader runs under
`_Guard`, which turns its crash into data, and all bytes pass through `Tap`, which remembers what they tell.
"""

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from tocsin.errors import ConnectFailed
from tocsin.feed.budget import SLICE
from tocsin.feed.errors import HandshakeRejected, Lost, text_of
from tocsin.feed.tap import Tap
from tocsin.feed.transport import Target, close_at_once, open_stream
from tocsin.loop_budget import LoopBudget, metered

_BUFFER = 65536  # bytes read at once
_CLEAN = frozenset({1000, 1001, 1005})  # normal, going away, no code given (RFC 6455, 7.4.1)
_BROKEN = frozenset({1002, 1007})  # protocol error, not UTF-8
_POLICY = 1008
_TOO_BIG = 1009
# A JSON text can't hold a closing bracket, a line end and an opening bracket in a row: between two values of one
# document stands a comma. So what this matches separates two documents, also where they are printed over many lines.
_BETWEEN = re.compile(r"(?<=[}\]])[ \t]*\r\n\s*(?=[{\[])")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection is held to: seconds, and characters of a message. `ping_every` None: without pings."""

    connect: float
    close: float
    ping_every: float | None
    message: int


class _Guard:
    """What `wrap_client_stream` gets for a nursery: the reader's crash is kept in `crash`, and cancels no other task."""

    def __init__(self, nursery: trio.Nursery, loop_budget: LoopBudget) -> None:
        self._nursery, self._loop_budget = nursery, loop_budget
        self.done = trio.Event()
        self.crash: Exception | None = None

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await metered(task(), self._loop_budget)
        except Exception as crash:  # noqa: BLE001 - whatever ends the reader ends this connection, and nothing else
            self.crash = crash
        finally:
            self.done.set()


class WebSocket:
    """An open WebSocket; see `Connection`. Made by `open_websocket`."""

    def __init__(
        self, inner: WebSocketConnection, tap: Tap, guard: _Guard, limits: Limits, loop_budget: LoopBudget
    ) -> None:
        self._inner, self._tap, self._guard, self._limits = inner, tap, guard, limits
        self._loop_budget = loop_budget
        self._split: Iterator[str] = iter(())
        self._slice = _BUFFER
        self._dead: str | None = None

    async def receive(self) -> str:
        while (split := next(self._split, None)) is None:
            try:
                message = await self._inner.get_message()
            except ConnectionClosed:
                raise self._lost() from None
            text = message if isinstance(message, str) else text_of(message, "a binary message")
            if "\n" not in text:
                return text
            self._split, self._slice = split_messages(text), _BUFFER
        # A frame of 4 MiB may hold a million of them, or forty that take as long: a slice has so many, and no more text than is read at once.
        self._slice -= max(len(split), _BUFFER // SLICE)
        if self._slice <= 0:
            self._slice = _BUFFER
            await self._loop_budget.others_turn()
        return split

    async def send(self, text: str) -> None:
        try:
            await self._inner.send_message(text)
        except (ConnectionClosed, LocalProtocolError):
            raise self._lost() from None

    async def aclose(self) -> None:
        """Say goodbye, shielded and bounded; nothing is awaited once the reader has ended."""
        if self._guard.done.is_set():
            return
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._limits.close) as bounded:
            async with trio.open_nursery() as nursery:

                async def reader_ended() -> None:
                    await self._guard.done.wait()
                    bounded.cancel()

                nursery.start_soon(reader_ended)
                # LocalProtocolError: the peer closed in the same moment.
                with suppress(ConnectionClosed, LocalProtocolError):
                    await self._inner.aclose()
                nursery.cancel_scope.cancel()

    async def leave_flooding(self) -> None:
        """Close (1008, policy violation) once the peer only costs; its socket isn't read meanwhile."""
        await self._tap.flooded.wait()
        self._dead = f"{self._tap.ended}: closed (1008)"
        with trio.move_on_after(self._limits.close), suppress(ConnectionClosed, LocalProtocolError):
            await self._inner.aclose(_POLICY, "frames that bring nothing")
        await self._tap.abort()

    async def keep_alive(self) -> None:
        """Ping; and end the connection when the peer had `ping_every` seconds to answer, and didn't."""
        every = self._limits.ping_every
        while every is not None:
            await trio.sleep(every)
            waited = self._tap.waited()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping, nursery.cancel_scope)
                # Only time that was the peer's counts: while nobody takes our messages we don't read its pongs either.
                while (left := waited + every - self._tap.waited()) > 0:  # noqa: ASYNC110 - waiting has no event
                    await trio.sleep(left)
                self._dead = f"a ping was not answered for {every:g} s"
                await self._tap.abort()
                nursery.cancel_scope.cancel()
            if self._dead:
                return

    async def _ping(self, answered: trio.CancelScope) -> None:
        with suppress(ConnectionClosed, LocalProtocolError):
            await self._inner.ping()
            answered.cancel()

    def _lost(self) -> Lost:
        closed = self._inner.closed
        if self._dead:
            return Lost(self._dead)
        if closed is None or (self._guard.crash is not None and closed.code == 1006):
            return Lost("the WebSocket protocol was broken")
        if closed.code == 1006:
            return Lost(self._tap.ended or "the connection broke off")
        if closed.code == _TOO_BIG and (closed.reason or "").startswith("Exceeded maximum message size"):
            return Lost(f"it sent a message larger than max_message_size ({self._limits.message} bytes)")
        words = f" {closed.reason}" if closed.reason else ""
        if closed.code in _BROKEN:  # wsproto says so of what it can't read; a venue might say it of us
            return Lost(f"the WebSocket protocol was broken: {closed.code} {closed.name}{words}")
        return Lost(f"closed by the venue: {closed.code} {closed.name}{words}", clean=closed.code in _CLEAN)


def split_messages(text: str) -> Iterator[str]:
    """The messages in one text frame, one by one: some gateways pass on several CRLF-ended ones at once."""
    text = text.rstrip("\r\n")
    begin = 0
    for between in _BETWEEN.finditer(text):
        yield text[begin : between.start()]
        begin = between.end()
    yield text[begin:]


@asynccontextmanager
async def open_websocket(
    target: Target,
    *,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None,
    limits: Limits,
    loop_budget: LoopBudget,
) -> AsyncIterator[WebSocket]:
    """Connect, hold, and on leaving close: a `WebSocket` whose reader and pings run inside this context.

    Raises ConnectFailed, or HandshakeRejected with what the venue answered. Errors of the body come out as they are.
    """
    deadline = trio.current_time() + limits.connect
    stream = await open_stream(target.host, target.port, tls, limits.connect)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            tap, guard = Tap(stream, loop_budget), _Guard(nursery, loop_budget)
            try:
                inner = await _shake_hands(
                    nursery, guard, tap, target, headers=headers, limits=limits, deadline=deadline
                )
                connection = WebSocket(inner, tap, guard, limits, loop_budget)
                nursery.start_soon(_while_reading, guard, connection.keep_alive)
                nursery.start_soon(_while_reading, guard, connection.leave_flooding)
                try:
                    yield connection
                finally:
                    await connection.aclose()
            except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery's group
                failure = error
            nursery.cancel_scope.cancel()
    finally:
        await close_at_once(stream)
    if failure is not None:
        raise failure


async def _while_reading(guard: _Guard, task: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)
        await guard.done.wait()
        nursery.cancel_scope.cancel()


async def _shake_hands(
    nursery: trio.Nursery,
    guard: _Guard,
    tap: Tap,
    target: Target,
    *,
    headers: Mapping[str, str],
    limits: Limits,
    deadline: float,
) -> WebSocketConnection:
    with trio.CancelScope(deadline=deadline) as waiting:

        async def reader_ended() -> None:
            await guard.done.wait()
            waiting.cancel()

        nursery.start_soon(reader_ended)
        inner = await wrap_client_stream(
            cast("trio.Nursery", guard),  # it only calls start_soon
            cast("Any", tap),  # it only needs a trio.abc.Stream
            target.host_header,
            target.resource,
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            # Handed over one by one: with a queue, what waits in it is lost when a message is too large.
            message_queue_size=0,
            max_message_size=limits.message,
            receive_buffer_size=_BUFFER,
        )
        tap.opened()
        return inner
    raise _not_opened(guard, tap, target, limits)


def _not_opened(guard: _Guard, tap: Tap, target: Target, limits: Limits) -> ConnectFailed:
    if isinstance(guard.crash, ConnectionRejected):
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in guard.crash.headers
        }
        return HandshakeRejected(guard.crash.status_code, headers, bytes(guard.crash.body or b""))
    answer = tap.answer()
    if answer is not None and answer.response.status != 101:
        return answer
    where = f"{target.host}:{target.port}"
    if not guard.done.is_set():
        return ConnectFailed(f"{where}: no answer to the WebSocket handshake within {limits.connect:g} s")
    what = str(guard.crash) if guard.crash else tap.ended or "the connection was closed"
    return ConnectFailed(f"{where}: the WebSocket handshake failed: {what}")
