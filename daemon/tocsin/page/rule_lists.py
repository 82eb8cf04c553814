"""What the list of rules and the screen of one rule have in common: where it is written, what it is about, what is nearest to it."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from tocsin.config.settings import Settings
from tocsin.control.snapshot import Snapshot, Watched
from tocsin.engine.rule import Rule
from tocsin.events import iso
from tocsin.page.screen import Json

LATELY = timedelta(days=30)
Sort: TypeAlias = Literal["state", "group", "change", "event", "sequence", "absence"]


def sort_of(rule: Rule) -> Sort:
    """What a rule is about: an entity's or a group's state, a moment at which that changes, events, two of them, or their absence."""
    if rule.absent is not None:
        return "absence"
    if rule.sequence is not None:
        return "sequence"
    if rule.is_event_rule:
        return "event"
    if rule.is_group:
        return "group"
    return "state" if rule.is_level else "change"


def place_of(settings: Settings, rule: str) -> Json:
    """`file` (from the config's folder, where it is below that) and `line` (None: not known)."""
    source = settings.rule_sources.get(rule)
    return (
        {"file": shown_path(settings, source.path), "line": source.line}
        if source
        else {"file": "", "line": None}
    )


def shown_path(settings: Settings, path: Path) -> str:
    return below(settings.path.parent, path)


@lru_cache(maxsize=500)
def below(folder: Path, path: Path) -> str:
    """The path, from the folder on where it is below that."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def basics(settings: Settings, rule: Rule, now: datetime, *, blind: bool) -> Json:
    """What is so of any rule, whether it fires or not; `paused_until`: out of its hours until then ("": for ever)."""
    paused = rule.enabled and rule.active is not None and not rule.active.is_open(now)
    opens = rule.active.next_change(now) if paused and rule.active is not None else None
    return {
        "id": rule.id,
        **place_of(settings, rule.id),
        "sort": sort_of(rule),
        "watch": list(rule.events or sorted(rule.kinds)),
        "severity": rule.severity,
        "enabled": rule.enabled,
        "blind": blind,
        "paused": paused,
        "paused_until": iso(opens) if opens is not None else None,
    }


def blind_rules(snapshot: Snapshot) -> frozenset[str]:
    return frozenset(each.id for each in snapshot.measures.rules if each.blind)


def counts(snapshot: Snapshot) -> Counter[tuple[str, bool]]:
    """How many fire or recover (True), and are pending (False), by rule."""
    return Counter((each.rule, each.state != "pending") for each in snapshot.alerts)


def nearest(snapshot: Snapshot) -> dict[str, Watched]:
    """Of each rule what fires, or is nearest to firing, as far as that is known."""
    found: dict[str, Watched] = {}
    for each in _by_urgency(snapshot):
        found.setdefault(each.rule, each)
    return found


def _by_urgency(snapshot: Snapshot) -> Iterator[Watched]:
    yield from (each for each in snapshot.alerts if each.state != "pending")
    yield from snapshot.closest
    yield from snapshot.alerts
    known = (each for each in snapshot.nearest.values() if each.far is not None)
    yield from sorted(known, key=lambda each: each.far or 0.0)
