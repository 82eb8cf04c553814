"""`tocsin replay`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.options import config_option, counted, format_option, paint, print_json

if TYPE_CHECKING:
    from tocsin.engine.language.calendar import Calendars
    from tocsin.engine.rule import Rule
    from tocsin.ruletest.player import Firing
    from tocsin.ruletest.recorded import Faults, Record
    from tocsin.ruletest.replay import Told

_SHOWN = 20  # alerts of one rule that are listed without --all


@click.command("replay")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--against", type=click.Path(exists=True, path_type=Path), help="Other rules: what they add and lose."
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
@click.option("--type", "venue_type", help="The venue's type; else the config says it.")
@click.option(
    "--all", "everything", is_flag=True, help=f"List every alert, not only the first {_SHOWN} of a rule."
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

    A rule's alerts are counted as they would have fired; where inhibited_by or notify_during would have kept any from
    people, "told" counts those that somebody would have heard of. Silences, acknowledgements and what channels leave
    out (min_severity) are not looked at.

    With --against other rules see the same events: what they add and what they lose is listed, and what only they would
    have told or held back.

    \b
    Examples:
      tocsin replay fx.jsonl
      tocsin replay /var/lib/tocsin/recordings/fx*.jsonl
      tocsin replay fx.jsonl --rules rules/ --against edited/positions.yaml --type yourfintech
      tocsin replay /var/lib/tocsin/tocsin.db --against edited.yaml
    """
    from tocsin.ruletest.replay import replay
    from tocsin.ruletest.rule_sets import rules_of

    settings = _settings(config) if own is None or (venue_type is None and not _are_database(files)) else None
    calendars = _calendars(config) if own is not None or against is not None else {}
    sets: list[Sequence[Rule]] = [
        rules_of(own, calendars) if own is not None else settings.rules if settings else ()
    ]
    if against is not None:
        sets.append(rules_of(against, calendars))
    record = _record(files, settings, venue, venue_type)
    shown = output == "text" and sys.stderr.isatty()
    with click.progressbar(length=record.size, label="replaying", file=sys.stderr, hidden=not shown) as bar:
        told = replay(record, sets, lambda done: bar.update(done - bar.pos))
    if output == "json":
        print_json(_as_json(told))
    else:
        _tell(told, everything=everything)
    for fault in told.faults:
        _complain(fault)
    if any(fault.nothing_understood for fault in told.faults):
        raise SystemExit(1)


def _settings(config: Path | None) -> Any:
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config

    return load_settings(find_config(config, os.environ), validate_url=None)


def _calendars(config: Path | None) -> "Calendars":
    """The hours that the config names; none where there is no config, for which nobody asked."""
    from tocsin.config.search import find_config
    from tocsin.errors import ConfigError
    from tocsin.ruletest.rule_sets import calendars_of

    try:
        path = find_config(config, os.environ)
    except ConfigError:
        if config is not None:
            raise
        return {}
    return calendars_of(path)


def _are_database(files: tuple[Path, ...]) -> bool:
    from tocsin.ruletest.recorded import is_database

    databases = [path for path in files if is_database(path)]
    if databases and len(files) > 1:
        raise click.UsageError(f"{databases[0]} is a database, which is told by itself")
    return bool(databases)


def _record(files: tuple[Path, ...], settings: Any, venue: str | None, venue_type: str | None) -> "Record":
    from tocsin.feed.recorder import recordings
    from tocsin.ruletest.recorded import Database
    from tocsin.ruletest.recordings import Recordings, Source
    from tocsin.venues.registry import venue_types

    if _are_database(files):
        return Database(files[0])
    if venue_type is not None and venue_type not in venue_types():
        raise click.UsageError(f"no venue type is called {venue_type}; there are: {', '.join(venue_types())}")
    sources = []
    known = (
        {name: found.adapter.name for name, found in settings.venues.items()} if settings is not None else {}
    )
    for path, parts in recordings(files).items():
        name = venue or (path.stem if path.stem in known or len(known) != 1 else next(iter(known)))
        kind = venue_type or known.get(name)
        if kind is None:
            raise click.UsageError(
                f"whose messages are in {path}? Say --venue NAME, one of {', '.join(known) or 'none'}, or --type TYPE"
            )
        sources.append(Source(parts, name, kind))
    return Recordings(sources)


