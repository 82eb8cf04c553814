"""How `tocsin replay` tells what it found, to people and to programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.options import counted, paint

if TYPE_CHECKING:
    from tocsin.replay.records import Faults
    from tocsin.replay.replay import Firing, Told

SHOWN = 20  # alerts of one rule that are listed without --all


def show(told: "Told", edit: str, most: int | None) -> None:
    """To people. `edit` says what stands in the place of what; `most` alerts of a rule are listed."""
    if told.begun is None or told.ended is None:
        click.echo("nothing is recorded there")
        return
    click.echo(
        f"{counted(told.count, told.unit)}, {told.begun:%Y-%m-%d %H:%M:%S} to {told.ended:%Y-%m-%d %H:%M:%S} UTC"
    )
    outcome = told.outcomes[0]
    running = [(rule, outcome.of(rule.id)) for rule in outcome.rules if rule.enabled]
    for rule, firings in running:
        if not firings:
            continue
        told_of = sum(firing.told is not None for firing in firings)
        count = f"would have fired {counted(len(firings), 'time')}"
        count += f", told {told_of}" if told_of < len(firings) else ""
        click.echo(f"{paint(rule.id, 'yellow', bold=True)}: {count}")
        _list(firings, most)
    silent = [rule.id for rule, firings in running if not firings]
    if silent and (most is None or len(silent) == 1):
        click.echo(f"would have fired 0 times: {', '.join(silent)}")
    elif silent:
        click.echo(f"{len(silent)} other rules would have fired 0 times; --all names them")
    if len(told.outcomes) > 1:
        click.echo(f"{edit}:")
        for what, colour, differing in (
            (f"adds {counted(len(told.added), 'alert')}", "green", told.added),
            (f"loses {counted(len(told.lost), 'alert')}", "red", told.lost),
            (f"tells {counted(len(told.freed), 'alert')} more of those that both have", "green", told.freed),
            (
                f"holds back {counted(len(told.kept_back), 'alert')} more of those that both have",
                "red",
                told.kept_back,
            ),
        ):
            if differing or what.startswith(("adds", "loses")):
                click.echo(paint(what, colour, bold=True))
                _list(differing, most, rule=True)
    if told.unsure:
        click.echo(f"unsure: {', '.join(told.unsure)}; {told.because}")


def complain(fault: "Faults") -> None:
    """Write to standard error how many lines and messages of a recording couldn't be read or understood, and the first."""
    from tocsin.alerts.plain import flat

    if fault.unread:
        first = f"the first is {fault.first_unread}"
        click.echo(
            f"skipped {counted(fault.unread, 'line')} that tocsin record didn't write, or a crash tore; {first}",
            err=True,
        )
    if fault.steps_back:
        click.echo(
            f"the clock was set back {counted(fault.steps_back, 'time')} while {fault.venue} was recorded, first before "
            f"{fault.first_step_back}: no time passes there",
            err=True,
        )
    reason = flat(fault.first_puzzling)
    if fault.nothing_understood:
        click.echo(
            f"nothing in {fault.venue}'s {counted(fault.messages, 'message')} was understood: are they "
            f"a venue's of the type {fault.type}? {reason}",
            err=True,
        )
    elif fault.puzzling:
        click.echo(
            f"{fault.puzzling} of {fault.venue}'s {counted(fault.messages, 'message')} not understood; "
            f"the first is {reason}",
            err=True,
        )


def _list(firings: Sequence["Firing"], most: int | None, *, rule: bool = False) -> None:
    for firing in firings[:most]:
        name = f"{firing.rule}  " if rule else ""
        held = f" ({firing.held_back} held back)" if firing.held_back else ""
        lasted = (
            ""
            if firing.until == firing.at
            else f" to {firing.until:%H:%M:%S}"
            if firing.until
            else " to the end"
        )
        click.echo(
            f"  {firing.at:%Y-%m-%d %H:%M:%S}{lasted}  {name}{firing.title}{held}{_told(firing)}{_escalated(firing)}"
        )
    if most is not None and len(firings) > most:
        click.echo(f"  and {len(firings) - most} more; --all lists them")


def _told(firing: "Firing") -> str:
    """What kept it from people, and how long; nothing where it was told at once."""
    if firing.told == firing.at:
        return ""
    then = f"told {firing.told:%Y-%m-%d %H:%M:%S}" if firing.told else "nobody was notified"
    return f" ({firing.held_by}: {then})" if firing.held_by else f" ({then})"


def _escalated(firing: "Firing") -> str:
    return (
        f" (escalated {counted(firing.escalated, 'time')}, if nobody acknowledges)"
        if firing.escalated
        else ""
    )


def as_json(told: "Told") -> dict[str, Any]:
    """To programs."""
    found: dict[str, Any] = {
        f"{told.unit}s": told.count,
        "from": told.begun.isoformat() if told.begun else None,
        "to": told.ended.isoformat() if told.ended else None,
        "rules": [
            {
                "rule": rule.id,
                "fired": len(firings),
                "told": sum(firing.told is not None for firing in firings),
                "alerts": [_plain(firing) for firing in firings],
            }
            for rule in told.outcomes[0].rules
            if rule.enabled
            for firings in [told.outcomes[0].of(rule.id)]
        ],
        "unsure": list(told.unsure),
        "recordings": [
            {
                "venue": fault.venue,
                "type": fault.type,
                "messages": fault.messages,
                "skipped_lines": fault.unread,
                "first_skipped": fault.first_unread or None,
                "not_understood": fault.puzzling,
                "first_not_understood": fault.first_puzzling or None,
                "steps_back": fault.steps_back,
                "first_step_back": fault.first_step_back or None,
            }
            for fault in told.faults
        ],
    }
    if len(told.outcomes) > 1:
        found |= {
            "added": [_plain(firing) for firing in told.added],
            "lost": [_plain(firing) for firing in told.lost],
            "freed": [_plain(firing) for firing in told.freed],
            "kept_back": [_plain(firing) for firing in told.kept_back],
        }
    return found


def _plain(firing: "Firing") -> dict[str, Any]:
    return {
        "rule": firing.rule,
        "venue": firing.entity.venue,
        "account": firing.entity.account or None,
        "id": firing.entity.id,
        "at": firing.at.isoformat(),
        "until": firing.until.isoformat() if firing.until else None,
        "title": firing.title,
        "held_back": firing.held_back,
        "told": firing.told.isoformat() if firing.told else None,
        "held_by": firing.held_by or None,
        "escalated": firing.escalated,
    }
