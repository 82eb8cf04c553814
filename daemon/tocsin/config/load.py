"""From a config file to checked settings, or to everything that is wrong with it at once."""

import gc
import os
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from collections.abc import Sequence as Seq
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from tocsin.actions.model import ActionSettings
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Names
from tocsin.calendars import Calendars, doubts_of_zone
from tocsin.config import shape
from tocsin.config.actions import check_names as check_arguments
from tocsin.config.actions import read_actions, warn_of_unused
from tocsin.config.calendars import read_calendars
from tocsin.config.channels import ValidateUrl, check_quiet, gates_of, read_channels
from tocsin.config.doubts import check_links, warn_of_nobody, warn_of_nothing
from tocsin.config.edits import edited
from tocsin.config.hiding import hide_secrets
from tocsin.config.names import LookAtSeen, check_names, nothing_seen
from tocsin.config.people import check_answers, check_confirms, check_people
from tocsin.config.reading import Reading
from tocsin.config.reports import read_reports
from tocsin.config.rule_files import read_rules
from tocsin.config.rule_sets import actions_named, channels_named
from tocsin.config.rule_sources import rule_sources
from tocsin.config.search import default_state_dir, given_state_dir
from tocsin.config.settings import Common, Settings, VenueConfig, by_severity, routing_of
from tocsin.config.venues import read_venues
from tocsin.config.watching import check_listen, check_tokens, heartbeats, plain_values, remember_tokens
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import validate_url as validates
from tocsin.delivery.template_check import check_template
from tocsin.document import Entry, Mapping, Node, Scalar, items
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.rule import Rule
from tocsin.engine.rule_schema import HOURS
from tocsin.errors import ConfigError, Problem

OWN = ("venues", "channels", "actions", "rules", "calendars", "reports")
"""Sections with a module of their own here."""


def load_settings(
    path: Path,
    *,
    environ: Map[str, str] = os.environ,
    validate_url: ValidateUrl | None = validates,
    instead: Map[Path, Path] = MappingProxyType({}),
    seen: LookAtSeen = nothing_seen,
    edits: Seq[str] = (),
) -> Settings:
    """Read the config at `path` with all its rules and secrets. Blocks.

    Raises ConfigError with every problem in it (warnings too) if there is an error; warnings alone are in the
    settings. `validate_url` None leaves the channels' URLs unchecked (checking them imports Apprise). `instead`: of the
    files in `sources`, which is read in the place of which. `seen` says what venues have told of, for who has a state.
    `edits`: what is set otherwise in rules, as `config.edits` has it.
    """
    reading = Reading(path, environ, instead)
    with _collection_paused():
        settings = _settings(reading, validate_url, seen, edits)
    problems = reading.shown()
    if settings is None or any(problem.level == "error" for problem in problems):
        raise ConfigError(problems)
    return replace(settings, warnings=tuple(problems))


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Nothing that is made here is in a cycle; looking for cycles in all the rules would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Sections:
    """The sections that rules name things of, as far as they are right, and the rules as they are `written`. `gates` are the channels'."""

    venues: dict[str, VenueConfig]
    channels: dict[str, ChannelSettings]
    actions: dict[str, ActionSettings]
    written: list[Mapping]
    calendars: Calendars
    gates: dict[str, ChannelGates]


def _settings(
    reading: Reading, validate_url: ValidateUrl | None, seen: LookAtSeen, edits: Seq[str]
) -> Settings | None:
    """The settings as far as they are right, None where there is no config to read; what is wrong is in the reading."""
    root = _root(reading)
    if root is None:
        return None
    sections = _sections(reading, root, validate_url, edits)
    rules = _rules(reading, root, sections)
    common = _common(reading, root)
    _check_together(reading, root, sections, common, seen)
    state_dir = _state_dir(reading, root)
    check_arguments(reading, root.get("actions"), sections.actions, rules)
    # These two are silent where an error was found so far: they stand behind the checks.
    warn_of_unused(
        reading, root.get("actions"), sections.actions, {name for rule in rules for name in rule.run.all}
    )
    warn_of_nothing(reading, root, rules)
    settings = _made(reading, root, sections, rules, common, state_dir=state_dir)
    warn_of_nobody(reading, settings)
    return settings


def _root(reading: Reading) -> Mapping | None:
    """The document without what is null (a section whose lines are all commented out) or not ours to read."""
    node = reading.load_config()
    if isinstance(node, Scalar) and node.value is None:
        return Mapping({}, node.place)
    if not isinstance(node, Mapping):
        if node is not None:
            reading.add(Problem("a config is a mapping, with venues, channels and rules", node.place))
        return None
    kept: dict[str, Entry] = {}
    known = [*OWN, *shape.known_keys(Common)]
    for name, entry in node.entries.items():
        if name not in known:
            reading.hide_doubtful(entry.value, name)
            reading.add(shape.unknown_key(entry.key, (), known))
        elif not isinstance(entry.value, Scalar) or entry.value.value is not None:
            kept[name] = entry
    return Mapping(kept, node.place)


