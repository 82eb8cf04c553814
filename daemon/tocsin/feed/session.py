"""Signing in: the requests of an adapter's sign-in, the one session that all sockets of a venue share, and the next one."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NoReturn

import trio

from tocsin.answers import LONGEST_WAIT
from tocsin.errors import OutsideError
from tocsin.events import from_iso
from tocsin.feed.context import VenueContext, is_new, is_unauthorized, wait_after
from tocsin.http import HttpFailed
from tocsin.venues.base import (
    HttpRequest,
    HttpResponse,
    Keep,
    Malformed,
    Pause,
    Session,
    SignIn,
    SignInFailed,
    SignInRefused,
)

_NAP = 30.0  # seconds between two looks at the wall clock: it may have been set
_SHORTEST_TOKEN = 8  # characters; what is shorter in kept values is no secret worth hiding


async def drive(
    steps: SignIn,
    *,
    request: Callable[[HttpRequest], Awaitable[HttpResponse]],
    keep: Callable[[Mapping[str, str]], Awaitable[None]],
    try_to_keep: Callable[[], Awaitable[None]],
    pause: Callable[[str], Awaitable[None]],
) -> Session:
    """The session that an adapter's sign-in comes to. Raises SignInRefused, or SignInFailed (also for HttpFailed).

    `request` makes an HTTP request. `keep` stores values on the disk before it gives other tasks a turn, since a refresh
    token is used up by its answer; before one is sent, `try_to_keep` finds out whether that would work. `pause` is given
    the reason of a wait, before it.
    """
    answer: HttpResponse | None = None
    try:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as done:
                session: Session = done.value
                return session
            answer = None
            match step:
                case HttpRequest():
                    if step.spends:
                        await try_to_keep()
                    answer = await request(step)
                case Keep():
                    await keep(step.values)
                case Pause():
                    await pause(step.why)
                    await trio.sleep(step.seconds)
    except HttpFailed as failed:
        raise SignInFailed(str(failed)) from failed
    finally:
        steps.close()


class SessionKeeper:
    """A venue's session: new for every connection, renewed when due; sign-ins are one at a time, and backed off."""

    def __init__(self, context: VenueContext) -> None:
        self._context = context
        self._one_at_a_time = trio.Lock()
        self._session: Session | None = None
        self._signed_in_at = 0.0
        self._not_before = 0.0
        self._backoff = context.backoff()
        self._refused = False
        self._keeps = False  # whether this venue's sign-in has anything to keep

    async def fresh(self, rejected: Session | None = None) -> Session:
        """A session made after this was called, however long it takes; failures are told, and tried again.

        With `rejected` the venue has refused that session's token: what was kept of it is not used again.
        """
        asked = trio.current_time()
        async with self._one_at_a_time:
            if self._session is not None and self._signed_in_at >= asked:
                return self._session
            while True:
                await self._due()
                session = await self._try(rejected, quiet=False)
                if session is not None:
                    return session

    async def renewed(self, session: Session) -> Session:
        """The session that follows this one, when it is due; waits for ever where it never is."""
        if session.renew_at is None:
            await trio.sleep_forever()
        else:
            await trio.sleep(self._context.timings.renew)
            await self._until(session.renew_at)
        while True:
            await self._due()
            async with self._one_at_a_time:
                if self._session is not None and self._session is not session:
                    return self._session
                newer = await self._try(None, quiet=True)
                if newer is not None:
                    await self._context.link.auth_mended()
                    return newer

    async def retry_storing(self) -> NoReturn:
        """For ever: write credentials that the disk refused (every `timings.keep`), and try whether it would take any."""
        timings, store, name = self._context.timings, self._context.credentials, self._context.name
        tried = trio.current_time()
        while True:
            await trio.sleep(timings.keep)
            if self._context.link.keeps_nothing:
                await self._context.link.kept(store.keep_again(name) or store.obstacle(name))
            elif self._keeps and trio.current_time() - tried >= timings.trial:
                tried = trio.current_time()
                await self._try_to_keep()

    async def _due(self) -> None:
        """Wait until the next sign-in may be tried; after a refusal `context.retry` ends that."""
        left = self._not_before - trio.current_time()
        if self._refused:
            await self._context.retry.wait(left)
        else:
            await trio.sleep(max(left, 0.0))

    async def _until(self, wall: datetime) -> None:
        """Wait for that moment of the wall clock, which may be set meanwhile."""
        while (left := (wall - self._context.clock.now().wall).total_seconds()) > 0:  # noqa: ASYNC110 - a clock has no event
            await trio.sleep(min(left, _NAP))

    async def _try(self, rejected: Session | None, *, quiet: bool) -> Session | None:
        """One sign-in; None where it failed, which is told (`quiet`: while a connection lives, only if refused)."""
        context = self._context
        kept = context.credentials.load(context.name)
        self._keeps = self._keeps or bool(kept)
        self._hide_kept(kept)
        if rejected is not None:
            kept = {key: value for key, value in kept.items() if value != rejected.token}
        try:
            session = await drive(
                context.adapter.sign_in(context.settings, kept, context.clock.now().wall),
                request=context.http,
                keep=self._keep,
                try_to_keep=self._try_to_keep,
                pause=context.link.waiting,
            )
        except SignInRefused as refused:
            self._not_before = trio.current_time() + context.timings.auth_retry
            self._refused = True
            reason = "; ".join(filter(None, (str(refused), refused.remedy_for(context.name))))
            await context.link.auth_failed(reason, next_in=context.timings.auth_retry, lives=quiet)
            return None
        except (SignInFailed, Malformed) as failed:
            delay = self._fail_for(failed.retry_after if isinstance(failed, SignInFailed) else None)
            if not quiet:
                await context.link.lost(f"sign-in failed: {failed}", attempt=True, next_in=delay)
            else:
                context.log.warning(
                    "renewal failed", venue=context.name, reason=context.masker.mask(str(failed))
                )
            return None
        context.masker.renew(f"session of {context.name}", [*_secrets(session)])
        self._session, self._signed_in_at = session, trio.current_time()
        return session

    def _fail_for(self, asked: float | None) -> float:
        """A sign-in failed, and the venue `asked` for so many seconds: how many pass until the next."""
        now = trio.current_time()
        if self._session is not None and now - self._signed_in_at >= self._context.timings.healthy:
            self._backoff.reset()
        delay = self._backoff.next(None if asked is None else min(asked, LONGEST_WAIT))
        self._not_before, self._refused = now + delay, False
        return delay

    async def _keep(self, values: Mapping[str, str]) -> None:
        context = self._context
        self._hide_kept(values)
        self._keeps = True
        await context.link.kept(context.credentials.keep(context.name, values))

    async def _try_to_keep(self) -> None:
        """An obstacle is told, and the sign-in goes on: a connection now is worth more than a token at the next start."""
        await self._context.link.kept(self._context.credentials.obstacle(self._context.name))

    def _hide_kept(self, values: Mapping[str, str]) -> None:
        """Have the masker hide what of these may be a token."""
        tokens = [
            value for value in values.values() if len(value) >= _SHORTEST_TOKEN and not _is_plain(value)
        ]
        self._context.masker.renew(f"kept of {self._context.name}", tokens)


