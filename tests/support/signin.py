"""Sign-ins and snapshots driven by hand: each request is answered from a list, each step is noted."""

from collections.abc import Generator
from typing import Any

import msgspec

from tocsin.venues.base import HttpRequest, HttpResponse


def answer(body: Any = b"", status: int = 200, **headers: str) -> HttpResponse:
    """A response; a body that isn't bytes is sent as JSON. `retry_after="3"` is the header `retry-after`."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=names, body=content)


def drive(steps: Generator[Any, Any, Any], *answers: HttpResponse) -> tuple[list[Any], Any]:
    """The steps that were yielded, and the result. Every answer must have been used."""
    taken: list[Any] = []
    left = list(answers)
    to_send: HttpResponse | None = None
    while True:
        try:
            step = steps.send(to_send)
        except StopIteration as done:
            assert not left, f"answers that nobody asked for: {left}"
            return taken, done.value
        taken.append(step)
        to_send = left.pop(0) if isinstance(step, HttpRequest) else None


def requests(steps: list[Any]) -> list[HttpRequest]:
    return [step for step in steps if isinstance(step, HttpRequest)]
