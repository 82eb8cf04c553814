"""What is said on one socket: the opening requests, their answers, and what the venue's messages mean.

A message is decoded, recorded and handed to the pipeline; what it holds for the connection is acted on.
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
from tocsin.feed.context import Shared
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


class Taken(Struct, frozen=True):
    """What a message held, beside what was handed on already. `accounts` counts the observations of accounts."""

    answers: list[Accepted | Refused] = []
    accounts: int = 0


class Intake:
    """Takes the messages of one socket. `reply` sends one back."""

    def __init__(self, shared: Shared, endpoint: str, reply: Callable[[str], Awaitable[None]]) -> None:
        self._shared, self._endpoint, self._reply = shared, endpoint, reply

    async def take(self, message: str) -> Taken:
        """Handle one message. Any exception but the connection's is a bug of ours, the adapter's decoder included."""
        shared, at = self._shared, self._shared.clock.now()
        shared.standing.last_message = at
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
                    await shared.complaints.unrecognized(item.reason, message)
                case Unreadable():
                    await shared.complaints.unreadable(item, message)
                case Control():
                    pass  # of no interest, as its name says
        await shared.standing.heard(at, handed_on=bool(observed))
        if observed:
            await self._hand_on(observed, decoded.stream, message, at)
        return Taken(answers, accounts)

    async def _decode(self, message: str, at: Instant) -> Decoded:
        """What it means; nothing where it is malformed, which is told."""
        try:
            decoded = decode(self._shared.adapter, message, at.wall)
        except Malformed as malformed:
            self._record(message, None, at)
            await self._shared.complaints.malformed(str(malformed), message)
            return _NOTHING
        if self._shared.recorder is not None and _PRIVATE not in decoded.items:
            self._record(message, decoded.stream, at)
        return decoded

    def _record(self, message: str, stream: str | None, at: Instant) -> None:
        if self._shared.recorder is not None:
            self._shared.recorder.append(self._shared.masker.mask(message), stream or self._endpoint, at)

    async def _hand_on(self, observed: list[Observed], stream: str | None, message: str, at: Instant) -> None:
        shared = self._shared
        silence = shared.silence
        raw = shared.masker.mask(message)
        began = silence.hand_over()
        try:
            for name in silence.heard(self._endpoint, stream):
                await shared.standing.resumed(name)
            await shared.sink.put(Received(venue=shared.name, observed=tuple(observed), at=at, raw=raw))
        finally:
            silence.handed_over(began)
        if (skew := self._skew(observed, at)) is not None:
            await shared.standing.skewed(skew)

    def _skew(self, observed: list[Observed], at: Instant) -> str | None:
        """How their clock differs from ours, if it does.

        Only what is new has a time to compare: an opening state, or a polled picture, may be of old. When something began
        or last changed may be long ago too, but not ahead of now.
        """
        allowed = self._shared.timings.skew
        soon = at.wall + timedelta(seconds=allowed)
        newest = None
        for item in observed:
            if not isinstance(item, (Observation, Occurrence)) or item.origin != "live":
                continue
            stamps = (getattr(item.state, name, None) for name in _STAMPS)
            ahead_of = [stamp for stamp in stamps if isinstance(stamp, datetime) and stamp > soon]
            for time in (item.time, *ahead_of):
                if time is not None:
                    newest = time if newest is None else max(newest, time)
        if newest is None:
            return None
        ahead = (newest - at.wall).total_seconds()
        if -allowed <= ahead <= allowed or (ahead < 0 and self._shared.adapter.polled):
            return None
        span = duration_text(abs(newest - at.wall))
        return f"the venue's times are {span} {'ahead of' if ahead > 0 else 'behind'} ours"


class Conversation:
    """On one open connection. `open` and `read` run side by side: answers come in between pushes."""

    def __init__(self, shared: Shared, endpoint: Endpoint, connection: Connection) -> None:
        self._shared, self._endpoint, self._connection = shared, endpoint, connection
        self._intake = Intake(shared, endpoint.name, connection.send)
        self._requests = {request.name: request for request in endpoint.opening}
        self._unanswered: dict[str, trio.Event] = {}
        self._refused: dict[str, str] = {}
        self.accounts = 0  # `account` observations so far

    async def open(self) -> None:
        """Send the opening requests and await their answers. Lost, AllRefused where there is no going on."""
        for request in self._endpoint.opening:
            answered = trio.Event()
            if request.answered:
                self._unanswered[request.name] = answered
            await self._connection.send(request.text)
            # The answer may be there by now, and taken: sending lets the reader run.
            if request.answered and request.required and not await self._comes(answered):
                raise Lost(f"no answer to {request.name} within {self._shared.timings.answer:g} s")
        with trio.move_on_after(self._shared.timings.answer):
            for event in list(self._unanswered.values()):
                await event.wait()
        for name in list(self._unanswered):
            await self._refuse(name, f"no answer within {self._shared.timings.answer:g} s")
        self._listen_for_silence()
        streams = [request.name for request in self._endpoint.opening if not request.required]
        if streams and not self._endpoint.market_data and all(name in self._refused for name in streams):
            raise AllRefused("; ".join(f"{name}: {reason}" for name, reason in self._refused.items()))

    async def read(self) -> NoReturn:
        """Take messages until the connection is Lost, or the venue says that it is no use (CredentialsRefused)."""
        shared = self._shared
        begins = (ConnectionBegins(),)
        await shared.sink.put(Received(venue=shared.name, observed=begins, at=shared.clock.now()))
        while True:
            try:
                message = await self._connection.receive()
            except UnreadableMessage as unreadable:
                await self._shared.complaints.malformed(str(unreadable), unreadable.raw)
                continue
            taken = await self._intake.take(message)
            self.accounts += taken.accounts
            for answer in taken.answers:
                if isinstance(answer, Accepted):
                    self._accept(answer.request)
                else:
                    await self._judge(answer)

    async def _comes(self, answer: trio.Event) -> bool:
        with trio.move_on_after(self._shared.timings.answer):
            await answer.wait()
        return answer.is_set()

    def _accept(self, name: str) -> None:
        self._refused.pop(name, None)
        self._shared.standing.accepted(name)
        self._settle(name)
        if name in self._requests and self._requests[name].market_data:
            self._shared.silence.expect(name, self._endpoint.name)

    def _settle(self, name: str) -> None:
        event = self._unanswered.pop(name, None)
        if event is not None:
            event.set()

    async def _judge(self, answer: Refused) -> None:
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
        self._shared.silence.forget(name)
        await self._shared.standing.refused(name or self._endpoint.name, reason)
        await self._shared.standing.given_up(name)
        self._settle(name)

    def _listen_for_silence(self) -> None:
        if self._endpoint.market_data:
            self._shared.silence.expect(self._endpoint.name, self._endpoint.name)
        for request in self._endpoint.opening:
            if request.market_data and request.name not in self._refused:
                self._shared.silence.expect(request.name, self._endpoint.name)
