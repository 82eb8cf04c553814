"""A venue that pushes: its sockets are held open, each on its own; together they are the venue's connection.

After each connect its snapshot is fetched by HTTP, where its adapter asks for one.
"""

import traceback
from dataclasses import dataclass
from typing import NoReturn

import trio

from tocsin.errors import TocsinError
from tocsin.events import Observed
from tocsin.feed.connection import open_connection
from tocsin.feed.context import Shared, is_new, is_unauthorized, wait_after
from tocsin.feed.errors import CredentialsRefused, OutsideError, foremost
from tocsin.feed.model import Received
from tocsin.feed.session import SessionKeeper
from tocsin.feed.share import metered
from tocsin.feed.socket_session import Conversation
from tocsin.venues.base import Endpoint, HttpResponse, Session, SignInFailed, Unreadable

_ALL = "all"  # what the connection as a whole is called among silent streams


async def run_live(shared: Shared) -> NoReturn:
    """Hold all of the venue's sockets, for ever."""
    keeper = SessionKeeper(shared)
    session = await keeper.fresh()
    endpoints = shared.adapter.endpoints(shared.settings, session)
    _watch_the_whole(shared, endpoints)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.mind_what_is_kept)
        whole = _Whole(shared, keeper, frozenset(endpoint.name for endpoint in endpoints), nursery)
        for endpoint in endpoints:
            link = _Link(shared, keeper, whole, endpoint.name, alone=len(endpoints) == 1)
            nursery.start_soon(link.hold, session)
    raise AssertionError("a socket's task ended")


def _watch_the_whole(shared: Shared, endpoints: tuple[Endpoint, ...]) -> None:
    """`silent_after` where nothing is market data means the connection as a whole."""
    market_data = any(
        endpoint.market_data or any(request.market_data for request in endpoint.opening)
        for endpoint in endpoints
    )
    if shared.settings.silent_after is not None and not market_data:
        shared.silence.expect(_ALL)


class _Whole:
    """The sockets together: the venue is connected while all of them are up."""

    def __init__(
        self, shared: Shared, keeper: SessionKeeper, names: frozenset[str], nursery: trio.Nursery
    ) -> None:
        self._shared, self._keeper, self._names, self._nursery = shared, keeper, names, nursery
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
                self._while_up, self._scope, self._shared.proof.began(trio.current_time())
            )
        elif renewed:
            self._start_snapshot()

    def gone(self, name: str) -> None:
        self._up.pop(name, None)
        if self._scope is not None:
            self._scope.cancel()
            self._snapshots.cancel()
            self._scope = None
            self._shared.down()

    async def _while_up(self, scope: trio.CancelScope, prove: float) -> None:
        with scope:
            await trio.sleep(prove)
            self._shared.silence.start_over()
            await self._shared.standing.connected(self._shared.silence.streams)
            self._start_snapshot()
            await self._shared.silence.watch()

    def _start_snapshot(self) -> None:
        self._snapshots.cancel()
        self._snapshots = trio.CancelScope()
        session = next(iter(self._up.values()))
        self._nursery.start_soon(self._snapshot, self._snapshots, session)

    async def _snapshot(self, scope: trio.CancelScope, session: Session) -> None:
        with scope:
            await take_snapshot(self._shared, session)


