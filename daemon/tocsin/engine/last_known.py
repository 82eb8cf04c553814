"""What values that are to cross something were when they were last known, while they are missing.

An entity as it stands tells its latest value; only for the time of a hole has that to be remembered besides, and kept for
the next run: it begins with the change that takes the value (or what it is compared with) away, and is told with the one
that brings it back.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tocsin.engine.enriched_change import inform
from tocsin.engine.keys import entity_of, instance_key
from tocsin.engine.model import Sample
from tocsin.engine.rule import Crossing, Rule
from tocsin.engine.sample_log import SampleLog
from tocsin.engine.windows import microseconds, moment
from tocsin.events import Change, Key

Known: TypeAlias = tuple[datetime, tuple[Decimal, Decimal]]
"""Until when a value and its limit were known, and what they were."""


class LastKnownValues:
    def __init__(self, log: SampleLog) -> None:
        self._log = log
        self._asked: dict[str, dict[str, Crossing]] = {}  # by kind and name
        self._open: dict[Key, dict[str, Known]] = {}

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on: what nobody asks for any more is forgotten."""
        before = self.series()
        self._asked = {}
        for kind, each in (found for rule in rules for found in _asked_by(rule)):
            self._asked.setdefault(kind, {})[each.name] = each
        self._log.drop_all(before - self.series())
        for key, holes in list(self._open.items()):
            asked = self._asked.get(key.kind, {})
            self._open[key] = {name: known for name, known in holes.items() if name in asked}
            if not self._open[key]:
                del self._open[key]

    def series(self) -> set[str]:
        """The names that samples are kept under."""
        return {_series(kind, name) for kind, asked in self._asked.items() for name in asked}

    def see(self, change: Change) -> Change:
        """The change, with what was known before the holes that end with it."""
        asked = self._asked.get(change.key[1])
        if asked is None or change.passing:
            return change
        if change.previous is None:  # a life of its own, whatever was known of an earlier one
            self.forget((change.key,))
            return change
        open_ = self._open.get(change.key)
        over: dict[str, Known] = {}
        for name, each in asked.items():
            missing = each.pair(change) is None
            if missing and (open_ is None or name not in open_):
                if (pair := each.pair(change, before=True)) is not None:
                    self._begin(change, name, (change.seen_before or change.received, pair))
                    open_ = self._open[change.key]
            elif not missing and open_ is not None and name in open_:
                over[name] = open_.pop(name)
                self._log.drop(_series(change.kind, name), instance_key(change.key))
        if open_ is not None and not open_:
            del self._open[change.key]
        return inform(change, last_known=over) if over else change

    def _begin(self, change: Change, name: str, known: Known) -> None:
        at, pair = known
        self._open.setdefault(change.key, {})[name] = known
        points = ((microseconds(at), value) for value in pair)
        self._log.add(_series(change.kind, name), instance_key(change.key), points)

    def forget(self, keys: Iterable[Key]) -> None:
        """These entities have ended, or are gone."""
        for key in keys:
            for name in self._open.pop(key, ()):
                self._log.drop(_series(key.kind, name), instance_key(key))

    def keys(self) -> list[Key]:
        return list(self._open)

    def restore(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Take up what the last run had kept: of each hole the value, then its limit. Other samples pass through."""
        series = {_series(kind, name): name for kind, asked in self._asked.items() for name in asked}
        values: dict[tuple[Key, str], list[Decimal]] = {}
        for sample in samples:
            if (name := series.get(sample.series)) is None:
                yield sample
            elif (key := entity_of(sample.instance)) is None:
                self._log.drop(sample.series, sample.instance)
            else:
                found = values.setdefault((key, name), [])
                found.append(sample.value)
                if len(found) == len(("value", "limit")):
                    at = moment(microseconds(sample.at))
                    self._open.setdefault(key, {})[name] = (at, (found[0], found[1]))


def _asked_by(rule: Rule) -> Iterator[tuple[str, Crossing]]:
    for condition in rule.conditions:
        for each in condition.crossings:
            yield from ((kind, each) for kind in rule.kinds)
    if rule.sequel is not None and rule.sequel.when is not None:
        for each in rule.sequel.when.crossings:
            yield from ((kind, each) for kind in rule.sequel.kinds)


def _series(kind: str, name: str) -> str:
    return f"{kind}: {name} last known"
