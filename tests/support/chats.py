"""Telegram and Slack as servers that remember: what a person then reads in a chat, and what they refuse.

On top of `Services`: real sockets, TLS, a proxy. What is scripted there goes first. As the Bot API and its server do it
(https://core.telegram.org/bots/api; td/telegram/MessageEntity.cpp of github.com/tdlib/td), and Slack's Web API.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from support.receivers import TELEGRAM, WORD_JOINER, Answer, Later, Reply, Request, Services

SLACK_API = "slack.com"
_MOST_TEXT = 4096
_TLDS = "com|net|org|io|me|cash|is|uk|de|cz|info|pro|app|dev"
# What the server makes of plain text by itself.
_FOUND = {
    "mention": r"(?<!\w)@[A-Za-z0-9_]{3,32}(?!\w)",
    "hashtag": r"(?<!\w)\#(?=\w*[^\W\d])\w{1,256}",
    "cashtag": r"(?<![\w$])\$(?:1INCH|[A-Z]{1,8})(?![\w$])",
    "bot_command": r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?![\w/<>])",
    "url": rf"(?:(?:https?|tg|ton|tonsite)://[^\s\u2060]*[^\s\u2060.,]|(?:[\w-]+\.)+(?:{_TLDS})(?![\w])(?:/\S*)?)",
    "email": rf"[\w.+-]+@(?:[\w-]+\.)+(?:{_TLDS})\b",
}


@dataclass(frozen=True)
class Shown:
    """A message as it stands in a chat. `bold`: the words that are; `found`: (kind, text) that can be pressed by chance."""

    text: str
    bold: str = ""
    found: tuple[tuple[str, str], ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()
    reply_to: Any = None
    silent: bool = False
    colour: str = ""
    broadcast: bool = False
    notification: str = ""
    edits: int = 0


@dataclass
class Chats:
    """What the servers have. `gone` are messages that can't be edited any more."""

    messages: dict[tuple[str, str], Shown] = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    updates: list[dict[str, Any]] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)  # a press -> what is said to it


class ChatServers(Services):
    """`Services` whose Telegram and Slack remember. `telegram`, `slack`: what is in the chats."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self.telegram, self.slack = Chats(), Chats()
        self._ids = count(101)
        self._update_ids = count(1)
        self.most_held: float | None = None
        """Real seconds that Telegram holds a poll at the most, for tests on a clock of their own."""
        super().__init__(*given, **more)

    def answer(self, request: Request) -> Answer:
        if self._script.get(request.host) or request.host not in (TELEGRAM, SLACK_API):
            return super().answer(request)
        method = request.path.rpartition("/")[2]
        if request.host == TELEGRAM:
            return getattr(self, f"_telegram_{method}", _unknown)(request.json)
        return getattr(self, f"_slack_{method.replace('.', '_')}", _unknown)(request)

    # --------------------------------------------------------------------------------------------------------- Telegram

    def _telegram_sendMessage(self, said: dict[str, Any]) -> Reply:  # noqa: N802 - Telegram's name
        shown = _telegram_shown(said)
        if isinstance(shown, Reply):
            return shown
        chat, id_ = str(said["chat_id"]), str(next(self._ids))
        reply_to = said.get("reply_parameters", {})
        if reply_to and (chat, str(reply_to["message_id"])) not in self.telegram.messages:
            if not reply_to.get("allow_sending_without_reply"):
                return _refused(400, "Bad Request: message to be replied not found")
            reply_to = {}
        silent = said.get("disable_notification", False)
        self.telegram.messages[chat, id_] = replace(shown, reply_to=reply_to.get("message_id"), silent=silent)
        return _telegram_taken({"message_id": int(id_), "chat": {"id": said["chat_id"]}, "text": shown.text})

    def _telegram_editMessageText(self, said: dict[str, Any]) -> Reply:  # noqa: N802 - same
        shown = _telegram_shown(said)
        if isinstance(shown, Reply):
            return shown
        at = str(said["chat_id"]), str(said["message_id"])
        before = self.telegram.messages.get(at)
        if before is None or at in self.telegram.gone:
            return _refused(400, "Bad Request: message to edit not found")
        if (before.text, before.bold, before.buttons) == (shown.text, shown.bold, shown.buttons):
            return _refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message",
            )
        self.telegram.messages[at] = replace(
            shown, reply_to=before.reply_to, silent=before.silent, edits=before.edits + 1
        )
        return _telegram_taken({"message_id": int(at[1]), "chat": {"id": said["chat_id"]}})

    def _telegram_getUpdates(self, said: dict[str, Any]) -> Answer:  # noqa: N802 - same
        """Waits until there is one from `offset` on, as long as it is asked to; those before are forgotten."""

        def updates() -> Reply:
            with self._changed:
                chats = self.telegram
                chats.updates = [each for each in chats.updates if each["update_id"] >= said["offset"]]
                self._changed.wait_for(
                    lambda: chats.updates or self._closing.is_set(), self.most_held or said["timeout"]
                )
                return _telegram_taken(list(chats.updates))

        return Later(updates)

    def _telegram_answerCallbackQuery(self, said: dict[str, Any]) -> Reply:  # noqa: N802 - same
        self.telegram.answered[said["callback_query_id"]] = said["text"]
        return _telegram_taken(True)

    def press(self, user: int, chat: str, data: str, message: str = "101") -> str:
        """Somebody presses a button; the id by which that is answered."""
        query = f"q{next(self._update_ids)}"
        where = {"message_id": int(message), "chat": {"id": int(chat), "type": "private"}}
        self._happens(callback_query={"id": query, "from": {"id": user}, "message": where, "data": data})
        return query

    def write(self, user: int, chat: str, text: str) -> None:
        """Somebody writes to the bot."""
        self._happens(
            message={"message_id": 7, "from": {"id": user}, "chat": {"id": int(chat)}, "text": text}
        )

    def _happens(self, **what: Any) -> None:
        with self._changed:
            self.telegram.updates.append({"update_id": next(self._update_ids), **what})
            self._changed.notify_all()

    # ------------------------------------------------------------------------------------------------------------ Slack

    def _slack_chat_postMessage(self, request: Request) -> Reply:  # noqa: N802 - Slack's name
        said = request.json
        if not request.headers.get("authorization", "").startswith("Bearer xoxb-"):
            return _slack_says({"ok": False, "error": "not_authed"})
        channel, ts = "C" + said["channel"].lstrip("#").upper(), f"1700000000.{next(self._ids):06}"
        shown = _slack_shown(said)
        self.slack.messages[channel, ts] = replace(
            shown, reply_to=said.get("thread_ts"), broadcast=said.get("reply_broadcast", False)
        )
        return _slack_says({"ok": True, "channel": channel, "ts": ts, "message": {"text": said["text"]}})

    def _slack_chat_update(self, request: Request) -> Reply:
        said = request.json
        at = said["channel"], said["ts"]
        before = self.slack.messages.get(at)
        if before is None or at in self.slack.gone:
            return _slack_says({"ok": False, "error": "message_not_found"})
        self.slack.messages[at] = replace(
            _slack_shown(said), reply_to=before.reply_to, broadcast=before.broadcast, edits=before.edits + 1
        )
        return _slack_says({"ok": True, "channel": at[0], "ts": at[1]})


def to_the_eye(text: str) -> str:
    """Without what isn't seen."""
    return text.replace(WORD_JOINER, "")


