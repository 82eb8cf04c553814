"""`tocsin explain`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import FAILED
from tocsin.cli.options import config_option, counted, format_option, paint, print_json

if TYPE_CHECKING:
    from tocsin.engine.rule import Rule
    from tocsin.ruletest.explain import Circumstances, Explained
    from tocsin.store.reader import Reader

_SHOWN = 20  # entities without an ID
_MARKS = {True: ("yes", "green"), False: ("no", "red"), None: ("unknown", "yellow")}


@click.command("explain")
@click.argument("rule")
@click.argument("id_", metavar="[ID]", required=False)
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, rule: str, id_: str | None, config: Path | None, *, output: str) -> None:
    """Why RULE fires, or doesn't: for the order, position, … of that ID, or for all that it is about.

    Looks at what the daemon has stored, running or not: each part of the condition with the value that it saw, what
    state the alert is in, and what would hold a message back. Of an event rule the latest such event is judged. Exits 1
    where nothing is known that the rule is about.

    \b
    Examples:
      tocsin explain position-in-the-red
      tocsin explain position-in-the-red be06c5da-35d4-4ca1-8865-f9b24b9038a3
    """
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config
    from tocsin.events.vocabulary import nearest
    from tocsin.ruletest.explain import explain
    from tocsin.ruletest.known import entities_of, last_events_of
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    settings = load_settings(find_config(config, os.environ), validate_url=None)
    found = next((each for each in settings.rules if each.id == rule), None)
    if found is None:
        close = nearest(rule, [each.id for each in settings.rules])
        raise click.UsageError(f"no rule is called {rule}" + (f"; did you mean {close}?" if close else ""))
    reader = Reader(settings.state_dir / DATABASE)
    there = _circumstances(reader, settings, found)
    changes = (last_events_of if found.is_event_rule else entities_of)(reader, found, id_)
    told = [explain(found, change, there) for change in changes]
    if output == "json":
        print_json({"rule": rule, "explained": [_plain(each) for each in told]})
    else:
        _tell(found, told, id_)
    ctx.exit(0 if told else FAILED)


def _circumstances(reader: "Reader", settings: Any, rule: "Rule") -> "Circumstances":
    from tocsin.alerts.decide import Route, Routing
    from tocsin.alerts.silences import Silences
    from tocsin.events import from_iso
    from tocsin.ruletest.explain import Circumstances
    from tocsin.store.model import Silence

    routes = {
        name: Route(min_severity=channel.min_severity, send_resolved=channel.send_resolved)
        for name, channel in settings.channels.items()
    }
    silences = [
        Silence(
            id=row["id"],
            matchers=row["matchers"],
            reason=row["reason"],
            created_at=from_iso(row["created_at"]),
            starts_at=from_iso(row["starts_at"]),
            ends_at=from_iso(row["ends_at"]),
        )
        for row in reader.silences()
    ]
    return Circumstances(
        now=datetime.now(UTC),
        routing=Routing(channels=routes, defaults={s: settings.channels_for(s) for s in settings.notify}),
        instances=[row["data"] for row in reader.instances(rule.id)],
        firing=frozenset((row["rule"], row["venue"]) for row in reader.alerts(active_only=True)),
        venues={row["venue"]: row for row in reader.venues()},
        silences=Silences(silences),
        unsent=reader.deliveries(unsent_only=True),
    )


def _tell(rule: "Rule", told: list["Explained"], id_: str | None) -> None:
    from tocsin.alerts.message import time_text
    from tocsin.alerts.plain import plain

    about = " or ".join(sorted(rule.events or rule.kinds))
    if not told:
        which = f" called {id_}" if id_ else ""
        click.echo(f"{rule.id} watches {about}, and nothing such{which} is known")
        return
    for each in told if id_ else told[:_SHOWN]:
        symbol = f" ({plain(each.symbol)})" if each.symbol and each.symbol != each.entity.id else ""
        state = paint(each.state, "red" if each.state.startswith("firing") else "", bold=True)
        click.echo(f"{each.what} {plain(each.entity.id)}{symbol} on {each.entity.venue}: {state}")
        for part in each.parts:
            mark, colour = _MARKS[part.holds]
            click.echo(
                f"  {part.of} {part.asks}: {paint(mark, colour)}, {part.saw}, as of {time_text(each.as_of)}"
            )
        for name, reason in each.barriers:
            click.echo(f"  held back by {name}: {reason}")
    if not id_ and len(told) > _SHOWN:
        click.echo(
            f"and {counted(len(told) - _SHOWN, 'more entity').replace('entitys', 'entities')}; give an ID"
        )


def _plain(each: "Explained") -> dict[str, Any]:
    return {
        "venue": each.entity.venue,
        "kind": each.entity.kind,
        "account": each.entity.account or None,
        "id": each.entity.id,
        "symbol": each.symbol,
        "what": each.what,
        "state": each.state,
        "as_of": each.as_of.isoformat(),
        "parts": [
            {"of": part.of, "asks": part.asks, "holds": part.holds, "saw": part.saw} for part in each.parts
        ],
        "held_back_by": [{"what": name, "why": reason} for name, reason in each.barriers],
    }
