"""Rules with `then` or `unless` at work: what begins a sequence, what completes it, and what becomes of it in time."""

from collections.abc import Callable, Generator, Iterator

from tocsin.engine import sequences
from tocsin.engine.awaiting import Awaiting, First
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
        if sequel is None or sequel.awaited:
            return
        for first in over:
            context = sequences.over(life.rule, sequel, first, now)
            yield from self._occasions.raised(life.rule, first.change, context, now)

    def _second(
        self, rule: Rule, sequel: Sequel, change: Change, now: Instant
    ) -> Generator[Transition, None, bool]:
        """Returns whether it completed what was awaited."""
        key = sequences.second_key(rule, sequel, change)
        completed = False
        for life in self._lives.pages(rule.id, key) if key is not None else ():
            if (due := life.due()) is not None and due <= now.steady:
                yield from self.passed(life, now)
            judged = [(one, *sequences.belongs(rule, sequel, change, one.change, now)) for one in life.firsts]
            if not any(counts for _, counts, _ in judged):
                continue
            life.firsts = tuple(first for first, counts, _ in judged if not counts)
            yield self._kept(life, f"the second came: {', '.join(change.events)}", now)
            for first, counts, missing in judged:
                if counts and sequel.awaited:
                    completed = True
                    context = sequences.completed(rule, first, change, now, missing=missing)
                    yield from self._occasions.raised(rule, first.change, context, now)
        return completed

    def _first(self, rule: Rule, sequel: Sequel, change: Change, now: Instant) -> Iterator[Transition]:
        change, truth, missing = self._occasions.verdict(rule, change, now)
        if rule.if_unknown == "ignore":
            self._sight.note(rule, truth, now.steady, missing)
        if truth is False or (truth is None and rule.if_unknown == "ignore"):
            return
        told = " and ".join(sequences.first_told(rule, change, now))
        first = First(change, now.later(sequel.within), told, missing)
        if sequences.is_both(rule, sequel, change):
            counts, unknown = sequences.belongs(rule, sequel, change, change, now)
            if counts and sequel.awaited:
                context = sequences.completed(rule, first, change, now, missing=unknown)
                yield from self._occasions.raised(rule, change, context, now)
            if counts:
                return
        key = sequences.first_key(rule, sequel, change)
        life = self._lives.get(rule.id, key)
        if not isinstance(life, Awaiting):
            life = Awaiting(rule, key, change.key, sequences.sign(rule))
        elif (due := life.due()) is not None and due <= now.steady:
            yield from self.passed(life, now)
        if any(sequences.belongs(rule, sequel, one.change, change, now)[0] for one in life.before):
            return
        yield self._waits(life, first, now)

    def _waits(self, life: Awaiting, first: First, now: Instant) -> Transition:
        """The latest counts where a second is awaited; else each waits in a life of its own."""
        rule, sequel = life.rule, life.rule.sequel
        if life.firsts and sequel is not None and not sequel.awaited:
            life = Awaiting(rule, self._lives.new_page(life.key), first.change.key, sequences.sign(rule))
        life.firsts = (first,)
        if self._held(rule, first.change.venue):
            life.freeze(now)
        return self._kept(life, "the first came", now)

    def _remembered(self, rule: Rule, sequel: Sequel, change: Change, now: Instant) -> Iterator[Transition]:
        key = sequences.second_key(rule, sequel, change)
        if key is None:
            return
        life = self._lives.get(rule.id, key)
        if not isinstance(life, Awaiting):
            life = Awaiting(rule, key, change.key, sequences.sign(rule))
        life.remember(change, now)
        if self._held(rule, change.venue):
            life.freeze(now)
        yield self._kept(life, "the second came first", now)

    def _kept(self, life: Awaiting, why: str, now: Instant) -> Transition:
        keep = bool(life.firsts or life.before)
        (self._lives.keep if keep else self._lives.forget)(life)
        return transition(life, Step(trace=why), now, keep=keep)
