"""Rules with `then` or `unless` at work: what begins a sequence, what completes it, and what becomes of it in time."""

from collections.abc import Callable, Collection, Generator, Iterator
from functools import partial

from tocsin.engine import sequences
from tocsin.engine.awaiting import Awaiting, First, Heard
from tocsin.engine.lives import Lives
from tocsin.engine.model import Transition
from tocsin.engine.occasions import Occasions
from tocsin.engine.rule import Rule, Sequel
from tocsin.engine.sight import Sight
from tocsin.engine.states import Step
from tocsin.engine.transitions import transition
from tocsin.events import Change, Instant


class Following:
    """`held(rule, venue)`: whether time stands still for it because the venue is away."""

    def __init__(
        self, lives: Lives, sight: Sight, occasions: Occasions, held: Callable[[Rule, str], bool]
    ) -> None:
        self._lives = lives
        self._sight = sight
        self._occasions = occasions
        self._held = held

    def happened(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """An event that may be a first one, a second one, or both. What completes a sequence begins no other one."""
        sequel = rule.sequel
        if sequel is None:
            return
        second = sequences.is_second(sequel, change)
        completed = False
        if second:
            completed = yield from self._second(rule, sequel, change, now)
        if not completed and sequences.is_first(rule, change):
            yield from self._first(rule, sequel, change, now)
        if second and not sequel.awaited:
            yield from self._remembered(rule, sequel, change, now)

    def passed(self, life: Awaiting, now: Instant) -> Iterator[Transition]:
        """The time of something in it is over: what was awaited is not told any more, what had not to come is."""
        sequel = life.rule.sequel
        over = life.take_over(now)
        yield self._kept(life, "its time is over", now)
        if over is not None and sequel is not None and not sequel.awaited:
            context = partial(sequences.over, life.rule, sequel, over, now)
            yield from self._occasions.raised(life.rule, over.change, context, now)

    def venues_removed(self, life: Awaiting, venues: Collection[str], now: Instant) -> Iterator[Transition]:
        """What is of these venues ends; what is of others goes on."""
        if life.is_of(venues):
            life.leave(venues)
            yield self._kept(life, "venue removed", now)

    def _second(
        self, rule: Rule, sequel: Sequel, change: Change, now: Instant
    ) -> Generator[Transition, None, bool]:
        """Returns whether it completed what was awaited."""
        key = sequences.second_key(rule, sequel, change)
        completed = False
        for life in self._lives.pages(rule.id, key) if key is not None else ():
            if life.is_due(now):
                yield from self.passed(life, now)
            first = life.first
            if first is None or not life.reaches(first, change.venue, now):
                continue
            counts, missing = sequences.belongs(rule, sequel, change, first.change, now)
            if not counts:
                continue
            life.first = None
            yield self._kept(life, f"the second came: {', '.join(change.events)}", now)
            if sequel.awaited:
                completed = True
                context = partial(sequences.completed, rule, first, change, now, missing=missing)
                yield from self._occasions.raised(rule, first.change, context, now)
        return completed

    def _first(self, rule: Rule, sequel: Sequel, change: Change, now: Instant) -> Iterator[Transition]:
        change, truth, missing = self._occasions.verdict(rule, change, now)
        if rule.if_unknown == "ignore":
            self._sight.note(rule, truth, now.steady, missing)
        if truth is False or (truth is None and rule.if_unknown == "ignore"):
            return
        first = First(
            change=change,
            at=now,
            stands=self._stands(rule, change, now),
            within=sequel.within,
            condition=" and ".join(sequences.first_told(rule, change, now)),
            missing=missing,
        )
        if sequences.is_both(rule, sequel, change):
            counts, unknown = sequences.belongs(rule, sequel, change, change, now)
            if counts and sequel.awaited:
                context = partial(sequences.completed, rule, first, change, now, missing=unknown)
                yield from self._occasions.raised(rule, change, context, now)
            if counts:
                return
        life = self._life(rule, sequences.first_key(rule, sequel, change), change)
        if life.is_due(now):
            yield from self.passed(life, now)
        if any(
            life.reaches(one, change.venue, now)
            and sequences.belongs(rule, sequel, one.change, change, now)[0]
            for one in life.before
        ):
            return
        yield self._waits(life, first, now)

    def _waits(self, life: Awaiting, first: First, now: Instant) -> Transition:
        """The latest counts where a second is awaited; else each waits in a life of its own."""
        rule, sequel = life.rule, life.rule.sequel
        if life.first is not None and sequel is not None and not sequel.awaited:
            life = Awaiting(rule, self._lives.new_page(life.key), first.change.key, sequences.sign(rule))
        life.first, life.entity = first, first.change.key
        return self._kept(life, "the first came", now)

    def _remembered(self, rule: Rule, sequel: Sequel, change: Change, now: Instant) -> Iterator[Transition]:
        key = sequences.second_key(rule, sequel, change)
        if key is None:
            return
        life = self._life(rule, key, change)
        life.remember(Heard(change=change, at=now, stands=self._stands(rule, change, now)))
        yield self._kept(life, "the second came first", now)

    def _life(self, rule: Rule, key: str, change: Change) -> Awaiting:
        """The sequence's first life, as it is or to be begun."""
        life = self._lives.get(rule.id, key)
        return life if isinstance(life, Awaiting) else Awaiting(rule, key, change.key, sequences.sign(rule))

    def _stands(self, rule: Rule, change: Change, now: Instant) -> Instant | None:
        """What a venue tells while it is away stands still from the first."""
        return now if self._held(rule, change.venue) else None

    def _kept(self, life: Awaiting, why: str, now: Instant) -> Transition:
        keep = bool(life)
        (self._lives.keep if keep else self._lives.forget)(life)
        return transition(life, Step(trace=why), now, keep=keep)
