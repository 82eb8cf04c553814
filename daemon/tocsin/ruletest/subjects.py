"""What a rule is about, one by one: entities, groups, the latest events, what waits for a second event. Blocks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from tocsin.alerts.message import time_text
from tocsin.engine.group import Group
from tocsin.engine.group_change import as_seen_by, group_key
from tocsin.engine.identity import cooldown_key, group_of, instance_key, is_one_of
from tocsin.events import Change, Key, from_iso
from tocsin.ruletest.known import Known
from tocsin.ruletest.sequels import Sequel, Sequels

_FIRING = ("firing", "recovering")
_ORDER = ("firing", "recovering", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a rule is about. `change` is as the rule sees it, `what` and `state` are words for it and for the rule's
    state there. `record` is what the engine keeps of it, `cooldown` of the cooldown that it falls under. `group` are a
    group's members, `sequel` what became of `then` or `unless`.
    """

    change: Change
    what: str
    state: str
    record: Mapping[str, Any] = field(default_factory=dict)
    cooldown: Mapping[str, Any] = field(default_factory=dict)
    group: Group | None = None
    sequel: Sequel | None = None


def subjects(known: Known, id_: str | None, now: datetime, limit: int) -> tuple[list[Subject], int]:
    """The first `limit`, and how many there are: what lives, or has that id, what fires first; or the latest event of each
    instance.
    """
    rule = known.rule
    makers: list[Callable[[], Subject]]  # what an event came to is looked up only where it is shown
    if rule.sequel is not None:
        makers = list(_sequences(known, Sequels(known, rule.sequel), id_, now))
    elif rule.is_event_rule:
        makers = list(_events(known, id_)) or list(_unkept(known))
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
        record = known.record(instance_key(change.key))
        yield Subject(change=change, what=change.kind, state=_state(known, change, record), record=record)


def _groups(known: Known, now: datetime) -> Iterator[Subject]:
    for group in known.groups(now):
        change = as_seen_by(known.rule, group, now)
        record = known.record(group_key(group))
        yield Subject(
            change=change, what=change.kind, state=_state(known, change, record), record=record, group=group
        )


def _state(known: Known, change: Change, record: Mapping[str, Any]) -> str:
    if not known.rule.is_level:
        last = next(
            (row for row in known.alerts if row["entity"] == change.key.id and row["venue"] == change.venue),
            None,
        )
        return "told each time it becomes so" + (f", last at {_time(last['fired_at'])}" if last else "")
    state = record.get("state", "inactive")
    if state == "inactive":
        return "inactive: it has ended" if change.ended else "inactive"
    since = record.get("fired_at") if state in _FIRING else record.get("started_at")
    return f"{state} since {_time(since)}" if since else str(state)


# --------------------------------------------------------------------------------------------------- what has happened


def _events(known: Known, id_: str | None) -> Iterator[Callable[[], Subject]]:
    """The latest event of each of the rule's instances."""
    latest: dict[tuple[str | None, ...], Change] = {}
    for _, change in known.happened(known.rule.events, id_):
        latest.setdefault(tuple(group_of(known.rule, change)), change)
    for change in latest.values():
        yield partial(_event, known, change)


def _unkept(known: Known) -> Iterator[Callable[[], Subject]]:
    """Where no such event is kept (market data isn't, as a rule), what they are of, as it stands."""
    for change in known.entities():
        what = f"{change.kind} (no such event is kept)"
        yield partial(Subject, change=known.counted(change), what=what, state="told each time it happens")


def _event(
    known: Known, change: Change, state: str = "", judge: Callable[[Change], Sequel] | None = None
) -> Subject:
    """`state` is known of what still waits; `judge` says what became of `then` or `unless`."""
    whole = known.counted(_whole(known, change))
    return Subject(
        change=whole,
        what=_what(known, whole),
        state=state or _raised(known, whole),
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


def _raised(known: Known, change: Change) -> str:
    if (alert := known.alert_since(change)) is not None:
        return f"raised an alert at {_time(alert['fired_at'])}"
    last = next(iter(known.alerts), None)
    return "raised no alert" + (
        f"; the last one was at {_time(last['fired_at'])}, of {last['entity']}" if last else ""
    )


def _sequences(
    known: Known, sequels: Sequels, id_: str | None, now: datetime
) -> Iterator[Callable[[], Subject]]:
    """What waits; then, of each sequence, the latest that doesn't."""
    waiting: set[tuple[Key, datetime]] = set()
    for first, how_long in sequels.waiting(now):
        change = first.change
        waiting.add((change.key, change.received))
        if id_ is None or change.key.id == id_:
            since = f"waiting since {time_text(change.received)}"
            yield partial(_event, known, change, since, partial(sequels.waits, how_long))
    for number, change in sequels.latest(id_):
        if (change.key, change.received) not in waiting:
            yield partial(_event, known, change, judge=partial(sequels.judged, number, now))


def _time(text: str) -> str:
    return time_text(from_iso(text))
