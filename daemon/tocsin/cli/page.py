"""`tocsin page`."""

from pathlib import Path

import click

from tocsin.cli.ask import OK, ask_running, me
from tocsin.cli.options import config_option, format_option, print_json


@click.command("page")
@click.option("--sign-out", is_flag=True, help="End PERSON's sessions in browsers, or everybody's.")
@click.argument("person", required=False)
@config_option
@format_option
def command(person: str | None, *, sign_out: bool, config: Path | None, output: str) -> None:
    """Print a link to the web page of the running daemon, which signs you in.

    It works once, within 5 minutes, in any browser that reaches the page; what is done there is done in your name. Who
    may use the daemon's socket may see its page: nothing is configured for it but where it listens (`listen` in the
    config, see `tocsin help page`).

    \b
    Examples:
      tocsin page
      xdg-open "$(tocsin page)"
      tocsin page --sign-out anna
    """
    if sign_out:
        _sign_out(config, person, output)
    elif person is not None:
        raise click.UsageError("a name is for --sign-out: a link is for who asks for it")
    else:
        _link(config, output)


def _link(config: Path | None, output: str) -> None:
    from tocsin.errors import TocsinError

    name = me()
    status, answer, socket = ask_running(config, "POST", "/api/page/link", by=name)
    if status != OK:
        raise TocsinError(f"the daemon at {socket}: {answer['error']}\n  = {answer['remedy']}")
    if output == "json":
        print_json(answer)
        return
    click.echo(answer["link"])
    click.echo(f"signs in as {name}, once, within {answer['lasts'] / 60:.0f} minutes", err=True)
    if answer["remark"]:
        click.echo(f"note: {answer['remark']}", err=True)


def _sign_out(config: Path | None, person: str | None, output: str) -> None:
    """TocsinError too where a restart would undo it."""
    from tocsin.errors import TocsinError

    asked = {"by": me()} | ({} if person is None else {"person": person})
    _, answer, socket = ask_running(config, "POST", "/api/page/sign-out", **asked)
    if output == "json":
        print_json(answer)
    elif answer["ended"]:
        sessions = f"{answer['ended']} session{'s' if answer['ended'] > 1 else ''}"
        click.echo(f"signed out: {person or 'everybody'}, of {sessions} (the daemon at {socket})")
    if not answer["kept"]:  # of now, or of an earlier time
        raise TocsinError(
            "who was signed out is so until Tocsin starts again: the disk takes nothing now\n"
            "  = it is tried on; call this once more later, which says whether it is kept"
        )
    if output == "json" or answer["ended"]:
        return
    if person is not None and answer["signed_in"]:
        raise TocsinError(f"{person:.80} isn't signed in\n  = there are {', '.join(answer['signed_in'])}")
    click.echo("nobody is signed in")
