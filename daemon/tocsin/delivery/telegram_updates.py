"""What people press and write to a Telegram bot, by one long poll (https://core.telegram.org/bots/api#getupdates)."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.delivery.model import Message
from tocsin.delivery.telegram import chat_id, text_of, web_api
from tocsin.delivery.web_api import Answer
from tocsin.secrets import Secret

_POLL = 50.0  # seconds that Telegram may wait for something to happen
_ANSWER_WITHIN = 10.0
_MOST_ANSWER = 200  # characters (https://core.telegram.org/bots/api#answercallbackquery)


class _User(Struct):
    id: int


class _Chat(Struct):
    id: int
    username: str | None = None


class _Message(Struct):
    message_id: int
    chat: _Chat
    sender: _User | None = msgspec.field(name="from", default=None)
    text: str | None = None


class _Query(Struct):
    id: str
    sender: _User = msgspec.field(name="from")
    message: _Message | None = None
    data: str | None = None


class _Update(Struct):
    update_id: int
    callback_query: _Query | None = None
    message: _Message | None = None


class Update(Struct, frozen=True, kw_only=True):
    """One thing that somebody did: pressed the button `data`, to be answered by `query`, or wrote `text`.

    `chats`: what the chat is called, by id and by name. Neither `data` nor `text`: nothing that we know.
    """

    id: int
    user: int = 0
    chats: frozenset[str] = frozenset()
    message: int = 0
    query: str | None = None
    data: str | None = None
    text: str | None = None


class TelegramUpdates:
    """One bot's. Raises nothing for what the outside does."""

    def __init__(self, token: Secret) -> None:
        self._web = web_api(token)

    async def poll(self, offset: int) -> Answer:
        """What happened from the update `offset` on; waits until there is something, or nearly a minute."""
        asked = {"offset": offset, "timeout": int(_POLL), "allowed_updates": ["callback_query", "message"]}
        return await self._web.call("getUpdates", asked, within=_POLL + 15.0)

    async def answer(self, query: str, text: str) -> Answer:
        """What the person who pressed sees for a moment."""
        said = {"callback_query_id": query, "text": text[:_MOST_ANSWER]}
        return await self._web.call("answerCallbackQuery", said, within=_ANSWER_WITHIN)

    async def say(self, chat: str, message: Message, reply_to: int) -> Answer:
        """A message without a sound, in reply to that one."""
        reply = {"message_id": reply_to, "allow_sending_without_reply": True}
        said = {"chat_id": chat_id(chat), "disable_notification": True, "reply_parameters": reply}
        return await self._web.call("sendMessage", {**text_of(message), **said})


def updates_in(answer: Answer) -> Iterator[Update]:
    """What `poll` brought, oldest first; of what can't be read the id alone."""
    result = answer.fields.get("result")
    for each in result if isinstance(result, list) else ():
        id_ = each.get("update_id") if isinstance(each, Mapping) else None
        if isinstance(id_, int) and not isinstance(id_, bool):
            yield _update(id_, each)


def _update(id_: int, said: Mapping[str, Any]) -> Update:
    try:
        update = msgspec.convert(said, _Update)
    except ValueError:
        return Update(id=id_)
    query, message = update.callback_query, update.message
    if query is not None and query.message is not None:
        return Update(
            id=id_,
            user=query.sender.id,
            chats=_names(query.message.chat),
            message=query.message.message_id,
            query=query.id,
            data=query.data,
        )
    if message is not None and message.sender is not None:
        return Update(
            id=id_,
            user=message.sender.id,
            chats=_names(message.chat),
            message=message.message_id,
            text=message.text,
        )
    return Update(id=id_)


def _names(chat: _Chat) -> frozenset[str]:
    return frozenset({str(chat.id), *([f"@{chat.username}"] if chat.username else [])})
