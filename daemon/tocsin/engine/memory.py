"""What is remembered of entities and events, for conditions that look at more than one change.

    see(change)      a change of an entity: its histories go on, and the change knows them
    recall(change)   an entity as it stands: the change knows the histories as they are
    count(rule, …)   an event that passed the rule's `where`: how many there were in each of its windows

A history is of one value of one entity, shared by all rules that ask for the same value over the same length. There are
as many as rules ask for and entities live; each holds at most `windows.MOST_SAMPLES` samples, and goes when its entity
ends or is forgotten, or when no rule asks for it any more. What must outlast the run is handed out by `drain`, a sample
at a time; `restore` takes it back.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from tocsin.engine.happenings import group_fields, group_part
from tocsin.engine.informed import event_time, inform
from tocsin.engine.model import Faded, Sample, World
from tocsin.engine.rule import Condition, Followed, Rule
from tocsin.engine.windows import Extremes, Window, microseconds, moment
from tocsin.events import Change, Key

_FADED_AT_ONCE = 256  # samples of a window; each removal from the store takes so many
_EXTREMES_AT_ONCE = 16  # rows that a value's extremes may leave before the store is tidied
_LATE = microseconds(
    timedelta(minutes=1)
)  # how long after its end a count is kept, for events that come late
_ONE = Decimal(1)

History: TypeAlias = Window | Extremes
Kept: TypeAlias = Sample | Faded


class _Asked(NamedTuple):
    """A value that some rule follows: where its history is kept, and which changes it has samples of."""

    followed: Followed
    series: str
    events: tuple[str, ...]  # only of changes in which one of these happened; empty: of each
    where: Condition | None  # only of changes for which this isn't false


class _Tally:
    """The events of one rule's instance, in each of the lengths that the rule counts in."""

    __slots__ = ("windows",)

    def __init__(self, lengths: Iterable[timedelta]) -> None:
        self.windows = {length: Window(microseconds(length)) for length in lengths}

    def add(self, at: int) -> None:
        for window in self.windows.values():
            window.add(at, _ONE)

    def counts(self) -> dict[timedelta, int]:
        return {length: len(window) for length, window in self.windows.items()}

    @property
    def longest(self) -> Window:
        return max(self.windows.values(), key=lambda window: window.length)