def found_in(text: str) -> Iterator[tuple[str, str]]:
    """What Telegram's server makes of plain text by itself: (kind, text)."""
    for kind, pattern in _FOUND.items():
        for found in re.finditer(pattern, text):
            yield kind, found[0]


def discord_reads(content: str) -> str:
    """A message as Discord shows it: what is escaped is itself, what marks up is named."""
    text = re.sub(r"\\([^a-zA-Z0-9\s])", lambda found: f"\ue000{ord(found[1]):04x}", content)
    text = re.sub(
        r"(?m)^\s*(?:[>#-]|\d+\.) |[*_~`]|\|\||\[[^\]]*\]\(|<[@#:/a-z][^>]*>|:[a-z]+:|@(?:everyone|here)",
        "[MARKUP]",
        text,
    )
    text = re.sub("\ue000([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    return to_the_eye(text.replace("\r\n", "\n"))


def _telegram_shown(said: dict[str, Any]) -> Shown | Reply:
    text = said["text"]
    if "parse_mode" in said:
        return _refused(400, "Bad Request: can't parse entities")
    units = text.encode("utf-16-le")
    if len(units) // 2 > _MOST_TEXT:
        return _refused(400, "Bad Request: message is too long")
    bold = ""
    for entity in said.get("entities", ()):
        begin, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
        if entity["type"] != "bold" or end > len(units):
            return _refused(400, "Bad Request: entity beyond the text")
        bold += units[begin:end].decode("utf-16-le")  # raises where a character is cut in two
    rows = said.get("reply_markup", {}).get("inline_keyboard", ())
    for button in (button for row in rows for button in row):
        if not 1 <= len(button["callback_data"].encode()) <= 64:
            return _refused(400, "Bad Request: BUTTON_DATA_INVALID")
    buttons = tuple((button["text"], button["callback_data"]) for row in rows for button in row)
    return Shown(text, bold=to_the_eye(bold), found=tuple(found_in(text)), buttons=buttons)


def _slack_shown(said: dict[str, Any]) -> Shown:
    """With blocks `text` isn't shown but by notifications; an attachment's `fallback` only where it has no blocks."""
    lines = [_slack_block(block) for block in said.get("blocks", ())] or [_slack_marked_up(said["text"])]
    (attachment,) = said["attachments"]
    for block in attachment["blocks"]:
        if block["type"] == "actions":
            assert 1 <= len(block["elements"]) <= 25, "invalid_blocks"
            for button in block["elements"]:
                assert button["type"] == "button"
                assert len(button["text"]["text"]) <= 75, "invalid_blocks"
        else:
            lines.append(_slack_block(block))
    return Shown("\n".join(lines), colour=attachment["color"], notification=_slack_marked_up(said["text"]))


def _slack_block(block: dict[str, Any]) -> str:
    text = block["text"]
    assert len(text["text"]) <= 3000, "invalid_blocks"
    assert (block["type"], text["type"], text["emoji"]) == ("section", "plain_text", False)
    return str(text["text"])


def _slack_marked_up(text: str) -> str:
    """As Slack shows a `text`: what stands in < > is a mention or a link, a known word between colons a picture."""
    text = re.sub(r"<[^>]*>", "[LINK]", text)
    text = re.sub(r":[\w+'-]+:", "[PICTURE]", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _unknown(_said: Any) -> Reply:
    return _refused(404, "Not Found")


def _telegram_taken(result: Any) -> Reply:
    return Reply(200, json.dumps({"ok": True, "result": result}))


def _refused(status: int, description: str, **parameters: Any) -> Reply:
    more = {"parameters": parameters} if parameters else {}
    said = {"ok": False, "error_code": status, "description": description, **more}
    return Reply(status, json.dumps(said))


def _slack_says(answer: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(answer))
