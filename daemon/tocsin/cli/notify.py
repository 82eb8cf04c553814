"""`tocsin notify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import FAILED
from tocsin.cli.ask import OK, UNKNOWN, ask, note, state_dir_of
from tocsin.cli.options import config_option, format_option, paint, print_json, settings_of, unknown

if TYPE_CHECKING:
    from tocsin.config.settings import Settings
    from tocsin.delivery.model import Handle, Message, Outcome, Sender

# What else of a message is tried, and what is said of that.
_ALSO = {
    "edit": ("edited", "not edited"),
    "buttons": ("has a button, press it", "no button"),
}
_OTHERS = 409  # what HTTP calls it: the daemon has other URLs for that channel


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
    results: list[dict[str, Any]] = []
    for name in settings.channels if everywhere else [channel or ""]:
        sent = _by_the_daemon(config, settings, name, what)
        found = _by_ourselves(settings, name, what) if sent is None else sent
        results += (
            {"channel": name, **each, "by": "tocsin notify" if sent is None else "daemon"} for each in found
        )
        if output != "json":
            for each in found:
                _show(each)
    if output == "json":
        print_json(results)
    taken = all(each["sent"] and all(each.get(also, each)["sent"] for also in _ALSO) for each in results)
    ctx.exit(0 if taken else FAILED)


def _show(result: dict[str, Any]) -> None:
    word = (
        paint("accepted", "green", bold=True) if result["sent"] else paint("not accepted", "red", bold=True)
    )
    click.echo(f"{result['url']}: {word}: {result['answer']}")
    for what, (done, failed) in _ALSO.items():
        if came := result.get(what):
            word = paint(done, "green") if came["sent"] else paint(failed, "red", bold=True)
            click.echo(f"{result['url']}: {word}: {came['answer']}")


def _by_the_daemon(
    config: Path | None, settings: "Settings", name: str, what: dict[str, str]
) -> list[dict[str, Any]] | None:
    """What became of it there; None where nobody there can say, which is noted if a daemon runs."""
    from tocsin.control.client import NotAllowed, NotRunning
    from tocsin.errors import TocsinError

    urls = settings.channels[name].urls_hash
    try:
        status, report, socket = ask(
            state_dir_of(config), "POST", f"/api/channels/{name}/test", urls=urls, **what
        )
    except NotAllowed as error:
        note(f"{error}; sent without it")
        return None
    except NotRunning:
        return None
    if status == OK:
        found: list[dict[str, Any]] = report["results"]
        return found
    if status == _OTHERS:
        note(
            f"the daemon at {socket} runs with other URLs for {name} than this config (tocsin reload); sent without it"
        )
        return None
    if status == UNKNOWN:
        note(
            f"the daemon at {socket} runs without that rule, or is of another version (tocsin reload); sent without it"
        )
        return None
    raise TocsinError(report.get("error", report))


async def _call(sender: "Sender", made: "Message", edits: "Handle | None") -> "Outcome":
    return await (sender.send(made) if edits is None else sender.edit(edits, made))


def _by_ourselves(settings: "Settings", name: str, what: dict[str, str]) -> list[dict[str, Any]]:
    from datetime import UTC, datetime
    from functools import partial

    import trio

    from tocsin.app.components import label_of, make_sample, make_style, new_id
    from tocsin.delivery.sample import try_out
    from tocsin.delivery.senders import make_sender, telegram_bot
    from tocsin.delivery.templates import in_place
    from tocsin.store.errors import SchemaRefused, StoreUnavailable
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    reader = Reader(settings.state_dir / DATABASE)
    try:
        sample = make_sample(settings, what, reader.last_firing)
    except (StoreUnavailable, SchemaRefused):
        sample = make_sample(settings, what, lambda _rule: None)
    channel = settings.channels[name]
    found: list[dict[str, Any]] = []

    async def send() -> None:
        for target, url in enumerate(channel.urls):
            sender = make_sender(url, name=label_of(channel, name, target), masker=settings.masker)
            style = make_style(settings, channel, target)
            made = await sample.message(style, new_id(), datetime.now(UTC), in_place)
            found.append({"url": sender.name, **await try_out(made, partial(_call, sender))})

    trio.run(send)
    if channel.answers and any(telegram_bot(url) for url in channel.urls):
        note(f"{name}: no button was tried, for only a running daemon answers whoever presses it")
    return found
