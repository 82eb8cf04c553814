"""Samples what rules watch: the number of each instance, and how far it is from firing. Beside the messages' way, in short slices.

What is pending, fires or recovers is looked at each second, all else each five; at most 2,000 instances in all. Which those
are is found out bit by bit, for rules times entities may be a million: what turns out to be nearer takes the place of the
farthest.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from time import perf_counter, thread_time
from typing import NamedTuple

import trio

from tocsin.app.components import Components
from tocsin.app.trail import LASTS, Trail
from tocsin.app.watching import Away, Shown, shown_of
from tocsin.control.snapshot import Point, Watched
from tocsin.engine.api import FAR
from tocsin.engine.looks import Look, Watching, of_entity
from tocsin.events import Instant, Key
from tocsin.loop_budget import LoopBudget, budget_behind_alerting

Of = tuple[str, str]
"""Rule and instance."""
MOST = 2000  # instances
MOST_CLOSEST = 100
_EVERY = 5.0  # seconds between two looks at what neither fires nor is about to
_SLICE = 0.001  # seconds of work, after which others have their turns
# Turns that others have between two slices of what can't wait, so that messages don't queue up behind it.
_TURNS = 5
_BURST = 0.02  # seconds of work that can wait, after which it is paced
AT_ONCE = 200  # entities that are put in order in one go
_LOOKING_ABOUT, _FIRST_LOOKING_ABOUT = (
    0.02,
    0.2,
)  # seconds of work a round; the latter until all was seen once


class Ranking(NamedTuple):
    """Of what doesn't fire, what is nearest to it, and of each entity what of it is; of how many that are watched."""

    closest: Sequence[Watched] = ()
    nearest: Mapping[Key, Watched] = {}
    watched: int = 0


class _Seen:
    """One instance, and what was seen of it when it was last looked at."""

    __slots__ = ("at", "shown", "trail")

    def __init__(self, at: Watching) -> None:
        self.at, self.trail = at, Trail()
        self.shown: Shown | None = None

    @property
    def look(self) -> Look | None:
        return self.shown.look if self.shown is not None else None

    @property
    def far(self) -> float:
        far = self.shown.watched.far if self.shown is not None else None
        return FAR if far is None else far


class Pauses:
    """Lets others have their turns whenever a slice of work is done. `worked`: how much that was so far, in seconds of this thread's.

    Work with a `budget` waits until there is time for more of it.
    """

    def __init__(self, budget: LoopBudget | None = None) -> None:
        self._budget = budget
        self._began, self._work_began = perf_counter(), thread_time()
        self.worked = 0.0

    async def rest(self) -> bool:
        """True where others had their turns."""
        if perf_counter() - self._began < _SLICE:
            return False
        worked = thread_time() - self._work_began
        self.worked += worked
        if self._budget is not None:
            self._budget.spent(worked)
            await self._budget.others_turn()
        else:
            for _ in range(_TURNS):
                await trio.lowlevel.checkpoint()
        self._began, self._work_began = perf_counter(), thread_time()
        return True


