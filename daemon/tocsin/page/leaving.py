"""Who asks, and leaves before there is an answer. Who closes only what they send by is taken to have left: the two look the same."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from starlette.exceptions import HTTPException
from starlette.types import Receive

from tocsin.control.guards import Noted


async def until_gone(receive: Receive) -> None:
    """Returns when who asked is gone, or sends more than may be sent; what else they send meanwhile is let go."""
    with suppress(HTTPException):
        await _heard_out(receive)


async def while_awaited(answer: Callable[[], Awaitable[None]], receive: Receive, sent: Noted) -> None:
    """Answers who looks, unless they are gone before any of it is sent: then it isn't made. What is being sent goes on, since by its end
    the connection is ended, too. Raises what the answer raises, and HTTPException where more is sent than may be.
    """
    failed: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:

            async def answered() -> None:
                nonlocal failed
                try:
                    await answer()
                except Exception as error:  # noqa: BLE001 - raised below, where no nursery wraps it
                    failed = error
                nursery.cancel_scope.cancel()

            nursery.start_soon(answered)
            try:
                await _heard_out(receive)
            except HTTPException as error:
                failed = error
            if not sent.begun:
                nursery.cancel_scope.cancel()
    finally:
        if failed is not None:
            raise failed


async def _heard_out(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
