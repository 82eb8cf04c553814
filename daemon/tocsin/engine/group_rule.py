"""State rules with `per` at work: an instance for each group, judged when any of its entities has changed, ended or appeared.

What comes about together is judged once, as it has become: between two of its changes a group is what it never was.
"""

import json
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import structs

from tocsin.engine.aggregates import Fields, Group
from tocsin.engine.enriched_change import EnrichedChange, inform
from tocsin.engine.groups import Groups, Table, label
from tocsin.engine.instances import RuleInstance
from tocsin.engine.model import Taken, Transition, World
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.rule_set import is_timed
from tocsin.engine.state_rule import verdict
from tocsin.engine.venue_links import VenueLinks
from tocsin.events import KINDS, Change, Entity, Instant, Key

Judge = Callable[[Rule, str, Change, Instant], Sequence[Transition]]


class _Touched(NamedTuple):
    """A group to be judged, and the changes that moved it."""

    group: Group
    by: list[Taken]


class GroupRuleRuntime:
    """`judge` judges an instance by its key and the change that stands for its group; `counts`: whether the rule's
    hours have begun.
    """

    def __init__(
        self,
        world: World,
        judge: Judge,
        counts: Callable[[Rule], bool],
        links: VenueLinks,
    ) -> None:
        self._world = world
        self._groups = Groups(world)
        self._judge = judge
        self._counts = counts
        self._links = links
        self._rules: tuple[Rule, ...] = ()
        self._kinds: frozenset[str] = frozenset()
        self._asking: dict[Table, list[Rule]] = {}
        self._reading_account: dict[str, list[Table]] = {}
        self._touched: dict[Table, dict[Fields, _Touched]] = {}

    def set_rules(self, rules: Iterable[Rule], reading_account: Container[str]) -> None:
        """These rules run from now on. Groups that are asked for as before stay as they are."""
        self._rules = tuple(rule for rule in rules if rule.is_group)
        self._groups.set_rules(self._rules)
        self._asking = {}
        reading: dict[str, dict[Table, None]] = {}
        for rule in self._rules:
            table = self._groups.table(rule)
            self._asking.setdefault(table, []).append(rule)
            if rule.id in reading_account:
                reading.setdefault(table.layout.kind, {})[table] = None
        self._kinds = frozenset(table.layout.kind for table in self._asking)
        self._reading_account = {kind: list(tables) for kind, tables in reading.items()}

    def build(self, now: Instant) -> None:
        """Everybody is put where they belong, before anything changes."""
        self._groups.build(now.wall)

    # --------------------------------------------------------------------------------------------------- what happens

    def changed(self, change: Change, taken: Taken, now: Instant) -> None:
        """An entity has changed, ended or appeared: its groups are to be judged, when all that comes with it is there."""
        if change.key[1] in self._kinds:
            self._note(self._groups.put(change, now.wall), taken)

    def moved(self, changes: Iterable[Change], taken: Taken, now: Instant) -> None:
        """Of these entities the account has changed, nothing having happened to themselves."""
        if self._reading_account:
            for change in changes:
                tables = self._reading_account.get(change.key[1], ())
                self._note(self._groups.put(change, now.wall, tables), taken)

    def settle(self, now: Instant) -> None:
        """All that came together has come: what it touched is judged as it now stands, and told with the last change
        that moved it.
        """
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for table, groups in touched.items():
            for rule in self._asking[table]:
                for group, by in groups.values():
                    found = self._seen(rule, group, now)
                    by[-1].transitions += found
                    if any(transition.tell for transition in found):
                        for taken in by:
                            taken.tells = True
            for group, _ in groups.values():
                group.judged()

    def _note(self, touched: Mapping[Table, Collection[Group]], taken: Taken) -> None:
        for table, groups in touched.items():
            noted = self._touched.setdefault(table, {})
            for group in groups:
                by = noted[group.fields].by if group.fields in noted else []
                if not by or by[-1] is not taken:
                    by.append(taken)
                noted[group.fields] = _Touched(group, by)  # one that was left by all may have begun anew

    def gone(self, keys: Iterable[Key], now: Instant) -> Iterator[Transition]:
        """These entities are forgotten, without having ended. What is left is judged when all of them have left."""
        for table, groups in self._groups.drop(keys).items():
            for rule in self._asking[table]:
                for group in groups:
                    yield from self._seen(rule, group, now)

    def venues_removed(self, venues: Container[str], now: Instant) -> Iterator[Transition]:
        """Nobody will tell what becomes of their entities: they take no part any more."""
        keys = [change.key for kind in self._kinds for change in self._world.live(kind)]
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

    def _seen(self, rule: Rule, group: Group, now: Instant) -> Sequence[Transition]:
        if not self._counts(rule):
            return ()
        return self._judge(rule, group_key(group), as_seen_by(rule, group, now.wall), now)

    # --------------------------------------------------------------------------------------------------- what is asked

    def standing(self, life: RuleInstance, now: Instant) -> Change:
        """The group that an instance is of, as it stands, be it that its rule has just gone or become another; without
        members where that rule isn't known any more.
        """
        if self.fits(life):
            group = self._groups.find(life.rule, life.key, life.entity.id, now.wall)
        elif life.rule.is_group and groups_by(life.key) == frozenset(life.rule.per or ()):
            aside = Groups(self._world)
            aside.set_rules((life.rule,))
            group = aside.find(life.rule, life.key, life.entity.id, now.wall)
        else:
            group = self._groups.vanished(life.entity.kind, life.key, life.entity.id)
        return as_change(life.rule, group, now.wall)

    def fits(self, life: RuleInstance) -> bool:
        """Whether the life is of a group as its rule, which runs, makes them."""
        per = life.rule.per or ()
        return life.rule in self._rules and groups_by(life.key) == frozenset(per)

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        """Each of the rule's groups, with what the rule comes to for it."""
        seen = (as_seen_by(rule, group, now.wall) for group in self._groups.of(rule, now.wall))
        return [(change, verdict(rule, change, now)) for change in seen]


