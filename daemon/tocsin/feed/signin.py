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
    keep: Callable[[Mapping[str, str]], None],
    pause: Callable[[str], Awaitable[None]],
) -> Session:
    """A session of the adapter's own sign-in; see `drive`."""
    return await drive(adapter.sign_in(settings, kept, now), request=request, keep=keep, pause=pause)


async def drive(
    steps: SignIn,
    *,
    request: Callable[[HttpRequest], Awaitable[HttpResponse]],
    keep: Callable[[Mapping[str, str]], None],
    pause: Callable[[str], Awaitable[None]],
) -> Session:
    """The session that the steps come to. SignInRefused, or SignInFailed (also where a request failed).

    `keep` stores on the disk, at once and without giving other tasks a turn: a refresh token is used up by its answer.
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
                    answer = await request(step)
                case Keep():
                    keep(step.values)
                case Pause():
                    await pause(step.why)
                    await trio.sleep(step.seconds)
    except HttpFailed as failed:
        raise SignInFailed(str(failed)) from failed
    finally:
        steps.close()
