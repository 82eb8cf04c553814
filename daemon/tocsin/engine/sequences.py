"""`then` and `unless`: one event, and another one that has to follow it, or must not come: what belongs together, and what is told.

then      first ──── second: told at the second       first ──── (within) ──── forgotten
unless    first ──── (within) ──── told               first ──── second: nothing to tell
second ─── first: nothing to tell, if the second is not older than `within`
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from tocsin.engine.awaiting import First
from tocsin.engine.context import event_context
from tocsin.engine.identity import field_text, group_fields, group_of, happens_in, is_one_of
from tocsin.engine.model import Context
from tocsin.engine.rule import Rule, Sequel, Truth
from tocsin.events import Change, Instant
from tocsin.events.vocabulary import is_caseless
from tocsin.quantities import duration_text


class Second(Change, frozen=True, kw_only=True):
    """A second event, beside the first one that `first.FIELD` speaks of."""

    first: Change
    last_known: Mapping[str, Any]


def second_of(change: Change, first: Change) -> Second:
    known = getattr(change, "last_known", {})
    fields = {name: getattr(change, name) for name in Change.__struct_fields__}
    return Second(**fields, first=first, last_known=known)


def sign(rule: Rule) -> str:
    """What a rule asks of the events of a sequence, but for how long and by which conditions of the first."""
    sequel = rule.sequel
    if sequel is None:
        return ""
    when = sequel.when.source if sequel.when else None
    return json.dumps(
        [
            sequel.awaited,
            sorted(rule.events),
            sorted(sequel.events),
            when,
            sorted(sequel.match),
            group_fields(rule),
        ]
    )


def is_first(rule: Rule, change: Change) -> bool:
    return change.kind in rule.kinds and happens_in(change, rule.events)


def is_second(sequel: Sequel, change: Change) -> bool:
    return change.kind in sequel.kinds and bool(_seconds(sequel, change))


def is_both(rule: Rule, sequel: Sequel, change: Change) -> bool:
    """Whether one message tells of a first and a second event, the second being another one (and, if awaited, later)."""
    seconds = _seconds(sequel, change)
    firsts = [place for place, name in enumerate(change.events) if is_one_of(name, rule.events)]
    return any(
        second > first if sequel.awaited else second != first for first in firsts for second in seconds
    )


def first_key(rule: Rule, sequel: Sequel, change: Change) -> str:
    return _key(rule, change, _matched(rule, sequel, change, second=False))


def second_key(rule: Rule, sequel: Sequel, change: Change) -> str | None:
    """The sequence that a second event belongs to; None where it can belong to none."""
    values = _matched(rule, sequel, change, second=True)
    return None if None in values else _key(rule, change, values)


def belongs(
    rule: Rule, sequel: Sequel, change: Change, first: Change, now: Instant
) -> tuple[bool, tuple[str, ...]]:
    """Whether a second event counts for that first one, and what was missing to know it.

    Unknown tells, unless the rule says to ignore it: an awaited second then counts, one that must not come doesn't.
    """
    if sequel.when is None:
        return True, ()
    second = second_of(change, first)
    truth: Truth = sequel.when.holds(second, now.wall)
    if truth is not None:
        return truth, ()
    tells = rule.if_unknown == "tell"
    missing = sequel.when.missing(second, now.wall) if tells else ()
    return tells is sequel.awaited, missing


def first_told(rule: Rule, change: Change, now: Instant) -> Iterator[str]:
    """What the rule's own conditions saw, in words."""
    for condition in (rule.where, rule.when):
        if condition is not None and condition.holds(change, now.wall) is True:
            yield condition.told(change, now.wall)


def completed(
    rule: Rule, first: First, second: Change, now: Instant, *, missing: tuple[str, ...] = ()
) -> Context:
    """What is told when the second has come: of the first event's entity, as it stands now where it is the same."""
    sequel, told = rule.sequel, [first.condition]
    assert sequel is not None, "only rules with a sequel have sequences"  # noqa: S101 - a bug of ours
    if sequel.when is not None and not missing:
        told.append(sequel.when.told(second_of(second, first.change), now.wall))
    same = second.key == first.change.key
    shown = msgspec.structs.replace(second, events=first.change.events) if same else first.change
    name = second.events[_seconds(sequel, second)[-1]]
    context = _context(rule, shown, now, told, (*first.missing, *missing))
    return msgspec.structs.replace(context, event=f"{context.event}, then {name}")


def over(rule: Rule, sequel: Sequel, first: First, now: Instant) -> Context:
    """What is told when the time is over and the second has not come."""
    span = duration_text(timedelta(seconds=sequel.within))
    context = _context(rule, first.change, now, [first.condition], first.missing)
    return msgspec.structs.replace(
        context, event=f"{context.event}, no {' or '.join(sequel.events)} within {span}"
    )


def _context(rule: Rule, shown: Change, now: Instant, told: list[str], missing: tuple[str, ...]) -> Context:
    condition = " and ".join(filter(None, told))
    return event_context(rule, shown, now, condition=condition, missing=tuple(dict.fromkeys(missing)))


def _seconds(sequel: Sequel, change: Change) -> list[int]:
    """The places of the second's names among what happened."""
    return [place for place, name in enumerate(change.events) if is_one_of(name, sequel.events)]


def _matched(rule: Rule, sequel: Sequel, change: Change, *, second: bool) -> list[str | None]:
    """The values by which the second event belongs to the first. Case tells nothing where it does so in neither field."""
    found = []
    for theirs, ours in sequel.match:
        exact = not (is_caseless(theirs, sequel.kinds) and is_caseless(ours, rule.kinds))
        found.append(field_text(change, theirs if second else ours, exact=exact))
    return found


def _key(rule: Rule, change: Change, matched: list[str | None]) -> str:
    return json.dumps(["sequence", *group_of(rule, change), *matched])
