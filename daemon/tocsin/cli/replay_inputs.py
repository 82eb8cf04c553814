"""What `tocsin replay` works on, found by its arguments: the rules, as they are and as they are edited, and the record."""

import os
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.calendars import NO_CALENDARS
from tocsin.cli.ask import note, state_dir_of
from tocsin.cli.options import settings_of, unknown

if TYPE_CHECKING:
    from tocsin.calendars import Calendars
    from tocsin.config.rule_sets import RuleSet
    from tocsin.config.settings import Settings
    from tocsin.engine.rule import Rule
    from tocsin.errors import Problem
    from tocsin.replay.records import Record, Source


@dataclass(frozen=True, slots=True)
class Inputs:
    """Recorded `files`, the config (`settings` None: it isn't looked at) and the `first` rules.

    The `other` rules are those of `against`, or the first ones as `--set` has `said`; without either there are none.
    `replaced` is the one of the first rules' files that `against` takes the place of, None where it is of all of them.
    `warnings`: what is doubtful in the first rules only as `--set` has `said`.
    """

    files: tuple[Path, ...]
    settings: "Settings | None"
    first: "RuleSet"
    other: "Sequence[Rule]"
    replaced: Path | None
    said: tuple[str, ...]
    against: Path | None
    warnings: tuple["Problem", ...]


def inputs_of(
    files: tuple[Path, ...],
    config: Path | None,
    own: Path | None,
    *,
    said: tuple[str, ...],
    against: Path | None,
    venue_type: str | None,
) -> Inputs:
    """By the command's arguments, the rules read. `own`: those that stand for the config's.

    Raises ConfigError for what is wrong with the config or with rules, StoreUnavailable where no file is given and the
    config's daemon has no database, UsageError.
    """
    from tocsin.config.rule_sets import RuleSet, rules_of

    files = files or (_own_database(config),)
    settings: Settings | None
    if own is None:
        settings = settings_of(config)
        calendars = _calendars(config) if against is not None else NO_CALENDARS
        # The first of a config's sources is the config itself.
        first = RuleSet(settings.rules, settings.sources[1:], settings.rule_sources, settings.warnings)
    else:
        settings = settings_of(config) if venue_type is None and not _are_database(files) else None
        calendars = _calendars(config)
        first = rules_of(own, calendars)

    def edited(instead: Map[Path, Path], edits: Sequence[str]) -> "RuleSet | Settings":
        if own is not None:
            return rules_of(own, calendars, instead, edits)
        return settings_of(config, instead=instead, edits=edits)

    other: Sequence[Rule] = ()
    warnings: list[Problem] = []
    replaced = None
    if said:
        found = edited({}, said)
        known = {(problem.path, problem.message) for problem in first.warnings}
        warnings = [each for each in found.warnings if (each.path, each.message) not in known]
        other = found.rules
    elif against is not None:
        replaced = _replaced(first.files, against)
        other = (edited({replaced: against}, ()) if replaced else rules_of(against, calendars)).rules
    return Inputs(files, settings, first, other, replaced, said, against, tuple(warnings))


def _own_database(config: Path | None) -> Path:
    """That of the config's daemon. StoreUnavailable where there is none, or none that we may read."""
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    path = state_dir_of(config) / DATABASE
    Reader(path).count_events()
    return path


def _calendars(config: Path | None) -> "Calendars":
    """The calendars of the config; none where no config was given and none is found. ConfigError where the given one isn't there."""
    from tocsin.config.rule_sets import calendars_of
    from tocsin.config.search import find_config
    from tocsin.errors import ConfigError

    try:
        path = find_config(config, os.environ)
    except ConfigError:
        if config is not None:
            raise
        return NO_CALENDARS
    return calendars_of(path)


def _replaced(files: "Sequence[Path]", edited: Path) -> Path | None:
    """The one of the files that has the edited one's name, if there is one."""
    named = [path for path in files if edited.is_file() and path.name == edited.name]
    if len(named) > 1:
        raise click.UsageError(
            f"{edited} could take the place of each of {', '.join(map(str, named))}: "
            "give it a name that one file has, or none"
        )
    return named[0] if named else None


def record_of(inputs: Inputs, venue: str | None, venue_type: str | None, last: int | None) -> "Record":
    """The database, of which the `last` so many events count (with `--set` those alone that its rules read), or the recordings.

    `venue` and `venue_type` say whose messages recordings hold. Raises UsageError, or StoreUnavailable.
    """
    from tocsin.replay.records import Database, Recordings
    from tocsin.store.opening import taken

    for path in inputs.files:
        if _is_compressed(path):
            raise click.UsageError(f"{path} is compressed: gunzip it first")
    if _are_database(inputs.files):
        note(taken(inputs.files[0]))
        return Database(inputs.files[0], _kinds_that_count(inputs) if inputs.said else None, last)
    return Recordings(list(_sources(inputs, venue, venue_type)))


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"  # gzip's, RFC 1952


def _are_database(files: tuple[Path, ...]) -> bool:
    from tocsin.replay.records import is_database

    databases = [path for path in files if is_database(path)]
    if databases and len(files) > 1:
        raise click.UsageError(f"{databases[0]} is a database, which is told by itself")
    return bool(databases)


def _kinds_that_count(inputs: Inputs) -> frozenset[str]:
    """The kinds that the rules of `--set` read."""
    from tocsin.config.edits import rule_named
    from tocsin.replay.what_if import kinds_that_count

    sources = inputs.first.rule_sources
    ids = {name for each in inputs.said if (name := rule_named(each, sources)) is not None}
    return kinds_that_count((inputs.first.rules, inputs.other), ids)


def _sources(inputs: Inputs, venue: str | None, venue_type: str | None) -> "Iterable[Source]":
    """Each recording with its venue and that one's adapter."""
    from tocsin.config.descriptions import adapter_named, names_of_adapters
    from tocsin.feed.recorder import recordings
    from tocsin.replay.records import Source

    given = adapter_named(venue_type) if venue_type is not None else None
    if venue_type is not None and given is None:
        raise unknown("venue type", venue_type, names_of_adapters())
    venues = inputs.settings.venues if inputs.settings is not None else {}
    known = {name: found.adapter for name, found in venues.items()}
    for path, parts in recordings(inputs.files).items():
        name = venue or (path.stem if path.stem in known or len(known) != 1 else next(iter(known)))
        adapter = given or known.get(name)
        if adapter is None:
            raise click.UsageError(
                f"whose messages are in {path}? Say --venue NAME, one of {', '.join(known) or 'none'}, or --type TYPE"
            )
        yield Source(parts, name, adapter)
