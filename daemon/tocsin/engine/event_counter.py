"""How many events there were: the windows of rules with `count(…)`, one for each instance of the rule (`per`)."""

import json
from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from tocsin.engine.enriched_change import event_time, inform
from tocsin.engine.keys import group_fields, group_of, retallied
from tocsin.engine.rule import Rule
from tocsin.engine.sample_log import SampleLog
from tocsin.engine.windows import Window, microseconds
from tocsin.events import Change

_LATE = microseconds(
    timedelta(minutes=1)
)  # how long after its end a count is kept, for events that come late
_ONE = Decimal(1)


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
        self._tallies: dict[str, OrderedDict[str, _Count]] = {}  # the longest untouched first

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. What is counted otherwise than before begins at nothing."""
        counting = [rule for rule in rules if rule.counted]
        self._of_rule = {rule.id: _series(rule) for rule in counting}
        self._rules = {_series(rule): rule for rule in counting}
        self._lengths = {_series(rule): tuple(sorted(rule.counted)) for rule in counting}
        before, self._tallies = self._tallies, {}
        for series in self._lengths:
            self._tallies[series] = before.pop(series, OrderedDict())
        self._log.drop_all(before)

    def series(self) -> set[str]:
        """What is counted, by the names that its samples are kept under."""
        return set(self._lengths)

    def counts(self, rule: Rule) -> bool:
        """Whether the rule counts events."""
        return rule.id in self._of_rule

    def count(self, rule: Rule, change: Change) -> Change:
        """One more of the rule's events: the change, with how many there are now."""
        series, instance = self._of_rule[rule.id], _instance(rule, change)
        tallies = self._tallies[series]
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
        tally = self._tallies[series].get(_instance(rule, change)) if series is not None else None
        return inform(change, counts=tally.counts() if tally else dict.fromkeys(rule.counted, 0))

    def afresh(self, rule: Rule, change: Change) -> None:
        """An alert was raised: the next event is the first again."""
        series = self._of_rule.get(rule.id)
        if series is None:
            return
        instance = _instance(rule, change)
        if self._tallies[series].pop(instance, None) is not None:
            self._log.drop(series, instance)

    def restore(self, series: str, instance: str, at: int) -> bool:
        """An event that was counted in an earlier run; False where no rule counts so any more."""
        tallies = self._tallies.get(series)
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
        tallies = self._tallies[series]
        while tallies:
            instance, tally = next(iter(tallies.items()))
            if tally.longest.now > at - tally.longest.length - _LATE:
                return
            del tallies[instance]
            self._log.drop(series, instance)


def _series(rule: Rule) -> str:
    """What is counted: another `watch`, `where`, `per` or length is another count, another threshold is not."""
    where = f" where {rule.where.source}" if rule.where else ""
    lengths = ", ".join(str(length) for length in sorted(rule.counted))
    return (
        f"{rule.id}: {', '.join(sorted(rule.events))}{where} per {', '.join(group_fields(rule))} in {lengths}"
    )


def _instance(rule: Rule, change: Change) -> str:
    return json.dumps(group_of(rule, change))
