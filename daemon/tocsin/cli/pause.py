"""`tocsin pause`."""

from pathlib import Path
from urllib.parse import quote

import click

from tocsin.cli.ask import OK, act, action_argument
from tocsin.cli.options import config_option, format_option, print_json


@click.command("pause")
@action_argument
@click.option("--why", default="", metavar="TEXT", help="Kept with it, and shown.")
@config_option
@format_option
def command(action: str | None, *, why: str, config: Path | None, output: str) -> None:
    """Run no more of ACTION, or of all, until tocsin resume; also over a restart.

    What would have been run meanwhile is recorded as dropped, and never made up for. People are told of alerts as ever.

    \b
    Examples:
      tocsin pause hedge
      tocsin pause
    """
    status, answer, socket = act(config, f"/api/actions/{quote(action or '*', safe='')}/pause", why)
    which = action or "all actions"
    if output == "json":
        print_json(answer)
    elif status == OK:
        click.echo(f"paused: {which} (the daemon at {socket})")
    else:
        click.echo(f"{which}: paused already; tocsin actions says by whom")