class Reconnection:
    """What is done after each failure of one socket: a new sign-in, once, where its credentials were refused; else a wait.

    `where` names the socket, "" the only one.
    """

    def __init__(self, context: VenueContext, keeper: SessionKeeper, where: str = "") -> None:
        self._context, self._keeper, self._where = context, keeper, where
        self._backoff = context.backoff()
        self._retried = False

    def accepted(self) -> None:
        """The venue took the session: the next refusal is worth a new sign-in again."""
        self._retried = False

    def reset(self) -> None:
        """All went well for long enough: the next failure is a first one."""
        self._backoff.reset()
        self._retried = False

    async def session_after(self, failure: OutsideError, session: Session, *, was_up: bool) -> Session:
        """The session to connect with next, when it is time. `was_up`: the connection had been open."""
        if is_unauthorized(failure) and not self._retried:
            self._retried = True
            anew = await self._keeper.fresh(rejected=session)
            if is_new(anew, than=session):
                return anew
        await wait_after(self._context, failure, self._where, self._backoff, was_up=was_up)
        return await self._keeper.fresh()


def _secrets(session: Session) -> list[str]:
    values = (text for name, text in session.values.items() if name not in session.plain)
    return [text for text in (session.token, *values) if text]


def _is_plain(value: str) -> bool:
    """Whether it is a number or a time: no token, and hiding it would garble other texts."""
    if value.replace(".", "", 1).isdigit():
        return True
    try:
        from_iso(value)
    except ValueError:
        return False
    return True