def _sections(
    reading: Reading, root: Mapping, validate_url: ValidateUrl | None, edits: Seq[str]
) -> _Sections:
    venues = read_venues(reading, root.get("venues"))
    channels = read_channels(reading, root.get("channels"), validate_url)
    actions = read_actions(reading, root.get("actions"))
    written = edited(reading, read_rules(reading, root.get("rules")), edits)
    calendars = read_calendars(reading, root)
    if "calendars" not in reading.broken:
        check_quiet(reading, root.get("channels"), channels, calendars)
    gates = {name: gates_of(channel, calendars) for name, channel in channels.items()}
    return _Sections(venues, channels, actions, written, calendars, gates)


def _rules(reading: Reading, root: Mapping, sections: _Sections) -> list[Rule]:
    written = sections.written
    environment = Environment(
        channels=_nameables(reading, root, "channels", channels_named(written)),
        actions=_nameables(reading, root, "actions", actions_named(written)),
        supplied={name: venue.adapter.supplies for name, venue in sections.venues.items()},
        check_template=check_template,
        calendars=_nameable(reading, sections.calendars, written),
        complete="rules" not in reading.broken and not reading.unread,
        limits={name: channel.min_severity for name, channel in sections.channels.items()},
    )
    rules, problems = compile_rules(written, environment)
    reading.add(*problems)
    return list(rules.values())


def _common(reading: Reading, root: Mapping) -> Common:
    entries = {name: entry for name, entry in root.entries.items() if name not in OWN}
    for name, check in (("people", check_people), ("listen", check_listen)):
        if (entry := entries.get(name)) is not None:
            check(reading, entry.value)
    section = Mapping(entries, root.place)
    hide_secrets(reading, section, Common)
    common, problems = shape.sound(Common, section, plain=plain_values(reading, section))
    reading.add(*problems)
    check_tokens(reading, section)
    remember_tokens(reading, common)
    defaults = section.get("defaults")
    notify = defaults.get("notify") if isinstance(defaults, Mapping) else None
    if notify is not None and "channels" not in reading.broken:
        _check_channels(reading, notify, list(_names(root, "channels")), ("defaults", "notify"))
    reading.add(*doubts_of_zone(section.get("tz"), "tz"))
    return common


def _check_together(
    reading: Reading, root: Mapping, sections: _Sections, common: Common, seen: LookAtSeen
) -> None:
    """That what one section names of another is there, as far as both can be read."""
    if "people" not in reading.broken:
        check_answers(reading, root, sections.channels, common.people)
    if "channels" not in reading.broken:
        check_confirms(reading, root, sections.actions, sections.channels, _names(root, "channels"))
    check_names(reading, root.get("names"), tuple(sections.venues), seen)
    if "venues" not in reading.broken:
        check_links(reading, root)


def _state_dir(reading: Reading, root: Mapping) -> Path:
    given, problems = given_state_dir(root.get("state_dir"), reading.folder, reading.references)
    reading.add(*problems)
    return given or default_state_dir(reading.environ)


def _made(
    reading: Reading, root: Mapping, sections: _Sections, rules: Seq[Rule], common: Common, *, state_dir: Path
) -> Settings:
    """The settings of all that was read, with the reports and the heartbeats, which go by the channels and venues there are."""
    notify = by_severity(common.defaults)
    routing = routing_of(sections.channels, sections.gates, notify)
    reports = read_reports(reading, root.get("reports"), common.tz, _names(root, "channels"), routing)
    return Settings(
        path=reading.path,
        venues=sections.venues,
        channels=sections.channels,
        actions=sections.actions,
        notify=notify,
        rules=tuple(rules),
        rule_sources=rule_sources(sections.written, reading.texts),
        calendars=sections.calendars.named,
        gates=sections.gates,
        reports=reports,
        state_dir=state_dir,
        names=Names(accounts=common.names.accounts, symbols=common.names.symbols),
        links=common.links,
        people=common.people,
        tz=common.tz,
        listen=common.listen,
        heartbeat=heartbeats(reading, root, common, _names(root, "venues")),
        retention=common.retention,
        log=common.log,
        store_market_data=common.store_market_data,
        sources=tuple(reading.sources),
        masker=reading.masker,
        warnings=(),
    )


def _check_channels(reading: Reading, node: Node, channels: list[str], path: shape.Path) -> None:
    if isinstance(node, Mapping):
        for entry in node:
            _check_channels(reading, entry.value, channels, (*path, entry.key.text))
        return
    for item in items(node):
        if isinstance(item, Scalar) and isinstance(item.value, str):
            reading.check_channel(item, channels, path)


def _nameables(reading: Reading, root: Mapping, section: str, named: Iterable[str]) -> frozenset[str]:
    """Those that rules can name; where the section can't be read, whichever they do (`named`)."""
    return frozenset(named if section in reading.broken else _names(root, section))


def _nameable(reading: Reading, calendars: Calendars, rules: Seq[Mapping]) -> Calendars:
    """Those that rules can name; where the section can't be read, whichever they do."""
    if "calendars" not in reading.broken:
        return calendars
    hours = (rule.get(key) for rule in rules for key in HOURS)
    return replace(calendars, named={node.text: None for node in hours if isinstance(node, Scalar)})


def _names(root: Mapping, section: str) -> Seq[str]:
    """The channels or actions that the config has, the faulty ones too: a rule that names one of those isn't wrong."""
    named = root.get(section)
    return tuple(named.entries) if isinstance(named, Mapping) else ()
