"""`tocsin replay`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin.cli.options import config_option, format_option, print_json
from tocsin.cli.replay_inputs import Inputs, inputs_of, record_of
from tocsin.cli.replayed import SHOWN, as_json, complain, show
from tocsin.cli.what_if import show_what_if

if TYPE_CHECKING:
    from tocsin.config.settings import Settings
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
    duration as it is written (red.when.profit.below; items of lists count from 1), or one of `for`,
    `keep_firing_for` and `cooldown`; a path that there isn't is answered with those that there are. First it is said how
    much the record holds of what the rule reads; of what it has only a part of is counted "at least". tocsin help tests
    tells it whole.

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
    if said and against is not None:
        raise click.UsageError("--set and --against both say how the rules are edited: give one of them")
    inputs = inputs_of(files, config, own, said=said, against=against, venue_type=venue_type)
    record = record_of(inputs, venue, venue_type, last)
    most = None if everything else SHOWN
    if said:
        show_what_if(_what_if(record, inputs, most, output), output)
    else:
        _show_replay(_replayed(record, inputs, output), inputs, most, output)
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


def _what_if(record: "Record", inputs: Inputs, most: int | None, output: str) -> "WhatIf":
    from tocsin.config.rule_text import edits_of
    from tocsin.replay.what_if import what_if

    rules = (inputs.first.rules, inputs.other)
    with _progress(record, output) as on_progress:
        edits, diff = edits_of(inputs.first.rule_sources, inputs.said)
        return what_if(
            record, rules, edits, warnings=inputs.warnings, diff=diff, most=most, on_progress=on_progress
        )


def _replayed(record: "Record", inputs: Inputs, output: str) -> "Told":
    from tocsin.replay.player import NO_CHANNELS
    from tocsin.replay.replay import replay
    from tocsin.replay.runs import NO_ACTIONS, KnownActions

    settings, first = inputs.settings, inputs.first.rules
    sets = [first, inputs.other] if inputs.against is not None else [first]
    with _progress(record, output) as on_progress:
        known = known_channels(settings) if settings is not None else NO_CHANNELS
        actions = KnownActions(settings.actions, settings.masker.mask) if settings is not None else NO_ACTIONS
        return replay(record, sets, on_progress, known, actions)


def known_channels(settings: "Settings") -> "KnownChannels":
    """The channels of a config, to replay by."""
    from tocsin.delivery.stand_ins import StandIn
    from tocsin.replay.player import KnownChannels

    channels = {name: StandIn(each, settings.gates[name]) for name, each in settings.channels.items()}
    return KnownChannels(channels, settings.routing.channels, settings.routing.defaults)


def _show_replay(told: "Told", inputs: Inputs, most: int | None, output: str) -> None:
    against, replaced = inputs.against, inputs.replaced
    if output == "json":
        print_json(as_json(told) | ({"replaces": replaced and str(replaced)} if against else {}))
    else:
        place = str(replaced) if replaced else "all the rules"
        edit = f"{against} in the place of {place}" + (", the others as they are" if replaced else "")
        show(told, edit, most)
