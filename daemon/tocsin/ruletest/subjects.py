"""What a rule is about, one by one: entities, groups, the latest events, what waits for a second event. Blocks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from tocsin.alerts.wording import time_text
from tocsin.engine.aggregates import Group
from tocsin.engine.group_rule import as_seen_by, group_key
from tocsin.engine.instances import cooldown_key, group_of, instance_key, is_one_of
from tocsin.events import Change, Key, from_iso
from tocsin.ruletest.known import Known
from tocsin.ruletest.sequels import Sequel, Sequels
from tocsin.store.reader import Row

_FIRING = ("firing", "recovering")
_ORDER = ("firing", "recovering", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a rule is about. `change` is as the rule sees it, `what` and `state` are words for it and for the rule's
    state there. `record` is what the engine keeps of it, `cooldown` of the cooldown that it falls under. `group` are a
    group's members, `sequel` what became of `then` or `unless`, `alert` what an event raised, `untold`: nothing.
    """

    change: Change
    what: str
    state: str
    record: Mapping[str, Any] = field(default_factory=dict)
    cooldown: Mapping[str, Any] = field(default_factory=dict)
    group: Group | None = None
    sequel: Sequel | None = None
    alert: Row | None = None
    untold: bool = False


def subjects(known: Known, now: datetime, limit: int) -> tuple[list[Subject], int]:
    """The first `limit` of what is asked about, and how many there are: what lives, what fires first; or the latest event of
    each instance.
    """
    rule = known.rule
    makers: list[Callable[[], Subject]]  # what an event came to is looked up only where it is shown
    if rule.sequence is not None:
        makers = list(_sequences(known, Sequels(known, rule.sequence), now))
    elif rule.is_event_rule:
        makers = list(_events(known)) or list(_unkept(known))
    else:
        found = list(_groups(known, now) if rule.is_group else _entities(known))
        return sorted(found, key=_urgency)[:limit], len(found)
    return [make() for make in makers[:limit]], len(makers)


def _urgency(subject: Subject) -> int:
    state = subject.record.get("state")
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


# ------------------------------------------------------------------------------------------------------------ what is so


def _entities(known: Known) -> Iterator[Subject]:
    for change in known.entities():
        key = instance_key(change.key)
        record = known.record(key)
        yield Subject(
            change=change, what=change.kind, state=_state(known, change, key, record), record=record
        )


def _groups(known: Known, now: datetime) -> Iterator[Subject]:
    for group in known.groups(now):
        change = as_seen_by(known.rule, group, now)
        key = group_key(group)
        record = known.record(key)
        state = _state(known, change, key, record)
        yield Subject(change=change, what=change.kind, state=state, record=record, group=group)


def _state(known: Known, change: Change, key: str, record: Mapping[str, Any]) -> str:
    last = known.last_of.get(key)
    if not known.rule.is_level:
        return "told each time it becomes so" + (f", last at {_time(last['fired_at'])}" if last else "")
    state = record.get("state", "inactive")
    if state == "inactive":
        ended = ": it has ended" if change.ended else ""
        return f"inactive{ended}; last fired {fired(last)}" if last else f"inactive{ended}"
    since = record.get("fired_at") if state in _FIRING else record.get("started_at")
    what = "recovering, and firing" if state == "recovering" else str(state)
    return f"{what} since {_time(since)}" if since else what


def fired(last: Row) -> str:
    """When an alert fired, and how it ended: `at 12:00`, `from 12:00 to 12:05 (position closed)`."""
    if not last["resolved_at"]:
        return f"at {_time(last['fired_at'])}"
    reason = last["data"].get("reason")
    how = f" ({reason})" if reason else ""
    return f"from {_time(last['fired_at'])} to {_time(last['resolved_at'])}{how}"


# --------------------------------------------------------------------------------------------------- what has happened


def _events(known: Known) -> Iterator[Callable[[], Subject]]:
    """The latest event of each of the rule's instances."""
    latest: dict[tuple[str | None, ...], Change] = {}
    for _, change in known.happened(known.rule.events):
        latest.setdefault(tuple(group_of(known.rule, change)), change)
    for change in latest.values():
        yield partial(_event, known, change)


def _unkept(known: Known) -> Iterator[Callable[[], Subject]]:
    """Where no such event is kept (market data isn't, as a rule), what they are of, as it stands."""
    for change in known.entities():
        state = "told each time it happens; none of its events is kept"
        yield partial(Subject, change=known.counted(change), what=change.kind, state=state)


def _event(
    known: Known, change: Change, state: str = "", judge: Callable[[Change], Sequel] | None = None
) -> Subject:
    """`state` is known of what still waits; `judge` says what became of `then` or `unless`."""
    whole = known.counted(_whole(known, change))
    alert = None if state else known.alert_since(whole)
    return Subject(
        change=whole,
        what=_what(known, whole),
        state=state or _raised(known, alert),
        alert=alert,
        untold=not state and alert is None,
        cooldown=known.record(cooldown_key(known.rule, whole)) if known.rule.cooldown else {},
        sequel=judge(whole) if judge is not None else None,
    )


def _what(known: Known, change: Change) -> str:
    return ", ".join(name for name in change.events if is_one_of(name, known.rule.events))


def _whole(known: Known, change: Change) -> Change:
    """The event with what else happened at once, and what was before."""
    alike: Iterable[Change] = (
        each
        for each in known.history(change.key)
        if each.received == change.received and change.events[0] in each.events
    )
    return next(iter(alike), change)


def _raised(known: Known, alert: Row | None) -> str:
    if alert is not None:
        return f"raised an alert at {_time(alert['fired_at'])}"
    last = next(iter(known.alerts), None)
    return "raised no alert" + (
        f"; the last one was at {_time(last['fired_at'])}, of {last['entity']}" if last else ""
    )


def _sequences(known: Known, sequels: Sequels, now: datetime) -> Iterator[Callable[[], Subject]]:
    """What waits; then, of each sequence, the latest that doesn't."""
    waiting: set[tuple[Key, datetime]] = set()
    for first, how_long in sequels.waiting(now):
        change = first.change
        waiting.add((change.key, change.received))
        if known.is_called(change):
            since = f"waiting since {time_text(change.received)}"
            yield partial(_event, known, change, since, partial(sequels.waits, how_long))
    for number, change in sequels.latest():
        if (change.key, change.received) not in waiting:
            yield partial(_event, known, change, judge=partial(sequels.judged, number, now))


def _time(text: str) -> str:
    return time_text(from_iso(text))
