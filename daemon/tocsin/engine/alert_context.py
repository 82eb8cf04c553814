"""What a message can speak of, taken from the change and the instance and frozen."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from tocsin.engine.api import AlertContext, Part, Told
from tocsin.engine.instances import is_one_of
from tocsin.engine.rule import Rule
from tocsin.engine.windows import EnrichedChange
from tocsin.events import Change, Instant, computed, computed_text, number_text
from tocsin.events.vocabulary import derived_fields, to_plain

MOST_NAMED = 10
"""Of the members without a value, how many are named."""


def value_of(rule: Rule, change: Change) -> Decimal | None:
    """The number that the rule's messages speak of, as this change has it."""
    if is_over(change):
        return None  # what it came to while it had members is told
    if rule.value_from is not None:
        found = rule.value_from(change, change.received)
        return computed(found) if found is not None and rule.value_computed else found
    if rule.value_of is None:
        return None
    holder: Any = change.state
    name = rule.value_of
    if name.startswith("account."):
        holder, name = change.account_state, name.removeprefix("account.")
    value = getattr(holder, name, None)
    return value if isinstance(value, Decimal) else None


def is_over(change: Change) -> bool:
    """Whether it is a group that nobody belongs to any more."""
    group = change.group if isinstance(change, EnrichedChange) else None
    return group is not None and change.ended and not group.members


def event_told(rule: Rule, change: Change) -> str | None:
    """The name of what happened: of several that match, the most telling, which is the last."""
    if not rule.is_event_rule:
        return None
    matching = [name for name in change.events if is_one_of(name, rule.events)]
    return matching[-1] if matching else None


def event_context(
    rule: Rule,
    change: Change,
    now: Instant,
    *,
    condition: str,
    words: str | None = None,
    limit: str = "",
    missing: tuple[str, ...] = (),
    parts: tuple[Part, ...] = (),
) -> AlertContext:
    """The context of something that happened once: an event rule's, or an edge condition's."""
    value = value_of(rule, change)
    return context_of(
        rule,
        change,
        now,
        told="firing",
        condition=condition,
        words=words,
        limit=limit,
        reason=_reason(change),
        value=value,
        value_at_start=value,
        worst=value,
        started_at=now.wall,
        fired_at=now.wall,
        missing=missing,
        parts=parts,
    )


def end_reason(change: Change) -> str:
    """Why an entity's alerts end with it: `position closed: stop_loss`, `order canceled`."""
    status = getattr(change.state, "status", None)
    said = _reason(change)
    return f"{change.kind} {status or 'ended'}" + (f": {said}" if said else "")


def _reason(change: Change) -> str:
    reason = getattr(change.state, "reason", None)
    return reason if isinstance(reason, str) else ""


def value_shown(rule: Rule, value: Decimal) -> str:
    """The number that the rule's messages speak of, as they show it."""
    return computed_text(value) if rule.value_computed else number_text(value)


def _text(rule: Rule, value: Decimal | None) -> str | None:
    return value_shown(rule, value) if value is not None else None


def _bounds(rule: Rule, change: Change, now: Instant) -> Iterator[Decimal]:
    if rule.value_of is not None:
        for condition in (rule.when, rule.until):
            if condition is not None:
                yield from condition.bounds(rule.value_of, change, now.wall)


def _derived(rule: Rule, change: Change) -> tuple[str, ...]:
    of_group = (rule.value_of,) if rule.value_computed and rule.value_of is not None else ()
    return (*derived_fields(change.state), *of_group)


def context_of(
    rule: Rule,
    change: Change,
    now: Instant,
    *,
    told: Told,
    condition: str,
    words: str | None,
    limit: str,
    reason: str,
    value: Decimal | None,
    value_at_start: Decimal | None,
    worst: Decimal | None,
    started_at: datetime,
    fired_at: datetime | None,
    missing: tuple[str, ...] = (),
    parts: tuple[Part, ...] = (),
) -> AlertContext:
    account = change.account_state
    group = change.group if isinstance(change, EnrichedChange) else None
    left_out = group.left_out(rule.put_together) if group is not None else ()
    return AlertContext(
        rule=rule.id,
        severity=rule.severity,
        state=told,
        kind=change.kind,
        venue=change.venue,
        entity=change.key.id,
        account=change.account,
        symbol=change.symbol,
        event=event_told(rule, change),
        condition=condition,
        words=words,
        limit=limit,
        reason=reason,
        fields=to_plain(change.state),
        account_fields=to_plain(account) if account is not None else {},
        value_of=rule.value_of,
        value_called=rule.value_called,
        value=_text(rule, value),
        value_at_start=_text(rule, value_at_start),
        worst=_text(rule, worst),
        bounds=tuple(map(number_text, _bounds(rule, change, now))),
        derived=_derived(rule, change),
        account_derived=derived_fields(account) if account is not None else (),
        started_at=started_at,
        fired_at=fired_at,
        at=now.wall,
        time=change.time,
        last_seen=change.last_seen or change.received,
        origin=change.origin,
        unconfirmed_since=group.unconfirmed_since() if group is not None else change.unconfirmed_since,
        missing=missing,
        group=group.per if group is not None else None,
        members=tuple(group.shown(rule.put_together)) if group is not None else (),
        member_count=group.members if group is not None else 0,
        left_out=tuple(left_out[:MOST_NAMED]),
        left_out_count=len(left_out),
        title=rule.title,
        message=rule.message,
        parts=parts,
    )
