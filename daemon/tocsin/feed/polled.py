"""A venue that gives a snapshot and closes: connected to every `poll`, each complete snapshot a cycle."""

from datetime import timedelta
from typing import NoReturn

import trio

from tocsin.errors import OutsideError
from tocsin.events import KINDS, Observed, SnapshotBegins, SnapshotEnds
from tocsin.feed.connection import Connection, open_connection
from tocsin.feed.context import VenueContext
from tocsin.feed.errors import Lost
from tocsin.feed.model import Received
from tocsin.feed.session import Reconnection, SessionKeeper
from tocsin.feed.socket_session import SocketSession
from tocsin.loop_budget import metered
from tocsin.venues.base import Endpoint, Session

_CYCLE = "cycle"


async def run_polled(context: VenueContext) -> NoReturn:
    """Poll for ever. The venue is connected from the first complete cycle until one fails."""
    context.silence.expect(_CYCLE, _CYCLE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(context.silence.watch)
        keeper = SessionKeeper(context)
        nursery.start_soon(keeper.retry_storing)
        nursery.start_soon(_poll, context, keeper)
    raise AssertionError("polling ended")


async def _poll(context: VenueContext, keeper: SessionKeeper) -> NoReturn:
    reconnection = Reconnection(context, keeper)
    every: timedelta = context.settings.poll
    watched = False  # whether nothing can have happened unseen since the last snapshot but between two cycles
    session = await keeper.fresh()
    while True:
        try:
            await _cycle(context, session, live=watched)
        except OutsideError as error:
            failure = error
        else:
            watched = True
            reconnection.reset()
            await context.link.connected(context.silence.streams)
            for name in context.silence.heard(_CYCLE, _CYCLE):
                await context.link.resumed(name)
            await trio.sleep(every.total_seconds())
            session = await keeper.fresh()
            continue
        watched = False
        session = await reconnection.session_after(failure, session, was_up=context.link.is_up)


async def _cycle(context: VenueContext, session: Session, *, live: bool) -> None:
    """One snapshot, from SnapshotBegins to SnapshotEnds. OutsideError where it wasn't complete: then without an end."""
    await _put(context, SnapshotBegins(kinds=_kinds(context), live=live))
    accounts = 0
    for endpoint in context.adapter.endpoints(context.settings, session):
        accounts += await _one_socket(context, endpoint)
    if not accounts:
        raise Lost("closed before any account came")
    await _put(context, SnapshotEnds())


async def _one_socket(context: VenueContext, endpoint: Endpoint) -> int:
    """Listen until the venue closes: how many observations of accounts came. OutsideError for any other end."""
    async with open_connection(
        endpoint, context.settings, context.timings, context.loop_budget, context.adapter.hosts
    ) as opened:
        connection = _Bounded(opened, context.timings.cycle)
        talking = SocketSession(context, endpoint, connection)
        for request in endpoint.opening:
            await connection.send(request.text)
        try:
            await metered(talking.read(), context.loop_budget)
        except Lost as lost:
            if not lost.clean:
                raise
    return talking.accounts


class _Bounded:
    """A connection whose peer may keep us waiting `within` seconds in all; our own time doesn't count."""

    def __init__(self, inner: Connection, within: float) -> None:
        self._inner, self._within = inner, within
        self._left = within

    async def receive(self) -> str:
        began = trio.current_time()
        with trio.move_on_after(self._left):
            try:
                return await self._inner.receive()
            finally:
                self._left -= trio.current_time() - began
        raise Lost(f"the snapshot was not complete within {self._within:g} s")

    async def send(self, text: str) -> None:
        await self._inner.send(text)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _kinds(context: VenueContext) -> tuple[str, ...]:
    """What the snapshot is of: all that is the account's own."""
    return tuple(
        sorted(kind for kind in context.adapter.supplies if kind != "venue" and not KINDS[kind].market_data)
    )


async def _put(context: VenueContext, observed: Observed) -> None:
    await context.sink.put(Received(venue=context.name, observed=(observed,), at=context.clock.now()))
