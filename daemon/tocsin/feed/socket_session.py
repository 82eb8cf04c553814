"""What goes over one open socket: the opening requests, their answers, and the venue's messages.

`MessageHandler` decodes a message, records it and hands what it observed to the pipeline; `SocketSession` acts on the rest.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NoReturn

import trio
from msgspec import Struct

from tocsin.events import (
    ConnectionBegins,
    Instant,
    Observation,
    Observed,
    Occurrence,
    SnapshotBegins,
    SnapshotEnds,
)
from tocsin.feed.connection import Connection
from tocsin.feed.context import VenueContext
from tocsin.feed.errors import AllRefused, CredentialsRefused, Lost, UnreadableMessage
from tocsin.feed.model import Received
from tocsin.quantities import duration_text
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Endpoint,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)
from tocsin.venues.decoding import decode

_NOTHING = Decoded(items=())
_STAMPS = ("opened", "created", "updated", "closed")
_PRIVATE = Control(private=True)


class MessageOutcome(Struct, frozen=True):
    """What is left of a message for the connection: `answers` to requests, and how many accounts it observed."""

    answers: list[Accepted | Refused] = []
    accounts: int = 0


class MessageHandler:
    """Takes the messages of the socket named `endpoint`. `reply` sends a text back."""

    def __init__(self, context: VenueContext, endpoint: str, reply: Callable[[str], Awaitable[None]]) -> None:
        self._context, self._endpoint, self._reply = context, endpoint, reply

    async def take(self, message: str) -> MessageOutcome:
        """Handle one message. Raises what `reply` raises; any other exception is a bug of ours, also the adapter's."""
        context, at = self._context, self._context.clock.now()
        context.link.last_message = at
        context.link.meters.heard(message)
        decoded = await self._decode(message, at)
        observed: list[Observed] = []
        answers: list[Accepted | Refused] = []
        accounts = 0
        for item in decoded.items:
            match item:
                case Observation(state=state):
                    observed.append(item)
                    accounts += state.kind == "account"
                case Occurrence() | SnapshotBegins() | SnapshotEnds():
                    observed.append(item)
                case Reply():
                    await self._reply(item.text)
                case Accepted() | Refused():
                    answers.append(item)
                case Unrecognized():
                    await context.complaints.unrecognized(item.reason, message)
                case Unreadable():
                    await context.complaints.unreadable(item, message)
                case Control():
                    pass  # of no interest, as its name says
        await context.link.heard(at, handed_on=bool(observed))
        if observed:
            await self._hand_on(observed, decoded.stream, message, at)
        return MessageOutcome(answers, accounts)

    async def _decode(self, message: str, at: Instant) -> Decoded:
        """What the message means; nothing where it is malformed, which is told here."""
        try:
            decoded = decode(self._context.adapter, message, at.wall)
        except Malformed as malformed:
            self._record(message, None, at)
            await self._context.complaints.malformed(str(malformed), message)
            return _NOTHING
        if self._context.recorder is not None and _PRIVATE not in decoded.items:
            self._record(message, decoded.stream, at)
        return decoded

    def _record(self, message: str, stream: str | None, at: Instant) -> None:
        if self._context.recorder is not None:
            self._context.recorder.append(self._context.masker.mask(message), stream or self._endpoint, at)

    async def _hand_on(self, observed: list[Observed], stream: str | None, message: str, at: Instant) -> None:
        context = self._context
        silence = context.silence
        raw = context.masker.mask(message)
        began = silence.hand_over()
        try:
            for name in silence.heard(self._endpoint, stream):
                await context.link.resumed(name)
            taken = context.snapshot_taken.acknowledges(observed)
            await context.sink.put(
                Received(venue=context.name, observed=tuple(observed), at=at, raw=raw, taken=taken)
            )
        finally:
            silence.handed_over(began)
        if (skew := self._skew(observed, at)) is not None:
            await context.link.skewed(skew)

    def _skew(self, observed: list[Observed], at: Instant) -> str | None:
        """How the venue's clock differs from ours, in words; None within `timings.skew`.

        Only what is new has a time to compare: an opening state, or a polled snapshot, may be of old. When something began
        or last changed may be long ago too, but not ahead of now; so may a time that is no other than that.
        """
        allowed = self._context.timings.skew
        soon, lately = (at.wall + timedelta(seconds=off) for off in (allowed, -allowed))
        newest = None
        for item in observed:
            if not isinstance(item, (Observation, Occurrence)) or item.origin != "live":
                continue
            stamps = [getattr(item.state, name, None) for name in _STAMPS]
            for time in (item.time, *stamps):
                if not isinstance(time, datetime):
                    continue
                if time > soon or (time is item.time and (time >= lately or time not in stamps)):
                    newest = time if newest is None else max(newest, time)
        if newest is None:
            return None
        ahead = (newest - at.wall).total_seconds()
        if ahead < 0 and self._context.adapter.polled:
            return None
        self._context.link.meters.clock_skew = ahead
        if -allowed <= ahead <= allowed:
            return None
        span = duration_text(abs(newest - at.wall))
        return f"the venue's times are {span} {'ahead of' if ahead > 0 else 'behind'} ours"


