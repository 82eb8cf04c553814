"""How much of what a rule reads a record holds: it is counted while the record is told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from msgspec import UNSET

from tocsin.alerts.wording import span_text
from tocsin.engine.api import World
from tocsin.engine.rule import Rule
from tocsin.events import KINDS, Change
from tocsin.events.links import holder_of
from tocsin.replay.comparison import Coverage, Kept
from tocsin.replay.records import Faults, Moment, Record


@dataclass(frozen=True, slots=True)
class _Read:
    """Something that a rule reads: of changes of that kind those with that event, or with a value in that field; or all."""

    what: str
    kind: str
    field: str = ""
    event: str = ""

    def is_in(self, change: Change) -> bool:
        if change.key.kind != self.kind:
            return False
        if self.event:
            return self.event in change.events or self.event == f"{self.kind}.*"
        return not self.field or getattr(change.state, self.field) not in (UNSET, None)


class Counted:
    """A record that counts what rules read of it while it is told; else as it is."""

    def __init__(self, record: Record, rules: Sequence[Rule]) -> None:
        self._record = record
        self.world: World = record.world
        self.size = record.size
        self.unit: Literal["message", "event"] = record.unit
        self.sparse, self.unpriced, self.because = record.sparse, record.unpriced, record.because
        self.faults: Sequence[Faults] = record.faults
        self.alerts = record.alerts
        self._read = {rule.id: tuple(_read(rule)) for rule in rules}
        self._moments = {each: 0 for found in self._read.values() for each in found}

    def moments(self) -> Iterator[Moment]:
        for moment in self._record.moments():
            seen: set[_Read] = set()
            yield replace(moment, changes=self._looked_at(moment.changes, seen))
            for each in seen:
                self._moments[each] += 1

    def _looked_at(self, changes: Iterator[Change], seen: set[_Read]) -> Iterator[Change]:
        for change in changes:
            seen.update(each for each in self._moments if each.is_in(change))
            yield change

    def coverage(self, rule: Rule, lasted: timedelta | None, *, whole: bool) -> Coverage:
        """When the record was told, which `lasted` so long (None: there is nothing in it)."""
        kept = tuple(Kept(each.what, self._moments[each]) for each in self._read[rule.id])
        words = _words(rule, kept, lasted, whole=whole) if lasted is not None else "nothing is recorded"
        return Coverage(rule=rule.id, kept=kept, whole=whole, words=words)


def _read(rule: Rule) -> Iterable[_Read]:
    if rule.events:
        return [_Read(event, event.partition(".")[0], event=event) for event in rule.events]
    names = [
        name for condition in (rule.when, rule.until) if condition is not None for name in condition.fields
    ]
    found = {}
    for name in names:
        kind = holder_of(name) or next(iter(rule.kinds))
        field = name.rpartition(".")[2]
        if hasattr(KINDS[kind], field):
            found[name] = _Read(name, kind, field)
    return found.values() or [_Read(kind, kind) for kind in sorted(rule.kinds)]


def _words(rule: Rule, kept: Sequence[Kept], lasted: timedelta, *, whole: bool) -> str:
    long = _long(lasted)
    if not whole and not any(each.moments for each in kept):
        names = " and no ".join(each.what for each in kept)
        return f"no {names} was kept in {long}, so nothing can be said of what would be"
    counted = "{:,} time{}" if rule.events else "at {:,} moment{}"
    said = ", ".join(
        f"{each.what} {'kept ' if first else ''}"
        + counted.format(each.moments, "" if each.moments == 1 else "s")
        for first, each in zip((True, *([False] * len(kept))), kept, strict=False)
    )
    if whole:
        known = ": all that came"
    else:
        known = "; others may have come" if rule.events else "; between them unknown"
    return f"{said} in {long}{known}"


def _long(lasted: timedelta) -> str:
    """In whole days from two on."""
    return f"{round(lasted / timedelta(days=1)):,} days" if lasted >= timedelta(days=2) else span_text(lasted)
