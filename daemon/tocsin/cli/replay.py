"""`tocsin replay`."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.calendars import NO_CALENDARS
from tocsin.cli.ask import note, state_dir_of
from tocsin.cli.options import config_option, format_option, print_json, settings_of, unknown
from tocsin.cli.replayed import SHOWN, as_json, complain, show
from tocsin.cli.what_if import show_what_if

if TYPE_CHECKING:
    from tocsin.calendars import Calendars
    from tocsin.config.rule_sets import RuleSet
    from tocsin.engine.rule import Rule
    from tocsin.replay.comparison import WhatIf
    from tocsin.replay.player import KnownChannels
    from tocsin.replay.records import Record
    from tocsin.replay.replay import Told


@click.command("replay")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    help="An edited file of the rules, or other rules: what they add and lose.",
)
@click.option(
    "--set",
    "said",
    multiple=True,
    metavar="RULE.PATH=VALUE",
    help="What if a number or duration of a rule were another: alerts lost, gained, later, earlier. Several can be set.",
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
    "--last",
    type=click.IntRange(min=1),
    metavar="EVENTS",
    help="Of a database its last so many events alone.",
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
    said: tuple[str, ...],
    own: Path | None,
    venue: str | None,
    venue_type: str | None,
    last: int | None,
    everything: bool,
    output: str,
) -> None:
    """Run recorded events through rules, and say what would have fired.

    FILES are what tocsin record or `record: true` wrote (several are told together, in the order of time; fx*.jsonl
    are all files of one recording), or one tocsin.db, whose own events are told again; without any it is the tocsin.db of
    the config's daemon. The rules are the config's, or those of --rules. Calendars that rules name are the config's, where there is one. Nothing is sent.

    A rule's alerts are counted as they would have fired; where something would have kept any from people, "told" counts
    those that somebody would have heard of. With a config, its channels hold back, drop and gather as they do in the
    daemon (min_severity, quiet, digest, storm), and what each would have got is told; what services take (the pace) is
    not looked at. Without one, each takes all that rules tell it. Of a database silences and acknowledgements hold as
    they did then. What alerts would have run is told with what would have kept it from being run, as in the daemon; nothing
    is run.

    With --against edited rules see the same events: which alerts they add and lose is listed, and which of the others
    only they would have told or held back. A file that has the name of one of the rules' files takes the place of that
    one, and the others stay; any other, and a folder, takes the place of all the rules.

    With --set the same is asked of single numbers, and nothing but those rules is run. RULE.PATH is the way to a number or
    duration in `when` or `until` as it is written (position-in-the-red.when.profit.below; items of lists count from 1:
    red.when.any.1.profit.below), or one of `for`, `keep_firing_for` and `cooldown`, also where the rule has none. In an
    expression numbers and durations count from the left: of `percent_change(performance, 1d) < -5` RULE.when.1 is 1d and
    RULE.when.2 is -5. RULE.when and RULE.until alone take a whole new expression. A path that there isn't is answered with
    those that there are. First it is said how much the record holds of what the rule reads. Where it has only a part (of
    what prices move a database keeps what made rules fire, unless `store_market_data` says otherwise), there may be more
    alerts than are counted: "at least". With --format json the diff and the steps of a chart are there, too.

    \b
    Examples:
      tocsin replay fx.jsonl
      tocsin replay /var/lib/tocsin/recordings/fx*.jsonl
      tocsin replay fx.jsonl --rules rules/ --type yourfintech
      tocsin replay fx.jsonl --against edited/positions.yaml
      tocsin replay /var/lib/tocsin/tocsin.db --against new/
      tocsin replay --set 'in-the-red.when.profit.below=-60'
      tocsin replay --set in-the-red.for=1m --last 20000
    """
    from tocsin.replay.records import Database

    if said and against is not None:
        raise click.UsageError("--set and --against both say how the rules are edited: give one of them")
    files = files or (_own_database(config),)
    configured = own is None or (venue_type is None and not _are_database(files))
    settings = settings_of(config) if configured else None
    first, other, replaced = _rule_sets(config, settings, own, against, said)
    kinds = _kinds_that_count(first, other, said) if said and other is not None else None
    record = _record(files, settings, venue, venue_type) or Database(files[0], kinds, last)
    most = None if everything else SHOWN
    with _progress(record, output) as on_progress:
        if said and other is not None:
            found = _what_if(record, first, other, said, most, on_progress)
        else:
            sets = [first.rules] if other is None else [first.rules, other]
            told = _replayed(record, sets, settings, on_progress)
    if said:
        show_what_if(found, output)
    elif output == "json":
        print_json(as_json(told) | ({"replaces": replaced and str(replaced)} if against else {}))
    else:
        place = str(replaced) if replaced else "all the rules"
        edit = f"{against} in the place of {place}" + (", the others as they are" if replaced else "")
        show(told, edit, most)
    for fault in record.faults:
        complain(fault)
    if any(fault.nothing_understood for fault in record.faults):
        raise SystemExit(1)


@contextmanager
def _progress(record: "Record", output: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal: what it is given is called with how much of the record is done."""
    shown = output == "text" and sys.stderr.isatty()
    with click.progressbar(length=record.size, label="replaying", file=sys.stderr, hidden=not shown) as bar:
        yield lambda done: bar.update(done - bar.pos)


