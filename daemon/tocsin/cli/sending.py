"""Messages that a command sends at once: by the running daemon, else by itself; and what the services answered."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.ask import OK, UNKNOWN, ask, me, note, state_dir_of
from tocsin.cli.options import paint

if TYPE_CHECKING:
    from tocsin.config.settings import Settings
    from tocsin.delivery.model import Handle, Message, Outcome, Sender

# What else of a message is tried, and what is said of that.
_ALSO = {
    "edit": ("edited", "not edited"),
    "buttons": ("has a button, press it", "no button"),
}
_OTHERS = 409  # what HTTP calls it: the daemon has other URLs for that channel


def send(
    config: Path | None, settings: "Settings", channels: Iterable[str], what: dict[str, str], output: str
) -> list[dict[str, Any]]:
    """Send by each of these channels what `make_sample` makes of `what`, and tell people what came of it; programs get it here."""
    results: list[dict[str, Any]] = []
    ourselves = f"tocsin {click.get_current_context().info_name}"
    for name in channels:
        sent = _by_the_daemon(config, settings, name, what)
        found = _by_ourselves(settings, name, what) if sent is None else sent
        results += (
            {"channel": name, **each, "by": ourselves if sent is None else "daemon"} for each in found
        )
        if output != "json":
            for each in found:
                _show(each)
    return results


def all_taken(results: Iterable[dict[str, Any]]) -> bool:
    """Whether every service took all that was tried."""
    return all(each["sent"] and all(each.get(also, each)["sent"] for also in _ALSO) for each in results)


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
            state_dir_of(config), "POST", f"/api/channels/{name}/test", urls=urls, by=me(), **what
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
            f"the daemon at {socket} runs without that rule or report, or is of another version (tocsin reload); sent without it"
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
    from tocsin.delivery.senders import make_sender, pressable
    from tocsin.delivery.templates import in_place
    from tocsin.store.errors import SchemaRefused, StoreUnavailable
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    reader, now = Reader(settings.state_dir / DATABASE), datetime.now(UTC)
    try:
        sample = make_sample(settings, what, reader, now)
    except (StoreUnavailable, SchemaRefused):
        if "report" in what:
            raise
        sample = make_sample(settings, what, None, now)
    channel = settings.channels[name]
    found: list[dict[str, Any]] = []

    async def send() -> None:
        for target, url in enumerate(channel.urls):
            sender = make_sender(url, name=label_of(channel, name, target), masker=settings.masker)
            style = make_style(settings, channel, target)
            made = await sample.message(style, new_id(), datetime.now(UTC), in_place)
            found.append(
                {"url": sender.name, **await try_out(made, partial(_call, sender), more=sample.tries_more)}
            )

    trio.run(send)
    if sample.tries_more and pressable(channel):
        note(f"{name}: no button was tried, for only a running daemon answers whoever presses it")
    return found
