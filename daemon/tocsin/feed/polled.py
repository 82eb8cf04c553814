"""A venue that gives a picture and closes: connected to again and again, each complete picture a cycle."""

from datetime import timedelta
from typing import NoReturn

import trio

from tocsin.events import KINDS, Observed, SnapshotBegins, SnapshotEnds
from tocsin.feed.connection import Connection, open_connection
from tocsin.feed.context import Shared, is_new, is_unauthorized, wait_after
from tocsin.feed.errors import Lost, OutsideError
from tocsin.feed.model import Received
from tocsin.feed.session import SessionKeeper
from tocsin.feed.share import metered
from tocsin.feed.socket_session import Conversation
from tocsin.venues.base import Endpoint, Session

_CYCLE = "cycle"


async def run_polled(shared: Shared) -> NoReturn:
    """Poll for ever. The venue is connected from the first complete cycle until one fails."""
    shared.silence.expect(_CYCLE, _CYCLE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.silence.watch)
        keeper = SessionKeeper(shared)
        nursery.start_soon(keeper.mind_what_is_kept)
        nursery.start_soon(_poll, shared, keeper)
    raise AssertionError("polling ended")


async def _poll(shared: Shared, keeper: SessionKeeper) -> NoReturn:
    backoff = shared.backoff()
    every: timedelta = shared.settings.poll
    watched = False  # whether nothing can have happened unseen since the last picture but between two cycles
    signed_in_anew = False
    session = await keeper.fresh()
    while True:
        try:
            await _cycle(shared, session, live=watched)
        except OutsideError as error:
            failure = error
        else:
            watched, signed_in_anew = True, False
            backoff.reset()
            await shared.standing.connected(shared.silence.streams)
            for name in shared.silence.heard(_CYCLE, _CYCLE):
                await shared.standing.resumed(name)
            await trio.sleep(every.total_seconds())
            session = await keeper.fresh()
            continue
        watched = False
        if is_unauthorized(failure) and not signed_in_anew:
            signed_in_anew = True
            anew = await keeper.fresh(rejected=session)
            if is_new(anew, than=session):
                session = anew
                continue
        await wait_after(shared, failure, "", backoff, was_up=shared.standing.is_up)
        session = await keeper.fresh()


async def _cycle(shared: Shared, session: Session, *, live: bool) -> None:
    """One picture, from SnapshotBegins to SnapshotEnds. OutsideError where it wasn't complete: then without an end."""
    await _put(shared, SnapshotBegins(kinds=_kinds(shared), live=live))
    accounts = 0
    for endpoint in shared.adapter.endpoints(shared.settings, session):
        accounts += await _one_socket(shared, endpoint)
    if not accounts:
        raise Lost("closed before any account was told")
    await _put(shared, SnapshotEnds())


async def _one_socket(shared: Shared, endpoint: Endpoint) -> int:
    async with open_connection(endpoint, shared.settings, shared.timings, shared.loop_time) as opened:
        connection = _Bounded(opened, shared.timings.cycle)
        talk = Conversation(shared, endpoint, connection)
        for request in endpoint.opening:
            await connection.send(request.text)
        try:
            await metered(talk.read(), shared.loop_time)
        except Lost as lost:
            if not lost.clean:
                raise
    return talk.accounts


class _Bounded:
    """A connection whose peer may keep us waiting so many seconds in all; our own time doesn't count."""

    def __init__(self, inner: Connection, patience: float) -> None:
        self._inner, self._patience = inner, patience
        self._left = patience

    async def receive(self) -> str:
        began = trio.current_time()
        with trio.move_on_after(self._left):
            try:
                return await self._inner.receive()
            finally:
                self._left -= trio.current_time() - began
        raise Lost(f"the picture was not complete within {self._patience:g} s")

    async def send(self, text: str) -> None:
        await self._inner.send(text)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _kinds(shared: Shared) -> tuple[str, ...]:
    """What the picture is of: all that is the account's own."""
    return tuple(
        sorted(kind for kind in shared.adapter.supplies if kind != "venue" and not KINDS[kind].market_data)
    )


async def _put(shared: Shared, observed: Observed) -> None:
    await shared.sink.put(Received(venue=shared.name, observed=(observed,), at=shared.clock.now()))
