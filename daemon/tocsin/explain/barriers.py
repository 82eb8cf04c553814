"""What would hold a message of a rule back, in the order in which it is asked. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tocsin.alerts.decide import MuteReasons, Routing, decide
from tocsin.alerts.muted import MutedNotification
from tocsin.alerts.silences import matchable
from tocsin.alerts.wording import time_text
from tocsin.engine.api import AlertContext
from tocsin.engine.rule import Rule
from tocsin.engine.trace import InstanceTrace, Timer
from tocsin.events import Change, from_iso
from tocsin.explain.explanation import Barrier
from tocsin.quantities import duration_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How everything else stands now (UTC): `reasons` says what mutes a notification, `muted` are those of the rule that wait, `unsent`
    its deliveries that do (rows of the database), `holds` what on a channel holds what is told of a severity.
    """

    now: datetime
    routing: Routing
    reasons: Callable[[str, AlertContext], MuteReasons]
    muted: Sequence[MutedNotification]
    unsent: Sequence[Mapping[str, Any]]
    holds: Callable[[str, str, str], str] = lambda _channel, _told, _severity: ""
    acked: Mapping[str, Any] | None = None  # the alert (a row of the database), where it is acknowledged


def barriers(trace: InstanceTrace, there: Circumstances) -> tuple[Barrier, ...]:
    return tuple(Barrier(what=what, why=why) for what, why in _barriers(trace, there))


def _barriers(trace: InstanceTrace, there: Circumstances) -> Iterator[tuple[str, str]]:
    if trace.timer is not None:
        yield trace.timer.key, _passed(trace.timer)
    waiting = {each.by: each for each in there.muted if _is_of(each, trace)}
    for gate, reason in reasons(trace, there).shut():
        waits = waiting.pop(gate.key, None)
        yield gate.key, reason + (f"; {_waits(waits)}" if waits is not None else "")
    for name, waits in waiting.items():
        yield name, f"{_waits(waits)}: {waits.reason}"
    if trace.down is not None:
        yield "gap", f"{_away(trace.down)}: {_in_gap(trace.rule)}"
    yield from _channels(trace, there)


def reasons(trace: InstanceTrace, there: Circumstances) -> MuteReasons:
    """Of each gate why it is shut: of the engine's as it knows them, of the others as they would mute a notification now."""
    cooldown = ""
    if trace.cooldown is not None and trace.cooldown[0] > there.now:
        until, count = trace.cooldown
        cooldown = f"until {time_text(until)}" + (f", {count} held back" if count else "")
    return replace(
        with_its_own(trace.rule, there.reasons(trace.rule.id, _context(trace.rule, trace.change)), there.now),
        cooldown=cooldown,
        acknowledged=f"{_acked(there.acked)}no more reminders of this alert" if trace.acked else "",
    )


def with_its_own(rule: Rule, found: MuteReasons, now: datetime) -> MuteReasons:
    """These reasons, and those that the rule has by itself."""
    active = ""
    if rule.active is not None and not rule.active.is_open(now):
        opens = rule.active.next_change(now)
        active = f"closed until {time_text(opens)}" if opens else "never open"
    return replace(found, enabled="" if rule.enabled else "the rule is switched off", active=active)


def _acked(alert: Mapping[str, Any] | None) -> str:
    """`by anna at 2026-01-01 00:00:05 UTC: `, as far as it is known."""
    if alert is None or not alert["acked_at"]:
        return ""
    by = f"by {alert['acked_by']} " if alert["acked_by"] else ""
    return f"{by}at {time_text(from_iso(alert['acked_at']))}: "


def _passed(timer: Timer) -> str:
    passed, lasts = (duration_text(timedelta(seconds=seconds)) for seconds in (timer.passed, timer.lasts))
    if timer.runs:
        return f"{passed} of {lasts} have passed"
    return f"stands still at {passed} of {lasts}: the venue is away, or the rule's hours are over"


def _away(venue: Change) -> str:
    since, status = (getattr(venue.state, name, None) for name in ("since", "status"))
    return f"{venue.key.id} is {status}" + (
        f" since {time_text(since)}" if isinstance(since, datetime) else ""
    )


def _in_gap(rule: Rule) -> str:
    if rule.is_event_rule and rule.sequence is None and rule.absent is None:
        return "nothing is heard of what happens there"
    return "what fired is resolved" if rule.on_gap == "resolve" else "its timers stand still"


def _is_of(muted: MutedNotification, trace: InstanceTrace) -> bool:
    if muted.alert == trace.alert_id:
        return True
    of, change = muted.context, trace.change
    return not trace.alert_id and (of.venue, of.account, of.entity) == (
        change.venue,
        change.account,
        change.key.id,
    )


def _waits(muted: MutedNotification) -> str:
    return f"the {muted.context.state} of {time_text(muted.context.at)} waits"


def _channels(trace: InstanceTrace, there: Circumstances) -> Iterator[tuple[str, str]]:
    rule = trace.rule
    decision = decide(
        "firing", severity=rule.severity, notify=rule.notify, announced=None, routing=there.routing
    )
    for name, reason in decision.held.items():
        yield f"channel {name}", reason
    if not decision.channels:
        yield "channel", "no channel is told of it"
    waits = [*unsent(trace.alert_id, there.unsent, there.holds)]
    told = following(trace, there)
    for name in decision.channels:
        reason = there.holds(name, told, rule.severity)
        if reason and f"channel {name}" not in {barrier.what for barrier in waits}:
            yield f"channel {name}", reason
    for barrier in waits:
        yield barrier.what, barrier.why


def following(trace: InstanceTrace, there: Circumstances) -> str:
    """What would be told next."""
    if trace.state not in ("firing", "recovering") or any(_is_of(each, trace) for each in there.muted):
        return "firing"
    return "reminder" if trace.rule.repeat and not trace.acked else "resolved"


def unsent(
    alert: str, deliveries: Sequence[Mapping[str, Any]], holds: Callable[[str, str, str], str]
) -> Iterator[Barrier]:
    """Of these deliveries (rows of the database) those of the alert; of all, where it is of none."""
    for waiting in deliveries:
        if waiting["alert"] == (alert or waiting["alert"]):
            channel, told, status = waiting["channel"], waiting["state_told"], waiting["status"]
            why = waiting.get("error") or ""
            if not why and status == "pending":
                carrier = waiting.get("digest")
                why = f"in digest {carrier}" if carrier else holds(channel, told, waiting["severity"])
            yield Barrier(what=f"channel {channel}", why=f"{told} is {status}" + (f": {why}" if why else ""))


def _context(rule: Rule, change: Change) -> AlertContext:
    event = change.events[-1] if rule.is_event_rule and change.events else None
    about = {"account": change.account, "symbol": change.symbol, "event": event}
    return matchable(rule.id, rule.severity, change.key, change.received, **about)
