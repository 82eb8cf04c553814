"""`tocsin resume`."""

from pathlib import Path
from urllib.parse import quote

import click

from tocsin.alerts.plain import flat
from tocsin.cli.ask import OK, act, action_argument
from tocsin.cli.options import config_option, format_option, print_json


@click.command("resume")
@action_argument
@click.option("--why", default="", metavar="TEXT", help="Kept with it, and shown.")
@config_option
@format_option
def command(action: str | None, *, why: str, config: Path | None, output: str) -> None:
    """Run ACTION again, after tocsin pause or failures that had stopped it; without ACTION all that were paused.

    Nothing of what was dropped meanwhile is made up for.

    \b
    Examples:
      tocsin resume hedge
      tocsin resume
    """
    status, answer, socket = act(config, f"/api/actions/{quote(action or '*', safe='')}/resume", why)
    which = action or "all actions"
    if output == "json":
        print_json(answer)
        return
    for stopped in () if action else answer["stopped"]:
        click.echo(f"{stopped} stays stopped, after failures in a row: tocsin resume {stopped}", err=True)
    if action and answer["paused"]:
        click.echo(f"{which}: all actions are paused {flat(answer['paused'])}; tocsin resume runs them again")
    elif status == OK:
        click.echo(f"resumed: {which} (the daemon at {socket})")
    else:
        click.echo(f"{which}: nothing stood in the way")
