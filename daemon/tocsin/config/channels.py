"""The section `channels`: a bare Apprise URL, or one with options."""

import re
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from tocsin.alerts.channel_gates import ChannelGates
from tocsin.calendars import Calendar, Calendars, Window
from tocsin.config import shape
from tocsin.config.hiding import hide_secrets
from tocsin.config.literals import looks_secret
from tocsin.config.reading import Reading
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import abilities, remark_on
from tocsin.document import Entry, Mapping, Node, Plain, Scalar, find, items
from tocsin.engine.rule_schema import KEYS
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import duration_text
from tocsin.secrets import Secret

ValidateUrl = Callable[[Secret], str | None]
"""What is wrong with an Apprise URL, in words without the URL; None if nothing is."""


_SHORT = timedelta(minutes=1)
_UNKNOWN_KEY = re.compile("unknown key `(.*)`")


def read_channels(
    reading: Reading, node: Node | None, validate_url: ValidateUrl | None
) -> dict[str, ChannelSettings]:
    """The channels as far as they are right; what is wrong with them is noted."""
    section = reading.section(node, "channels", "a URL")
    if section is None:
        return {}
    found = {entry.key.text: _channel(reading, entry, validate_url) for entry in section}
    channels = {name: channel for name, channel in found.items() if channel}
    _check_fallbacks(reading, section, list(found), channels)
    return channels


def _channel(reading: Reading, entry: Entry, validate_url: ValidateUrl | None) -> ChannelSettings | None:
    """The channel as far as it is right: a key of a wrong shape counts as absent. None where there is nothing to look at."""
    node = entry.value
    path = ("channels", entry.key.text)
    reading.check_name(entry, "channel", path)
    _mind_literals(reading, node)
    if isinstance(node, Mapping):
        values = reading.plain(node)
        assert isinstance(values, dict)  # noqa: S101  a mapping's
        if isinstance(values.get("urls"), str):
            values["urls"] = [values["urls"]]  # one URL needs no list
        channel, problems = shape.sound(
            ChannelSettings, node, path, values, entry.key.place, instead={"urls": _texts(values.get("urls"))}
        )
        reading.add(*map(_of_rules, problems))
        _check_doubtful(reading, node, channel, path)
    elif isinstance(node, Scalar) and isinstance(node.value, str) and node.value:
        channel = ChannelSettings.model_validate({"urls": [reading.plain(node)]})
    else:
        reading.refuse_value(entry, "a URL, or a mapping with urls", path)
        return None
    _check_urls(reading, node, channel, path, validate_url)
    return channel


def _of_rules(problem: Problem) -> Problem:
    """Of a key that is none of a channel's, but of rules, that it is one."""
    found = _UNKNOWN_KEY.fullmatch(problem.message)
    if found is None or found[1] not in KEYS:
        return problem
    return replace(problem, hint=f"`{found[1]}` is a key of rules")


UNKNOWN = "unknown"
"""In the place of a URL where none of a channel's can be read."""


def _texts(urls: Plain) -> tuple[Plain, ...]:
    texts = tuple(url for url in urls if isinstance(url, str) and url) if isinstance(urls, list) else ()
    return texts or (UNKNOWN,)


def _check_doubtful(reading: Reading, node: Mapping, channel: ChannelSettings, path: shape.Path) -> None:
    """What is of the right shape, and most likely not what is meant."""
    if "resolved" in node.entries and "send_resolved" in node.entries:
        problem = "send_resolved is an older spelling of resolved; remove it"
        key = node.entries["send_resolved"].key
        reading.add(Problem(problem, key.place, shape.dotted((*path, "send_resolved"))))
    for item in _each(node.get("silent")):
        if item.text == "critical" and "critical" in channel.silent:
            hint = "leave it out, or let another channel be loud for what is critical"
            what = "a critical alert makes no sound here"
            reading.add(Problem(what, item.place, shape.dotted((*path, "silent")), hint, "warning"))
    expire = node.get("expire")
    if expire is not None and channel.expire < _SHORT:
        text = duration_text(channel.expire)
        what = f"what isn't taken within {text} is given up: nobody is told where the service is away for a moment"
        hint = "24h is the default"
        reading.add(Problem(what, expire.place, shape.dotted((*path, "expire")), hint, "warning"))


def _each(node: Node | None) -> Iterator[Scalar]:
    for item in items(node):
        if isinstance(item, Scalar):
            yield item


