"""Driving an adapter's sign-in: making its requests, keeping what it asks to keep, waiting when it says so."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import trio

from tocsin.feed.outside import HttpFailed
from tocsin.venues.base import (
    Adapter,
    HttpRequest,
    HttpResponse,
    Keep,
    Pause,
    Session,
    SignIn,
    SignInFailed,
)


async def sign_in(
    adapter: Adapter,
    settings: Any,
    kept: Mapping[str, str],
    now: datetime,
    *,
    request: Callable[[HttpRequest], Awaitable[HttpResponse]],
    keep: Callable[[Mapping[str, str]], Awaitable[None]],
    try_to_keep: Callable[[], Awaitable[None]],
    pause: Callable[[str], Awaitable[None]],
) -> Session:
    """A session of the adapter's own sign-in; see `drive`."""
    steps = adapter.sign_in(settings, kept, now)
    return await drive(steps, request=request, keep=keep, try_to_keep=try_to_keep, pause=pause)


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