class _Link:
    """One socket, made again whenever it ends."""

    def __init__(
        self, shared: Shared, keeper: SessionKeeper, whole: _Whole, name: str, *, alone: bool
    ) -> None:
        self._shared, self._keeper, self._whole, self._name = shared, keeper, whole, name
        self._shown = "" if alone else name
        self._backoff = shared.backoff()

    async def hold(self, session: Session) -> NoReturn:
        """Connect and listen, for ever. A renewed session changes the socket without a word if that works at once."""
        signed_in_anew = False
        while True:
            life = _Life()
            try:
                session = await self._listen(session, life)
                signed_in_anew = False
                continue
            except OutsideError as error:
                failure = error
            self._whole.gone(self._name)
            if life.up_at is not None and trio.current_time() - life.up_at >= self._shared.timings.healthy:
                self._backoff.reset()
                signed_in_anew = False
            if is_unauthorized(failure) and not signed_in_anew:
                signed_in_anew = True
                anew = await self._keeper.fresh(rejected=session)
                if is_new(anew, than=session):
                    session = anew
                    continue
            await wait_after(self._shared, failure, self._shown, self._backoff, was_up=life.up_at is not None)
            session = await self._keeper.fresh()

    async def _listen(self, session: Session, life: "_Life") -> Session:
        """One connection, from opening to its end: an OutsideError, or the newer session to go on with."""
        endpoint, shared = self._endpoint(session), self._shared
        async with open_connection(endpoint, shared.settings, shared.timings, shared.loop_time) as connection:
            talk = Conversation(self._shared, endpoint, connection)

            async def open_up() -> None:
                await talk.open()
                life.up_at = trio.current_time()
                self._whole.up(self._name, session)

            async def renew() -> None:
                life.newer = await self._renewed(session)
                await connection.aclose()  # ends the reading, between two messages

            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(open_up)
                    nursery.start_soon(renew)
                    await metered(talk.read(), shared.loop_time)
            except BaseExceptionGroup as group:
                error = foremost(group)
                if life.newer is None or not isinstance(error, OutsideError):
                    raise error from None
        if life.newer is None:
            raise AssertionError("a connection ended without a reason")
        return life.newer

    def _endpoint(self, session: Session) -> Endpoint:
        endpoints = self._shared.adapter.endpoints(self._shared.settings, session)
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
class _Life:
    """What became of one connection: when its streams were acknowledged, and the session that it gave way to."""

    up_at: float | None = None
    newer: Session | None = None


_TELL_AFTER = 3  # tries; from then on the rules know that the venue's picture is missing
_STREAM = "opening picture"


async def take_snapshot(shared: Shared, session: Session) -> None:
    """Fetch it and hand it on, whole or not at all, however often that takes: the connection doesn't depend on it.

    That it can't be had is told as a refused stream: a venue that is connected and shows nothing looks calm.
    """
    backoff = shared.backoff()
    tries = 0
    while True:
        try:
            observed = await _fetch(shared, session)
        except TocsinError as failed:
            shared.log.warning("snapshot failed", venue=shared.name, reason=shared.masker.mask(str(failed)))
            delay = backoff.next(failed.retry_after if isinstance(failed, SignInFailed) else None)
            tries += 1
            if tries == _TELL_AFTER:
                await shared.standing.refused(_STREAM, str(failed))
        except Exception:  # noqa: BLE001 - a bug of ours, loud in the log; the live stream is worth more than its stop
            text = shared.masker.mask(traceback.format_exc())
            shared.log.error("snapshot crashed", venue=shared.name, traceback=text)  # noqa: TRY400 - masked above
            await shared.standing.refused(_STREAM, "internal error; the log has it")
            return
        else:
            shared.standing.accepted(_STREAM)
            said = tuple(item for item in observed if not isinstance(item, Unreadable))
            if said:
                await shared.sink.put(Received(venue=shared.name, observed=said, at=shared.clock.now()))
            for item in observed:
                if isinstance(item, Unreadable):
                    await shared.complaints.unreadable(item, None)
            return
        await trio.sleep(delay)


async def _fetch(shared: Shared, session: Session) -> list[Observed | Unreadable]:
    steps = shared.adapter.snapshot(shared.settings, session)
    if steps is None:
        return []
    try:
        request = next(steps)
        while True:
            answer: HttpResponse = await shared.http(request)
            request = steps.send(answer)
    except StopIteration as done:
        observed: list[Observed | Unreadable] = done.value
        return observed
    finally:
        steps.close()