def _check_urls(
    reading: Reading,
    node: Node,
    channel: ChannelSettings,
    path: shape.Path,
    validate_url: ValidateUrl | None,
) -> None:
    for scalar, url in zip(_url_nodes(node), channel.urls, strict=False):
        _remember(reading, url)
        problem = validate_url(url) if validate_url and not reading.is_unresolved(scalar) else None
        if problem:
            reading.add(Problem(problem, scalar.place, shape.dotted(path)))
        elif (
            channel.resolved == "edit" and "edit" not in abilities(url) and not reading.is_unresolved(scalar)
        ):
            what = "what is sent there can't be edited; write reply or never"
            place = find(node, ("resolved",)).place
            reading.add(Problem(what, place, shape.dotted((*path, "resolved"))))
        elif remark := remark_on(url):
            reading.add(Problem(remark, scalar.place, shape.dotted(path), level="warning"))


def _url_nodes(node: Node) -> Iterator[Scalar]:
    """Where the URLs stand, in their order."""
    for scalar in _each(node.get("urls") if isinstance(node, Mapping) else node):
        if isinstance(scalar.value, str) and scalar.value:
            yield scalar


def _mind_literals(reading: Reading, node: Node) -> None:
    hide_secrets(reading, node, ChannelSettings)
    for scalar in _each(node.get("urls") if isinstance(node, Mapping) else node):
        if looks_secret(scalar.text):
            reading.warn_of_literal(scalar)


def _remember(reading: Reading, url: Secret) -> None:
    """Tells the masker of the URL and of those parts of it that may be shown alone."""
    reading.masker.add(url)
    text = url.reveal()
    if looks_secret(text):
        rest = text.partition("://")[2]
        for word in re.split(r"[/?&#=@:]", rest):
            if looks_secret(f"x://{word}"):
                reading.masker.add(unquote(word))
        try:
            password = urlsplit(text).password
        except ValueError:
            return
        if password:
            reading.masker.add(unquote(password))


def _check_fallbacks(
    reading: Reading, node: Mapping, names: list[str], channels: dict[str, ChannelSettings]
) -> None:
    """That every fallback exists, and that following them comes to an end."""
    told: set[str] = set()
    for name, channel in channels.items():
        if channel.fallback is None:
            continue
        settings = node.entries[name].value
        target = settings.get("fallback") if isinstance(settings, Mapping) else None
        path: shape.Path = ("channels", name, "fallback")
        if target is None:
            continue
        reading.check_channel(target, names, path)
        circle = _circle(name, channels)
        if circle and name not in told:
            told.update(circle)
            way = " -> ".join([*circle, circle[0]])
            hint = "one of them must have no fallback, or another one"
            reading.add(Problem(f"fallbacks form a circle: {way}", target.place, shape.dotted(path), hint))


def check_quiet(
    reading: Reading, node: Node | None, channels: dict[str, ChannelSettings], calendars: Calendars
) -> None:
    """That the calendars exist in which channels are quiet, and that they close."""
    for name, channel in channels.items():
        if channel.quiet is None or not isinstance(node, Mapping):
            continue
        section = node.entries[name].value
        quiet = section.get("quiet") if isinstance(section, Mapping) else None
        place, path = (quiet.place if quiet else node.place), shape.dotted(("channels", name, "quiet"))
        if isinstance(channel.quiet, str) and channel.quiet not in calendars.named:
            hint = did_you_mean(channel.quiet, list(calendars.named)) or (
                'name one of `calendars`, or write windows: quiet: ["22:00-07:00"]'
            )
            reading.add(Problem(f"no calendar is called {channel.quiet:.80}", place, path, hint))
            continue
        calendar = quiet_calendar(channel, calendars.named, calendars.tz)
        if calendar is None:
            continue
        now = datetime.now(UTC)
        if calendar.is_open(now) and calendar.next_change(now) is None:
            hint = (
                "a channel is quiet while its calendar is open: all but critical alerts would wait for ever"
            )
            reading.add(Problem("it never closes", place, path, hint, "warning"))


def quiet_calendar(
    channel: ChannelSettings, calendars: Map[str, Calendar | None], tz: str
) -> Calendar | None:
    """When the channel is quiet, in the config's time zone where it says windows of its own."""
    if channel.quiet is None or isinstance(channel.quiet, str):
        return calendars.get(channel.quiet or "")
    return Calendar(tz, tuple(map(Window.parse, channel.quiet)))


def gates_of(channel: ChannelSettings, calendars: Calendars) -> ChannelGates:
    """What the channel holds back, in the calendars' time zone where it says windows of its own."""
    return ChannelGates(
        quiet=quiet_calendar(channel, calendars.named, calendars.tz),
        storm=None if channel.storm == "off" else int(channel.storm.removesuffix("/min")),
        digest=channel.digest,
    )


def _circle(start: str, channels: dict[str, ChannelSettings]) -> list[str]:
    """The channels on the way from `start` back to `start`; empty if there is no such way."""
    way = [start]
    while (channel := channels.get(way[-1])) and (following := channel.fallback):
        if following == start:
            return way
        if following in way:
            return []
        way.append(following)
    return []
