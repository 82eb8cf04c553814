"""What must outlast the run, a sample at a time: the log of it, events counted, and values last known.

`SampleLog` says what the store is to keep, of windows above all, and what it needn't keep any more. `EventCounter` has the windows
of rules with `count(…)`, one for each instance of the rule (`per`). `LastKnownValues` has what values that are to cross something
were when last known, while they are missing.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from tocsin.engine.instances import entity_of, group_fields, group_of, instance_key, retallied
from tocsin.engine.rule import Crossing, Rule
from tocsin.engine.windows import Extremes, Point, Window, event_time, inform, microseconds, moment
from tocsin.events import Change, Key, Sample, SamplesDropped

_FADED_AT_ONCE = 256  # samples of a window; each removal from the store takes so many
_SO = Decimal(1)
_EXTREMES_AT_ONCE = 16  # rows that a value's extremes may leave before the store is tidied

Kept: TypeAlias = Sample | SamplesDropped


class SampleLog:
    """`series` says what is followed or counted, `instance` of which entity or group."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._unneeded: dict[tuple[str, str], int] = {}  # rows in the store that could go

    def drain(self) -> list[Kept]:
        """What is to be kept, or not any more, since the last call; in this order."""
        kept, self._kept = self._kept, []
        return kept

    def add(self, series: str, instance: str, points: Iterable[Point]) -> None:
        """What a window says has to be stored."""
        for at, value in points:
            self._put(series, instance, at, value)

    def add_extreme(self, series: str, instance: str, extremes: Extremes, at: int, value: Decimal) -> None:
        """A new extreme: those that it outdoes stay in the store for a while."""
        self._put(series, instance, at, value)
        rows = self._unneeded.get((series, instance), 0) + 1
        if rows >= _EXTREMES_AT_ONCE:
            self.drop(series, instance)
            for then, extreme in extremes:
                self._put(series, instance, then, extreme)
            rows = 0
        self._unneeded[series, instance] = rows

    def left(self, series: str, instance: str, window: Window, gone: int) -> None:
        """So many samples have left the window; they leave the store many at once."""
        if gone <= 0:
            return
        rows = self._unneeded.get((series, instance), 0) + gone
        self._unneeded[series, instance] = rows
        if rows >= _FADED_AT_ONCE:
            self.only(series, instance, window)

    def only(self, series: str, instance: str, window: Window) -> None:
        """The store needs only what the window still holds."""
        self._unneeded.pop((series, instance), None)
        if window.before is not None:
            self._kept.append(SamplesDropped(series, instance, moment(window.before[0])))

    def mark(self, series: str, instance: str, at: datetime) -> None:
        """That something is so of that instance, until it is dropped."""
        self._kept.append(Sample(series, instance, at, _SO))

    def drop(self, series: str, instance: str) -> None:
        """Nothing of that instance is needed any more."""
        self._unneeded.pop((series, instance), None)
        self._kept.append(SamplesDropped(series, instance))

    def drop_all(self, series: Iterable[str]) -> None:
        """Nothing of these series is needed any more."""
        gone = frozenset(series)
        for at in [at for at in self._unneeded if at[0] in gone]:
            del self._unneeded[at]
        self._kept += map(SamplesDropped, sorted(gone))

    def _put(self, series: str, instance: str, at: int, value: Decimal) -> None:
        self._kept.append(Sample(series, instance, moment(at), value))


_LATE = microseconds(
    timedelta(minutes=1)
)  # how long after its end a count is kept, for events that come late
_ONE = Decimal(1)


# ----------------------------------------------------------------------------------------------------- events counted


class _Count:
    """The events of one rule's instance, in each of the lengths that the rule counts in."""

    __slots__ = ("_windows", "longest")

    def __init__(self, lengths: Iterable[timedelta]) -> None:
        self._windows = {length: Window(microseconds(length), each=True) for length in lengths}
        self.longest = max(self._windows.values(), key=lambda window: window.length)

    def add(self, at: int) -> None:
        for window in self._windows.values():
            window.add(at, _ONE)

    def counts(self) -> dict[timedelta, int]:
        return {length: len(window) for length, window in self._windows.items()}


