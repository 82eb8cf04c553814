"""The section `channels`: a bare Apprise URL, or one with options."""

import re
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from tocsin.calendars import Calendar, Calendars, Window
from tocsin.config import shape
from tocsin.config.literals import looks_secret
from tocsin.config.reading import Reading
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import abilities, remark_on
from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

ValidateUrl = Callable[[Secret], str | None]
"""What is wrong with an Apprise URL, in words without the URL; None if nothing is."""


def read_channels(
    reading: Reading, node: Node | None, validate_url: ValidateUrl | None
) -> dict[str, ChannelSettings]:
    """The channels that are right; what is wrong with the others is noted."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        reading.hide_doubtful(node)
        reading.add(Problem("must be a mapping: a name of your choice, then a URL", node.place, "channels"))
        return {}
    found = {entry.key.text: _channel(reading, entry, validate_url) for entry in node}
    channels = {name: channel for name, channel in found.items() if channel}
    _check_fallbacks(reading, node, list(found), channels)
    return channels


def _channel(reading: Reading, entry: Entry, validate_url: ValidateUrl | None) -> ChannelSettings | None:
    node = entry.value
    path = ("channels", entry.key.text)
    well_named = reading.check_name(entry, "channel", path)
    _mind_literals(reading, node)
    if isinstance(node, Mapping):
        values = reading.plain(node)
        if isinstance(values, dict) and isinstance(values.get("urls"), str):
            values["urls"] = [values["urls"]]  # one URL needs no list
        channel, problems = shape.check(ChannelSettings, node, path, values, entry.key.place)
        reading.add(*problems)
    elif isinstance(node, Scalar) and isinstance(node.value, str) and node.value:
        channel = ChannelSettings.model_validate({"urls": [reading.plain(node)]})
    else:
        reading.add(Problem("must be a URL, or a mapping with urls", entry.key.place, shape.dotted(path)))
        return None
    if channel is None:
        return None
    _check_urls(reading, node, channel, path, validate_url)
    return channel if well_named else None


def _check_urls(
    reading: Reading,
    node: Node,
    channel: ChannelSettings,
    path: shape.Path,
    validate_url: ValidateUrl | None,
) -> None:
    for scalar, url in zip(_url_nodes(node), channel.urls, strict=True):
        _remember(reading, url)
        problem = validate_url(url) if validate_url and not reading.is_unresolved(scalar) else None
        if problem:
            reading.add(Problem(problem, scalar.place, shape.dotted(path)))
        elif (
            channel.resolved == "edit" and "edit" not in abilities(url) and not reading.is_unresolved(scalar)
        ):
            what = "resolved: edit, but what is sent there can't be edited; write reply or never"
            reading.add(Problem(what, scalar.place, shape.dotted(path)))
        elif remark := remark_on(url):
            reading.add(Problem(remark, scalar.place, shape.dotted(path), level="warning"))


def _url_nodes(node: Node) -> Iterator[Scalar]:
    """Where the URLs stand, in their order."""
    if isinstance(node, Mapping):
        node = node.entries["urls"].value if "urls" in node.entries else Sequence((), node.place)
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        yield from (item for item in node if isinstance(item, Scalar))


def _mind_literals(reading: Reading, node: Node) -> None:
    if isinstance(node, Mapping):
        for name, entry in node.entries.items():
            if name not in ChannelSettings.model_fields:
                reading.hide_doubtful(entry.value, name)
    for scalar in _url_nodes(node):
        reading.hide_doubtful(scalar)
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
                'name one of `calendars`, or write windows as a list: quiet: ["22:00-07:00"]'
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