class Memory:
    def __init__(self) -> None:
        self._asked: dict[str, tuple[_Asked, ...]] = {}  # by kind
        self._histories: dict[Key, dict[str, History]] = {}
        self._tallies: dict[str, OrderedDict[str, _Tally]] = {}  # by series; the longest untouched first
        self._counting: dict[str, str] = {}  # the series of each rule that counts events
        self._unneeded: dict[
            tuple[str, str], int
        ] = {}  # rows in the store that could go, by series and instance
        self._kept: list[Kept] = []

    # ------------------------------------------------------------------------------------------------ what is asked

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on: what nobody asks for any more is forgotten, what is new begins empty."""
        asked: dict[str, dict[str, _Asked]] = {}
        self._counting = {}
        for rule in rules:
            if rule.counted:
                self._counting[rule.id] = _tally_series(rule)
            for kind in rule.kinds:
                for each in _asked_by(rule, kind):
                    asked.setdefault(kind, {}).setdefault(each.followed.name, each)
        before = self._series()
        # What is filtered by a condition comes last: the condition may look at the other histories.
        self._asked = {
            kind: tuple(sorted(found.values(), key=lambda each: each.where is not None))
            for kind, found in asked.items()
        }
        gone = before - self._series()
        for key, histories in self._histories.items():
            for name in [name for name in histories if _series(key.kind, name) in gone]:
                del histories[name]
        tallies = set(self._counting.values())
        for series in self._tallies.keys() - tallies:
            del self._tallies[series]
            gone.add(series)
        for series in tallies - self._tallies.keys():
            self._tallies[series] = OrderedDict()
        self._kept += map(Faded, sorted(gone))

    def _series(self) -> set[str]:
        return {_series(kind, each.followed.name) for kind, found in self._asked.items() for each in found}

    # ----------------------------------------------------------------------------------------------------- entities

    def see(self, change: Change, *, passing: bool = False) -> Change:
        """The change, with the histories of its entity as they are after it.

        `passing`: it happened, but it isn't what is so now: only what counts each event hears of it.
        """
        asked = self._asked.get(change.key[1])
        if asked is None:
            return change
        histories = self._histories.setdefault(change.key, {})
        seen = inform(change, histories)
        at = microseconds(event_time(change))
        for each in asked:
            if not passing or each.followed.samples:
                self._feed(each, histories, seen, at)
        return seen

    def _feed(self, each: _Asked, histories: dict[str, History], seen: Change, at: int) -> None:
        name = each.followed.name
        value = each.followed.value(seen, seen.received) if _takes_part(each, seen) else None
        history = histories.get(name)
        if history is None:
            if value is None:
                return
            histories[name] = history = _new(each.followed)
        instance = instance_text(seen.key)
        if isinstance(history, Extremes):
            if value is not None and history.add(at, value):
                self._keep_extreme(each, history, instance, at, value)
            return
        if value is None:
            if history.move(at):
                self._fade(each.series, instance, history)
            return
        held = len(history)
        history.add(at, value)
        self._keep(each.series, instance, history.now, value)
        self._note(each.series, instance, held + 1 - len(history), history)

    def recall(self, change: Change) -> Change:
        """The entity as it stands, with its histories: as of its latest event."""
        histories = self._histories.get(change.key)
        return change if histories is None else inform(change, histories)

    def over(self, world: World) -> World:
        """The world, with what is remembered of each entity."""
        return _Remembered(world, self)

    def forget(self, keys: Iterable[Key]) -> None:
        """These entities have ended, or are gone."""
        for key in keys:
            for name in self._histories.pop(key, ()):
                self._fade(_series(key.kind, name), instance_text(key))

    # ------------------------------------------------------------------------------------------------------- counting

    def counts(self, rule: Rule) -> bool:
        return rule.id in self._counting

    def count(self, rule: Rule, change: Change) -> Change:
        """One more of the rule's events: the change, with how many there are now."""
        series, instance = self._counting[rule.id], _group_text(rule, change)
        tallies = self._tallies[series]
        at = microseconds(event_time(change))
        self._sweep(series, tallies, at)
        tally = tallies.get(instance)
        if tally is None:
            tally = tallies[instance] = _Tally(rule.counted)
        else:
            tallies.move_to_end(instance)
        longest = tally.longest
        held = len(longest)
        tally.add(at)
        self._keep(series, instance, longest.now, _ONE)
        self._note(series, instance, held + 1 - len(longest), longest)
        return inform(change, counts=tally.counts())

    def count_afresh(self, rule: Rule, change: Change) -> None:
        """An alert was raised: the next event is the first again."""
        series = self._counting.get(rule.id)
        if series is None:
            return
        instance = _group_text(rule, change)
        if self._tallies[series].pop(instance, None) is not None:
            self._fade(series, instance)

    def _sweep(self, series: str, tallies: "OrderedDict[str, _Tally]", at: int) -> None:
        """What nothing was counted in for the whole of its length is empty: an instance that is over leaves nothing."""
        while tallies:
            instance, tally = next(iter(tallies.items()))
            if tally.longest.now > at - tally.longest.length - _LATE:
                return
            del tallies[instance]
            self._fade(series, instance)

    # -------------------------------------------------------------------------------------------------------- keeping

    def forget_venue(self, venue: str) -> None:
        self.forget([key for key in self._histories if key.venue == venue])

    def drain(self) -> list[Kept]:
        """What is to be kept, or not any more, since the last call; in this order."""
        kept, self._kept = self._kept, []
        return kept

    def restore(self, samples: Iterable[Sample], world: World) -> None:
        """What the last run kept, in the order in which it was kept. What nobody asks for any more is let go."""
        asked = {
            _series(kind, each.followed.name): each for kind, found in self._asked.items() for each in found
        }
        unwanted: dict[tuple[str, str | None], None] = {}
        for sample in samples:
            at = microseconds(sample.at)
            if sample.series in self._tallies:
                self._restore_tally(sample, at)
            elif (each := asked.get(sample.series)) is None:
                unwanted[sample.series, None] = None
            elif (key := _key(sample.instance)) is None:
                unwanted[sample.series, sample.instance] = None
            else:
                histories = self._histories.setdefault(key, {})
                history = histories.setdefault(each.followed.name, _new(each.followed))
                history.add(at, sample.value)
        self._kept += [Faded(series, instance) for series, instance in unwanted]
        for key in list(self._histories):
            change = world.get(key)
            if change is None or change.ended:
                self.forget([key])
                continue
            # An event without a sample had moved it too.
            now = microseconds(event_time(change))
            for history in self._histories[key].values():
                if isinstance(history, Window):
                    history.move(now)

    def _restore_tally(self, sample: Sample, at: int) -> None:
        tallies = self._tallies[sample.series]
        tally = tallies.get(sample.instance)
        if tally is None:
            lengths = [
                timedelta(microseconds=int(text)) for text in sample.series.split(" ", 1)[0].split(",")
            ]
            tally = tallies[sample.instance] = _Tally(lengths)
        tally.add(at)
        tallies.move_to_end(sample.instance)

    def _keep(self, series: str, instance: str, at: int, value: Decimal) -> None:
        self._kept.append(Sample(series, instance, moment(at), value))

    def _keep_extreme(self, each: _Asked, history: Extremes, instance: str, at: int, value: Decimal) -> None:
        self._keep(each.series, instance, at, value)
        rows = self._unneeded.get((each.series, instance), 0) + 1
        if rows >= _EXTREMES_AT_ONCE:
            self._fade(each.series, instance)
            for then, extreme in history:
                self._keep(each.series, instance, then, extreme)
            rows = 0
        self._unneeded[each.series, instance] = rows

    def _note(self, series: str, instance: str, gone: int, window: Window) -> None:
        """So many samples have left the window; they leave the store many at once."""
        if gone <= 0:
            return
        rows = self._unneeded.get((series, instance), 0) + gone
        self._unneeded[series, instance] = rows
        if rows >= _FADED_AT_ONCE:
            self._fade(series, instance, window)

    def _fade(self, series: str, instance: str, window: Window | None = None) -> None:
        """The store needs only what the window still holds; without a window, nothing."""
        self._unneeded.pop((series, instance), None)
        if window is None:
            self._kept.append(Faded(series, instance))
        elif window.before is not None:
            self._kept.append(Faded(series, instance, moment(window.before[0])))


