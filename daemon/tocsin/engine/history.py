"""What is remembered of entities and events, for conditions that look at more than one change.

    see(change)        a change of an entity: its histories go on, and the change knows them
    recall(change)     an entity as it stands: the change knows the histories as they are
    counter.count(…)   an event that passed the rule's `where`: how many there were in each of its windows

A history is of one value of one entity, shared by all rules that ask for the same value over the same length. There are
as many as rules ask for and entities live; each holds at most `windows.MOST_SAMPLES` samples, and goes when its entity
ends or is forgotten, or when no rule asks for it any more. What must outlast the run goes into `log`, a sample at a
time; `restore` takes it back.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tocsin.engine.api import World, event_time, inform
from tocsin.engine.instances import entity_of, happens_in, instance_key
from tocsin.engine.rule import Condition, Followed, Rule
from tocsin.engine.samples import EventCounter, LastKnownValues, SampleLog
from tocsin.engine.windows import Window, window_of
from tocsin.events import Change, Key, Sample, microseconds


class _Asked(NamedTuple):
    """A value that some rule follows: where its history is kept, and which changes it has samples of."""

    followed: Followed
    series: str
    events: tuple[str, ...]  # only of changes in which one of these happened; empty: of each
    where: Condition | None  # only of changes for which this isn't false


class HistoryStore:
    """`crowded`: see `EventCounter`."""

    def __init__(self, log: SampleLog, crowded: Callable[[str], None]) -> None:
        self._asked: dict[str, tuple[_Asked, ...]] = {}  # by kind
        self._histories: dict[Key, dict[str, Window]] = {}
        self._log = log
        self.counter = EventCounter(log, crowded)
        self._last_known = LastKnownValues(log)

    # ------------------------------------------------------------------------------------------------ what is asked

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on: what nobody asks for any more is forgotten, what is new begins empty."""
        running = list(rules)
        asked: dict[str, dict[str, _Asked]] = {}
        for rule in running:
            for kind in rule.kinds:
                for each in _asked_by(rule, kind):
                    asked.setdefault(kind, {}).setdefault(each.followed.name, each)
        before = self._followed()
        # What is filtered by a condition comes last: the condition may look at the other histories.
        self._asked = {
            kind: tuple(sorted(found.values(), key=lambda each: each.where is not None))
            for kind, found in asked.items()
        }
        gone = before - self._followed()
        for key, histories in self._histories.items():
            for name in [name for name in histories if _series(key.kind, name) in gone]:
                del histories[name]
        self._log.drop_all(gone)
        self.counter.ask(running)
        self._last_known.ask(running)

    def series(self) -> set[str]:
        """What is remembered, by the names that its samples are kept under."""
        return self._followed() | self.counter.series() | self._last_known.series()

    def _followed(self) -> set[str]:
        return {_series(kind, each.followed.name) for kind, found in self._asked.items() for each in found}

    # ----------------------------------------------------------------------------------------------------- entities

    def see(self, change: Change, via: str | None = None) -> Change:
        """The change, with the histories of its entity as they are after it. Of one that is passing only what has a
        sample of each event hears. `via`: nothing happened to itself, but to what it reads through that link.
        """
        change = self._last_known.see(change)
        asked = self._asked.get(change.key[1])
        if asked is None:
            return change
        histories = self._histories.setdefault(change.key, {})
        seen = inform(change, histories)
        at = microseconds(event_time(change, via))
        for each in asked:
            if via is not None and via not in each.followed.links:
                continue
            if not change.passing or each.followed.samples:
                self._feed(each, histories, seen, at)
        return seen

    def _feed(self, each: _Asked, histories: dict[str, Window], seen: Change, at: int) -> None:
        name = each.followed.name
        value = each.followed.value(seen, seen.received) if _takes_part(each, seen) else None
        history = histories.get(name)
        if history is None:
            if value is None:
                return
            histories[name] = history = _new(each.followed)
        self._log.sample(each.series, instance_key(seen.key), history, at, value)

    def recall(self, change: Change) -> Change:
        """The entity as it stands, with its histories: as of its latest event."""
        histories = self._histories.get(change.key)
        return change if histories is None else inform(change, histories)

    def over(self, world: World) -> World:
        """The world, with what is remembered of each entity."""
        return _Remembered(world, self)

    def forget(self, keys: Iterable[Key]) -> None:
        """These entities have ended, or are gone."""
        keys = list(keys)
        self._last_known.forget(keys)
        for key in keys:
            for name in self._histories.pop(key, ()):
                self._log.drop(_series(key.kind, name), instance_key(key))

    def forget_venue(self, venue: str) -> None:
        self.forget([key for key in (*self._histories, *self._last_known.keys()) if key.venue == venue])

    # -------------------------------------------------------------------------------------------------- another run

    def restore(self, samples: Iterable[Sample], world: World) -> None:
        """What the last run kept, in the order in which it was kept. What nobody asks for any more is let go."""
        asked = {
            _series(kind, each.followed.name): each for kind, found in self._asked.items() for each in found
        }
        unwanted: set[str] = set()
        unreadable: dict[tuple[str, str], None] = {}
        for sample in self._last_known.restore(samples):
            at = microseconds(sample.at)
            if self.counter.restore(sample.series, sample.instance, at, sample.value):
                continue
            if (each := asked.get(sample.series)) is None:
                unwanted.add(sample.series)
            elif (key := entity_of(sample.instance)) is None:
                unreadable[sample.series, sample.instance] = None
            else:
                histories = self._histories.setdefault(key, {})
                history = histories.setdefault(each.followed.name, _new(each.followed))
                history.restore(at, sample.value)
        self._log.drop_all(unwanted)
        for series, instance in unreadable:
            self._log.drop(series, instance)
        for key in [*self._histories, *self._last_known.keys()]:
            change = world.get(key)
            if change is None or change.ended:
                self.forget([key])
            elif key in self._histories:
                self._catch_up(change)

    def _catch_up(self, change: Change) -> None:
        """The entity's latest event has moved its windows, whether it brought a sample or not."""
        histories = self._histories[change.key]
        seen, now = inform(change, histories), microseconds(event_time(change))
        for each in self._asked[change.key.kind]:
            history = histories.get(each.followed.name)
            if history is None:
                continue
            links = each.followed.links & change.linked.keys()
            latest = max((now, *(microseconds(event_time(change, via)) for via in links)))
            if (value := each.followed.value(seen, seen.received)) is not None:
                history.lasts(latest, value)
            history.move(latest)


class _Remembered:
    """A world whose changes know what is remembered of them."""

    def __init__(self, world: World, memory: HistoryStore) -> None:
        self._world = world
        self._memory = memory
        self.called = world.called

    def live(self, kind: str) -> Iterator[Change]:
        return map(self._memory.recall, self._world.live(kind))

    def get(self, key: Key) -> Change | None:
        change = self._world.get(key)
        return None if change is None else self._memory.recall(change)


def _asked_by(rule: Rule, kind: str) -> Iterator[_Asked]:
    for condition in rule.conditions:
        for followed in condition.followed:
            if followed.keyed:
                continue  # of the rule's instances: see `samples.EventCounter`
            events = rule.events if followed.samples else ()
            where = rule.where if followed.samples and condition is not rule.where else None
            yield _Asked(followed, _series(kind, followed.name), events, where)


def _takes_part(each: _Asked, change: Change) -> bool:
    if each.events and not happens_in(change, each.events):
        return False
    return each.where is None or each.where.holds(change, change.received) is not False


def _new(followed: Followed) -> Window:
    return window_of(followed.window, each=followed.samples)


def _series(kind: str, name: str) -> str:
    return f"{kind}: {name}"