def _tell(told: "Told", *, everything: bool) -> None:
    if told.begun is None or told.ended is None:
        click.echo("nothing is recorded there")
        return
    click.echo(
        f"{counted(told.count, told.unit)}, {told.begun:%Y-%m-%d %H:%M:%S} to {told.ended:%Y-%m-%d %H:%M:%S} UTC"
    )
    outcome = told.outcomes[0]
    for rule in outcome.rules:
        if not rule.enabled:
            continue
        firings = outcome.of(rule.id)
        told_of = sum(firing.told is not None for firing in firings)
        count = f"would have fired {counted(len(firings), 'time')}"
        count += f", told {told_of}" if told_of < len(firings) else ""
        click.echo(f"{paint(rule.id, 'yellow', bold=True) if firings else rule.id}: {count}")
        _list(firings, everything=everything)
    if len(told.outcomes) > 1:
        for what, colour, differing in (
            (f"add {counted(len(told.added), 'alert')}", "green", told.added),
            (f"lose {counted(len(told.lost), 'alert')}", "red", told.lost),
            (f"tell {counted(len(told.freed), 'alert')} that these don't", "green", told.freed),
            (f"don't tell {counted(len(told.kept_back), 'alert')} that these do", "red", told.kept_back),
        ):
            if differing or what.startswith(("add", "lose")):
                click.echo(paint(f"the other rules {what}", colour, bold=True))
                _list(differing, everything=everything, rule=True)
    if told.unsure:
        click.echo(f"unsure: {', '.join(told.unsure)}; {told.because}")


def _complain(fault: "Faults") -> None:
    """What of a recording nobody could read or understand."""
    from tocsin.alerts.plain import flat

    if fault.unread:
        first = f"the first is {fault.first_unread}"
        click.echo(
            f"skipped {counted(fault.unread, 'line')} that tocsin record didn't write, or a crash tore; {first}",
            err=True,
        )
    reason = flat(fault.first_puzzling)
    if fault.nothing_understood:
        click.echo(
            f"nothing in {fault.venue}'s {counted(fault.messages, 'message')} was understood: are they "
            f"a venue's of the type {fault.type}? {reason}",
            err=True,
        )
    elif fault.puzzling:
        click.echo(
            f"{fault.puzzling} of {fault.venue}'s {counted(fault.messages, 'message')} not understood; "
            f"the first is {reason}",
            err=True,
        )


def _list(firings: Sequence["Firing"], *, everything: bool, rule: bool = False) -> None:
    for firing in firings if everything else firings[:_SHOWN]:
        name = f"{firing.rule}  " if rule else ""
        held = f" ({firing.held_back} held back)" if firing.held_back else ""
        lasted = (
            ""
            if firing.until == firing.at
            else f" to {firing.until:%H:%M:%S}"
            if firing.until
            else " to the end"
        )
        click.echo(f"  {firing.at:%Y-%m-%d %H:%M:%S}{lasted}  {name}{firing.title}{held}{_told(firing)}")
    if not everything and len(firings) > _SHOWN:
        click.echo(f"  and {len(firings) - _SHOWN} more; --all lists them")


def _told(firing: "Firing") -> str:
    """What kept it from people, and how long; nothing where it was told at once."""
    if firing.told == firing.at:
        return ""
    then = f"told {firing.told:%Y-%m-%d %H:%M:%S}" if firing.told else "told to nobody"
    return f" ({firing.held_by}: {then})" if firing.held_by else f" ({then})"


def _as_json(told: "Told") -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{told.unit}s": told.count,
        "from": told.begun.isoformat() if told.begun else None,
        "to": told.ended.isoformat() if told.ended else None,
        "rules": [
            {
                "rule": rule.id,
                "fired": len(firings),
                "told": sum(firing.told is not None for firing in firings),
                "alerts": [_plain(firing) for firing in firings],
            }
            for rule in told.outcomes[0].rules
            if rule.enabled
            for firings in [told.outcomes[0].of(rule.id)]
        ],
        "unsure": list(told.unsure),
        "recordings": [
            {
                "venue": fault.venue,
                "type": fault.type,
                "messages": fault.messages,
                "skipped_lines": fault.unread,
                "first_skipped": fault.first_unread or None,
                "not_understood": fault.puzzling,
                "first_not_understood": fault.first_puzzling or None,
            }
            for fault in told.faults
        ],
    }
    if len(told.outcomes) > 1:
        found |= {
            "added": [_plain(firing) for firing in told.added],
            "lost": [_plain(firing) for firing in told.lost],
            "freed": [_plain(firing) for firing in told.freed],
            "kept_back": [_plain(firing) for firing in told.kept_back],
        }
    return found


def _plain(firing: "Firing") -> dict[str, Any]:
    return {
        "rule": firing.rule,
        "venue": firing.entity.venue,
        "account": firing.entity.account or None,
        "id": firing.entity.id,
        "at": firing.at.isoformat(),
        "until": firing.until.isoformat() if firing.until else None,
        "title": firing.title,
        "held_back": firing.held_back,
        "told": firing.told.isoformat() if firing.told else None,
        "held_by": firing.held_by or None,
    }
