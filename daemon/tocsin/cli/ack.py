"""`tocsin ack`."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from tocsin.alerts.plain import flat, time_of
from tocsin.cli import FAILED
from tocsin.cli.ask import OK, act, id_argument, zone_of
from tocsin.cli.meant import which_alert
from tocsin.cli.options import config_option, format_option, print_json


@click.command("ack")
@id_argument
@click.option("--for", "lasts", metavar="DURATION", help="Only so long, such as 4h; then reminders go on.")
@click.option("--until", metavar="TIME", help="Only until the next 08:00 in the config's tz.")
@click.option("--why", default="", metavar="TEXT", help="Kept with it, and shown.")
@click.option("--undo", is_flag=True, help="Take it back: reminders and escalation go on.")
@config_option
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    id_: str,
    *,
    lasts: str | None,
    until: str | None,
    why: str,
    undo: bool,
    config: Path | None,
    output: str,
) -> None:
    """Acknowledge an alert: no more reminders of it and no escalation until it ends. Its end is told all the same.

    ID is the alert's, or the beginning of it, as tocsin alerts shows it. It is of this one alert: another rule's on the same
    position is its own.

    \b
    Examples:
      tocsin ack 01a224aa28
      tocsin ack 01a224aa28 --for 4h --why "by hand"
      tocsin ack 01a224aa28 --undo
    """
    if undo and (lasts or until):
        raise click.UsageError("--undo goes without --for and --until")
    times = {} if undo else {"for": lasts, "until": until}
    status, answer, socket = act(
        config, f"/api/alerts/{quote(id_, safe='')}/{'unack' if undo else 'ack'}", why, **times
    )
    if output == "json":
        print_json(answer)
    elif status != OK and "several" in answer:
        which_alert(id_, answer, socket)
    else:
        click.echo(_said(answer, socket, config), err=status != OK)
    ctx.exit(0 if status == OK else FAILED)


def _said(answer: dict[str, Any], socket: Path, config: Path | None) -> str:
    alert = answer["alert"]
    which = f"{alert['rule']}  {flat(alert['title'])}"
    if "unacknowledged" in answer:
        if answer["unacknowledged"]:
            return f"no longer acknowledged: {which} (the daemon at {socket})"
        return f"tocsin: it isn't acknowledged: {which}"
    if answer["over"]:
        return f"tocsin: it is over, there is nothing to acknowledge: {which}"
    if answer["already"]:
        at = time_of(alert["acked_at"], zone_of(config))
        return f"acknowledged before, at {at} by {flat(alert['acked_by'] or 'somebody')}: {which}"
    until = f" until {time_of(alert['acked_until'], zone_of(config))}" if alert["acked_until"] else ""
    return f"acknowledged{until}: {which} (the daemon at {socket})"
