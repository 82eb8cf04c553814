"""How `tocsin replay` tells what it found, to people and to programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tocsin.alerts.plain import flat
from tocsin.cli.options import counted, paint

if TYPE_CHECKING:
    from tocsin.replay.channels import Dropped, Sent
    from tocsin.replay.player import Firing, Outcome
    from tocsin.replay.records import Faults
    from tocsin.replay.replay import Told
    from tocsin.replay.runs import ReplayedRun, RunOutcome

SHOWN = 20  # alerts of one rule that are listed without --all
_UNDONE: Mapping["RunOutcome", str] = {
    "asked": "asked for",
    "dry_run": "only recorded",
    "dropped": "dropped",
    "refused": "refused",
}
_REASONS = 3  # why an action's runs would not have been: the first of them


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
        if firings:
            click.echo(f"{paint(rule.id, 'yellow', bold=True)}: {_count(firings, outcome.messages(rule.id))}")
            _list(firings, most)
    _silent([rule.id for rule, firings in running if not firings], most)
    if held := ", ".join(f"{count:,} by {by}" for by, count in outcome.held_back.items()):
        click.echo(f"held back: {held}")
    for name in told.channels:
        _channel(name, [message for message in outcome.sent if message.channel == name], outcome.dropped)
    for name, runs in outcome.runs.items():
        _action(name, runs)
    if len(told.outcomes) > 1:
        click.echo(f"{edit}:")
        _compare(told, most)
    if told.unsure:
        click.echo(f"unsure: {', '.join(told.unsure)}; {told.because}")


def _silent(rules: Sequence[str], most: int | None) -> None:
    if rules and (most is None or len(rules) == 1):
        click.echo(f"would have fired 0 times: {', '.join(rules)}")
    elif rules:
        click.echo(f"{len(rules)} other rules would have fired 0 times; --all names them")


def _count(firings: Sequence["Firing"], messages: Sequence["Sent"]) -> str:
    """How often it would have fired, and what was told of that, where it isn't each by itself."""
    told, gathered = sum(firing.told is not None for firing in firings), any(each.held for each in messages)
    count = f"would have fired {counted(len(firings), 'time')}"
    count += f", told {told}" if told < len(firings) or gathered else ""
    if gathered:
        channels = len({each.channel for each in messages})
        count += f" in {counted(len(messages), 'message')}"
        count += f" on {channels} channels" if channels > 1 else ""
    return count


def _compare(told: "Told", most: int | None) -> None:
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
    for name in told.channels:
        before, after = (sum(each.channel == name for each in it.sent) for it in told.outcomes)
        if before != after:
            click.echo(f"{name} would get {counted(after, 'message')} instead of {before}")
    first, second = ({name: _times(runs) for name, runs in it.runs.items()} for it in told.outcomes)
    for name in dict.fromkeys((*first, *second)):
        if (before := first.get(name, 0)) != (after := second.get(name, 0)):
            click.echo(f"{name} would run {counted(after, 'time')} instead of {before}")


def _times(runs: Sequence["ReplayedRun"]) -> int:
    return sum(run.outcome == "run" for run in runs)


def _action(name: str, runs: Sequence["ReplayedRun"]) -> None:
    """How often it would have been run, and what would have kept it from that, if it was started at all."""
    if not runs:
        return
    what = f"{name} would have run {counted(_times(runs), 'time')}"
    for outcome, words in _UNDONE.items():
        if undone := [run for run in runs if run.outcome == outcome]:
            reasons = "; ".join([*dict.fromkeys(flat(run.reason) for run in undone if run.reason)][:_REASONS])
            what += f", {len(undone)} {words}" + (f" ({reasons})" if reasons else "")
    click.echo(what)


def _channel(name: str, sent: Sequence["Sent"], dropped: Sequence["Dropped"]) -> None:
    """What one would have sent, if anything."""
    digests, dropped = [message for message in sent if message.held], _of(name, dropped)
    if not sent and not dropped:
        return
    what = f"{name} would have got {counted(len(sent), 'message')}"
    if digests:
        kinds = Counter(message.held for message in digests)
        why = ", ".join(f"{count} {held}" for held, count in kinds.items())
        alerts = sum(message.alerts for message in digests)
        what += f", {len(digests)} of them digests ({why}) of {counted(alerts, 'alert')}"
    if dropped:
        reasons = ", ".join(dict.fromkeys(each.reason for each in dropped))
        what += f"; {counted(len(dropped), 'reminder')} dropped: {reasons}"
    click.echo(what)


def _of(channel: str, dropped: Sequence["Dropped"]) -> list["Dropped"]:
    return [each for each in dropped if each.delivery.channel == channel]


def complain(fault: "Faults") -> None:
    """Write to standard error how many lines and messages of a recording couldn't be read or understood, and the first."""
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
        for run in firing.runs:
            what = _UNDONE.get(run.outcome, "would have run")
            why = ": ".join(filter(None, (what, flat(run.reason or run.command))))
            click.echo(f"    {run.at:%H:%M:%S}  {run.action}  {run.told}  {why}")
    if most is not None and len(firings) > most:
        click.echo(f"  and {len(firings) - most} more; --all lists them")


def _told(firing: "Firing") -> str:
    """What kept it from people, and how long; nothing where it was told at once."""
    if firing.told == firing.at:
        return ""
    then = f"told {firing.told:%Y-%m-%d %H:%M:%S}" if firing.told else "nobody was notified"
    return f" ({firing.held_by}: {then})" if firing.held_by else f" ({then})"


def _escalated(firing: "Firing") -> str:
    if not firing.escalated:
        return ""
    then = "before somebody acknowledged it" if firing.acknowledged else "if nobody acknowledges"
    return f" (escalated {counted(firing.escalated, 'time')}, {then})"


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
                "messages": len(told.outcomes[0].messages(rule.id)),
                "alerts": [_plain(firing) for firing in firings],
            }
            for rule in told.outcomes[0].rules
            if rule.enabled
            for firings in [told.outcomes[0].of(rule.id)]
        ],
        "held": told.outcomes[0].held_back,
        "channels": _plain_channels(told, told.outcomes[0]),
        "actions": _plain_actions(told.outcomes[0]),
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
            "channels_then": _plain_channels(told, told.outcomes[1]),
            "actions_then": _plain_actions(told.outcomes[1]),
        }
    return found


def _plain_channels(told: "Told", outcome: "Outcome") -> list[dict[str, Any]]:
    return [
        {
            "channel": name,
            "messages": sum(message.channel == name for message in outcome.sent),
            "digests": [
                {"at": message.at.isoformat(), "held_by": message.held, "alerts": message.alerts}
                for message in outcome.sent
                if message.channel == name and message.held
            ],
            "dropped": len(_of(name, outcome.dropped)),
        }
        for name in told.channels
    ]


def _plain_actions(outcome: "Outcome") -> list[dict[str, Any]]:
    return [
        {
            "action": name,
            **{what: sum(run.outcome == what for run in runs) for what in ("run", *_UNDONE)},
        }
        for name, runs in outcome.runs.items()
    ]


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
        "acknowledged": firing.acknowledged.isoformat() if firing.acknowledged else None,
        "runs": [
            {
                "at": run.at.isoformat(),
                "action": run.action,
                "state": run.told,
                "outcome": run.outcome,
                "command": run.command or None,
                "reason": run.reason or None,
            }
            for run in firing.runs
        ],
    }
