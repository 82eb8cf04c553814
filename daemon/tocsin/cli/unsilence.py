"""`tocsin unsilence`."""

from pathlib import Path
from urllib.parse import quote

import click

from tocsin.alerts.plain import flat
from tocsin.cli import FAILED
from tocsin.cli.ask import OK, act, id_argument
from tocsin.cli.meant import which_silence
from tocsin.cli.options import config_option, format_option, print_json


@click.command("unsilence")
@id_argument
@click.option("--why", default="", metavar="TEXT", help="Kept with it.")
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, id_: str, *, why: str, config: Path | None, output: str) -> None:
    """Take a silence back: what it held and still fires is told at once.

    ID is the silence's, or the beginning of it, as tocsin silences shows it.

    \b
    Example:
      tocsin unsilence 01a224aa28
    """
    status, answer, socket = act(config, f"/api/silences/{quote(id_, safe='')}/end", why)
    if output == "json":
        print_json(answer)
    elif status != OK and "silence" in answer:
        click.echo(f"tocsin: that silence is over already: {flat(answer['silence']['matchers'])}", err=True)
    elif status != OK:
        which_silence(id_, answer, socket)
    else:
        click.echo(f"no longer silenced: {flat(answer['silence']['matchers'])} (the daemon at {socket})")
    ctx.exit(0 if status == OK else FAILED)
