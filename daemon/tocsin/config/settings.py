"""What a checked configuration is: nothing left to parse, to look up or to refuse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
)

from tocsin.actions.model import ActionSettings
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Names
from tocsin.calendars import Calendar
from tocsin.config.listening import Listen, read_token
from tocsin.config.literals import is_secret_name
from tocsin.config.rule_sources import RuleSource
from tocsin.config.shape import Section
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import tells_ends
from tocsin.engine.api import SEVERITIES, Severity
from tocsin.engine.rule import Rule
from tocsin.errors import Problem, TocsinError
from tocsin.events.vocabulary import nearest
from tocsin.quantities import Duration, SecretText, parse_duration
from tocsin.reports.model import Report
from tocsin.secrets import Masker, Secret
from tocsin.store.model import Retention
from tocsin.venues.base import Adapter, VenueSettings

IDENTIFIER = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
"""What venues and channels can be called."""
DEFAULT_ZONE = "UTC"


def is_zone(text: Any) -> bool:
    """Whether a time zone is called so."""
    try:
        _zone(text)
    except ValueError:
        return False
    return True


def _zone(text: Any) -> ZoneInfo:
    if isinstance(text, ZoneInfo):
        return text
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError, TypeError):
        raise ValueError("no time zone is called so; write it like Europe/Berlin") from None


Zone: TypeAlias = Annotated[
    ZoneInfo,
    BeforeValidator(_zone),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]}),
]


def _telegram_id(value: Any) -> Any:
    """A whole number above 0; ValueError, fit to be shown, on anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("a person's number is above 0; below it are groups")
    if isinstance(value, str) and "${" in value:
        raise ValueError("write the number itself: it is no secret")
    if isinstance(value, str) and value:
        raise ValueError(
            "not the number that Telegram knows a person by (no @name, no phone number): see `tocsin help telegram`"
        )
    raise ValueError("not the number that Telegram knows a person by: see `tocsin help telegram`")


class Person(Section):
    """Who may act, by what the page and chats know them by."""

    token: Annotated[SecretText, BeforeValidator(read_token)] | None = Field(
        None,
        description="what the person signs in to the page with: at least 20 characters, see tocsin help page",
    )
    telegram: Annotated[int | None, BeforeValidator(_telegram_id)] = Field(
        None,
        gt=0,
        description="the number that Telegram knows the person by, which is that of a private chat with them",
    )


class NamesSection(Section):
    """What people call accounts and symbols."""

    accounts: dict[str, str] = Field({}, description="a venue's account id: the name that messages use")
    symbols: dict[str, str] = Field({}, description="a venue's symbol: the name that messages use")


