"""One venue's session: signed in afresh for every connection, renewed when due, paced when it doesn't work."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NoReturn

import trio

from tocsin.answers import LONGEST_WAIT
from tocsin.events import from_iso
from tocsin.feed.context import Shared
from tocsin.feed.errors import HttpFailed
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

_NAP = 30.0  # seconds; the wall-clock is looked at so often, it may have been set
_SHORTEST_TOKEN = 8  # characters; what is shorter in kept values is no secret worth hiding


class SessionKeeper:
    """The sockets of a venue share one session, and one pace of sign-ins."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._one_at_a_time = trio.Lock()
        self._session: Session | None = None
        self._signed_in_at = 0.0
        self._not_before = 0.0
        self._backoff = shared.backoff()
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
            await trio.sleep(self._shared.timings.renew)
            await self._until(session.renew_at)
        while True:
            await self._due()
            async with self._one_at_a_time:
                if self._session is not None and self._session is not session:
                    return self._session
                newer = await self._try(None, quiet=True)
                if newer is not None:
                    await self._shared.standing.auth_mended()
                    return newer

    async def mind_what_is_kept(self) -> NoReturn:
        """For ever: write what the disk refused, and find out before it matters whether it would refuse."""
        timings, store, name = self._shared.timings, self._shared.credentials, self._shared.name
        tried = trio.current_time()
        while True:
            await trio.sleep(timings.keep)
            if self._shared.standing.keeps_nothing:
                await self._shared.standing.kept(store.keep_again(name) or store.obstacle(name))
            elif self._keeps and trio.current_time() - tried >= timings.trial:
                tried = trio.current_time()
                await self._try_to_keep()

    async def _due(self) -> None:
        """Wait until the next sign-in may be tried; after a refusal the user may say when."""
        left = self._not_before - trio.current_time()
        if self._refused:
            await self._shared.retry.wait(left)
        else:
            await trio.sleep(max(left, 0.0))

    async def _until(self, wall: datetime) -> None:
        while (left := (wall - self._shared.clock.now().wall).total_seconds()) > 0:  # noqa: ASYNC110 - a clock has no event
            await trio.sleep(min(left, _NAP))

    async def _try(self, rejected: Session | None, *, quiet: bool) -> Session | None:
        """One sign-in; None where it failed, which is told (`quiet`: while the venue is connected, only if refused)."""
        shared = self._shared
        kept = shared.credentials.load(shared.name)
        self._keeps = self._keeps or bool(kept)
        self._hide_kept(kept)
        if rejected is not None:
            kept = {key: value for key, value in kept.items() if value != rejected.token}
        try:
            session = await drive(
                shared.adapter.sign_in(shared.settings, kept, shared.clock.now().wall),
                request=shared.http,
                keep=self._keep,
                try_to_keep=self._try_to_keep,
                pause=shared.standing.waiting,
            )
        except SignInRefused as refused:
            self._not_before = trio.current_time() + shared.timings.auth_retry
            self._refused = True
            reason = "; ".join(filter(None, (str(refused), refused.remedy_for(shared.name))))
            await shared.standing.auth_failed(reason, next_in=shared.timings.auth_retry)
            return None
        except (SignInFailed, Malformed) as failed:
            delay = self._fail_for(failed.retry_after if isinstance(failed, SignInFailed) else None)
            if not quiet:
                await shared.standing.lost(f"sign-in failed: {failed}", attempt=True, next_in=delay)
            else:
                shared.log.warning(
                    "renewal failed", venue=shared.name, reason=shared.masker.mask(str(failed))
                )
            return None
        shared.masker.renew(f"session of {shared.name}", [*_secrets(session)])
        self._session, self._signed_in_at = session, trio.current_time()
        return session

    def _fail_for(self, asked: float | None) -> float:
        now = trio.current_time()
        if self._session is not None and now - self._signed_in_at >= self._shared.timings.healthy:
            self._backoff.reset()
        delay = self._backoff.next(None if asked is None else min(asked, LONGEST_WAIT))
        self._not_before, self._refused = now + delay, False
        return delay

    async def _keep(self, values: Mapping[str, str]) -> None:
        shared = self._shared
        self._hide_kept(values)
        self._keeps = True
        await shared.standing.kept(shared.credentials.keep(shared.name, values))

    async def _try_to_keep(self) -> None:
        """Told, and no more: to be connected now is worth more than a token that may be lost at the next start."""
        await self._shared.standing.kept(self._shared.credentials.obstacle(self._shared.name))

    def _hide_kept(self, values: Mapping[str, str]) -> None:
        tokens = [
            value for value in values.values() if len(value) >= _SHORTEST_TOKEN and not _is_plain(value)
        ]
        self._shared.masker.renew(f"kept of {self._shared.name}", tokens)


def _secrets(session: Session) -> list[str]:
    return [text for text in (session.token, *session.values.values()) if text]


def _is_plain(value: str) -> bool:
    """Numbers and times are kept beside tokens, and hiding them would garble other texts."""
    if value.replace(".", "", 1).isdigit():
        return True
    try:
        from_iso(value)
    except ValueError:
        return False
    return True


async def drive(
    steps: SignIn,
    *,
    request: Callable[[HttpRequest], Awaitable[HttpResponse]],
    keep: Callable[[Mapping[str, str]], Awaitable[None]],
    try_to_keep: Callable[[], Awaitable[None]],
    pause: Callable[[str], Awaitable[None]],
) -> Session:
    """The session that the steps come to. SignInRefused, or SignInFailed (also where a request failed).

    `keep` stores on the disk before it gives other tasks a turn: a refresh token is used up by its answer. Before one is
    sent `try_to_keep` finds out whether that would work.
    `pause` is told why a wait is needed, before it.
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