class _Remembered:
    """A world whose changes know what is remembered of them."""

    def __init__(self, world: World, memory: Memory) -> None:
        self._world = world
        self._memory = memory
        self.account_of = world.account_of

    def live(self, kind: str) -> Iterator[Change]:
        return map(self._memory.recall, self._world.live(kind))

    def of_account(self, venue: str, account: str) -> Iterator[Change]:
        return map(self._memory.recall, self._world.of_account(venue, account))

    def get(self, key: Key) -> Change | None:
        change = self._world.get(key)
        return None if change is None else self._memory.recall(change)


def instance_text(key: Key) -> str:
    return json.dumps(list(key))


def _key(text: str) -> Key | None:
    """The inverse of `instance_text`."""
    try:
        return Key(*json.loads(text))
    except (ValueError, TypeError):
        return None


def _asked_by(rule: Rule, kind: str) -> Iterator[_Asked]:
    for condition in rule.conditions:
        for followed in condition.followed:
            events = rule.events if followed.samples else ()
            where = rule.where if followed.samples and condition is not rule.where else None
            yield _Asked(followed, _series(kind, followed.name), events, where)


def _takes_part(each: _Asked, change: Change) -> bool:
    if each.events and not any(_matches(event, name) for event in each.events for name in change.events):
        return False
    return each.where is None or each.where.holds(change, change.received) is not False


def _matches(event: str, name: str) -> bool:
    return name == event or (event.endswith(".*") and name.startswith(event[:-1]))


def _new(followed: Followed) -> History:
    return Extremes() if followed.length is None else Window(microseconds(followed.length))


def _series(kind: str, name: str) -> str:
    return f"{kind}: {name}"


def _tally_series(rule: Rule) -> str:
    """Where a rule's events are counted. It begins with the lengths; another `watch`, `where` or `per` counts anew."""
    lengths = ",".join(str(microseconds(length)) for length in sorted(rule.counted))
    where = f" where {rule.where.source}" if rule.where else ""
    return f"{lengths} {rule.id}: {', '.join(sorted(rule.events))}{where} per {', '.join(group_fields(rule))}"


def _group_text(rule: Rule, change: Change) -> str:
    return json.dumps([group_part(change, field) for field in group_fields(rule)])
