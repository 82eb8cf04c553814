"""What who asks sends: a form, or that they are gone."""

from urllib.parse import parse_qsl

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive

_MOST_FIELDS = 20
_WITHIN = 10.0  # seconds


async def posted(request: Request, most: int = _MOST_FIELDS) -> dict[str, str]:
    """Its fields, each with the last of its values. HTTPException (400) where there are more than any form of ours has, (408) where
    they don't come in time.
    """
    body = ""
    with trio.move_on_after(_WITHIN) as late:
        body = (await request.body()).decode(errors="replace")
    if late.cancelled_caught:
        raise HTTPException(408, f"the form didn't come within {_WITHIN:g} s")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=most))
    except ValueError:
        raise HTTPException(400, f"more than {most} fields") from None


async def until_gone(receive: Receive) -> None:
    """Returns when who asked is gone; what else they send meanwhile is let go."""
    while (await receive())["type"] != "http.disconnect":
        pass
