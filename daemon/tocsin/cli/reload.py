"""`tocsin reload`."""

from pathlib import Path

import click

from tocsin.cli import FAILED
from tocsin.cli.ask import ask_running
from tocsin.cli.options import config_option, format_option, paint, print_json


@click.command("reload")
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, output: str) -> None:
    """Have the running daemon read its config anew, and say what changed and what became of alerts by it.

    Everything is checked first; one error anywhere and the old configuration goes on (exit 1, with every problem).
    What you didn't touch notices nothing, and no event is lost.

    \b
    Example:
      tocsin reload
    """
    _, report, socket = ask_running(config, "POST", "/api/reload")
    if output == "json":
        print_json(report)
    else:
        for problem in report["problems"]:
            click.echo(problem)
        if report["reloaded"]:
            click.echo(f"{paint('reloaded', 'green', bold=True)} (the daemon at {socket})")
            for change in report["changes"] or ["nothing changed"]:
                click.echo(f"  {change}")
        else:
            click.echo(paint("not reloaded; the old configuration goes on", "red", bold=True))
    ctx.exit(0 if report["reloaded"] else FAILED)