def _web_address(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("must be a text")
    if _REFERENCE.search(text):
        raise ValueError("a link stands in each message as it is: no secret belongs in it")
    if set(text) & set("{}"):
        raise ValueError(
            "a link is the same in each message about the venue: nothing is filled in, write it without braces"
        )
    try:
        parts = urlsplit(text)
        sound = (
            parts.scheme in ("https", "http")
            and bool(parts.hostname)
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        sound = False
    if not sound or len(text) > LONGEST_LINK:
        raise ValueError("not a web address; write it like https://trade.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a user or a password would stand in each message")
    for name, value in parse_qsl(parts.query):
        if value and is_secret_name(name):
            raise ValueError(
                f"`{name:.40}` in an address would stand in each message: no secret belongs in it"
            )
    return text


_REFERENCE = re.compile(r"\$(?:\{|(?:cred|env|file)\b)", re.IGNORECASE)


LONGEST_LINK = 500  # characters
WebAddress: TypeAlias = Annotated[str, BeforeValidator(_web_address)]


class LogSettings(Section):
    """Logs go to standard error."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto is console on a terminal, else JSON lines"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="nothing below this is logged"
    )


ChannelList: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


class BySeverity(Section):
    critical: ChannelList | None = None
    warning: ChannelList | None = None
    info: ChannelList | None = None


Notify: TypeAlias = Annotated[
    Annotated[BySeverity, Tag("by severity")] | Annotated[ChannelList, Tag("channels")],
    Discriminator(lambda value: "by severity" if isinstance(value, dict | BySeverity) else "channels"),
]


class Defaults(Section):
    """What a rule gets that doesn't say otherwise."""

    notify: Notify | None = Field(
        None, description="channels, in one list or by severity; all channels where nothing is said"
    )


def _ping_address(text: Any) -> Secret:
    """Of a URL with a user's key in it nothing is shown."""
    if isinstance(text, Secret):
        return text
    if not isinstance(text, str):
        raise ValueError("must be a text")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("https", "http") and bool(parts.hostname) and text.isprintable()
    except ValueError:
        sound = False
    if not sound or " " in text:
        raise ValueError("not a web address; write it like https://hc-ping.com/UUID")
    return Secret(text)


def _beat_interval(text: Any) -> timedelta:
    every = parse_duration(text)
    if not _SHORTEST_BEAT <= every <= _LONGEST_BEAT:
        raise ValueError("from 10s to 1d")
    return every


_SHORTEST_BEAT, _LONGEST_BEAT = timedelta(seconds=10), timedelta(days=1)


class Heartbeat(Section):
    """A dead man's switch elsewhere, which is asked for as long as all is well, and rings when it isn't asked."""

    url: Annotated[SecretText, BeforeValidator(_ping_address)] = Field(
        description="is asked by GET, such as https://hc-ping.com/${cred:heartbeat}"
    )
    every: Annotated[Duration, BeforeValidator(_beat_interval)] = Field(
        timedelta(minutes=1), description="how often, from 10s to 1d"
    )
    require: tuple[str, ...] = Field(
        (), description="venues that have to be connected, and not silent, for all to be well"
    )
    on_failure: Literal["none", "fail"] = Field(
        "none",
        description="what is sent when it isn't: nothing, or the reason to the URL with /fail behind it",
    )


Heartbeats: TypeAlias = Annotated[
    Annotated[Heartbeat, Tag("one")] | Annotated[tuple[Heartbeat, ...], Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
]
StoreMarketData: TypeAlias = Literal["none", "changes", "all"]


class Common(Section):
    """The sections beside venues, channels and rules."""

    defaults: Defaults = Defaults()
    names: NamesSection = NamesSection()
    people: dict[str, Person] = Field(
        {},
        description="who may sign in to the page, press buttons and ask in chats: see tocsin help page, and a channel's answers",
    )
    links: dict[str, WebAddress] = Field(
        {}, description="a venue: its own page, which stands in the messages about it"
    )
    tz: Zone = Field(
        ZoneInfo(DEFAULT_ZONE),
        description="the IANA time zone of what people read and of calendars, such as Europe/Prague",
    )
    heartbeat: Heartbeats = Field(
        (), description="dead man's switches, one or a list: see tocsin help watching"
    )
    listen: Listen | None = Field(
        None, description="the page, health and metrics over TCP: see tocsin help page"
    )
    retention: Retention = Retention()
    log: LogSettings = LogSettings()
    state_dir: str | None = Field(
        None, description="where the state is kept; else $STATE_DIRECTORY, else $XDG_STATE_HOME/tocsin"
    )
    store_market_data: StoreMarketData = Field(
        "none",
        description="of tickers, books, trades and what only prices move: none keeps what made rules fire, changes what "
        "differs from before, all everything",
    )


class UnknownName(TocsinError):
    """Nothing of the config is called so."""


class UnknownRule(UnknownName):
    """No rule is called so."""


class UnknownReport(UnknownName):
    """No report is called so."""


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """One venue of the config: its name there, what it is, and what was said about it."""

    name: str
    adapter: Adapter
    settings: VenueSettings = field(repr=False)  # its URL may hold a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, checked. `notify` None for a severity means all channels. `gates` are the channels'.

    `rule_sources` say where each rule is written. `sources` are the files that it was read from, `warnings` what is doubtful in
    them; `masker` knows every secret.
    """

    path: Path
    venues: Mapping[str, VenueConfig]
    channels: Mapping[str, ChannelSettings]
    actions: Mapping[str, ActionSettings]
    notify: Mapping[Severity, tuple[str, ...] | None]
    rules: tuple[Rule, ...]
    rule_sources: Mapping[str, RuleSource]
    calendars: Mapping[str, Calendar | None]
    gates: Mapping[str, ChannelGates]
    reports: tuple[Report, ...]
    state_dir: Path
    names: Names
    people: Mapping[str, Person]
    links: Mapping[str, str]
    tz: ZoneInfo
    heartbeat: tuple[Heartbeat, ...]
    listen: Listen | None
    retention: Retention
    log: LogSettings
    store_market_data: StoreMarketData
    sources: tuple[Path, ...]
    masker: Masker
    warnings: tuple[Problem, ...]

    def recording(self, venue: str) -> Path:
        """Where that venue's raw messages are kept, if its `record` says so."""
        return self.state_dir / "recordings" / f"{venue}.jsonl"

    def rule(self, id_: str) -> Rule:
        """Raises UnknownRule."""
        for rule in self.rules:
            if rule.id == id_:
                return rule
        near = nearest(id_, [rule.id for rule in self.rules])
        raise UnknownRule(f"no rule is called {id_}" + (f"; did you mean {near}?" if near else ""))

    def report(self, id_: str) -> Report:
        """Raises UnknownReport."""
        for report in self.reports:
            if report.id == id_:
                return report
        raise UnknownReport(f"no report is called {id_}")

    @property
    def public_url(self) -> str:
        """Where people reach the page, with a slash at its end; "" where that isn't said."""
        return (self.listen.public_url if self.listen is not None else None) or ""

    @property
    def routing(self) -> Routing:
        """The channels and their limits, as deciding who is told needs them."""
        return routing_of(self.channels, self.gates, self.notify)


def routing_of(
    channels: Mapping[str, ChannelSettings],
    gates: Mapping[str, ChannelGates],
    notify: Mapping[Severity, tuple[str, ...] | None],
) -> Routing:
    """The channels and their limits, and who is told by default; `notify` as of `Settings`."""
    defaults = {severity: names for severity, names in notify.items() if names is not None}
    return Routing(channels=routes_of(channels, gates), defaults=defaults)


def routes_of(channels: Mapping[str, ChannelSettings], gates: Mapping[str, ChannelGates]) -> dict[str, Route]:
    """The channels as deciding who is told needs them."""
    return {
        name: Route(
            min_severity=channel.min_severity,
            send_resolved=tells_ends(channel),
            quiet=gates[name].quiet if name in gates else None,
        )
        for name, channel in channels.items()
    }


def by_severity(defaults: Defaults) -> dict[Severity, tuple[str, ...] | None]:
    """The channels for each severity; a severity that isn't mentioned tells all of them: rather too many than none."""
    notify = defaults.notify
    if isinstance(notify, BySeverity):
        return {severity: getattr(notify, severity) for severity in SEVERITIES}
    return dict.fromkeys(SEVERITIES, notify)
