"""By which sender a URL's messages go: our own for Telegram's and Slack's bots, Apprise for all else."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from urllib.parse import unquote

from msgspec import Struct

from tocsin.delivery import slack, telegram
from tocsin.delivery.apprise_sender import AppriseSender, load, surface_problem
from tocsin.delivery.chat_sender import DEADLINE, ChatSender
from tocsin.delivery.model import Ability, ChannelSettings, Sender
from tocsin.secrets import Masker, Secret

_NO = frozenset({"no", "false", "0", "off"})
_YES = frozenset({"yes", "true", "1", "on"})
# Options of Apprise's that ask for what we do anyway, and their values that do.
_SAME_TELEGRAM = {
    "format": {"text"},
    "image": _NO,
    "preview": _NO,
    "detect": _NO,
    "album": _NO,
    "emojis": _NO,
}
_SAME_SLACK = {
    "format": {"text"},
    "image": _NO,
    "footer": _NO,
    "timestamp": _NO,
    "emojis": _NO,
    "blocks": _YES | _NO,
}


class _Telegram(Struct, frozen=True):
    token: Secret
    chats: tuple[str, ...]
    silent: bool


class _Slack(Struct, frozen=True):
    token: Secret
    channels: tuple[str, ...]


def make_sender(
    url: Secret,
    *,
    name: str,
    masker: Masker | None = None,
    deadline: float = DEADLINE,
    moved: dict[str, str] | None = None,
) -> Sender:
    """A sender for one URL. `name` is shown to people; `masker` knows the configuration's secrets.

    `moved` (Telegram's) has the present ids of chats by their former ones; what is learnt is added. Nothing is loaded or
    checked before the first send (see `validate_url` for checking).
    """
    masker = masker or Masker()
    moved = {} if moved is None else moved
    match _own(url):
        case _Telegram(token, chats, silent):
            api = telegram.TelegramApi(token, silent=silent, moved=moved)
            return ChatSender(api, chats, name=name, mask=_mask(masker, url, token), deadline=deadline)
        case _Slack(token, channels):
            return ChatSender(
                slack.SlackApi(token),
                channels,
                name=name,
                mask=_mask(masker, url, token),
                deadline=deadline,
            )
    return AppriseSender(url, name=name, masker=masker, deadline=deadline, moved=moved)


def abilities(url: Secret) -> frozenset[Ability]:
    """What the URL's sender can do beside sending."""
    match _own(url):
        case _Telegram():
            return telegram.TelegramApi.can
        case _Slack():
            return slack.SlackApi.can
    return frozenset()


def telegram_bot(url: Secret) -> tuple[Secret, tuple[str, ...]] | None:
    """The token and the chats of a URL that our own sender for Telegram takes."""
    own = _own(url)
    if not isinstance(own, _Telegram):
        return None
    return own.token, tuple(chat.partition(":")[0] for chat in own.chats)


def pressable(channel: ChannelSettings) -> tuple[int, ...]:
    """The URLs, by their numbers, below whose messages somebody may press buttons."""
    if not channel.answers:
        return ()
    return tuple(target for target, url in enumerate(channel.urls) if telegram_bot(url) is not None)


def tells_ends(channel: ChannelSettings) -> bool:
    """Whether there is anything to send, or to edit, at the end of an alert."""
    match channel.end_told:
        case "reply":
            return True
        case "edit":
            return any("edit" in abilities(url) for url in channel.urls)
    return False


def validate_url(url: Secret | str) -> str | None:
    """What is wrong with a channel's URL, without any secret of it; None when a message can be sent there.

    Sends nothing. Where the URL isn't one of our own senders' it blocks, and imports Apprise.
    """
    url = url if isinstance(url, Secret) else Secret(url)
    if (problem := surface_problem(url.reveal())) is not None:
        return problem
    if _own(url) is not None:
        return None
    if (problem := _nobody(url)) is not None:
        return problem
    try:
        load(url)
    except ValueError as error:
        return str(error)
    return None


def _nobody(url: Secret) -> str | None:
    """What a bot's URL lacks that names nobody: Apprise then writes to whoever spoke to the bot, or to everybody."""
    parts = _parts(url)
    match parts:
        case ("tgram", [_], _):
            return "a Telegram URL that names no chat; write it like tgram://TOKEN/CHAT"
        case ("slack", [token], _) if token.startswith("xox"):
            return "a Slack URL that names no channel; write it like slack://TOKEN/#CHANNEL"
    return None


def remark_on(url: Secret) -> str | None:
    """What the URL gives up by an option that only Apprise knows; None where that is nothing."""
    parts = _parts(url)
    if parts is None or parts[0] not in ("tgram", "slack") or _own(url) is not None:
        return None
    schema, path, options = parts
    same = _SAME_TELEGRAM if schema == "tgram" else _SAME_SLACK
    bare = "&".join(f"{key}={value}" for key, value in options.items() if value in same.get(key, ()))
    odd = sorted(key for key, value in options.items() if value not in same.get(key, ()))
    if not odd or _own(Secret(f"{schema}://{'/'.join(path)}?{bare}")) is None:
        return None
    return (
        f"because of {', '.join(f'{key}=' for key in odd)} messages go by Apprise, which can neither edit nor reply; "
        "without it they go by Tocsin's own sender"
    )


def _own(url: Secret) -> _Telegram | _Slack | None:
    """What one of our own senders needs, where the URL says nothing that it doesn't know."""
    parts = _parts(url)
    if parts is None:
        return None
    schema, path, options = parts
    if schema == "tgram":
        return _telegram(path, dict(options))
    if schema == "slack":
        return _slack(path, options)
    return None


def _telegram(path: list[str], options: dict[str, str]) -> _Telegram | None:
    topic = options.pop("topic", None) or options.pop("thread", "")
    silent = options.pop("silent", "no")
    head = re.fullmatch(r"(?:bot)?(\d+:[A-Za-z0-9_-]+)", path[0]) if path else None
    chats = telegram.recipients_of(path[1:], topic)
    if head is None or not chats or silent not in _YES | _NO or not _asks_for(options, _SAME_TELEGRAM):
        return None
    return _Telegram(Secret(head[1]), chats, silent in _YES)


def _slack(path: list[str], options: dict[str, str]) -> _Slack | None:
    channels = slack.recipients_of(path[1:])
    is_bot = bool(path) and re.fullmatch(r"(?:xoxe\.)?xox[abp]-[A-Za-z0-9-]+", path[0]) is not None
    if not is_bot or not channels or not _asks_for(options, _SAME_SLACK):
        return None
    return _Slack(Secret(path[0]), channels)


def _asks_for(options: dict[str, str], same: Mapping[str, AbstractSet[str]]) -> bool:
    return all(value in same.get(key, ()) for key, value in options.items())


def _parts(url: Secret) -> tuple[str, list[str], dict[str, str]] | None:
    """Schema, path and options, decoded; names and values of options in lower case."""
    schema, separator, rest = url.reveal().partition("://")
    if not separator:
        return None
    place, _, query = rest.partition("?")
    options = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        options[unquote(key).strip().lower()] = unquote(value).strip().lower()
    return schema.lower(), [unquote(part) for part in place.split("/") if part], options


def _mask(masker: Masker, url: Secret, token: Secret) -> Callable[[str], str]:
    own = Masker()
    for secret in (url, token, *re.findall(r"[A-Za-z0-9_]{12,}", token.reveal())):
        own.add(secret)
    return lambda text: masker.mask(own.mask(text))