class EventCounter:
    """An instance in which nothing was counted for the whole of its length is forgotten: there are as many as live."""

    def __init__(self, log: SampleLog) -> None:
        self._log = log
        self._lengths: dict[str, tuple[timedelta, ...]] = {}  # of each series
        self._of_rule: dict[str, str] = {}  # the series of each rule that counts
        self._rules: dict[str, Rule] = {}  # and the other way round
        self._counts: dict[str, OrderedDict[str, _Count]] = {}  # the longest untouched first

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. What is counted otherwise than before begins at nothing."""
        counting = [rule for rule in rules if rule.counted]
        self._of_rule = {rule.id: _counted_as(rule) for rule in counting}
        self._rules = {_counted_as(rule): rule for rule in counting}
        self._lengths = {_counted_as(rule): tuple(sorted(rule.counted)) for rule in counting}
        before, self._counts = self._counts, {}
        for series in self._lengths:
            self._counts[series] = before.pop(series, OrderedDict())
        self._log.drop_all(before)

    def series(self) -> set[str]:
        """What is counted, by the names that its samples are kept under."""
        return set(self._lengths)

    def counts(self, rule: Rule) -> bool:
        """Whether the rule counts events."""
        return rule.id in self._of_rule

    def count(self, rule: Rule, change: Change) -> Change:
        """One more of the rule's events: the change, with how many there are now."""
        series, instance = self._of_rule[rule.id], _counted_for(rule, change)
        tallies = self._counts[series]
        at = microseconds(event_time(change))
        self._sweep(series, at)
        tally = tallies.get(instance)
        if tally is None:
            tally = tallies[instance] = _Count(self._lengths[series])
        longest = tally.longest
        removed = longest.removed
        tally.add(at)
        tallies.move_to_end(instance)
        self._log.add(series, instance, ((longest.now, _ONE),))
        self._log.left(series, instance, longest, longest.removed - removed)
        return inform(change, counts=tally.counts())

    def counted(self, rule: Rule, change: Change) -> Change:
        """The change, with how many of the rule's events there are in its instance as of the latest of them."""
        series = self._of_rule.get(rule.id)  # None: it doesn't run
        tally = self._counts[series].get(_counted_for(rule, change)) if series is not None else None
        return inform(change, counts=tally.counts() if tally else dict.fromkeys(rule.counted, 0))

    def afresh(self, rule: Rule, change: Change) -> None:
        """An alert was raised: the next event is the first again."""
        series = self._of_rule.get(rule.id)
        if series is None:
            return
        instance = _counted_for(rule, change)
        if self._counts[series].pop(instance, None) is not None:
            self._log.drop(series, instance)

    def restore(self, series: str, instance: str, at: int) -> bool:
        """An event that was counted in an earlier run; False where no rule counts so any more."""
        tallies = self._counts.get(series)
        if tallies is None:
            return False
        if (spelled := retallied(self._rules[series], instance)) != instance:
            self._log.drop(series, instance)
            self._log.add(series, spelled, ((at, _ONE),))
            instance = spelled
        tally = tallies.get(instance)
        if tally is None:
            tally = tallies[instance] = _Count(self._lengths[series])
        tally.add(at)
        tallies.move_to_end(instance)
        return True

    def _sweep(self, series: str, at: int) -> None:
        tallies = self._counts[series]
        while tallies:
            instance, tally = next(iter(tallies.items()))
            if tally.longest.now > at - tally.longest.length - _LATE:
                return
            del tallies[instance]
            self._log.drop(series, instance)


def _counted_as(rule: Rule) -> str:
    """What is counted: another `watch`, `where`, `per` or length is another count, another threshold is not."""
    where = f" where {rule.where.source}" if rule.where else ""
    lengths = ", ".join(str(length) for length in sorted(rule.counted))
    return (
        f"{rule.id}: {', '.join(sorted(rule.events))}{where} per {', '.join(group_fields(rule))} in {lengths}"
    )


def _counted_for(rule: Rule, change: Change) -> str:
    return json.dumps(group_of(rule, change))


# -------------------------------------------------------------------------------------------------- values last known


Known: TypeAlias = tuple[datetime, tuple[Decimal, Decimal]]
"""Until when a value and its limit were known, and what they were."""


class LastKnownValues:
    """An entity as it stands tells its latest value; only for the time of a hole has that to be remembered besides, and kept for
    the next run: it begins with the change that takes the value (or what it is compared with) away, and is told with the one
    that brings it back.
    """

    def __init__(self, log: SampleLog) -> None:
        self._log = log
        self._asked: dict[str, dict[str, Crossing]] = {}  # by kind and name
        self._open: dict[Key, dict[str, Known]] = {}

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on: what nobody asks for any more is forgotten."""
        before = self.series()
        self._asked = {}
        for kind, each in (found for rule in rules for found in _crossings_of(rule)):
            self._asked.setdefault(kind, {})[each.name] = each
        self._log.drop_all(before - self.series())
        for key, holes in list(self._open.items()):
            asked = self._asked.get(key.kind, {})
            self._open[key] = {name: known for name, known in holes.items() if name in asked}
            if not self._open[key]:
                del self._open[key]

    def series(self) -> set[str]:
        """The names that samples are kept under."""
        return {_remembered_as(kind, name) for kind, asked in self._asked.items() for name in asked}

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
                self._log.drop(_remembered_as(change.kind, name), instance_key(change.key))
        if open_ is not None and not open_:
            del self._open[change.key]
        return inform(change, last_known=over) if over else change

    def _begin(self, change: Change, name: str, known: Known) -> None:
        at, pair = known
        self._open.setdefault(change.key, {})[name] = known
        points = ((microseconds(at), value) for value in pair)
        self._log.add(_remembered_as(change.kind, name), instance_key(change.key), points)

    def forget(self, keys: Iterable[Key]) -> None:
        """These entities have ended, or are gone."""
        for key in keys:
            for name in self._open.pop(key, ()):
                self._log.drop(_remembered_as(key.kind, name), instance_key(key))

    def keys(self) -> list[Key]:
        return list(self._open)

    def restore(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Take up what the last run had kept: of each hole the value, then its limit. Other samples pass through."""
        series = {_remembered_as(kind, name): name for kind, asked in self._asked.items() for name in asked}
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


def _crossings_of(rule: Rule) -> Iterator[tuple[str, Crossing]]:
    for condition in rule.conditions:
        for each in condition.crossings:
            yield from ((kind, each) for kind in rule.kinds)
    if rule.sequence is not None and rule.sequence.when is not None:
        for each in rule.sequence.when.crossings:
            yield from ((kind, each) for kind in rule.sequence.kinds)


def _remembered_as(kind: str, name: str) -> str:
    return f"{kind}: {name} last known"
