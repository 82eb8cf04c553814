"""`tocsin alerts`."""

from pathlib import Path

import click

from tocsin.cli.ask import listed, zone_of
from tocsin.cli.options import config_option, format_option, paint, time_of

_COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}


@click.command("alerts")
@config_option
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@format_option
def command(config: Path | None, *, everything: bool, output: str) -> None:
    """What fires now; with --all what ever fired, latest first.

    \b
    Examples:
      tocsin alerts
      tocsin alerts --all --json | jq '.[0].body'
    """
    none, tz = "no alert" if everything else "nothing fires", zone_of(config)
    for alert in listed(config, "alerts", output, everything=everything, none=none):
        over = f" to {time_of(alert['resolved_at'], tz)}" if alert["resolved_at"] else ""
        state = paint(
            alert["state"], "green" if alert["state"] == "resolved" else _COLOURS.get(alert["severity"])
        )
        click.echo(f"{time_of(alert['fired_at'], tz)}{over}  {state}  {alert['rule']}  {alert['title']}")
        click.echo(f"  id {alert['id']}")
