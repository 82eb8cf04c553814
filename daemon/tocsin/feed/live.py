"""A venue that pushes: its sockets are held open, each on its own; together they are the venue's connection."""

from dataclasses import dataclass
from typing import NoReturn

import trio

from tocsin.errors import OutsideError
from tocsin.feed.connection import open_connection
from tocsin.feed.context import VenueContext
from tocsin.feed.errors import CredentialsRefused, foremost
from tocsin.feed.session import Reconnection, SessionKeeper
from tocsin.feed.snapshot import ask_for_missing, take_snapshot
from tocsin.feed.socket_session import SocketSession
from tocsin.loop_budget import metered
from tocsin.venues.base import Endpoint, Session

_ALL = "all"  # what the connection as a whole is called among silent streams


async def run_live(context: VenueContext) -> NoReturn:
    """Hold all of the venue's sockets, for ever."""
    keeper = SessionKeeper(context)
    session = await keeper.fresh()
    endpoints = context.adapter.endpoints(context.settings, session)
    _expect_any_data(context, endpoints)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.retry_storing)
        all_sockets = _AllSockets(context, frozenset(endpoint.name for endpoint in endpoints), nursery)
        for endpoint in endpoints:
            socket = _Socket(context, keeper, all_sockets, endpoint.name, alone=len(endpoints) == 1)
            nursery.start_soon(socket.hold, session)
    raise AssertionError("a socket's task ended")


def _expect_any_data(context: VenueContext, endpoints: tuple[Endpoint, ...]) -> None:
    """Where the user gives `silent_after` and no stream is market data, any data of the venue counts."""
    market_data = any(
        endpoint.market_data or any(request.market_data for request in endpoint.opening)
        for endpoint in endpoints
    )
    if context.settings.silent_after is not None and not market_data:
        context.silence.expect(_ALL)


class _AllSockets:
    """The sockets together: the venue is connected while all of them are up."""

    def __init__(self, context: VenueContext, names: frozenset[str], nursery: trio.Nursery) -> None:
        self._context, self._names, self._nursery = context, names, nursery
        self._up: dict[str, Session] = {}
        self._scope: trio.CancelScope | None = None
        self._snapshots = trio.CancelScope()

    def up(self, name: str, session: Session) -> None:
        """That socket is open and its streams are acknowledged."""
        renewed = name in self._up
        self._up[name] = session
        if self._scope is None and self._up.keys() == self._names:
            self._scope = trio.CancelScope()
            self._nursery.start_soon(
                self._while_up, self._scope, self._context.flap_damping.began(trio.current_time())
            )
        elif renewed:
            self._context.link.renewed()
            self._start_snapshot()

    def gone(self, name: str) -> None:
        """That socket has ended; the venue is down until all are up again."""
        self._up.pop(name, None)
        self._context.snapshot_taken.start_over()
        if self._scope is not None:
            self._scope.cancel()
            self._snapshots.cancel()
            self._scope = None
            self._context.down()

    async def _while_up(self, scope: trio.CancelScope, prove: float) -> None:
        with scope:
            await trio.sleep(prove)
            self._context.silence.start_over()
            await self._context.link.connected(self._context.silence.streams)
            self._start_snapshot()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_for_missing, self._context, self._session)
                await self._context.silence.watch()

    def _start_snapshot(self) -> None:
        self._snapshots.cancel()
        self._snapshots = trio.CancelScope()
        self._nursery.start_soon(self._snapshot, self._snapshots, self._session())

    def _session(self) -> Session:
        return next(iter(self._up.values()))

    async def _snapshot(self, scope: trio.CancelScope, session: Session) -> None:
        with scope:
            await take_snapshot(self._context, session)


class _Socket:
    """One socket, opened again whenever it ends."""

    def __init__(
        self,
        context: VenueContext,
        keeper: SessionKeeper,
        all_sockets: _AllSockets,
        name: str,
        *,
        alone: bool,
    ) -> None:
        self._context, self._keeper, self._all, self._name = context, keeper, all_sockets, name
        self._reconnection = Reconnection(context, keeper, "" if alone else name)

    async def hold(self, session: Session) -> NoReturn:
        """Connect and listen, for ever. Changing to a renewed session is told only if it doesn't work at once."""
        while True:
            lifetime = _Lifetime()
            try:
                session = await self._listen(session, lifetime)
                self._reconnection.accepted()
                continue
            except OutsideError as error:
                failure = error
            self._all.gone(self._name)
            if (
                lifetime.up_at is not None
                and trio.current_time() - lifetime.up_at >= self._context.timings.healthy
            ):
                self._reconnection.reset()
            session = await self._reconnection.session_after(
                failure, session, was_up=lifetime.up_at is not None
            )

    async def _listen(self, session: Session, lifetime: "_Lifetime") -> Session:
        """One connection, from opening to its end: an OutsideError, or the newer session to go on with."""
        endpoint, context = self._endpoint(session), self._context
        async with open_connection(
            endpoint, context.settings, context.timings, context.loop_budget, context.adapter.hosts
        ) as connection:
            talking = SocketSession(self._context, endpoint, connection)

            async def open_up() -> None:
                await talking.open()
                lifetime.up_at = trio.current_time()
                self._all.up(self._name, session)

            async def renew() -> None:
                lifetime.newer = await self._renewed(session)
                await connection.aclose()  # ends the reading, between two messages

            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(open_up)
                    nursery.start_soon(renew)
                    nursery.start_soon(talking.ping)
                    await metered(talking.read(), context.loop_budget)
            except BaseExceptionGroup as group:
                error = foremost(group)
                if lifetime.newer is None or not isinstance(error, OutsideError):
                    raise error from None
        if lifetime.newer is None:
            raise AssertionError("a connection ended without a reason")
        return lifetime.newer

    def _endpoint(self, session: Session) -> Endpoint:
        endpoints = self._context.adapter.endpoints(self._context.settings, session)
        found = next((endpoint for endpoint in endpoints if endpoint.name == self._name), None)
        if found is None:
            raise CredentialsRefused(f"the venue no longer offers {self._name} to this session")
        return found

    async def _renewed(self, session: Session) -> Session:
        """A session that changes something for this socket."""
        endpoint = self._endpoint(session)
        while True:
            newer = await self._keeper.renewed(session)
            if self._endpoint(newer) != endpoint:
                return newer
            session = newer


@dataclass(slots=True)
class _Lifetime:
    """What became of one connection: when its streams were acknowledged, and the session that it gave way to."""

    up_at: float | None = None
    newer: Session | None = None
