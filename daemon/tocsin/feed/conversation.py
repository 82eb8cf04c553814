"""What is said on one socket: the opening requests, their answers, and then whatever the venue has to say."""

from typing import NoReturn

import trio

from tocsin.events import ConnectionBegins
from tocsin.feed.connection import Connection
from tocsin.feed.intake import Intake
from tocsin.feed.model import Received
from tocsin.feed.outside import AllRefused, CredentialsRefused, Lost, Unreadable
from tocsin.feed.shared import Shared
from tocsin.venues.base import Accepted, Endpoint, Refused


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
            except Unreadable as unreadable:
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