class Trails:
    """`ranking` is of the last round."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._clock = components.clock
        self._budget = budget_behind_alerting(_BURST)
        self._seen: dict[Of, _Seen] = {}
        self._looked_at = float("-inf")  # steady: when the last round began
        self._pairs: Iterator[Watching | None] = self._walk()
        self._all_seen = False  # whether all that there is was looked at once
        self._farthest = FAR  # of what is watched, where no more can be
        self.ranking = Ranking()

    def pauses(self) -> Pauses:
        """For some work of sampling that can wait, which is all paced together."""
        return Pauses(self._budget)

    def look(self, of: Of) -> Look | None:
        """What was seen of it last."""
        seen = self._seen.get(of)
        return seen.look if seen is not None else None

    def as_now(self, watched: Watched, now: Instant, away: Away) -> Watched | None:
        """What was so when it was looked at last and doesn't fire, as it is now where its entity is another since; None: it is there no more.
        What time alone changes, and groups, stay as they were seen. Costs some microseconds.
        """
        of = (watched.rule, watched.instance)
        seen = self._seen.get(of)
        if seen is None or seen.shown is None or seen.at.rule is not self._components.engine.rule(of[0]):
            return watched
        if not seen.at.rule.is_group and not self._reads_the_same(seen):
            looks = self._components.engine.looks
            if (look := looks.look(seen.at, now)) is None:
                return None
            seen.shown = shown_of(seen.at, looks.standing(*of, now), look, now, away, seen.shown)
        return seen.shown.watched

    def shown(self, of: Of) -> tuple[Point, ...]:
        """Its line in a list."""
        seen = self._seen.get(of)
        return seen.trail.shown if seen is not None else ()

    def points(self, of: Of) -> Sequence[Point]:
        """All points of it that there are: to be looked at, and not kept."""
        seen = self._seen.get(of)
        return seen.trail.points if seen is not None else ()

    def restore(self, of: Of, points: Sequence[Point]) -> None:
        """It fires since the last run, which kept these points of it."""
        now = self._clock.now()
        standing = self._components.engine.looks.standing(*of, now)
        if standing is not None:
            seen = self._seen.setdefault(
                of, _Seen(Watching(standing.rule, standing.instance, standing.entity))
            )
            seen.trail = Trail([point for point in points if point.at > now.wall - LASTS])

    async def sample(self, who_is_away: Callable[[], Away]) -> None:
        """One look at all that is due: each second. What isn't about to fire is looked at when there is time."""
        pauses, now, away = Pauses(), self._clock.now(), who_is_away()
        active = self._active(now)
        for of in active:
            self._sample(of, away)
            if await pauses.rest():
                away = who_is_away()
        if now.steady - self._looked_at >= _EVERY:
            self._looked_at, pauses = now.steady, self.pauses()
            for of in [of for of in self._seen if of not in active]:
                self._sample(of, away)
                if await pauses.rest():
                    away = who_is_away()
            await self._look_about(who_is_away)
            await self._rank(active, pauses)

    # --------------------------------------------------------------------------------------------------------- parts

    def _active(self, now: Instant) -> dict[Of, None]:
        """What is pending, fires or recovers."""
        found: dict[Of, None] = {}
        for of in self._components.turn.alert_states.active():
            if of not in self._seen:
                standing = self._components.engine.looks.standing(*of, now)
                if standing is None or not standing.rule.is_level:
                    continue
                self._seen[of] = _Seen(Watching(standing.rule, standing.instance, standing.entity))
            found[of] = None
        return found

    def _sample(self, of: Of, away: Away) -> None:
        """Look at it once; what is no longer there is let go."""
        seen, now, engine = self._seen[of], self._clock.now(), self._components.engine
        rule = engine.rule(of[0])
        if rule is None or not rule.is_level or rule.is_group is not seen.at.rule.is_group:
            del self._seen[of]
            return
        if rule is not seen.at.rule:
            if rule.value_of != seen.at.rule.value_of:
                seen.trail = Trail()
            seen.at = seen.at._replace(rule=rule)
        standing = engine.looks.standing(*of, now)
        state = standing.state if standing is not None else "inactive"
        look = seen.look if self._is_as_seen(seen) else engine.looks.look(seen.at, now)
        if look is None and state == "inactive":
            del self._seen[of]
            return
        seen.shown = shown_of(seen.at, standing, look, now, away, seen.shown)
        watched = seen.shown.watched
        if look is not None and look.value is not None and not watched.stale and not watched.unconfirmed:
            since = standing.since if standing is not None and state == "pending" else None
            seen.trail.add(Point(now.wall, look.value), (since or now.wall) - LASTS)
            if state != "inactive":
                _ = seen.trail.shown  # made here, and not when somebody looks

    def _is_as_seen(self, seen: _Seen) -> bool:
        """Whether nothing of what its rule reads is another than when it was last looked at."""
        rule = seen.at.rule
        if rule.is_group or rule.active is not None:
            return False
        return self._reads_the_same(seen) and not any(
            each.timed or each.remembers for each in rule.conditions
        )

    def _reads_the_same(self, seen: _Seen) -> bool:
        """Whether its entity, and what that is linked with, are as they were then."""
        rule, look, entities = seen.at.rule, seen.look, self._components.entities
        if look is None:
            return False
        linked = [there for link in rule.links if (there := look.change.linked.get(link)) is not None]
        change = entities.find(look.change.key)
        return (
            change is not None
            and change.state is look.change.state
            and change.unconfirmed == look.change.unconfirmed_since
            and len(linked) == len(rule.links)
            and all(
                (found := entities.find(there.key)) is not None and found.state is there.state
                for there in linked
            )
        )

    async def _look_about(self, who_is_away: Callable[[], Away]) -> None:
        """Look at some of what isn't watched yet."""
        away = who_is_away()
        pauses, looks = self.pauses(), self._components.engine.looks
        most = _LOOKING_ABOUT if self._all_seen else _FIRST_LOOKING_ABOUT
        while pauses.worked < most:
            try:
                at = next(self._pairs)
            except StopIteration:  # all of them: the next round begins anew
                self._pairs, self._all_seen = self._walk(), True
                return
            if at is not None and (of := (at.rule.id, at.instance)) not in self._seen:
                runs = self._components.engine.rule(at.rule.id) is at.rule
                look = looks.look(at, self._clock.now()) if runs else None
                is_number = look is not None and (look.value is not None or look.gap.by is not None)
                if (
                    look is not None
                    and is_number
                    and (len(self._seen) < MOST or look.gap.to_go < self._farthest)
                ):
                    self._seen[of] = _Seen(at)
                    self._sample(of, away)
            if await pauses.rest():
                away = who_is_away()

    def _walk(self) -> Iterator[Watching | None]:
        """All that rules are about; None now and then, where a little work is done."""
        entities, engine = self._components.entities, self._components.engine
        for rule in [rule for rule in engine.rules if rule.is_level]:
            if engine.rule(rule.id) is not rule:  # there are others since
                continue
            if rule.is_group:
                yield from engine.looks.groups(rule, self._clock.now())
                continue
            where = rule.where if rule.where is not None and not rule.where.remembers else None
            for kind in sorted(rule.kinds):
                while entities.in_order.catch_up(kind, AT_ONCE):
                    yield None
                for change in entities.in_order.of(kind):
                    about = where is None or where.holds(change, change.received) is not False
                    yield of_entity(rule, change) if about else None

    async def _rank(self, active: Collection[Of], pauses: Pauses) -> None:
        """Who is nearest; and who is farthest of too many is watched no more."""
        idle: list[tuple[float, Of]] = []
        for of, seen in [*self._seen.items()]:
            if of not in active:
                idle.append((seen.far, of))
            await pauses.rest()
        idle.sort(key=itemgetter(0))
        most = max(MOST - len(active), 0)
        for _, of in idle[most:]:
            del self._seen[of]
        self._farthest = idle[most - 1][0] if 0 < most <= len(idle) else FAR
        await pauses.rest()
        closest: list[Watched] = []
        nearest: dict[Key, Watched] = {}
        for far, of in idle[:most]:
            shown = self._seen[of].shown
            if shown is None or far >= FAR:
                break
            nearest.setdefault(shown.watched.key, shown.watched)
            if len(closest) < MOST_CLOSEST and not shown.stale and not shown.watched.unconfirmed:
                closest.append(shown.watched)
            await pauses.rest()
        self.ranking = Ranking(closest, nearest, len(self._seen))
