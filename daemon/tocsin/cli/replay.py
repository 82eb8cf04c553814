"""`tocsin replay`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.ask import note
from tocsin.cli.options import config_option, format_option, print_json, settings_of, unknown
from tocsin.cli.replayed import SHOWN, as_json, complain, show

if TYPE_CHECKING:
    from tocsin.calendars import Calendars
    from tocsin.engine.rule import Rule
    from tocsin.replay.player import KnownChannels
    from tocsin.replay.records import Record


@click.command("replay")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    help="An edited file of the rules, or other rules: what they add and lose.",
)
@click.option(
    "--rules",
    "own",
    type=click.Path(exists=True, path_type=Path),
    help="These rules instead of the config's.",
)
@click.option(
    "--venue", help="Whose messages they are; else the file's name says it, or the config has only one."
)
@click.option(
    "--type",
    "venue_type",
    help="The venue's type, or its description's name or path; else the config says it.",
)
@click.option(
    "--all", "everything", is_flag=True, help=f"List every alert, not only the first {SHOWN} of a rule."
)
@config_option
@format_option
def command(
    files: tuple[Path, ...],
    config: Path | None,
    *,
    against: Path | None,
    own: Path | None,
    venue: str | None,
    venue_type: str | None,
    everything: bool,
    output: str,
) -> None:
    """Run recorded events through rules, and say what would have fired.

    FILES are what tocsin record or `record: true` wrote (several are told together, in the order of time; fx*.jsonl
    are all files of one recording), or one tocsin.db, whose own events are told again. The rules are the config's, or
    those of --rules. Calendars that rules name are the config's, where there is one. Nothing is sent.

    A rule's alerts are counted as they would have fired; where something would have kept any from people, "told" counts
    those that somebody would have heard of. With a config, its channels hold back, drop and gather as they do in the
    daemon (min_severity, quiet, digest, storm), and what each would have got is told; what services take (the pace) is
    not looked at. Without one, each takes all that rules tell it. Of a database silences and acknowledgements hold as
    they did then. What alerts would have run is told with what would have kept it from being run, as in the daemon; nothing
    is run.

    With --against edited rules see the same events: which alerts they add and lose is listed, and which of the others
    only they would have told or held back. A file that has the name of one of the rules' files takes the place of that
    one, and the others stay; any other, and a folder, takes the place of all the rules.

    \b
    Examples:
      tocsin replay fx.jsonl
      tocsin replay /var/lib/tocsin/recordings/fx*.jsonl
      tocsin replay fx.jsonl --rules rules/ --type yourfintech
      tocsin replay fx.jsonl --against edited/positions.yaml
      tocsin replay /var/lib/tocsin/tocsin.db --against new/
    """
    from tocsin.replay.player import NO_CHANNELS
    from tocsin.replay.replay import replay
    from tocsin.replay.runs import NO_ACTIONS, KnownActions

    configured = own is None or (venue_type is None and not _are_database(files))
    settings = settings_of(config) if configured else None
    first, other, replaced = _rule_sets(config, settings, own, against)
    sets = [first] if other is None else [first, other]
    record = _record(files, settings, venue, venue_type)
    shown = output == "text" and sys.stderr.isatty()
    with click.progressbar(length=record.size, label="replaying", file=sys.stderr, hidden=not shown) as bar:
        known = known_channels(settings) if settings is not None else NO_CHANNELS
        actions = KnownActions(settings.actions, settings.masker.mask) if settings is not None else NO_ACTIONS
        told = replay(record, sets, lambda done: bar.update(done - bar.pos), known, actions)
    if output == "json":
        print_json(as_json(told) | ({"replaces": replaced and str(replaced)} if against else {}))
    else:
        place = str(replaced) if replaced else "all the rules"
        edit = f"{against} in the place of {place}" + (", the others as they are" if replaced else "")
        show(told, edit, most=None if everything else SHOWN)
    for fault in told.faults:
        complain(fault)
    if any(fault.nothing_understood for fault in told.faults):
        raise SystemExit(1)


def known_channels(settings: Any) -> "KnownChannels":
    """The channels of a config, to replay by."""
    from tocsin.delivery.stand_ins import StandIn
    from tocsin.replay.player import KnownChannels

    channels = {name: StandIn(each, settings.gates[name]) for name, each in settings.channels.items()}
    return KnownChannels(channels, settings.routing.channels, settings.routing.defaults)


def _rule_sets(
    config: Path | None, settings: Any, own: Path | None, against: Path | None
) -> tuple["Sequence[Rule]", "Sequence[Rule] | None", Path | None]:
    """The rules, those of --against where there are any, and the file that only --against replaces."""
    from tocsin.config.rule_sets import RuleSet, rules_of

    if own is None and against is None:
        return settings.rules, None, None
    calendars = _calendars(config)
    # The first of a config's sources is the config itself.
    first = rules_of(own, calendars) if own is not None else RuleSet(settings.rules, settings.sources[1:])
    if against is None:
        return first.rules, None, None
    replaced = _replaced(first.files, against)
    if replaced is None:
        return first.rules, rules_of(against, calendars).rules, None
    instead = {replaced: against}
    if own is not None:
        return first.rules, rules_of(own, calendars, instead).rules, replaced
    return first.rules, settings_of(config, instead=instead).rules, replaced


def _replaced(files: "Sequence[Path]", edited: Path) -> Path | None:
    """The one of the files that has the edited one's name, if there is one."""
    named = [path for path in files if edited.is_file() and path.name == edited.name]
    if len(named) > 1:
        raise click.UsageError(
            f"{edited} could take the place of each of {', '.join(map(str, named))}: "
            "give it a name that one file has, or none"
        )
    return named[0] if named else None


def _calendars(config: Path | None) -> "Calendars":
    """The calendars of the config; none where no config was given and none is found. ConfigError where the given one isn't there."""
    from tocsin.calendars import NO_CALENDARS
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


def _are_database(files: tuple[Path, ...]) -> bool:
    from tocsin.replay.records import is_database

    databases = [path for path in files if is_database(path)]
    if databases and len(files) > 1:
        raise click.UsageError(f"{databases[0]} is a database, which is told by itself")
    return bool(databases)


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"  # gzip's, RFC 1952


def _record(files: tuple[Path, ...], settings: Any, venue: str | None, venue_type: str | None) -> "Record":
    from tocsin.config.descriptions import adapter_named, names_of_adapters
    from tocsin.feed.recorder import recordings
    from tocsin.replay.records import Database, Recordings, Source
    from tocsin.store.reader import taken

    for path in files:
        if _is_compressed(path):
            raise click.UsageError(f"{path} is compressed: gunzip it first")
    if _are_database(files):
        note(taken(files[0]))
        return Database(files[0])
    said = adapter_named(venue_type) if venue_type is not None else None
    if venue_type is not None and said is None:
        raise unknown("venue type", venue_type, names_of_adapters())
    sources = []
    known = {name: found.adapter for name, found in settings.venues.items()} if settings is not None else {}
    for path, parts in recordings(files).items():
        name = venue or (path.stem if path.stem in known or len(known) != 1 else next(iter(known)))
        adapter = said or known.get(name)
        if adapter is None:
            raise click.UsageError(
                f"whose messages are in {path}? Say --venue NAME, one of {', '.join(known) or 'none'}, or --type TYPE"
            )
        sources.append(Source(parts, name, adapter))
    return Recordings(sources)
