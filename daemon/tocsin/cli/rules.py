"""`tocsin rules`."""

from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import time_of
from tocsin.cli.ask import ask_of_rules, zone_of
from tocsin.cli.options import config_option, counted, format_option, paint, print_json, print_rows

_COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}


@click.command("rules")
@config_option
@format_option
def command(config: Path | None, *, output: str) -> None:
    """The rules: what each watches, what fires of it now, how often it fired, and when last.

    Asks the running daemon, or where none runs looks at the config and the database.

    \b
    Examples:
      tocsin rules
      tocsin rules --json | jq '.[] | select(.fired==0).rule'
    """

    def look(settings: Any) -> list[dict[str, Any]]:
        from tocsin.control.rules import listed_rules

        return listed_rules(settings)

    found = ask_of_rules(config, "/api/rules", look)
    if output == "json":
        print_json(found)
    elif found:
        tz = zone_of(config)
        print_rows([_row(rule, tz) for rule in found])
    else:
        click.echo("no rule")


def _row(rule: dict[str, Any], tz: tzinfo) -> tuple[str, ...]:
    if not rule["enabled"]:
        now = "switched off"
    else:
        now = paint(f"{rule['firing']} firing", _COLOURS[rule["severity"]]) if rule["firing"] else ""
    times = f"fired {counted(rule['fired'], 'time')}, last {time_of(rule['last_fired_at'] or '', tz)}"
    return (
        rule["rule"],
        " ".join(rule["watch"]),
        rule["severity"],
        now,
        times if rule["fired"] else "never fired",
    )
