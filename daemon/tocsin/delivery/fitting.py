"""Texts cut to what services take, saying so. Pure."""

from tocsin.delivery.model import Message


def fit(
    message: Message, *, title_limit: int, body_limit: int, title_in_body: bool, longest: int | None = None
) -> tuple[str, str]:
    """Title and body cut to what the service takes, saying so. Never an empty body, which Apprise would refuse.

    `longest`: bytes of UTF-8 that it takes of the body. The message's link is the last line, whole.
    """
    last = f"\n{message.link}" if message.link else ""
    body_limit, longest = body_limit - length(last), longest and longest - len(last.encode(errors="replace"))
    room = body_limit
    if title_limit <= 0 or title_in_body:
        title = cut(message.title, min(title_limit or body_limit, body_limit // 2))
        room = body_limit - length(title) - 2
    else:
        title = cut(message.title, title_limit)
    body = message.body if message.body.strip() else message.title
    body = cut(body or "(no text)", max(room, 1))
    while longest is not None and (over := len(body.encode(errors="replace")) - longest) > 0:
        body = cut(message.body or message.title, max(length(body) - max(over // 3, 1), 1))
    return title, f"{body}{last}"


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
