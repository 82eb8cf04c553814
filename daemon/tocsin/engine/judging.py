"""State rules on entities at work: an entity is judged when it changes, or as it stands, nothing having happened to it."""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter

from tocsin.engine import states
from tocsin.engine.context import value_of
from tocsin.engine.hours import Hours
from tocsin.engine.identity import instance_key
from tocsin.engine.instance import Instance
from tocsin.engine.links import Links
from tocsin.engine.lives import Lives, due
from tocsin.engine.model import Transition, World
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.rulebook import Rulebook
from tocsin.engine.sight import Sight
from tocsin.engine.states import Step
from tocsin.engine.transitions import before, standing, transition
from tocsin.engine.turns import Turns
from tocsin.events import Change, Instant, Key

_NOTHING: tuple[Transition, ...] = ()


class Judging:
    """`rules` are those that run; `new_id` gives the ids of alerts."""

    def __init__(
        self,
        world: World,
        lives: Lives,
        sight: Sight,
        new_id: Callable[[], str],
        *,
        links: Links,
        hours: Hours,
    ) -> None:
        self._world = world
        self._lives = lives
        self._sight = sight
        self._hours = hours
        self._links = links
        self._new_id = new_id
        self.rules = Rulebook()
        self.turns = Turns()
        self._only_seen: frozenset[str] = frozenset()

    @contextmanager
    def only_seeing(self, rules: Iterable[str]) -> Iterator[None]:
        """Meanwhile these rules are judged only to note whether they see, and which values: nothing starts or ends."""
        self._only_seen = frozenset(rules)
        try:
            yield
        finally:
            self._only_seen = frozenset()

    def restless(self, key: Key) -> Collection[str]:
        """The rules to which a change of that entity is news even if it makes their conditions false."""
        living, unseeing = self._lives.rules_of(key), self._sight.unseeing
        return {*living, *unseeing} if unseeing else living

    def judge(self, rule: Rule, key: str, change: Change, now: Instant) -> Sequence[Transition]:
        """One instance, by its key, after a change of its entity, or of the group that the change stands for."""
        life = self._lives.get(rule.id, key)
        if rule.id in self._only_seen:
            self._note(rule, states.verdict(rule, change, now), change, now)
            if isinstance(life, Instance) and life.state != "inactive":
                life.see_value(value_of(rule, change))
            return _NOTHING
        out: list[Transition] = []
        if isinstance(life, Instance) and (at := due(life)) is not None and at <= now.steady:
            # Due before this change came: what the entity was then decides.
            out += self.passed(life, before(change), now)
            life = self._lives.get(rule.id, key)
        truth = states.verdict(rule, change, now)
        self._note(rule, truth, change, now)
        if rule.id in self.rules.timed and not rule.is_group:
            self.turns.note(rule, key, change, now)
        if life is None and truth is not True:
            return out
        instance = life if isinstance(life, Instance) else Instance(rule, key, change.key)
        step = states.judge(instance, change, now, truth, self._new_id)
        if step is not None:
            if self._links.hold(rule, change.venue):
                instance.freeze(now)
            out.append(self._moved(instance, step, now))
        return out or _NOTHING

    def passed(self, instance: Instance, change: Change | None, now: Instant) -> Iterator[Transition]:
        """The instance's time has come. `change` is what it is of, as it stands."""
        if change is None:
            # Its entity couldn't be read at the start. Nothing can be said until the venue speaks of it.
            instance.freeze(now)
            instance.remind_at = None
            self._lives.keep(instance)
        elif moved := states.passed(instance, change, now):
            yield self._moved(instance, moved, now)
        else:
            self._lives.keep(instance)

    def all_standing(self, rules: Collection[Rule], now: Instant) -> Iterator[Transition]:
        """Everything that lives of what these rules watch, as it stands."""
        yield from self.standing(self.live(rules), now, {rule.id for rule in rules})

    def standing(
        self, changes: Iterable[Change], now: Instant, rules: Container[str]
    ) -> Iterator[Transition]:
        """These entities as they stand, by these rules, one rule after the other.

        While a venue is away no time passes for its entities, and `on_gap: resolve` takes up nothing.
        """
        index, order, timed = self.rules.index, self.rules.order, self.rules.timed
        of_events = self.rules.of_events
        concerned: list[tuple[int, Rule, Change]] = []
        for change in changes:
            held = self._links.stops(change)
            concerned += [
                (order[rule.id], rule, change)
                for rule in index.candidates(change, self.restless(change.key))
                if rule.is_level
                and rule.id in rules
                and rule.id not in of_events
                and not (held and (rule.id in timed or self._links.resolves(rule, change.venue)))
                and self._hours.counts(rule)
            ]
        concerned.sort(key=itemgetter(0))
        for _, rule, change in concerned:
            yield from self.judge(rule, instance_key(change.key), change, now)

    def live(self, rules: Iterable[Rule]) -> Iterator[Change]:
        """Everything that lives of the kinds that these state rules watch, as it stands."""
        for kind in dict.fromkeys(kind for rule in rules if rule.is_level for kind in rule.kinds):
            yield from map(standing, self._world.live(kind))

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        """Each entity that the rule concerns, with what the rule comes to for it."""
        return [
            (change, truth)
            for kind in rule.kinds
            for change in map(standing, self._world.live(kind))
            if (truth := states.verdict(rule, change, now)) is not False or states.concerns(rule, change, now)
        ]

    def _note(self, rule: Rule, truth: Truth, change: Change, now: Instant) -> None:
        """Whether the rule sees something of what concerns it."""
        if truth is not False or states.concerns(rule, change, now):
            self._sight.note(rule, truth, now.steady)

    def _moved(self, instance: Instance, step: Step, now: Instant) -> Transition:
        keep = instance.state != "inactive" or instance.over
        (self._lives.keep if keep else self._lives.forget)(instance)
        return transition(instance, step, now, keep=keep)
