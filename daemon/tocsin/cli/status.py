"""`tocsin status`."""

from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import shown, time_of, times_in
from tocsin.cli import FAILED
from tocsin.cli.ask import OK, ask_running, zone_of
from tocsin.cli.options import config_option, counted, format_option, paint, print_json, print_rows
from tocsin.errors import TocsinError
from tocsin.events import UP

_COLOURS = {"connected": "green", "connecting": "yellow", "silent": "yellow"}


@click.command("status")
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, output: str) -> None:
    """How the daemon and its venues are: connections, what fires, what waits to be sent.

    Exits 0 when all is well, 1 when the daemon isn't healthy or doesn't run.

    \b
    Examples:
      tocsin status
      tocsin status --json | jq .venues
    """
    status, state, socket = ask_running(config, "GET", "/api/status")
    if status != OK:
        raise TocsinError(f"the daemon at {socket} answered {status}: {state}")
    if output == "json":
        print_json(state)
    else:
        _tell(state, socket, zone_of(config))
    ctx.exit(0 if state["healthy"] else FAILED)


def _tell(state: dict[str, Any], socket: Path, tz: tzinfo) -> None:
    health = (
        paint("healthy", "green", bold=True) if state["healthy"] else paint("not healthy", "red", bold=True)
    )
    click.echo(
        f"Tocsin {state['version']}, process {state['pid']}, since {time_of(state['started_at'], tz)}: {health}"
    )
    for wrong in (*state["wrong"], *_troubles(state)):
        click.echo(f"  {paint(times_in(wrong, tz), 'red')}")
    click.echo(f"  config {state['config']}, state {state['state_dir']}, answered at {socket}")
    click.echo(
        f"  {counted(state['rules'], 'rule')}, {counted(len(state['channels']), 'channel')}; "
        f"{state['firing']} firing{_of_firing(state)}, {counted(state['held'], 'message')} held back, {_of_database(state)}"
        + (f"; {counted(state['silences'], 'silence')}: see tocsin silences" if state.get("silences") else "")
        + ("; dry run" if state["dry_run"] else "")
    )
    for report, due in state.get("reports_due", {}).items():
        click.echo(f"  report {report}: next {time_of(due, tz)}")
    table = []
    for venue in state["venues"]:
        status = venue["status"]
        detail = "; ".join(
            filter(
                None,
                (
                    times_in(shown(venue.get("reason", "")), tz),
                    f"attempt {venue['attempts']}" if venue.get("attempts", "0") != "0" else "",
                    _unconfirmed(venue, tz),
                    _last_message(venue, state["now"]),
                    f"since {time_of(venue['since'], tz)}" if venue.get("since") else "",
                    f"next try {time_of(venue['next_attempt'], tz)}"
                    if venue.get("next_attempt") and status not in UP
                    else "",
                ),
            )
        )
        table.append((venue["venue"], venue["type"], paint(status, _COLOURS.get(status, "red")), detail))
    print_rows(table)


def _of_firing(state: dict[str, Any]) -> str:
    """` (1 acknowledged, 2 silenced)`: what nobody hears of any more, though it fires."""
    found = ", ".join(f"{state[what]} {what}" for what in ("acknowledged", "silenced") if state.get(what))
    return f" ({found})" if found else ""


def _of_database(state: dict[str, Any]) -> str:
    if state["unsent"] is None:
        return "unsent unknown: the database doesn't answer"
    return f"{state['unsent']} unsent, {state['dead']} given up"


def _last_message(venue: dict[str, Any], now: str) -> str:
    """`last message 3 s ago`."""
    from datetime import datetime, timedelta

    from tocsin.quantities import duration_text

    if not venue.get("last_message"):
        return ""
    ago = datetime.fromisoformat(now) - datetime.fromisoformat(venue["last_message"])
    return f"last message {duration_text(timedelta(seconds=max(0, round(ago.total_seconds()))))} ago"


def _unconfirmed(venue: dict[str, Any], tz: tzinfo) -> str:
    """`3 not confirmed since …: order 132991 (ETH/BTC) and 2 more`."""
    count = int(venue.get("unconfirmed", "0"))
    if not count:
        return ""
    if "unconfirmed_since" not in venue:
        return f"{count} not confirmed"
    first = venue["unconfirmed_first"]
    named = [
        f"{each['kind']} {shown(each['id'])}" + (f" ({shown(each['symbol'])})" if each["symbol"] else "")
        for each in first
    ]
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return f"{count} not confirmed since {time_of(venue['unconfirmed_since'], tz)}: {', '.join(named)}{more}"


def _troubles(state: dict[str, Any]) -> list[str]:
    """What isn't the daemon's own fault, but what somebody who asks must see first."""
    troubles = list(state.get("attention", ()))
    if state["unsent"]:
        troubles.append(f"{counted(state['unsent'], 'message')} not sent yet: see tocsin deliveries")
    return troubles
