"""`tocsin check`."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from tocsin.cli import CONFIG_ERROR
from tocsin.cli.ask import state_dir_of
from tocsin.cli.options import config_option, counted, format_option, paint, print_json
from tocsin.cli.reach import open_to_others, out_of_the_services_reach, seen
from tocsin.config.load import load_settings
from tocsin.config.search import find_config
from tocsin.config.settings import Settings, VenueConfig
from tocsin.errors import ConfigError, Problem, gathered
from tocsin.quantities import size_text
from tocsin.shipped import shipped

_MOST_FILES = 5
_NEVER = "can never fire"  # as `unsupplied` of the rules' language says it


@click.command("check")
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, output: str) -> None:
    """Check the config, its rules, templates and channels, and say all that is wrong at once.

    Nothing is sent and no venue is asked. Exits 0 when it can be used (warnings allowed), else 78.

    \b
    Examples:
      tocsin check
      tocsin check --config /etc/tocsin/config.yaml
      tocsin check --format json | jq '.problems[].message'
    """
    settings: Settings | None = None
    problems: tuple[Problem, ...] = ()
    path = config
    try:
        path = find_config(config, os.environ)
        settings = load_settings(path, seen=partial(seen, path))
        settings = replace(settings, state_dir=state_dir_of(path))
        problems = (*settings.warnings, *open_to_others(settings), *out_of_the_services_reach(settings))
    except ConfigError as error:
        problems = error.problems
    if output == "json":
        print_json(_as_json(path, settings, problems))
    else:
        _tell(path, settings, problems)
    ctx.exit(0 if settings else CONFIG_ERROR)


def _tell(path: Path | None, settings: Settings | None, problems: tuple[Problem, ...]) -> None:
    told = gathered(_in_one_line(problems))
    for problem in told:
        click.echo(_painted(problem))
    if told:
        click.echo()
    levels = Counter(problem.level for problem in told)
    counts = ", ".join(counted(levels[level], level) for level in ("error", "warning") if levels[level])
    if settings is None:
        click.echo(paint(f"{counts}{_where(path, told)}", "red", bold=True))
        return
    found = ", ".join(counted(count, what) for what, count in _found(settings))
    click.echo(
        f"{paint('right', 'green', bold=True)}: {path} has {found}" + (f"; {counts}" if counts else "")
    )
    off = sum(not rule.enabled for rule in settings.rules)
    if off:
        click.echo(f"  {counted(off, 'rule')} switched off (enabled: false)")
    for name, venue in settings.venues.items():
        click.echo(f"  venue {name}: {venue.adapter.name}{_reaches(venue)}{_recorded(settings, name)}")


def _reaches(venue: VenueConfig) -> str:
    """Of a described venue where it may connect to: what its description declares, and what the config itself names."""
    if venue.adapter.description is None:
        return ""
    named = [urlsplit(url).hostname or "" for url in venue.settings.addresses().values()]
    hosts = ", ".join(dict.fromkeys((*venue.adapter.description.hosts, *named)))
    return f" {getattr(venue.settings, 'describe', '')}, connects to {hosts}"


def _where(path: Path | None, told: Sequence[Problem]) -> str:
    """` in config.yaml`, or wherever else they are."""
    files = list(dict.fromkeys(problem.place.file for problem in told if problem.place)) or [str(path or "")]
    more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
    return f" in {', '.join(files[:_MOST_FILES])}{more}" if files[0] else ""


def _in_one_line(problems: Sequence[Problem]) -> list[Problem]:
    """The warnings about shipped rules that nobody edited as two at most, at the end; the others as they are."""
    unedited: dict[str, bool] = {}
    kept: list[Problem] = []
    ours: list[Problem] = []
    for problem in problems:
        file = problem.place.file if problem.place else ""
        if problem.level == "warning" and file and unedited.setdefault(file, _is_shipped(Path(file))):
            ours.append(problem)
        else:
            kept.append(problem)
    never = dict.fromkeys(_rule_of(problem) for problem in ours if _NEVER in problem.message)
    partly = dict.fromkeys(rule for problem in ours if (rule := _rule_of(problem)) not in never)
    for rules, what, hint in (
        (never, "can't fire with these venues", "all is well, if you trade no such thing; --json tells each"),
        (
            partly,
            "asking for fields that these venues don't supply",
            "they go by the others; --json tells each",
        ),
    ):
        if rules:
            message = f"{counted(len(rules), 'shipped rule')} {what}: {', '.join(rules)}"
            kept.append(Problem(message, hint=hint, level="warning"))
    return kept


def _rule_of(problem: Problem) -> str:
    return problem.path.partition(".")[0]


def _is_shipped(path: Path) -> bool:
    """Whether it is one of our rule files as we ship it."""
    try:
        return path.read_bytes() == (shipped("rules") / path.name).read_bytes()
    except OSError:
        return False


def _recorded(settings: Settings, name: str) -> str:
    venue = settings.venues[name].settings
    if not venue.record:
        return ""
    return f"; its last {size_text(venue.record_size)} of messages are kept in {settings.recording(name)}"


def _found(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("venue", len(settings.venues)),
        ("channel", len(settings.channels)),
        ("rule", len(settings.rules)),
    ]


def _painted(problem: Problem) -> str:
    text = problem.render()
    colour = "red" if problem.level == "error" else "yellow"
    return text.replace(f"{problem.level}:", paint(f"{problem.level}:", colour, bold=True), 1)


def _as_json(path: Path | None, settings: Settings | None, problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "config": str(path) if path else None,
        "ok": settings is not None,
        "found": {f"{what}s": count for what, count in _found(settings)} if settings else None,
        "problems": [
            {
                "level": problem.level,
                "message": problem.message,
                "path": problem.path,
                "hint": problem.hint,
                "file": problem.place.file if problem.place else None,
                "line": problem.place.line if problem.place else None,
                "column": problem.place.column if problem.place else None,
                "length": problem.place.length if problem.place else None,
                "source": problem.place.source if problem.place else None,
            }
            for problem in problems
        ],
    }
