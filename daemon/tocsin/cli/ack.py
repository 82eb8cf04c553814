"""`tocsin ack`."""

from pathlib import Path

import click

from tocsin.cli import FAILED
from tocsin.cli.ask import OK, act, zone_of
from tocsin.cli.meant import which_alert
from tocsin.cli.options import config_option, format_option, print_json, time_of


@click.command("ack")
@click.argument("id_", metavar="ID")
@click.option("--why", default="", metavar="TEXT", help="Kept with it, and shown.")
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, id_: str, *, why: str, config: Path | None, output: str) -> None:
    """Acknowledge an alert: no more reminders of it until it ends. Its end is told all the same.

    ID is the alert's, or the beginning of it, as tocsin alerts shows it. It is of this one alert: another rule's on the same
    position is its own.

    \b
    Examples:
      tocsin ack 01a224aa28
      tocsin ack 01a224aa28 --why "closing it by hand"
    """
    status, answer, socket = act(config, f"/api/alerts/{id_}/ack", why)
    if output == "json":
        print_json(answer)
    elif status != OK:
        which_alert(id_, answer, socket, "to acknowledge")
    else:
        alert = answer["alert"]
        if answer["already"]:
            at = time_of(alert["acked_at"], zone_of(config))
            click.echo(
                f"acknowledged before, at {at} by {alert['acked_by'] or 'somebody'}: {alert['rule']}  {alert['title']}"
            )
        else:
            click.echo(f"acknowledged: {alert['rule']}  {alert['title']} (the daemon at {socket})")
    ctx.exit(0 if status == OK else FAILED)
