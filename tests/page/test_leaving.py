"""Who looks, and leaves before there is an answer."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tocsin.control.guards import Noted
from tocsin.page.leaving import while_awaited

Send = Callable[[Any], Awaitable[None]]


async def look(answer: Callable[[Send], Awaitable[None]], *, leaves: float = float("inf")) -> float:
    """When it is over, in seconds."""

    async def receive() -> dict[str, Any]:
        await trio.sleep(leaves)
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        await trio.lowlevel.checkpoint()

    sent = Noted(send)
    await while_awaited(lambda: answer(sent), receive, sent)
    return round(trio.current_time(), 3)


@pytest.mark.parametrize(("begins", "over", "made"), [(False, 1, False), (True, 5, True)])
async def test_for_who_is_gone_none_is_made_but_what_is_begun_is_ended(begins, over, made, autojump_clock):
    done: list[str] = []

    async def slow(send: Send) -> None:
        if begins:
            await send("begun")
        await trio.sleep(5)
        done.append("made")

    assert await look(slow, leaves=1) == over
    assert done == ["made"] * made


async def test_who_waits_has_it_when_it_is_made(autojump_clock):
    async def quick(send: Send) -> None:
        await trio.sleep(1)
        await send("all of it")

    assert await look(quick) == 1


async def test_a_bug_comes_out_as_it_is():
    async def stumble(_send: Send) -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await look(stumble)