class SocketSession:
    """One open connection. `open` and `read` run side by side: answers come in between pushes."""

    def __init__(self, context: VenueContext, endpoint: Endpoint, connection: Connection) -> None:
        self._context, self._endpoint, self._connection = context, endpoint, connection
        self._handler = MessageHandler(context, endpoint.name, connection.send)
        self._requests = {request.name: request for request in endpoint.opening}
        self._unanswered: dict[str, trio.Event] = {}
        self._refused: dict[str, str] = {}
        self._waits_since: float | None = None  # for the next message; None while one is handled
        self.accounts = 0  # `account` observations so far

    async def open(self) -> None:
        """Send the opening requests and await their answers, each for `timings.answer`.

        Raises Lost where a required one has none, AllRefused where every stream was refused.
        """
        for request in self._endpoint.opening:
            answered = trio.Event()
            if request.answered:
                self._unanswered[request.name] = answered
            await self._connection.send(request.text)
            # The answer may be there by now, and taken: sending lets the reader run.
            if request.answered and request.required and not await self._is_answered(answered):
                raise Lost(f"no answer to {request.name} within {self._context.timings.answer:g} s")
        with trio.move_on_after(self._context.timings.answer):
            for event in list(self._unanswered.values()):
                await event.wait()
        for name in list(self._unanswered):
            await self._refuse(name, f"no answer within {self._context.timings.answer:g} s")
        self._expect_data()
        streams = [request.name for request in self._endpoint.opening if not request.required]
        if streams and not self._endpoint.market_data and all(name in self._refused for name in streams):
            raise AllRefused("; ".join(f"{name}: {reason}" for name, reason in self._refused.items()))

    async def read(self) -> NoReturn:
        """Take messages until the connection is Lost, or the venue says that it is no use (CredentialsRefused)."""
        context = self._context
        begins = (ConnectionBegins(),)
        await context.sink.put(Received(venue=context.name, observed=begins, at=context.clock.now()))
        while True:
            self._waits_since = trio.current_time()
            try:
                message = await self._connection.receive()
            except UnreadableMessage as unreadable:
                await self._context.complaints.malformed(str(unreadable), unreadable.raw)
                continue
            self._waits_since = None
            outcome = await self._handler.take(message)
            self.accounts += outcome.accounts
            for answer in outcome.answers:
                if isinstance(answer, Accepted):
                    self._accept(answer.request)
                else:
                    await self._on_refused(answer)

    async def ping(self) -> None:
        """Say what the venue wants to hear every so often, if anything; see `Ping`. Raises Lost."""
        ping, sent = self._endpoint.ping, None
        while ping is not None:
            await trio.sleep(ping.every)
            # While a message is handled the time is ours, not the venue's.
            if (
                self._context.settings.ping_every is None
                and sent is not None
                and self._waits_since is not None
                and self._waits_since <= sent
            ):
                raise Lost(f"a ping was not answered for {ping.every:g} s")
            sent = trio.current_time()
            await self._connection.send(ping.text)

    async def _is_answered(self, answer: trio.Event) -> bool:
        with trio.move_on_after(self._context.timings.answer):
            await answer.wait()
        return answer.is_set()

    def _accept(self, name: str) -> None:
        self._refused.pop(name, None)
        self._context.link.accepted(name)
        self._settle(name)
        if name in self._requests and self._requests[name].market_data:
            self._context.silence.expect(name, self._endpoint.name)

    def _settle(self, name: str) -> None:
        event = self._unanswered.pop(name, None)
        if event is not None:
            event.set()

    async def _on_refused(self, answer: Refused) -> None:
        """Tell of a refused stream. Raises CredentialsRefused or Lost where the connection is no use any more."""
        name = answer.request
        if not name and len(self._unanswered) == 1:
            (name,) = self._unanswered  # it didn't say which, but only one is waiting
        words = f"{name}: {answer.reason}" if name else answer.reason
        if answer.verdict == "auth_failed":
            raise CredentialsRefused(words)
        required = name in self._requests and self._requests[name].required
        if answer.verdict == "retry" or required:
            raise Lost(words)
        await self._refuse(name, answer.reason)

    async def _refuse(self, name: str, reason: str) -> None:
        self._refused[name] = reason
        self._context.silence.forget(name)
        await self._context.link.refused(name or self._endpoint.name, reason)
        await self._context.link.given_up(name)
        self._settle(name)

    def _expect_data(self) -> None:
        if self._endpoint.market_data:
            self._context.silence.expect(self._endpoint.name, self._endpoint.name)
        for request in self._endpoint.opening:
            if request.market_data and request.name not in self._refused:
                self._context.silence.expect(request.name, self._endpoint.name)
