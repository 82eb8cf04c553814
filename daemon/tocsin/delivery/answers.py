"""What a service answers: its words, and whether it took the message. Pure."""

import json
import re
from typing import Literal

from msgspec import Struct

from tocsin.alerts.plain import flat
from tocsin.answers import parsed

LONGEST = 200  # characters of a body that are told
# Where services put their words in a JSON answer: Telegram description, Slack error, many message.
_WORDS = ("description", "error", "message", "error_description", "detail", "reason", "errors")

Means = Literal["accepted", "refused", "passing", "foreign"]
"""Of an answer of HTTP: taken; refused, for good if the status says so; not now; not the service's own answer at all."""


class Answer(Struct, frozen=True, kw_only=True):
    """One answer of a service, or the lack of one (`status` None). `text` may hold secrets.

    `about` tells the recipients of one URL apart (None: it is about all of them), `to` is the recipient's address where
    that is known. `means` is judged for HTTP only.
    """

    how: Literal["http", "smtp"]
    status: int | None
    text: str
    retry_after: float | None = None  # seconds
    about: str | None = None
    to: str | None = None
    means: Means = "accepted"


def said(body: bytes) -> str:
    """The service's words from an HTTP answer's body: out of its JSON where it is some, else its beginning."""
    answer = parsed(body)
    if isinstance(answer, dict):
        for name in _WORDS:
            words = answer.get(name)
            if isinstance(words, dict):
                words = words.get("message") or words.get("type")
            if words and isinstance(words, str | list):
                return flat(words if isinstance(words, str) else json.dumps(words), LONGEST)
    text = body[:65536].decode(errors="replace")
    return flat(text if answer is not None else re.sub(r"<[^>]*>", " ", text), LONGEST)
