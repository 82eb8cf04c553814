"""`tocsin deliveries`."""

from pathlib import Path

import click

from tocsin.alerts.plain import time_of, times_in
from tocsin.cli.ask import listed, zone_of
from tocsin.cli.options import config_option, counted, format_option, paint

_COLOURS = {"sent": "green", "pending": "yellow", "dead": "red"}


@click.command("deliveries")
@config_option
@click.option("--all", "everything", is_flag=True, help="Also what was sent.")
@format_option
def command(config: Path | None, *, everything: bool, output: str) -> None:
    """What is not sent yet, and what was given up, with the reason; with --all everything, latest first.

    \b
    Examples:
      tocsin deliveries
      tocsin deliveries --all --json | jq '.[0].error'
    """
    none, tz = "no delivery" if everything else "nothing is unsent", zone_of(config)
    for delivery in listed(config, "deliveries", output, everything=everything, none=none):
        status = paint(delivery["status"], _COLOURS.get(delivery["status"]))
        tried = f", {counted(delivery['attempts'], 'attempt')}" if delivery["attempts"] else ""
        click.echo(
            f"{time_of(delivery['created_at'], tz)}  {delivery['channel']}  {delivery['state_told']}  {status}{tried}  {delivery.get('title') or ''}"
        )
        if delivery.get("next_try"):
            click.echo(f"  next try {time_of(delivery['next_try'], tz)}")
        if delivery["error"]:
            click.echo(f"  {times_in(delivery['error'], tz)}")
        if delivery.get("digest"):
            click.echo(f"  in digest {delivery['digest']} ({delivery['reason']})")
        elif delivery.get("reason"):
            click.echo(f"  held by {delivery['reason']}")
        if delivery["handed_to"]:
            click.echo(f"  handed to {delivery['handed_to']}")
