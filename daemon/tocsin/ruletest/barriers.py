"""What would hold a message of a rule back, in the order in which it is asked. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from tocsin.alerts.decide import Routing, decide
from tocsin.alerts.muted import MutedNotification
from tocsin.alerts.wording import time_text
from tocsin.engine.api import AlertContext
from tocsin.engine.pauses import hangs_on_link
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, from_iso
from tocsin.pipeline.muter import Muter
from tocsin.quantities import duration_text
from tocsin.ruletest.subjects import Subject

Barrier: TypeAlias = tuple[str, str]
"""What it is, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How everything else stands: `away` are the venues whose link is down, and since when; `held` and `unsent` the rule's.
    `now`'s steady clock is the engine's.
    """

    now: Instant
    routing: Routing
    muter: Muter
    away: Mapping[str, str]
    held: Sequence[MutedNotification]
    unsent: Sequence[Mapping[str, Any]]


def barriers(rule: Rule, subject: Subject, there: Circumstances) -> Iterator[Barrier]:
    """In the order in which they are asked."""
    if not rule.enabled:
        yield "enabled", "the rule is switched off"
    if rule.active is not None and not rule.active.is_open(there.now.wall):
        opens = rule.active.next_change(there.now.wall)
        yield "active", f"closed until {time_text(opens)}" if opens else "never open"
    yield from _time(rule, subject.record, there.now.steady)
    context = _context(rule, subject.change)
    waiting = {each.by: each for each in _held(subject, there)}
    for name, reason in there.muter.reasons(rule.id, context, there.now).shut():
        waits = waiting.pop(name, None)
        yield name, reason + (f"; {_waits(waits)}" if waits is not None else "")
    for name, waits in waiting.items():
        yield name, f"{_waits(waits)}: {waits.reason}"
    if subject.cooldown and (until := from_iso(subject.cooldown["until"])) > there.now.wall:
        held = f", {subject.cooldown['held']} held back" if subject.cooldown.get("held") else ""
        yield "cooldown", f"until {time_text(until)}{held}"
    if subject.record.get("acked"):
        yield "acknowledged", "no more reminders of this alert"
    if hangs_on_link(rule) and (away := there.away.get(subject.change.venue)):
        yield "gap", f"{away}: {_in_gap(rule)}"
    yield from _channels(rule, subject, there)


def _in_gap(rule: Rule) -> str:
    if rule.sequence is None and rule.is_event_rule:
        return "nothing is heard of what happens there"
    return "what fired is resolved" if rule.on_gap == "resolve" else "its timers stand still"


def _time(rule: Rule, record: Mapping[str, Any], steady: float) -> Iterator[Barrier]:
    state = record.get("state")
    if state not in ("pending", "recovering"):
        return
    key, lasts = ("for", rule.for_) if state == "pending" else ("keep_firing_for", rule.keep_firing_for)
    since = record.get("since_steady")
    counted = float(record["passed"]) + (max(0.0, steady - since) if since is not None else 0.0)
    passed, needs = (duration_text(timedelta(seconds=seconds)) for seconds in (counted, lasts))
    if since is None:
        yield key, f"stands still at {passed} of {needs}: the venue is away, or the rule's hours are over"
    else:
        yield key, f"{passed} of {needs} have passed"


def _held(subject: Subject, there: Circumstances) -> Iterator[MutedNotification]:
    """What waits to be told of it."""
    alert = subject.record.get("alert_id")
    for held in there.held:
        if held.alert == alert or (alert is None and _is_of(held.context, subject.change)):
            yield held


def _waits(held: MutedNotification) -> str:
    return f"the {held.context.state} of {time_text(held.context.at)} waits"


def _channels(rule: Rule, subject: Subject, there: Circumstances) -> Iterator[Barrier]:
    decision = decide(
        "firing", severity=rule.severity, notify=rule.notify, announced=None, routing=there.routing
    )
    for name, reason in decision.held.items():
        yield f"channel {name}", reason
    if not decision.channels:
        yield "channel", "no channel is told of it"
    alert = subject.record.get("alert_id")
    for waiting in there.unsent:
        if waiting["alert"] == (alert or waiting["alert"]):
            error = f": {waiting['error']}" if waiting.get("error") else ""
            yield f"channel {waiting['channel']}", f"{waiting['state_told']} is {waiting['status']}{error}"


def _is_of(context: AlertContext, change: Change) -> bool:
    return (context.venue, context.account, context.entity) == (change.venue, change.account, change.key.id)


def _context(rule: Rule, change: Change) -> AlertContext:
    """As much of it as a silence can match."""
    return AlertContext(
        rule=rule.id,
        severity=rule.severity,
        state="firing",
        kind=change.kind,
        venue=change.venue,
        entity=change.key.id,
        account=change.account,
        symbol=change.symbol,
        event=change.events[-1] if rule.is_event_rule and change.events else None,
        started_at=change.received,
        at=change.received,
        time=change.time,
    )
