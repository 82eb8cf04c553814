"""`tocsin alerts`."""

from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import shown, time_of, times_in
from tocsin.cli.ask import listed, zone_of
from tocsin.cli.options import config_option, format_option, paint

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
        click.echo(f"  id {alert['id']}{_acked(alert, tz)}{_silenced(alert, tz)}{_held(alert, tz)}")


def _acked(alert: dict[str, Any], tz: tzinfo) -> str:
    if not alert["acked_at"]:
        return ""
    by = f" by {shown(alert['acked_by'])}" if alert["acked_by"] else ""
    until = f", until {time_of(alert['acked_until'], tz)}" if alert["acked_until"] else ""
    return f", acknowledged {time_of(alert['acked_at'], tz)}{by}{until}"


def _silenced(alert: dict[str, Any], tz: tzinfo) -> str:
    """Where it was told before the silence began; else `_held` says it."""
    until = alert.get("silenced_until")
    return f", silenced until {time_of(until, tz)}" if until and not alert["held"] else ""


def _held(alert: dict[str, Any], tz: tzinfo) -> str:
    """What keeps it from people: `, not told yet: venue=fx, until …`."""
    return f", not told yet: {times_in(shown(alert['held']), tz)}" if alert["held"] else ""
