"""What must outlast the run, a sample at a time: the log of it, events counted, and values last known.

`SampleLog` says what the store is to keep, of windows above all, and what it needn't keep any more. `EventCounter`
has the windows of event rules that count or follow their events, of each instance of the rule (`per`).
`LastKnownValues` has what values that are to cross something were when last known, while they are missing.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from tocsin.engine.api import event_time, inform
from tocsin.engine.instances import entity_of, group_fields, group_of, instance_key, retallied
from tocsin.engine.rule import Crossing, Followed, Rule
from tocsin.engine.windows import Point, TimeWindow, Window, window_of
from tocsin.events import Change, Key, Sample, SamplesDropped, microseconds, moment

_SO = Decimal(1)

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

    def sample(self, series: str, instance: str, window: Window, at: int, value: Decimal | None) -> None:
        """A sample for the window, or that there is none at that time; what of it has to outlast the run is kept."""
        before = window.superseded
        if value is None:
            points = window.ends()
            window.move(at)
        else:
            points = window.add(at, value)
        self.keep(series, instance, window, points, window.superseded - before)

    def keep(
        self, series: str, instance: str, window: Window, points: Iterable[Point], superseded: int
    ) -> None:
        """What a window says has to be stored, and how many rows are not needed any more: they leave the store many at once."""
        for at, value in points:
            self.put(series, instance, at, value)
        if superseded <= 0:
            return
        rows = self._unneeded.get((series, instance), 0) + superseded
        if rows < window.tidy_at:
            self._unneeded[series, instance] = rows
            return
        self._unneeded.pop((series, instance), None)
        before, anew = window.tidied()
        self._kept.append(SamplesDropped(series, instance, None if before is None else moment(before)))
        for at, value in anew:
            self.put(series, instance, at, value)

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

    def put(self, series: str, instance: str, at: int, value: Decimal) -> None:
        """One row to be kept."""
        self._kept.append(Sample(series, instance, moment(at), value))


# ----------------------------------------------------------------------------------------------------- events counted

# How long after its end a count is kept, for events that come late.
_LATE = microseconds(timedelta(minutes=1))
_ONE = Decimal(1)
MOST_INSTANCES = 10_000  # of one rule; of more the longest untouched are forgotten


class _Asked(NamedTuple):
    """What one rule asks for. `series`: of its counts, empty where it has none; `followed`: its values, by their series.
    `lasts`: for how long (microseconds) an instance without events is kept; None: for ever.
    """

    rule: Rule
    series: str
    lengths: tuple[timedelta, ...]
    followed: Mapping[str, Followed]
    lasts: int | None

    @property
    def all_series(self) -> tuple[str, ...]:
        return (*((self.series,) if self.series else ()), *self.followed)


class _Tally:
    """The events of one rule's instance, in each of the lengths that the rule counts in; and the windows of what it follows,
    by their series.
    """

    __slots__ = ("_counts", "latest", "longest", "windows")

    def __init__(self, lengths: Iterable[timedelta]) -> None:
        self.begin_anew(lengths)
        self.windows: dict[str, Window] = {}
        self.latest = 0

    def begin_anew(self, lengths: Iterable[timedelta]) -> None:
        """Nothing is counted; what is followed goes on."""
        self._counts = {length: TimeWindow(microseconds(length), each=True) for length in lengths}
        self.longest = max(self._counts.values(), key=lambda window: window.length, default=None)

    def add(self, at: int) -> None:
        for window in self._counts.values():
            window.add(at, _ONE)

    def counts(self) -> dict[timedelta, int]:
        return {length: len(window) for length, window in self._counts.items()}


class EventCounter:
    """An instance in which nothing was counted for the whole of its length is forgotten: there are as many as live. One with
    a window that doesn't grow old stays, up to `MOST_INSTANCES` of them; `crowded` is called with a rule that has more.
    """

    def __init__(self, log: SampleLog, crowded: Callable[[str], None]) -> None:
        self._log = log
        self._is_crowded = crowded
        self._asked: dict[str, _Asked] = {}  # by rule
        self._of_series: dict[str, _Asked] = {}
        self._tallies: dict[str, OrderedDict[str, _Tally]] = {}  # by rule; the longest untouched first

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. What is counted otherwise than before begins at nothing."""
        before, tallies = self._asked, self._tallies
        self._asked = {rule.id: _asked_by(rule) for rule in rules if rule.counted or rule.keyed}
        self._of_series = {series: each for each in self._asked.values() for series in each.all_series}
        self._tallies = {}
        for rule, asked in self._asked.items():
            known = before.get(rule)
            kept = tallies.get(rule, OrderedDict()) if known is not None else OrderedDict()
            if known is not None and known.all_series != asked.all_series:
                kept = self._carried_over(known, asked, kept)
            self._tallies[rule] = kept
        self._log.drop_all({series for each in before.values() for series in each.all_series} - self.series())

    def _carried_over(
        self, known: _Asked, asked: _Asked, tallies: Mapping[str, _Tally]
    ) -> OrderedDict[str, _Tally]:
        """Of a rule that was edited: what it still asks for."""
        found: OrderedDict[str, _Tally] = OrderedDict()
        for instance, tally in tallies.items():
            kept = tally if known.series == asked.series else _Tally(asked.lengths)
            kept.latest = tally.latest
            kept.windows = {
                series: window for series, window in tally.windows.items() if series in asked.followed
            }
            found[instance] = kept
        return found

    def series(self) -> set[str]:
        """What is counted and followed, by the names that its samples are kept under."""
        return set(self._of_series)

    def counts(self, rule: Rule) -> bool:
        """Whether the rule counts its events, or follows them."""
        return rule.id in self._asked

    def count(self, rule: Rule, change: Change) -> Change:
        """One more of the rule's events: the change, with how many there are now and with the windows of what is followed."""
        asked, instance = self._asked[rule.id], _counted_for(rule, change)
        at = microseconds(event_time(change))
        self._sweep(asked, at)
        tally = self._tally(asked, instance)
        tally.latest = max(tally.latest, at)
        if (longest := tally.longest) is not None:
            before = longest.superseded
            tally.add(at)
            self._log.keep(
                asked.series, instance, longest, ((longest.now, _ONE),), longest.superseded - before
            )
        for series, followed in asked.followed.items():
            window = tally.windows.get(series)
            value = followed.value(change, change.received)
            if window is None:
                if value is None:
                    continue
                window = tally.windows[series] = window_of(followed.window, each=True)
            self._log.sample(series, instance, window, at, value)
        return self._informed(asked, change, tally)

    def counted(self, rule: Rule, change: Change) -> Change:
        """The change, with what there is of the rule's events in its instance as of the latest of them."""
        asked = self._asked.get(rule.id) or _asked_by(rule)
        tally = self._tallies[rule.id].get(_counted_for(rule, change)) if rule.id in self._tallies else None
        return self._informed(asked, change, tally or _Tally(asked.lengths))

    @staticmethod
    def _informed(asked: _Asked, change: Change, tally: _Tally) -> Change:
        if not asked.followed:
            return inform(change, counts=tally.counts())
        known: Mapping[str, Window] = getattr(change, "windows", {})
        followed = {asked.followed[series].name: window for series, window in tally.windows.items()}
        return inform(change, {**known, **followed}, tally.counts())

    def afresh(self, rule: Rule, change: Change) -> None:
        """An alert was raised: the next event is the first again."""
        asked = self._asked.get(rule.id)
        if asked is None:
            return
        instance = _counted_for(rule, change)
        tally = self._tallies[rule.id].get(instance)
        if tally is None:
            return
        if asked.series:
            self._log.drop(asked.series, instance)
        if tally.windows:
            tally.begin_anew(asked.lengths)
        else:
            del self._tallies[rule.id][instance]

    def restore(self, series: str, instance: str, at: int, value: Decimal) -> bool:
        """What was kept of an event in an earlier run; False where no rule asks for it any more."""
        asked = self._of_series.get(series)
        if asked is None:
            return False
        if (spelled := retallied(asked.rule, instance)) != instance:
            self._log.drop(series, instance)
            self._log.put(series, spelled, at, value)
            instance = spelled
        tally = self._tally(asked, instance)
        tally.latest = max(tally.latest, at)
        if series == asked.series:
            tally.add(at)
        else:
            window = tally.windows.get(series)
            if window is None:
                window = tally.windows[series] = window_of(asked.followed[series].window, each=True)
            window.restore(at, value)
        return True

    def _tally(self, asked: _Asked, instance: str) -> _Tally:
        tallies = self._tallies[asked.rule.id]
        tally = tallies.get(instance)
        if tally is None:
            tally = tallies[instance] = _Tally(asked.lengths)
        tallies.move_to_end(instance)
        return tally

    def _sweep(self, asked: _Asked, at: int) -> None:
        tallies = self._tallies[asked.rule.id]
        while tallies:
            instance, tally = next(iter(tallies.items()))
            over = asked.lasts is not None and tally.latest <= at - asked.lasts - _LATE
            if not over and len(tallies) <= MOST_INSTANCES:
                return
            if not over:
                self._is_crowded(asked.rule.id)
            del tallies[instance]
            for series in asked.all_series:
                self._log.drop(series, instance)


def _asked_by(rule: Rule) -> _Asked:
    lengths = tuple(sorted(rule.counted))
    followed = {_followed_as(rule, each): each for each in rule.keyed}
    spans = [*lengths, *(each.window for each in followed.values())]
    lasts = [microseconds(span) for span in spans if isinstance(span, timedelta)]
    return _Asked(
        rule,
        _counted_as(rule) if lengths else "",
        lengths,
        followed,
        max(lasts) if len(lasts) == len(spans) else None,
    )


def _counted_as(rule: Rule) -> str:
    """What is counted: another `watch`, `where`, `per` or length is another count, another threshold is not."""
    where = f" where {rule.where.source}" if rule.where else ""
    lengths = ", ".join(str(length) for length in sorted(rule.counted))
    return (
        f"{rule.id}: {', '.join(sorted(rule.events))}{where} per {', '.join(group_fields(rule))} in {lengths}"
    )


def _followed_as(rule: Rule, followed: Followed) -> str:
    """The same of a value that is followed; its name says of which events."""
    return f"{rule.id}: {followed.name} per {', '.join(group_fields(rule))}"


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
        for value in pair:
            self._log.put(
                _remembered_as(change.kind, name), instance_key(change.key), microseconds(at), value
            )

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
