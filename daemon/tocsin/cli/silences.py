"""`tocsin silences`."""

from pathlib import Path

import click

from tocsin.alerts.plain import flat, time_of
from tocsin.cli.ask import listed, zone_of
from tocsin.cli.options import config_option, counted, format_option


@click.command("silences")
@config_option
@click.option("--all", "everything", is_flag=True, help="Also those that are over or were taken back.")
@format_option
def command(config: Path | None, *, everything: bool, output: str) -> None:
    """What is silenced, up to when, who made it and why, and how many messages it has held so far.

    \b
    Example:
      tocsin silences
    """
    tz = zone_of(config)
    none = "there was no silence" if everything else "nothing is silenced"
    for silence in listed(config, "silences", output, everything=everything, none=none):
        ended = f", taken back {time_of(silence['ended_at'], tz)}" if silence["ended_at"] else ""
        by = f" by {flat(silence['created_by'])}" if silence["created_by"] else ""
        why = f": {flat(silence['reason'])}" if silence["reason"] else ""
        click.echo(f"{flat(silence['matchers'])}  until {time_of(silence['ends_at'], tz)}{ended}")
        click.echo(
            f"  since {time_of(silence['created_at'], tz)}{by}{why}; held {counted(silence['held'], 'message')}"
        )
        click.echo(f"  id {silence['id']}")
