"""What who asks sends: a form, or that they are gone."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import parse_qsl

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive

from tocsin.control.guards import Noted

_MOST_FIELDS = 20


async def posted(request: Request, most: int = _MOST_FIELDS) -> dict[str, str]:
    """Its fields, each with the last of its values. HTTPException (400) where there are more than any form of ours has."""
    body = (await request.body()).decode(errors="replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=most))
    except ValueError:
        raise HTTPException(400, f"more than {most} fields") from None


async def until_gone(receive: Receive) -> None:
    """Returns when who asked is gone, or sends more than may be sent; what else they send meanwhile is let go."""
    with suppress(HTTPException):
        while (await receive())["type"] != "http.disconnect":
            pass


async def while_awaited(answer: Callable[[], Awaitable[None]], receive: Receive, sent: Noted) -> None:
    """Answers who looks, unless they are gone before any of it is sent: then it isn't made. What is being sent goes on, since by its end
    the connection is ended, too.
    """
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:

        async def answered() -> None:
            nonlocal failed
            try:
                await answer()
            except Exception as error:  # noqa: BLE001 - raised below, where no nursery wraps it
                failed = error
            nursery.cancel_scope.cancel()

        nursery.start_soon(answered)
        await until_gone(receive)
        if not sent.begun:
            nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
