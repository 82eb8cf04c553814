"""Telegram's Bot API (https://core.telegram.org/bots/api): what is said to it, and what its answers mean."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from tocsin.answers import parsed
from tocsin.delivery.chat_sender import Posted
from tocsin.delivery.fitting import fit, for_telegram, length
from tocsin.delivery.model import Ability, Message
from tocsin.delivery.services import service_of
from tocsin.delivery.web_api import Answer, WebApi
from tocsin.secrets import Secret

MOST_TEXT = 4096  # UTF-16 units, after entities (https://core.telegram.org/bots/api#sendmessage)
_NOT_MODIFIED = "message is not modified"
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")


class TelegramApi:
    """One bot. `moved` has the present ids of chats by their former ones; what is learnt is added. `silent`: always so."""

    service = "Telegram"
    can: frozenset[Ability] = frozenset({"edit", "reply", "buttons"})

    def __init__(self, token: Secret, *, silent: bool, moved: MutableMapping[str, str]) -> None:
        self._web = web_api(token)
        self._silent, self._moved = silent, moved

    async def prepare(self) -> None:
        await self._web.prepare()

    async def post(self, recipient: str, message: Message, reply_to: tuple[str, str] | None) -> Posted:
        chat, _, topic = recipient.partition(":")
        present = self._moved.get(chat, chat)
        arguments = text_of(message) | {"disable_notification": self._silent or message.silent}
        if message.buttons:
            arguments["reply_markup"] = _keyboard(message)
        if topic:
            arguments["message_thread_id"] = int(topic)
        if reply_to is not None and reply_to[0] == present:
            arguments["reply_parameters"] = {
                "message_id": int(reply_to[1]),
                "allow_sending_without_reply": True,
            }
        answer = await self._send(recipient, present, arguments)
        new = migrated_to(answer.fields)
        if answer.accepted or new is None or new == present:
            return Posted(answer, _place(answer, present))
        self._moved[present] = new
        arguments.pop("reply_parameters", None)  # the message stayed behind
        answer = await self._send(recipient, new, arguments)
        return Posted(answer, _place(answer, new), moved=(present, new))

    async def update(self, at: tuple[str, str], message: Message) -> Posted:
        chat, id_ = at
        arguments = text_of(message) | {
            "chat_id": chat_id(chat),
            "message_id": int(id_),
            "reply_markup": _keyboard(message),
        }
        answer = await self._web.call("editMessageText", arguments, to=chat)
        words = str(answer.fields.get("description", "")).lower()
        if answer.response.status == 400 and _NOT_MODIFIED in words:
            return Posted(answer.as_accepted(_NOT_MODIFIED), at)
        return Posted(
            answer, at, gone=any(gone in words for gone in _GONE) or migrated_to(answer.fields) is not None
        )

    async def _send(self, recipient: str, chat: str, arguments: Mapping[str, Any]) -> Answer:
        answer = await self._web.call("sendMessage", {**arguments, "chat_id": chat_id(chat)}, to=recipient)
        new = migrated_to(answer.fields)
        return answer if new is None else answer.remarked(f"(the chat's new id is {new})")


def web_api(token: Secret) -> WebApi:
    """One bot's calls."""
    return WebApi(Secret(f"https://api.telegram.org/bot{token.reveal()}/"), service_of("tgram").means)


def recipients_of(path: list[str], topic: str) -> tuple[str, ...] | None:
    """The chats of a URL, as they are named to Telegram, each with `:TOPIC` where there is one; None where one is odd."""
    found = []
    for part in path:
        chat, _, own = part.partition(":")
        if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{2,}", chat):
            chat = f"@{chat}"
        where = own or topic
        if not re.fullmatch(r"-?\d+|@[a-zA-Z0-9_]{3,}", chat) or not re.fullmatch(r"\d*", where):
            return None
        found.append(f"{chat}:{where}" if where else chat)
    return tuple(found)


# A group that became a supergroup has another id from then on. The first message to the old id is refused with the new one
# (https://core.telegram.org/bots/api#responseparameters), which is to be had nowhere else.
_MOVED_TO = "migrate_to_chat_id"


def migrated_to(answer: object) -> str | None:
    """The id that a refusal says the chat has now."""
    parameters = answer.get("parameters") if isinstance(answer, Mapping) else None
    moved = parameters.get(_MOVED_TO) if isinstance(parameters, Mapping) else None
    return str(moved) if isinstance(moved, int) and not isinstance(moved, bool) else None


def moved_to(answer: bytes) -> str | None:
    """The same of an answer as it came."""
    return migrated_to(parsed(answer))


def chat_id(chat: str) -> int | str:
    """As a call names it."""
    return chat if chat.startswith("@") else int(chat)


def _place(answer: Answer, chat: str) -> tuple[str, str] | None:
    result = answer.fields.get("result")
    id_ = result.get("message_id") if answer.accepted and isinstance(result, Mapping) else None
    return (chat, str(id_)) if isinstance(id_, int) and not isinstance(id_, bool) else None


def _keyboard(message: Message) -> dict[str, Any]:
    return {
        "inline_keyboard": [
            [{"text": button.text, "callback_data": button.id} for button in row] for row in message.buttons
        ]
    }


# ---------------------------------------------------------------------------------------------------------------- text


def text_of(message: Message) -> dict[str, Any]:
    """No `parse_mode`, so nothing is markup; the title is bold by an entity."""
    title, body = fit(
        message, title_limit=MOST_TEXT, body_limit=MOST_TEXT, title_in_body=True, written=for_telegram
    )
    return {
        "text": f"{title}\n{body}",
        "entities": [{"type": "bold", "offset": 0, "length": length(title)}],
        "link_preview_options": {"is_disabled": True},
    }
