"""Slack's Web API for bots (https://api.slack.com/methods/chat.postMessage): what is said to it, and what its answers mean."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from tocsin.delivery.chat_sender import Posted
from tocsin.delivery.fitting import fit, without_pictures
from tocsin.delivery.model import Ability, Message
from tocsin.delivery.services import loudness_of, service_of
from tocsin.delivery.web_api import Answer, WebApi
from tocsin.secrets import Secret

MOST_TITLE = 250  # characters; a notification on a phone shows fewer
MOST_BUTTON = 75  # characters (https://api.slack.com/reference/block-kit/block-elements#button)
MOST_BLOCK = 3000  # characters (https://api.slack.com/reference/block-kit/blocks#section)
_COLOURS = {"critical": "#c42b32", "warning": "#de9e31", "info": "#3aa3e3"}
_RESOLVED, _ENDED = "#157347", "#8a8d91"
# https://api.slack.com/methods/chat.update#errors
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})


class SlackApi:
    """One bot. A recipient is a channel's id, or its name behind #."""

    service = "Slack"
    can: frozenset[Ability] = frozenset({"edit", "reply"})

    def __init__(self, token: Secret) -> None:
        self._web = WebApi(
            Secret("https://slack.com/api/"),
            service_of("slack").means,
            {"Authorization": Secret(f"Bearer {token.reveal()}")},
        )

    async def prepare(self) -> None:
        await self._web.prepare()

    async def post(self, recipient: str, message: Message, reply_to: tuple[str, str] | None) -> Posted:
        arguments = {**_content(message), "channel": recipient, "unfurl_links": False, "unfurl_media": False}
        if reply_to is not None:
            arguments["thread_ts"] = reply_to[1]
            arguments["reply_broadcast"] = loudness_of(message) == "critical"
        answer = await self._web.call("chat.postMessage", arguments, to=recipient)
        return Posted(answer, _place(answer))

    async def update(self, at: tuple[str, str], message: Message) -> Posted:
        channel, ts = at
        arguments = {**_content(message), "channel": channel, "ts": ts}
        answer = await self._web.call("chat.update", arguments, to=channel)
        return Posted(answer, at, gone=answer.fields.get("error") in _GONE)


def recipients_of(path: list[str]) -> tuple[str, ...] | None:
    """The channels of a URL, as they are named to Slack; None where one is something else, such as a person."""
    found = []
    for part in path:
        name = part.removeprefix("+") if part.startswith("+") else part
        if re.fullmatch(r"[CG][A-Z0-9]{7,}", name):
            found.append(name)
        elif re.fullmatch(r"#?[^\s@#+/:,]+", part):
            found.append(f"#{part.removeprefix('#')}")
        else:
            return None
    return tuple(found)


def _place(answer: Answer) -> tuple[str, str] | None:
    channel, ts = answer.fields.get("channel"), answer.fields.get("ts")
    return (channel, ts) if answer.accepted and isinstance(channel, str) and isinstance(ts, str) else None


def _content(message: Message) -> Mapping[str, Any]:
    """Blocks of plain text, in which nothing is markup, the body in one attachment, which has the colour.

    With blocks `text` is what notifications show alone. In the attachment the title would be shown below itself: Slack shows
    a `text` without blocks above the attachments.
    """
    unlinked = structs.replace(message, link=None, page=None)  # plain text has no links: they are buttons
    title, body = fit(unlinked, title_limit=MOST_TITLE, body_limit=MOST_BLOCK, title_in_body=False)
    colour = _COLOURS[message.severity]
    if message.resolved:
        colour = _ENDED if message.ended else _RESOLVED
    return {
        "text": _escaped(title),
        "mrkdwn": False,
        "link_names": False,
        "parse": "none",
        "blocks": [_plain(title)],
        "attachments": [{"color": colour, "fallback": title, "blocks": [_plain(body), *_open(message)]}],
    }


def _open(message: Message) -> Iterator[dict[str, Any]]:
    buttons = []
    for link in message.links:
        called = "Open the alert" if link == message.page else f"Open {urlsplit(link).hostname}"
        text = {"type": "plain_text", "text": called[:MOST_BUTTON], "emoji": False}
        buttons.append({"type": "button", "text": text, "url": link})
    if buttons:
        yield {"type": "actions", "elements": buttons}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _escaped(text: str) -> str:
    """https://api.slack.com/reference/surfaces/formatting#escaping"""
    for char, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, escaped)
    return without_pictures(text)
