"""Texts as services take them: in their markup, cut to their limits, saying so. Pure."""

import re
from collections.abc import Callable

from tocsin.delivery.model import Message

_JOINER = "\u2060"  # WORD JOINER: looks like nothing, and belongs to none of what a service looks for
# What stands for a picture: a word between colons. A time, 10:02:11, is none.
_PICTURE = re.compile(r":(?=[\w+'-]*[A-Za-z][\w+'-]*:)")


def as_it_is(text: str) -> str:
    return text


def fit(
    message: Message,
    *,
    title_limit: int,
    body_limit: int,
    title_in_body: bool,
    longest: int | None = None,
    written: Callable[[str], str] = as_it_is,
) -> tuple[str, str]:
    """Title and body as they are `written` there, cut to what the service takes, saying so. Never an empty body, which Apprise
    would refuse. `longest`: bytes of UTF-8 that it takes of the body. The message's links are the last lines, whole.
    """
    last = "".join(f"\n{link}" for link in message.links)
    body_limit, longest = body_limit - length(last), longest and longest - len(last.encode(errors="replace"))
    room = body_limit
    if title_limit <= 0 or title_in_body:
        title = _cut(message.title, min(title_limit or body_limit, body_limit // 2), None, written)
        room = body_limit - length(title) - 2
    else:
        title = _cut(message.title, title_limit, None, written)
    body = message.body if message.body.strip() else message.title
    return title, _cut(body or "(no text)", max(room, 1), longest, written) + last


def _cut(text: str, limit: int, longest: int | None, written: Callable[[str], str]) -> str:
    """The text as it is written, in at most `limit` UTF-16 units and `longest` bytes."""
    kept = cut(text, limit)
    while (result := written(kept)) and kept:
        over = length(result) - limit
        if longest is not None:
            over = max(over, len(result.encode(errors="replace")) - longest)
        if over <= 0 or length(kept) <= 1:
            return result
        kept = cut(text, max(length(kept) - max(over // 3, 1), 1))
    return result


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` UTF-16 units (as Telegram counts, and never fewer than characters)."""
    if length(text) <= limit:
        return text
    mark = f" … (cut, {len(text)} characters in all)"
    if len(mark) * 2 > limit:
        mark = "…"
    units = text.encode("utf-16-le", "replace")[: 2 * max(limit - len(mark), 0)]
    return units.decode("utf-16-le", "ignore") + mark[:limit]


def length(text: str) -> int:
    """In UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def without_pictures(text: str) -> str:
    """The same to the eye where a word between colons would become a picture."""
    return _PICTURE.sub(f":{_JOINER}", text)


# https://support.discord.com/hc/en-us/articles/210298617: what marks up wherever it stands; < as it begins mentions, times and
# emojis; and what marks a line up that it begins. A link, by then only a rule's author's, is left: it has no escapes.
_DISCORD = re.compile(
    r"""
      (?P<link> \b https?://[^\s<]+ )
    | (?P<all> @(?=everyone|here) )
    | [\\*_~|`\[\]] | <(?=[@\#:/!&a-zA-Z])
    | (?m: ^ (?P<indent> [ \t]* (?: \d+ (?=\.\s) )? ) (?P<lead> [>\#-] | (?<=\d)\. ) )
    """,
    re.VERBOSE,
)


def for_discord(text: str) -> str:
    """The text with Discord's markup escaped: what a person reads there is the text."""

    def escaped(found: re.Match[str]) -> str:
        if found["link"]:
            return found[0]
        if found["all"]:  # pings, also within a word
            return f"@{_JOINER}"
        return f"{found['indent']}\\{found['lead']}" if found["lead"] else f"\\{found[0]}"

    return without_pictures(_DISCORD.sub(escaped, text))


# What Telegram's server finds by itself in plain text (td/telegram/MessageEntity.cpp of github.com/tdlib/td: find_mentions,
# find_hashtags, find_cashtags, find_bot_commands, find_urls), by where it has to be broken up. Links with a scheme are left:
# those of venues are broken up already (`alerts.plain`), so what is left is ours or the rule's author's.
_TELEGRAM = re.compile(
    r"""
      (?P<link> \b https?://\S+ )
    | (?P<trigger> (?<!\w)@(?=[A-Za-z0-9_]) | (?<!\w)\#(?=\w) | (?<![\w$])\$(?=[A-Z0-9]) | (?<![\w/<>])/(?=[A-Za-z0-9_]) )
    | (?P<dot> (?<=[\w-])\.(?=[^\W\d_]{2}) )
    """,
    re.VERBOSE,
)


def for_telegram(text: str) -> str:
    """The same to the eye, with no mention, tag, command or link that its author didn't mean."""
    return _TELEGRAM.sub(lambda found: found[0] if found["link"] else found[0] + _JOINER, text)
