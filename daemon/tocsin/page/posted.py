"""What who asks sends: a form."""

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

_MOST_FIELDS = 20


async def posted(request: Request, most: int = _MOST_FIELDS) -> dict[str, str]:
    """Its fields, each with the last of its values. HTTPException (400) where there are more than any form of ours has."""
    body = (await request.body()).decode(errors="replace")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=most))
    except ValueError:
        raise HTTPException(400, f"more than {most} fields") from None