def _kinds_that_count(first: "RuleSet", other: "Sequence[Rule]", said: Sequence[str]) -> frozenset[str]:
    from tocsin.config.edits import rule_named
    from tocsin.replay.what_if import kinds_that_count

    ids = {name for each in said if (name := rule_named(each, first.rule_sources)) is not None}
    return kinds_that_count((first.rules, other), ids)


def _what_if(  # noqa: PLR0917 - what it joins
    record: "Record",
    first: "RuleSet",
    other: "Sequence[Rule]",
    said: Sequence[str],
    most: int | None,
    on_progress: Callable[[int], None],
) -> "WhatIf":
    from tocsin.config.rule_text import edits_of
    from tocsin.replay.what_if import what_if

    edits, diff = edits_of(first.rule_sources, said)
    return what_if(record, (first.rules, other), edits, diff=diff, most=most, on_progress=on_progress)


def _replayed(
    record: "Record", sets: "Sequence[Sequence[Rule]]", settings: Any, on_progress: Callable[[int], None]
) -> "Told":
    from tocsin.replay.player import NO_CHANNELS
    from tocsin.replay.replay import replay
    from tocsin.replay.runs import NO_ACTIONS, KnownActions

    known = known_channels(settings) if settings is not None else NO_CHANNELS
    actions = KnownActions(settings.actions, settings.masker.mask) if settings is not None else NO_ACTIONS
    return replay(record, sets, on_progress, known, actions)


def known_channels(settings: Any) -> "KnownChannels":
    """The channels of a config, to replay by."""
    from tocsin.delivery.stand_ins import StandIn
    from tocsin.replay.player import KnownChannels

    channels = {name: StandIn(each, settings.gates[name]) for name, each in settings.channels.items()}
    return KnownChannels(channels, settings.routing.channels, settings.routing.defaults)


def _rule_sets(
    config: Path | None, settings: Any, own: Path | None, against: Path | None, said: Sequence[str]
) -> tuple["RuleSet", "Sequence[Rule] | None", Path | None]:
    """The rules, those of --against or as --set has them where either is given, and the file that only --against replaces."""
    from tocsin.config.rule_sets import RuleSet, rules_of

    calendars = _calendars(config) if own is not None or against is not None else NO_CALENDARS
    # The first of a config's sources is the config itself.
    first = (
        rules_of(own, calendars)
        if own is not None
        else RuleSet(settings.rules, settings.sources[1:], settings.rule_sources)
    )
    if against is None and not said:
        return first, None, None
    replaced = _replaced(first.files, against) if against is not None else None
    if against is not None and replaced is None:
        return first, rules_of(against, calendars).rules, None
    instead = {replaced: against} if replaced is not None and against is not None else {}
    if own is not None:
        return first, rules_of(own, calendars, instead, said).rules, replaced
    return first, settings_of(config, instead=instead, edits=said).rules, replaced


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


def _own_database(config: Path | None) -> Path:
    """That of the config's daemon. StoreUnavailable where there is none, or none that we may read."""
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    path = state_dir_of(config) / DATABASE
    Reader(path).count_events()
    return path


def _are_database(files: tuple[Path, ...]) -> bool:
    from tocsin.replay.records import is_database

    databases = [path for path in files if is_database(path)]
    if databases and len(files) > 1:
        raise click.UsageError(f"{databases[0]} is a database, which is told by itself")
    return bool(databases)


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"  # gzip's, RFC 1952


def _record(
    files: tuple[Path, ...], settings: Any, venue: str | None, venue_type: str | None
) -> "Record | None":
    """The recordings; None where it is a database."""
    from tocsin.config.descriptions import adapter_named, names_of_adapters
    from tocsin.feed.recorder import recordings
    from tocsin.replay.records import Recordings, Source
    from tocsin.store.reader import taken

    for path in files:
        if _is_compressed(path):
            raise click.UsageError(f"{path} is compressed: gunzip it first")
    if _are_database(files):
        note(taken(files[0]))
        return None
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
