"""How many messages services take in what time, and what it is that they count: a bot, a chat, a mail server. Pure.

Two URLs of whatever channels whose messages count at one place share its limits.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote

from tocsin.delivery.services import PROGRAMS, TERSE

_RATE = re.compile(r"([1-9][0-9]{0,4})/(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Limit(NamedTuple):
    """At most `most` messages in any `seconds`."""

    most: int
    seconds: float


Place: TypeAlias = tuple[str, ...]
"""What is counted: the service, then what it tells apart. Holds secrets: not to be shown."""
Limits: TypeAlias = Mapping[Place, tuple[Limit, ...]]


def parse_rate(rate: str) -> Limit:
    """`20/min` as a limit. ValueError on anything else."""
    match = _RATE.fullmatch(rate)
    if not match:
        raise ValueError("not a rate; write it like 1/s, 20/min or 100/h")
    return Limit(int(match[1]), _SECONDS[match[2]])


LONGEST = 3600.0
"""Seconds of the longest of all limits."""
_A_SECOND = Limit(1, 1.0)
_A_MINUTE = 60.0
_CLOUDS = ("", "ntfy.sh")


def _telegram(parts: list[str], _options: dict[str, str]) -> Limits:
    """One a second to a chat, 20 a minute to a group or channel, 30 a second of a bot: https://core.telegram.org/bots/faq.

    Groups' and channels' ids are negative (https://core.telegram.org/bots/api#chat); names stand for them too.
    """
    bot, *chats = parts or [""]
    bot = bot.removeprefix("bot")
    found: dict[Place, tuple[Limit, ...]] = {("tgram", bot): (Limit(30, 1.0),)}
    for chat in (chat.partition(":")[0] for chat in chats):
        group = chat[:1] in "-@" or chat[:1].isalpha()
        found["tgram", bot, chat] = (_A_SECOND, Limit(20, _A_MINUTE)) if group else (_A_SECOND,)
    return found


def _slack(parts: list[str], _options: dict[str, str]) -> Limits:
    """One a second to a channel (https://api.slack.com/apis/rate-limits), by a bot's token or a webhook's workspace."""
    workspace, *rest = parts or [""]
    channels = rest if workspace.startswith("xox") else rest[2:] or rest
    return {("slack", workspace, channel): (_A_SECOND,) for channel in channels or [""]}


def _discord(parts: list[str], _options: dict[str, str]) -> Limits:
    """5 in 2 s of a webhook, 30 a minute to a channel, which a webhook has one of (https://discord.com/developers/docs/topics/rate-limits)."""
    return {("discord", *parts[:1]): (Limit(5, 2.0), Limit(30, _A_MINUTE))}


def _ntfy(parts: list[str], _options: dict[str, str]) -> Limits:
    """60 at once, then one in 5 s, on the public server; one's own has what limits one gives it (https://docs.ntfy.sh/config/#rate-limiting)."""
    host = parts[0].rpartition("@")[2] if len(parts) > 1 else ""
    return {("ntfy",): (Limit(60, 300.0),)} if host in _CLOUDS else {}


def _mail(parts: list[str], options: dict[str, str]) -> Limits:
    """Providers count by the minute and the hour; a burst of thirty a minute passes with all the large ones."""
    host = options.get("smtp") or (parts[0].rpartition("@")[2] if parts else "")
    return {("mail", host.lower()): (Limit(30, _A_MINUTE),)}


_BY_SCHEMA: Mapping[str, Callable[[list[str], dict[str, str]], Limits]] = {
    "tgram": _telegram,
    "slack": _slack,
    "discord": _discord,
    "ntfy": _ntfy,
    "ntfys": _ntfy,
    "mailto": _mail,
    "mailtos": _mail,
}


def limits_of(url: str, rate: str | None = None, of: tuple[str, int] = ("", 0)) -> Limits:
    """Where a message to an Apprise URL counts. `rate` is the config's, for the URL `of` a channel, on top.

    A program of the user's counts nothing, a service that costs money takes ten an hour, all others one a second.
    """
    schema, _, rest = url.partition("://")
    schema = schema.lower()
    place, _, query = rest.partition("?")
    parts = [unquote(part) for part in place.split("/") if part]
    own: Limits
    if schema in PROGRAMS:
        own = {}
    elif (known := _BY_SCHEMA.get(schema)) is not None:
        own = known(parts, dict(parse_qsl(query)))
    else:
        own = {(schema, place): (Limit(10, 3600.0) if schema in TERSE else _A_SECOND,)}
    if rate is None:
        return own
    return {**own, ("rate", of[0], str(of[1])): (parse_rate(rate),)}
