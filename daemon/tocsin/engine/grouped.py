"""State rules with `per` at work: an instance for each group, judged when any of its entities changes, ends or appears."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from tocsin.engine.group import Group
from tocsin.engine.group_change import as_change, as_seen_by, group_key, groups_by
from tocsin.engine.groups import Groups
from tocsin.engine.links import Links
from tocsin.engine.lives import Life
from tocsin.engine.model import Transition, World
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.rulebook import is_timed
from tocsin.engine.states import verdict
from tocsin.events import Change, Instant, Key

Judge = Callable[[Rule, str, Change, Instant], Sequence[Transition]]


class Grouped:
    """`judge` judges an instance by its key and the change that stands for its group; `counts`: whether the rule's
    hours have begun.
    """

    def __init__(
        self,
        world: World,
        judge: Judge,
        counts: Callable[[Rule], bool],
        links: Links,
    ) -> None:
        self._world = world
        self._groups = Groups(world)
        self._judge = judge
        self._counts = counts
        self._links = links
        self._rules: tuple[Rule, ...] = ()
        self._by_kind: dict[str, list[Rule]] = {}

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. Groups that are asked for as before stay as they are."""
        self._rules = tuple(rule for rule in rules if rule.is_group)
        self._by_kind = {}
        for rule in self._rules:
            for kind in rule.kinds:
                self._by_kind.setdefault(kind, []).append(rule)
        self._groups.set_rules(self._rules)

    # --------------------------------------------------------------------------------------------------- what happens

    def changed(self, change: Change, now: Instant) -> Iterator[Transition]:
        """An entity has changed, ended or appeared."""
        if change.key.kind in self._by_kind:
            yield from self._touched(self._groups.put(change, now.wall), change.key.kind, now)

    def gone(self, keys: Iterable[Key], now: Instant) -> Iterator[Transition]:
        """These entities are forgotten, without having ended. What is left is judged when all of them have left."""
        touched = self._groups.drop(keys)
        for kind in self._by_kind:
            yield from self._touched(touched, kind, now)

    def venues_removed(self, venues: Container[str], now: Instant) -> Iterator[Transition]:
        """Nobody will tell what becomes of their entities: they take no part any more."""
        keys = [change.key for kind in self._by_kind for change in self._world.live(kind)]
        yield from self.gone([key for key in keys if key.venue in venues], now)

    def judge_all(
        self, now: Instant, rules: Container[str], venue: str | None = None
    ) -> Iterator[Transition]:
        """Every group of these rules as it stands; with a venue, of that one."""
        for rule in self._rules:
            if rule.id not in rules:
                continue
            for group in self._groups.of(rule, now.wall):
                of = group.per.get("venue")
                if venue in (None, of) and not self._links.resolves(rule, of or ""):
                    yield from self._seen(rule, group, now)

    def look(self, now: Instant) -> Iterator[Transition]:
        """Time has passed: who takes part may be others now."""
        for rule in self._rules:
            if is_timed(rule):
                for group in self._groups.look(rule, now.wall):
                    if not self._links.hold(rule, group.per.get("venue") or ""):
                        yield from self._seen(rule, group, now)

    def moved(self, changes: Iterable[Change], now: Instant, rules: Container[str]) -> Iterator[Transition]:
        """These entities are judged anew by these rules, nothing having happened to themselves."""
        if not any(rule.id in rules for rule in self._rules):
            return
        for change in changes:
            yield from self._touched(self._groups.put(change, now.wall), change.key.kind, now, rules)

    def _touched(
        self,
        touched: Mapping[int, list[Group]],
        kind: str,
        now: Instant,
        rules: Container[str] | None = None,
    ) -> Iterator[Transition]:
        for rule in self._by_kind[kind] if touched else ():
            if rules is None or rule.id in rules:
                for group in self._groups.touched(rule, touched):
                    yield from self._seen(rule, group, now)

    def _seen(self, rule: Rule, group: Group, now: Instant) -> Sequence[Transition]:
        if not self._counts(rule):
            return ()
        return self._judge(rule, group_key(group), as_seen_by(rule, group, now.wall), now)

    # --------------------------------------------------------------------------------------------------- what is asked

    def standing(self, life: Life, now: Instant) -> Change:
        """The group that an instance is of, as it stands; without members where the rule doesn't group so any more."""
        if self.fits(life):
            group = self._groups.find(life.rule, life.key, now.wall)
        else:
            group = self._groups.vanished(life.entity.kind, life.key)
        return as_change(life.rule, group, now.wall)

    def fits(self, life: Life) -> bool:
        """Whether the life is of a group as its rule, which runs, makes them."""
        per = life.rule.per or ()
        return life.rule in self._rules and groups_by(life.key) == frozenset(per)

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        """Each of the rule's groups, with what the rule comes to for it."""
        seen = (as_seen_by(rule, group, now.wall) for group in self._groups.of(rule, now.wall))
        return [(change, verdict(rule, change, now)) for change in seen]
