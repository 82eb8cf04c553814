"""`tocsin notify`."""

from pathlib import Path

import click

from tocsin.cli import FAILED
from tocsin.cli.options import config_option, format_option, print_json, settings_of, unknown
from tocsin.cli.sending import all_taken, send


@click.command("notify")
@click.argument("channel", required=False)
@click.argument("text", required=False)
@click.option("--all", "everywhere", is_flag=True, help="By every channel, each in turn.")
@click.option(
    "--as",
    "severity",
    type=click.Choice(["critical", "warning", "info"]),
    help="How bad it is said to be; a text is info.",
)
@click.option(
    "--like",
    metavar="RULE",
    help="As that rule's last alert was sent; one that is made up, where it has told of nothing yet.",
)
@config_option
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    channel: str | None,
    text: str | None,
    *,
    everywhere: bool,
    severity: str | None,
    like: str | None,
    config: Path | None,
    output: str,
) -> None:
    """Send a test message by CHANNEL now, and say exactly what the service answered.

    Where the service can edit what was sent, as Telegram and Slack can by a bot, that is tried too. Where somebody may press
    buttons (a channel's answers), a button comes below it, which says that it is a test, and whoever presses it hears that it was.

    The running daemon sends it, with its own credentials and at its own pace; where none runs, or its config has other URLs
    for the channel than the one here, this command does. Nothing else waits for it, and nothing of it is kept.

    Exits 0 when every URL took it (the edit and the button, too), else 1.

    \b
    Examples:
      tocsin notify phone
      tocsin notify desk "hello from Tocsin"
      tocsin notify phone --as critical   # does it wake me?
      tocsin notify phone --like position-in-the-red
      tocsin notify --all
    """
    from tocsin.delivery.senders import validate_url

    if everywhere and channel is not None:
        raise click.UsageError("--all is every channel: name none beside it (a text goes to one)")
    if not everywhere and channel is None:
        raise click.UsageError("say which CHANNEL, or --all")
    if text is not None and like is not None:
        raise click.UsageError("a text of yours, or --like a rule's alert: not both")
    settings = settings_of(config, validate_url=validate_url)
    if channel is not None and channel not in settings.channels:
        raise unknown("channel", channel, list(settings.channels))
    if like is not None and like not in (known := [rule.id for rule in settings.rules]):
        raise unknown("rule", like, known)
    what = {key: value for key, value in (("text", text), ("severity", severity), ("like", like)) if value}
    results = send(config, settings, list(settings.channels) if everywhere else [channel or ""], what, output)
    if output == "json":
        print_json(results)
    ctx.exit(0 if all_taken(results) else FAILED)