def group_key(group: Group) -> str:
    """The text by which a group's instance of a rule is known."""
    return json.dumps(group.known_by)


def is_group_key(key: str) -> bool:
    """Whether an instance is of a group, by its key; else it is of an entity."""
    return key.startswith("{")


def groups_by(key: str) -> frozenset[str]:
    """The fields by which the group of that key is one."""
    return frozenset(json.loads(key))


def as_seen_by(rule: Rule, group: Group, now: datetime) -> EnrichedChange:
    """The group as the rule judges it. Where nobody takes part any more and so nothing can be known, it has ended."""
    change = as_change(rule, group, now)
    if not group.taking_part and not change.ended:
        asked = (condition for condition in (rule.when, rule.until) if condition is not None)
        if any(condition.holds(change, now) is None for condition in asked):
            return structs.replace(change, ended=True)
    return change


def as_change(rule: Rule, group: Group, now: datetime) -> EnrichedChange:
    """The group as conditions and messages see it: what its entities have in common, as if it were one of them."""
    kind, per = group.kind, group.per
    state = _state(kind, per, group.currency(rule.put_together))
    key = Key(per.get("venue") or "", kind, per.get("account") or "", label(per))
    latest = group.latest
    change = Change(
        key=key,
        events=(),
        state=state,
        previous=state,
        origin=latest.origin if latest is not None else "synthetic",
        time=latest.time if latest is not None else now,
        received=latest.received if latest is not None else now,
        known_since=latest.known_since if latest is not None else now,
        ended=not group.live,
        symbol=per.get("symbol"),
    )
    return inform(change, group=group)


def _state(kind: str, per: Mapping[str, str | None], currency: str | None) -> Entity:
    state = KINDS[kind]()
    values = {"id": per.get("id"), "symbol": per.get("symbol"), "currency": currency}
    known = {name: value for name, value in values.items() if value is not None and hasattr(state, name)}
    return structs.replace(state, **known)
