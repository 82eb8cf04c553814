"""Options that several commands share, and how output is dressed."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tocsin.config.settings import Settings, VenueConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def _config(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    given = value or ctx.find_root().params.get("config")
    return Path(given) if given else None


def config_option(command: Command) -> Command:
    """`--config PATH`, before or after the command's name; the command gets `config: Path | None`.

    `tocsin.config.search.find_config` makes of it the config to use.
    """
    return click.option(
        "--config", type=click.Path(dir_okay=False), callback=_config, help="The config to use."
    )(command)


def format_option(command: Command) -> Command:
    """`--format json`, or `--json` for short; the command gets `output: "text" | "json"`."""
    choice = click.option(
        "--format",
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="text for people (the default)",
    )
    short = click.option("--json", "output", flag_value="json", help="The same as --format json.")
    return short(choice(command))


def settings_of(config: Path | None, **how: Any) -> "Settings":
    """The checked config, the given one or the one that is found; `how` as in `load_settings`, channels' URLs unchecked.

    Raises ConfigError.
    """
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config

    return load_settings(find_config(config, os.environ), **{"validate_url": None, **how})


def venue_of(settings: "Settings", name: str) -> "VenueConfig":
    """The venue of that name. UsageError where there is none."""
    if name not in settings.venues:
        raise unknown("venue", name, list(settings.venues))
    return settings.venues[name]


def unknown(what: str, word: str, known: Sequence[str]) -> click.UsageError:
    """`no channel is called fone; did you mean phone?`, or which there are."""
    from tocsin.events.vocabulary import nearest

    near = nearest(word, list(known))
    instead = f"did you mean {near}?" if near else f"there are {', '.join(known) or 'none'}"
    return click.UsageError(f"no {what} is called {word}; {instead}")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def coloured() -> bool:
    """Whether standard output is a terminal whose user likes colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str | None, *, bold: bool = False) -> str:
    """The text in one of click's colours on a terminal; as it is with None, and elsewhere."""
    return click.style(text, fg=colour, bold=bold) if coloured() else text


def counted(count: int, what: str) -> str:
    """`1 rule`, `1,200 rules`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def print_rows(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> None:
    """A table without lines; the last column is as long as it is."""
    if not rows:
        return

    def width(cell: str) -> int:
        return len(click.unstyle(cell))

    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell + " " * (widest - width(cell)) for cell, widest in zip(row, widths, strict=False)]
        click.echo(f"{indent}{'  '.join([*cells, row[-1]])}".rstrip())
