"""`tocsin explain`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import FAILED
from tocsin.cli.options import config_option, format_option, paint, print_json

if TYPE_CHECKING:
    from tocsin.ruletest.explain import Explained

_MARKS = {True: ("yes", "green"), False: ("no", "red"), None: ("unknown", "yellow")}


@click.command("explain")
@click.argument("rule")
@click.argument("id_", metavar="[ID]", required=False)
@config_option
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="At most so many of what it is about.",
)
@format_option
@click.pass_context
def command(
    ctx: click.Context, rule: str, id_: str | None, config: Path | None, *, limit: int, output: str
) -> None:
    """Why RULE fires, or doesn't: for the order, position, … of that ID, or for all that it is about.

    Looks at what the daemon has stored, running or not: each part of the condition with the value that it saw and since
    when, what state the alert is in, and what would hold a message back. Of an event rule the latest event of each
    instance is judged, and what became of its then or unless; of a rule on groups each group, ID being its account,
    symbol, … or one of its members. Exits 1 where nothing is known that the rule is about.

    \b
    Examples:
      tocsin explain position-in-the-red
      tocsin explain position-in-the-red be06c5da-35d4-4ca1-8865-f9b24b9038a3
    """
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config
    from tocsin.events.vocabulary import nearest
    from tocsin.ruletest.explain import explain

    settings = load_settings(find_config(config, os.environ), validate_url=None)
    found = next((each for each in settings.rules if each.id == rule), None)
    if found is None:
        close = nearest(rule, [each.id for each in settings.rules])
        raise click.UsageError(f"no rule is called {rule}" + (f"; did you mean {close}?" if close else ""))
    told, count = explain(settings, found, id_, datetime.now(UTC), limit)
    if output == "json":
        print_json({"rule": rule, "count": count, "explained": [_plain(each) for each in told]})
    elif told:
        tell(told, count)
    else:
        which = f" called {id_}" if id_ else ""
        about = " or ".join(sorted(found.events or found.kinds))
        click.echo(f"{found.id} watches {about}, and nothing such{which} is known")
    ctx.exit(0 if told else FAILED)


def tell(told: list["Explained"], count: int) -> None:
    """For people. `count` is how many there are, of which these are the first."""
    from tocsin.alerts.message import time_text
    from tocsin.alerts.plain import plain

    for each in told:
        state = paint(plain(each.state), "red" if each.state.startswith("firing") else "", bold=True)
        heard = f"last heard of {time_text(each.as_of)}"
        click.echo(f"{plain(each.title)}: {state}; {heard}")
        for part in each.parts:
            mark, colour = _MARKS[part.holds]
            click.echo(
                f"  {part.of} {part.asks}: {paint(mark, colour)}, {plain(part.saw)}, as of {time_text(part.as_of)}"
            )
        for name, reason in each.barriers:
            click.echo(f"  held back by {name}: {plain(reason)}")
    if count > len(told):
        click.echo(f"and {count - len(told)} more; give an ID, or a higher --limit")


def _plain(each: "Explained") -> dict[str, Any]:
    return {
        "venue": each.entity.venue,
        "kind": each.entity.kind,
        "account": each.entity.account or None,
        "id": each.entity.id,
        "symbol": each.symbol,
        "title": each.title,
        "what": each.what,
        "state": each.state,
        "as_of": each.as_of.isoformat(),
        "parts": [
            {
                "of": part.of,
                "asks": part.asks,
                "holds": part.holds,
                "saw": part.saw,
                "as_of": part.as_of.isoformat(),
            }
            for part in each.parts
        ],
        "held_back_by": [{"what": name, "why": reason} for name, reason in each.barriers],
    }
