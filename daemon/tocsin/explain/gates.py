"""All that could hold a message of a rule back, whether it does or not, and what comes about by itself. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tocsin.alerts.decide import decide
from tocsin.engine.rule import EscalationStep
from tocsin.engine.trace import InstanceTrace
from tocsin.explain.barriers import Circumstances, following, reasons
from tocsin.explain.explanation import Coming, GateNow
from tocsin.quantities import duration_text


def gates(trace: InstanceTrace, there: Circumstances) -> tuple[GateNow, ...]:
    """In the order in which they are asked: the rule's own, then those of the channels that it tells."""
    return (*_of_rule(trace, there), *_of_channels(trace, there))


def coming(
    trace: InstanceTrace, escalates: tuple[datetime, EscalationStep] | None, now: datetime
) -> tuple[Coming, ...]:
    """What comes next, the soonest first; what stands still comes last."""
    found = [*_timers(trace, now), *steps(escalates)]
    return tuple(sorted(found, key=lambda each: (each.at is None, each.at)))


def steps(escalates: tuple[datetime, EscalationStep] | None) -> Iterator[Coming]:
    """Who is told next while nobody reacts."""
    if escalates is not None:
        at, step = escalates
        yield Coming(what="escalate", at=at.isoformat(), who=", ".join(step.notify))


def _timers(trace: InstanceTrace, now: datetime) -> Iterator[Coming]:
    if (timer := trace.timer) is not None:
        left = timedelta(seconds=max(0.0, timer.lasts - timer.passed))
        yield Coming(what=timer.key, at=(now + left).isoformat() if timer.runs else None)
    if trace.remind_at is not None and trace.state == "firing" and not trace.acked:
        yield Coming(what="repeat", at=trace.remind_at.isoformat())


def _of_rule(trace: InstanceTrace, there: Circumstances) -> Iterator[GateNow]:
    rule, why = trace.rule, reasons(trace, there)
    yield GateNow(what="enabled", shut=why.enabled)
    yield GateNow(what="silence", shut=why.silence)
    if rule.inhibited_by:
        asks = ", ".join(by.rule + (" (same)" if by.same else "") for by in rule.inhibited_by)
        yield GateNow(what="inhibited_by", asks=asks, shut=why.inhibited_by)
    for what, calendar, shut in (
        ("active", rule.active, why.active),
        ("notify_during", rule.notify_during, why.notify_during),
    ):
        if calendar is not None:
            yield GateNow(what=what, asks=calendar.tz, shut=shut)
    if rule.cooldown is not None:
        asks = duration_text(timedelta(seconds=rule.cooldown))
        yield GateNow(what="cooldown", asks=asks, shut=why.cooldown)
    if rule.lasts:
        yield GateNow(what="acknowledged", shut=why.acknowledged)


def _of_channels(trace: InstanceTrace, there: Circumstances) -> Iterator[GateNow]:
    rule, told = trace.rule, following(trace, there)
    decision = decide(
        "firing", severity=rule.severity, notify=rule.notify, announced=None, routing=there.routing
    )
    for name, reason in decision.held.items():
        yield GateNow(what="channel", asks=name, shut=reason)
    for name in decision.channels:
        yield GateNow(what="channel", asks=name, shut=there.holds(name, told, rule.severity))
