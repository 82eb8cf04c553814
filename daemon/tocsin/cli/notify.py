"""`tocsin notify`."""

import uuid
from pathlib import Path

import click

from tocsin.cli import FAILED
from tocsin.cli.options import config_option, paint, settings_of, unknown

_TEXT = "A test message. If you can read this, alerts will reach you here."


@click.command("notify")
@click.argument("channel")
@click.argument("text", default=_TEXT)
@config_option
@click.pass_context
def command(ctx: click.Context, channel: str, text: str, config: Path | None) -> None:
    """Send a test message by CHANNEL now, without the daemon, and say exactly what the service answered.

    Exits 0 when every URL of the channel took it, else 1.

    \b
    Examples:
      tocsin notify phone
      tocsin notify desk "hello from Tocsin"
    """
    import trio

    from tocsin.delivery.model import Message, Outcome
    from tocsin.delivery.senders import make_sender, validate_url

    settings = settings_of(config, validate_url=validate_url)
    if channel not in settings.channels:
        raise unknown("channel", channel, list(settings.channels))
    outcomes: list[tuple[str, Outcome]] = []

    async def send() -> None:
        urls = settings.channels[channel].urls
        for number, url in enumerate(urls):
            name = channel if len(urls) == 1 else f"{channel}/{number}"
            sender = make_sender(url, name=name, masker=settings.masker)
            test = Message(title="Tocsin: test", body=text, severity="info", delivery_id=uuid.uuid4().hex)
            outcomes.append((sender.name, await sender.send(test)))

    trio.run(send)
    for name, outcome in outcomes:
        word = (
            paint("accepted", "green", bold=True) if outcome.sent else paint("not accepted", "red", bold=True)
        )
        click.echo(f"{name}: {word}: {outcome.answer}")
    ctx.exit(0 if all(outcome.sent for _, outcome in outcomes) else FAILED)
