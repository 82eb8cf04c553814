"""How `tocsin replay --set` tells what would be, to people and to programs."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from tocsin.cli.options import counted, paint, print_json

if TYPE_CHECKING:
    from tocsin.replay.comparison import Alert, Alerts, WhatIf


def show_what_if(found: "WhatIf", output: str) -> None:
    """Coverage first."""
    if output == "json":
        import msgspec

        print_json(msgspec.to_builtins(found))
        return
    if found.begun is None or found.ended is None:
        click.echo("nothing is recorded there")
        return
    _head(found, found.begun, found.ended)
    if found.says_nothing:
        return
    before = found.counted(found.as_it_is.alerts, "alerts")
    click.echo(f"as it is {before}, edited {found.counted(found.edited.alerts, 'alerts')}")
    _list(f"{found.counted(found.lost.count, 'lost')} lost", "red", found.lost, worst=True)
    if found.unknown.count:
        known = "how long they were beyond the edited limit isn't known"
        _list(
            f"{counted(found.unknown.count, 'alert')} later, or not at all: {known}",
            "yellow",
            found.unknown,
            worst=True,
        )
    _list(f"{found.counted(found.gained.count, 'gained')} gained", "green", found.gained, worst=True)
    for what, alerts in (("later", found.later), ("earlier", found.earlier)):
        if alerts.count:
            _list(f"{counted(alerts.count, 'alert')} {what}", None, alerts)
    if found.at_least:
        click.echo(f"at least: {found.because}")


def _head(found: "WhatIf", begun: str, ended: str) -> None:
    """How much is known of which time, and what is asked."""
    for each in found.coverage:
        click.echo(each.words if len(found.coverage) == 1 else f"{each.rule}: {each.words}")
    click.echo(f"recorded from {_time(begun)} to {_time(ended)} UTC")
    for name in found.off:
        click.echo(f"{name} is switched off (enabled: false); here it runs")
    for edit in found.edits:
        before = edit.before or "none"
        click.echo(f"{paint(edit.rule, 'yellow', bold=True)}: {edit.called} {before} → {edit.after}")
    for warning in found.warnings:
        click.echo(paint(f"doubtful: {warning}", "yellow"))


def _list(head: str, colour: str | None, listed: "Alerts", *, worst: bool = False) -> None:
    several = worst and listed.count > 1 and any(alert.worst is not None for alert in listed.alerts)
    click.echo(paint(head + (", the worst first" if several else ""), colour, bold=True))
    for alert in listed.alerts:
        click.echo(f"  {_line(alert)}")
    if listed.count > len(listed.alerts):
        click.echo(f"  and {listed.count - len(listed.alerts):,} more; --all lists them")


def _line(alert: "Alert") -> str:
    from datetime import timedelta

    from tocsin.alerts.wording import span_text

    until = (
        "" if alert.until == alert.at else f" to {_time(alert.until)[11:]}" if alert.until else " to the end"
    )
    said = [f"{_time(alert.at)}{until}", alert.title]
    if alert.by:
        said.insert(
            1, f"{span_text(timedelta(seconds=abs(alert.by)))} {'later' if alert.by > 0 else 'earlier'}"
        )
    elif alert.worst is not None:
        said.append(f"{alert.of} reached {alert.worst}")
    if alert.covered:
        said.append("an alert of before goes on then")
    return "  ".join(said)


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"
