"""`tocsin forget`."""

from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import shown
from tocsin.cli import FAILED
from tocsin.cli.ask import OK, ask_running, me
from tocsin.cli.options import config_option, format_option, print_json
from tocsin.events.vocabulary import VENUE_KINDS, nearest

_SEVERAL = 409  # what HTTP calls it


class Kind(click.Choice[str]):
    """One of these words; of another one the nearest is named first."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.choices and (close := nearest(value, VENUE_KINDS)):
            self.fail(f"{value!r} is no kind; did you mean {close}?", param, ctx)
        return super().convert(value, param, ctx)


@click.command("forget")
@click.argument("venue")
@click.argument("kind", type=Kind(VENUE_KINDS), metavar="KIND")
@click.argument("id_", metavar="ID")
@click.option("--account", help="The account that it is of; needed where several have that ID.")
@click.option("--why", default="", help="Kept with it.")
@config_option
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    venue: str,
    kind: str,
    id_: str,
    *,
    account: str | None,
    why: str,
    config: Path | None,
    output: str,
) -> None:
    """Drop what the running daemon knows of VENUE's order, position, … of that ID.

    KIND is order, position, account, balance, trade, ticker, book or contract.

    For what ended while the connection was away, and is never mentioned again: tocsin status names what isn't confirmed.
    Its alerts end, with the reason "forgotten". Mentioned again it is new. What has been unconfirmed for as long as
    events are kept (retention) is dropped by itself.

    \b
    Examples:
      tocsin forget fx position 41839
      tocsin forget top order 132991 --account main
    """
    asked = {"venue": venue, "kind": kind, "id": id_, "by": me(), "why": why}
    asked |= {"account": account} if account else {}
    status, report, socket = ask_running(config, "POST", "/api/forget", **asked)
    if output == "json":
        print_json(report)
    elif status == OK:
        click.echo(f"forgotten: {kind} {id_} on {venue} (the daemon at {socket})")
        for alert in report["alerts"]:
            click.echo(f"  {alert}")
    elif status == _SEVERAL:
        accounts = ", ".join(str(each) for each in report["accounts"])
        click.echo(
            f"tocsin: several accounts have {kind} {id_} on {venue}: {accounts}; say --account", err=True
        )
    else:
        of = f" of account {account}" if account else ""
        click.echo(
            f"tocsin: the daemon at {socket} knows no {kind} {id_}{of} on {venue}{_near(report)}", err=True
        )
    ctx.exit(0 if status == OK else FAILED)


def _near(report: dict[str, Any]) -> str:
    """What may have been meant."""
    near = [shown(each) for each in report.get("near", ())]
    return f"; did you mean {' or '.join(near)}?" if near else ""
