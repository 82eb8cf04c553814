"""Why a rule fires, or doesn't: each part of its conditions as it stands, its instance's state, what would hold a message back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tocsin.alerts.decide import Routing, decide
from tocsin.alerts.message import time_text
from tocsin.alerts.silences import Silences
from tocsin.engine.calendars import Calendar
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.tree import conjuncts
from tocsin.engine.model import Context
from tocsin.engine.rule import Condition, Rule, Truth
from tocsin.events import Change, Key, from_iso
from tocsin.events.vocabulary import to_plain
from tocsin.quantities import duration_text

_DOWN = ("connecting", "disconnected", "auth_failed", "refused")
_FIRING = ("firing", "recovering")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition (`where`, `when` or `until`): what it asks, whether that holds, and what it saw.

    `holds` is None for unknown; `saw` says so where it rests on what only the running daemon remembers.
    """

    of: str
    asks: str
    holds: Truth
    saw: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule for one entity. `as_of` is when that was last heard of. `barriers` are what would hold a message back, and why."""

    entity: Key
    symbol: str | None
    as_of: datetime
    what: str
    state: str
    parts: tuple[Part, ...]
    barriers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How everything else stands. `instances` are the rule's records, `firing` the (rule, venue) that fire."""

    now: datetime
    routing: Routing
    instances: Sequence[Mapping[str, Any]] = ()
    firing: frozenset[tuple[str, str]] = frozenset()
    venues: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences)
    unsent: Sequence[Mapping[str, Any]] = ()


def explain(rule: Rule, change: Change, there: Circumstances) -> Explained:
    """The rule for one entity as it stands (a state rule), or for one event as it happened (an event rule)."""
    record = _record_of(change.key, there.instances)
    what = ", ".join(name for name in change.events if rule.is_event_rule) or change.kind
    return Explained(
        entity=change.key,
        symbol=change.symbol,
        as_of=change.received,
        what=what,
        state=_state(rule, record),
        parts=tuple(_parts(rule, change, there.now)),
        barriers=tuple(_barriers(rule, change, record, there)),
    )


def _record_of(key: Key, records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    own = [record for record in records if record.get("entity") == list(key) and "state" in record]
    return own[0] if own else {}


def _state(rule: Rule, record: Mapping[str, Any]) -> str:
    if rule.is_event_rule:
        return "told each time it happens"
    state = record.get("state", "inactive")
    since = record.get("fired_at") if state in _FIRING else record.get("started_at")
    return f"{state} since {time_text(from_iso(since))}" if since and state != "inactive" else str(state)


# ------------------------------------------------------------------------------------------------------- the conditions


def _parts(rule: Rule, change: Change, now: datetime) -> Iterable[Part]:
    for name in ("where", "when", "until"):
        condition: Condition | None = getattr(rule, name)
        if condition is None:
            continue
        pieces: list[Condition] = [condition]
        if isinstance(condition, TreeCondition):
            pieces = [TreeCondition(part) for part in conjuncts(condition.tree)]
        for piece in pieces:
            yield _part(name, piece, change, now)


def _part(name: str, condition: Condition, change: Change, now: datetime) -> Part:
    if condition.remembers:
        values = to_plain(change.state)
        known = [f"{each} {values[each]}" for each in condition.fields if each in values]
        rests = "rests on what the daemon remembers (windows, counts, groups)"
        return Part(name, condition.source, None, "; ".join([*known, rests]))
    return Part(name, condition.source, condition.holds(change, now), condition.told(change, now))


# ------------------------------------------------------------------------------------------------ what holds it back


def _barriers(
    rule: Rule, change: Change, record: Mapping[str, Any], there: Circumstances
) -> Iterable[tuple[str, str]]:
    """In the order in which they are asked."""
    if not rule.enabled:
        yield "enabled", "the rule is switched off"
    yield from _closed("active", rule.active, there.now)
    yield from _time(rule, record, there.now)
    context = _context(rule, change)
    if (silence := there.silences.over(context, there.now)) is not None:
        yield "silence", f"{silence.matchers}, until {time_text(silence.ends_at)}"
    for other in rule.inhibited_by:
        if (other, change.venue) in there.firing:
            yield "inhibited_by", f"{other} fires for {change.venue}"
    yield from _closed("notify_during", rule.notify_during, there.now)
    for kept in there.instances:
        if kept.get("cooldown") and from_iso(kept["until"]) > there.now:
            held = f", {kept['held']} held back" if kept.get("held") else ""
            yield "cooldown", f"until {time_text(from_iso(kept['until']))}{held}"
    if record.get("acked"):
        yield "acknowledged", "no more reminders of this alert"
    yield from _gap(rule, change, there)
    yield from _channels(rule, record, there)


def _closed(name: str, calendar: Calendar | None, now: datetime) -> Iterable[tuple[str, str]]:
    if calendar is not None and not calendar.is_open(now):
        opens = calendar.next_change(now)
        yield name, f"closed until {time_text(opens)}" if opens else "never open"


def _time(rule: Rule, record: Mapping[str, Any], now: datetime) -> Iterable[tuple[str, str]]:
    state = record.get("state")
    key, lasts = ("for", rule.for_) if state == "pending" else ("keep_firing_for", rule.keep_firing_for)
    if state not in ("pending", "recovering"):
        return
    needs = duration_text(timedelta(seconds=lasts))
    passed = duration_text(timedelta(seconds=float(record["passed"])))
    if record.get("since_steady") is None:
        yield key, f"stands still at {passed} of {needs}: the venue is away, or the rule's hours are over"
    elif state == "pending" and record.get("started_at"):
        yield (
            key,
            f"{duration_text(max(now - from_iso(record['started_at']), timedelta(0)))} of {needs} have passed",
        )
    else:
        yield key, f"it lasts {needs}"


def _gap(rule: Rule, change: Change, there: Circumstances) -> Iterable[tuple[str, str]]:
    venue = there.venues.get(change.venue)
    if venue and venue["status"] in _DOWN and not rule.kinds & {"venue", "daemon"}:
        since = f" since {time_text(from_iso(venue['since']))}" if venue.get("since") else ""
        does = "what fired is resolved" if rule.on_gap == "resolve" else "its timers stand still"
        yield "gap", f"{change.venue} is {venue['status']}{since}: {does}"


def _channels(rule: Rule, record: Mapping[str, Any], there: Circumstances) -> Iterable[tuple[str, str]]:
    decision = decide(
        "firing", severity=rule.severity, notify=rule.notify, announced=None, routing=there.routing
    )
    for name, reason in decision.held.items():
        yield f"channel {name}", reason
    if not decision.channels:
        yield "channel", "no channel is told of it"
    for waiting in there.unsent:
        if waiting["rule"] == rule.id and waiting["alert"] == record.get("alert_id", waiting["alert"]):
            error = f": {waiting['error']}" if waiting.get("error") else ""
            yield f"channel {waiting['channel']}", f"{waiting['state_told']} is {waiting['status']}{error}"


def _context(rule: Rule, change: Change) -> Context:
    """As much of it as a silence can match."""
    return Context(
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
