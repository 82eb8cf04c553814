"""`tocsin demo`."""

import click

from tocsin.cli import FAILED


@click.command("demo")
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="End by itself after so long; else Ctrl-C does."
)
@click.option("--page", is_flag=True, help="Serve the web page too, and print a link that signs in to it.")
@click.pass_context
def command(ctx: click.Context, seconds: int | None, *, page: bool) -> None:
    """See it work: seven simulated venues, the real daemon, the shipped rules; alerts appear as they fire.

    Everything runs on this machine's loopback. It needs no configuration and no network, and leaves nothing behind.

    \b
    Examples:
      tocsin demo
      tocsin demo --seconds 30
      tocsin demo --page
    """
    from tocsin.demo import show

    ctx.exit(0 if show(seconds, page=page) else FAILED)
