"""Telegram's groups that became supergroups: they have another id from then on. Pure.

The first message to the old id is refused with the new one (https://core.telegram.org/bots/api#responseparameters), which
is to be had nowhere else.
"""

import json
from collections.abc import Mapping
from typing import Any

from tocsin.answers import parsed

_MOVED_TO = "migrate_to_chat_id"


def chat_of(body: object) -> str | None:
    """The chat that a request is about."""
    request = _request(body)
    chat = request.get("chat_id") if request is not None else None
    return str(chat) if isinstance(chat, int | str) else None


def readdressed(body: object, moved: Mapping[str, str]) -> bytes | None:
    """The request for the chat's present id, where that is another one."""
    request, to = _request(body), moved.get(chat_of(body) or "")
    if request is None or to is None:
        return None
    return json.dumps({**request, "chat_id": int(to)}).encode()


def moved_to(answer: bytes) -> str | None:
    """The id that a refusal says the chat has now."""
    told = parsed(answer)
    parameters = told.get("parameters") if isinstance(told, dict) else None
    moved = parameters.get(_MOVED_TO) if isinstance(parameters, dict) else None
    return str(moved) if isinstance(moved, int) and not isinstance(moved, bool) else None


def _request(body: object) -> dict[str, Any] | None:
    request = parsed(body) if isinstance(body, bytes | str) else None
    return request if isinstance(request, dict) else None
