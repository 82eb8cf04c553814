"""State rules with `per`: an instance for each group, judged when any of its entities has changed, ended or appeared.

What comes about together is judged once, as it has become: between two of its changes a group is what it never was.
"""

import json
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from msgspec import structs

from tocsin.calendars import Since
from tocsin.engine.aggregates import Fields, Group, Layout, Table, Value, label, spelled_as
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.api import ChangeOutcome, EnrichedChange, Transition, World, inform
from tocsin.engine.index import RuleSet
from tocsin.engine.instances import Step, transition
from tocsin.engine.rule import Rule, Truth
from tocsin.engine.runtime import GOES_ON, NOTHING, RuleBefore, Shared
from tocsin.engine.state_rule import AlertRuntime
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject, evaluate
from tocsin.events import KINDS, Change, Entity, Instant, Key
from tocsin.events.vocabulary import all_fields

_REEVALUATE = 1.0  # seconds between looks at groups whose truth changes as time passes
_SETTLED = 10.0  # seconds after a start, or after a venue is back: by then it has said what there is


class _Touched(NamedTuple):
    """A group to be judged, and the changes that moved it."""

    group: Group
    by: list[ChangeOutcome]


class GroupRuleRuntime(AlertRuntime):
    kinds = ("group",)

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.groups = Groups(shared.world)
        self._rules: tuple[Rule, ...] = ()
        self._kinds_grouped: frozenset[str] = frozenset()
        self._asking: dict[Table, list[Rule]] = {}
        self._reading: dict[tuple[str, str], list[Table]] = {}  # by link and kind
        self._touched: dict[Table, dict[Fields, _Touched]] = {}
        self._drifting = False  # whether there are rules whose truth changes at any time
        self._looked_at = float("-inf")  # steady: when the groups of those were last judged
        self._begins: frozenset[Since] = frozenset()  # the times at which groups are judged, whatever happens
        self._judged_at: datetime | None = None  # by the wall-clock: when they were, the last time
        self._begins_at: datetime | None = None  # and when they are to be next
        self._seen_at: Instant | None = None
        self._settled_at = float("-inf")  # steady: from then on what nobody has mentioned isn't there
        self._unsettled: set[str] = set()  # rules on all in one, of which nobody has mentioned any

    def set_rules(self, rules: RuleSet) -> None:
        """Groups that are asked for as before stay as they are."""
        self._rules = tuple(rule for rule in rules.running.values() if rule.is_group)
        asked = [condition for rule in self._rules for condition in rule.conditions]
        self._drifting = any(condition.drifts for condition in asked)
        self._begins = frozenset[Since]().union(*(condition.begins for condition in asked))
        if self._seen_at is not None:
            self._await_beginning(self._seen_at)
        self.groups.set_rules(self._rules)
        self._asking = {}
        reading: dict[tuple[str, str], dict[Table, None]] = {}
        for rule in self._rules:
            table = self.groups.table(rule)
            self._asking.setdefault(table, []).append(rule)
            for link, ids in rules.reading.items():
                if rule.id in ids:
                    reading.setdefault((link, table.layout.kind), {})[table] = None
        self._kinds_grouped = frozenset(table.layout.kind for table in self._asking)
        self._reading = {read: list(tables) for read, tables in reading.items()}

    def build(self, now: Instant) -> None:
        """Everybody is put where they belong, before anything changes."""
        self.groups.build(now.wall)

    # ------------------------------------------------------------------------------------------------- what happens

    def changed(self, change: Change, outcome: ChangeOutcome, now: Instant) -> None:
        """An entity has changed, ended or appeared: its groups are to be judged, when all that comes with it is there."""
        if change.key[1] in self._kinds_grouped:
            self._note_touched(self.groups.put(change, now.wall), outcome)

    def on_linked(self, link: str, changes: Sequence[Change], outcome: ChangeOutcome, now: Instant) -> None:
        for change in changes:
            if tables := self._reading.get((link, change.key[1])):
                self._note_touched(self.groups.put(change, now.wall, tables), outcome)

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
                    if any(transition.notification for transition in found):
                        for outcome in by:
                            outcome.notifies = True
            for group, _ in groups.values():
                group.judged()

    def on_time(self, now: Instant) -> Iterator[Transition]:
        """Who takes part may be others now; and what nobody has mentioned may be known not to be there."""
        if self._unsettled and now.steady >= self._settled_at:
            for rule in [rule for rule in self._rules if rule.id in self._unsettled]:
                if not self._links.away(rule, None):
                    self._unsettled.discard(rule.id)
                    for group in self.groups.of(rule, now.wall):
                        yield from self._seen(rule, group, now)
        for rule in self._due(now):
            for group in self.groups.look(rule, now.wall):
                if not self._links.is_paused(rule, group.per.get("venue") or ""):
                    yield from self._seen(rule, group, now)

    def _due(self, now: Instant) -> list[Rule]:
        """The rules of which all groups are to be judged now."""
        self._seen_at, at, before = now, self._begins_at, self._judged_at
        drift = self._drifting and now.steady - self._looked_at >= _REEVALUATE
        begin = at is not None and (at <= now.wall or (before is not None and now.wall < before))
        if not drift and not begin:
            return []
        if drift:
            self._looked_at = now.steady
        if begin:
            self._await_beginning(now)
        return [
            rule
            for rule in self._rules
            if any((drift and each.drifts) or (begin and each.begins) for each in rule.conditions)
        ]

    def _await_beginning(self, now: Instant) -> None:
        self._judged_at = now.wall
        self._begins_at = min((each.following(now.wall) for each in self._begins), default=None)

    def started(self, now: Instant) -> None:
        self._looked_at, self._seen_at, self._judged_at = now.steady, now, now.wall
        self.connected(now)

    def connected(self, now: Instant) -> None:
        """A venue is back, and is going to say what there is; what began while it was away is judged."""
        self._settled_at = now.steady + _SETTLED
        if self._begins:
            self._begins_at = now.wall + timedelta(seconds=_REEVALUATE)

    def deadline(self) -> float | None:
        times = [self._looked_at + _REEVALUATE] if self._drifting else []
        if self._begins_at is not None and self._seen_at is not None:
            times.append(self._seen_at.steady + (self._begins_at - self._seen_at.wall).total_seconds())
        waiting = [rule for rule in self._rules if rule.id in self._unsettled] if self._unsettled else []
        if any(not self._links.away(rule, None) for rule in waiting):
            times.append(self._settled_at)
        return min(times, default=None)

    def gone(self, keys: Iterable[Key], now: Instant) -> Iterator[Transition]:
        """These entities are forgotten, without having ended. What is left is judged when all of them have left."""
        for table, groups in self.groups.drop(keys).items():
            for rule in self._asking[table]:
                for group in groups:
                    yield from self._seen(rule, group, now)

    def members_gone(self, venues: Container[str], now: Instant) -> Iterator[Transition]:
        """Nobody will tell what becomes of their entities: they take no part any more."""
        keys = [change.key for kind in self._kinds_grouped for change in self._world.live(kind)]
        yield from self.gone([key for key in keys if key.venue in venues], now)

    # ---------------------------------------------------------------------------------------------- as things stand

    def reevaluate(
        self,
        rules: Collection[Rule],
        now: Instant,
        *,
        venue: str | None = None,
        only_noted: Collection[str] = (),
    ) -> Iterator[Transition]:
        asked = {rule.id for rule in rules}
        for rule in self._rules:
            if rule.id not in asked:
                continue
            for group in self.groups.of(rule, now.wall):
                of = group.per.get("venue")
                if venue in (None, of) and not self._links.resolves(rule, of or ""):
                    yield from self._seen(rule, group, now, only_note=rule.id in only_noted)

    def current(self, instance: AlertInstance, now: Instant) -> Change:
        """The group as it stands, be it that its rule has just gone or become another; without members where that rule isn't
        known any more.
        """
        rule = instance.rule
        if self._fits(instance):
            group = self.groups.find(rule, instance.key, instance.entity.id, now.wall)
        elif rule.is_group and _is_grouped_by(instance, rule):
            aside = Groups(self._world)
            aside.set_rules((rule,))
            group = aside.find(rule, instance.key, instance.entity.id, now.wall)
        else:
            group = self.groups.vanished(instance.entity.kind, instance.key, instance.entity.id)
        return as_change(rule, group, now.wall)

    def edited(
        self, instance: AlertInstance, rule: Rule, before: RuleBefore, now: Instant
    ) -> Iterator[Transition]:
        """What ends with the edit is told as the rule grouped it before."""
        was = self.current(instance, now)
        instance.adopt(rule, now)
        if self.goes_on(instance, before, now):
            self._instances.keep(instance)
            yield transition(instance, Step(trace=GOES_ON), now)
        else:
            fits = rule.is_group and self._fits(instance)
            yield from self.end(instance, now, "rule changed", None if fits else was)

    def goes_on(self, instance: AlertInstance, before: RuleBefore, now: Instant) -> bool:
        return instance.rule.is_group and self._fits(instance) and super().goes_on(instance, before, now)

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        groups = self.groups
        if rule not in self._rules:
            groups = Groups(self._world)
            groups.set_rules((rule,))
        found = [group for group in groups.of(rule, now.wall) if asked.names(*_names_of(group))]
        found.sort(
            key=lambda group: (self._urgency(rule, group_key(group)), [each or "" for each in group.fields])
        )
        return [Subject(None, None, partial(self._seen_now, rule, group, now)) for group in found]

    def _seen_now(self, rule: Rule, group: Group, now: Instant, _past: Past) -> InstanceTrace:
        trace = self._trace(rule, group_key(group), as_seen_by(rule, group, now.wall), now)
        return replace(trace, unconfirmed_since=group.unconfirmed_since())

    def verdicts(self, rule: Rule, now: Instant) -> list[tuple[Change, Truth]]:
        seen = (as_seen_by(rule, group, now.wall) for group in self.groups.of(rule, now.wall))
        return [(change, evaluate(rule, change, now)) for change in seen]

    # --------------------------------------------------------------------------------------------------------- parts

    def _note_touched(self, touched: Mapping[Table, Collection[Group]], outcome: ChangeOutcome) -> None:
        for table, groups in touched.items():
            noted = self._touched.setdefault(table, {})
            for group in groups:
                by = noted[group.fields].by if group.fields in noted else []
                if not by or by[-1] is not outcome:
                    by.append(outcome)
                noted[group.fields] = _Touched(group, by)  # one that was left by all may have begun anew

    def _seen(
        self, rule: Rule, group: Group, now: Instant, *, only_note: bool = False
    ) -> Sequence[Transition]:
        if not self._hours.counts(rule):
            return NOTHING
        if group.stays and not group.live and self._is_unsettled(rule, group, now):
            self._unsettled.add(rule.id)
            return NOTHING
        return self.judge(rule, group_key(group), as_seen_by(rule, group, now.wall), now, only_note=only_note)

    def _is_unsettled(self, rule: Rule, group: Group, now: Instant) -> bool:
        """Whether there may be some that nobody has mentioned yet, so that nothing can begin."""
        unknown = now.steady < self._settled_at or bool(self._links.away(rule, None))
        return unknown and self._alert(rule.id, group_key(group)) is None

    def _fits(self, instance: AlertInstance) -> bool:
        """Whether it is of a group as its rule, which runs, makes them."""
        return instance.rule in self._rules and _is_grouped_by(instance, instance.rule)


def _is_grouped_by(instance: AlertInstance, rule: Rule) -> bool:
    """Whether the group is one by the rule's fields."""
    return frozenset(json.loads(instance.key)) == frozenset(rule.per or ())


def _names_of(group: Group) -> Iterator[str | None]:
    """What a group is found by: what it is called, and its entities."""
    yield label(group.per)
    yield from group.per.values()
    yield from (key.id for key in group.live)


def group_key(group: Group) -> str:
    """The text by which a group's instance of a rule is known."""
    return json.dumps(group.known_by)


def group_stand_in(group: Group) -> Key:
    """What stands for it where an entity is asked for."""
    per = group.per
    return Key(per.get("venue") or "", group.kind, per.get("account") or "", label(per))


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
    state = common_state(kind, per, group.currency(rule.put_together))
    key = group_stand_in(group)
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
        ended=not group.live and not group.stays,
        symbol=per.get("symbol"),
    )
    return inform(change, group=group)


def common_state(kind: str, per: Mapping[str, str | None], currency: str | None) -> Entity:
    """What the entities of a group have in common, as the state of one of them."""
    state = KINDS[kind]()
    flags = {"true": True, "false": False}
    own = all_fields(kind)
    said = {
        name: flags.get(text or "") if own[name].type == "flag" else text
        for name, text in per.items()
        if name in own
    }
    values = {"currency": currency} | said
    known = {name: value for name, value in values.items() if value is not None and hasattr(state, name)}
    return structs.replace(state, **known)


# ----- the tables of all rules: those that group the same entities by the same fields with the same `where` share one


class Groups:
    """The tables of all rules with `per` on what is so."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of_rule: dict[str, Table] = {}
        self._by_kind: dict[str, list[Table]] = {}

    def build(self, now: datetime) -> None:
        """From the world as it is, before it changes: who is gone by then would be in no group that could hear of it."""
        for tables in self._by_kind.values():
            for table in tables:
                self._built(table, now)

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. Tables that are asked for as before stay as they are."""
        known = {_signature(table): table for table in {id(t): t for t in self._of_rule.values()}.values()}
        wanted: dict[tuple[Any, ...], tuple[Rule, dict[str, Value]]] = {}
        grouped = [rule for rule in rules if rule.is_group]
        for rule in grouped:
            values = wanted.setdefault(_shared(rule), (rule, {}))[1]
            for condition in (rule.when, rule.until):
                for each in condition.summed if condition is not None else ():
                    extremes = each.extremes or (each.name in values and values[each.name].extremes)
                    values[each.name] = Value(each.name, each.value, each.money, extremes, each.absent)
        tables = {}
        for shared, (rule, values) in wanted.items():
            table = Table(_kind(rule), rule.per or (), rule.where, values.values(), self._world)
            tables[shared] = known.get(_signature(table), table)
        self._of_rule = {rule.id: tables[_shared(rule)] for rule in grouped}
        self._by_kind = {}
        for table in tables.values():
            self._by_kind.setdefault(table.layout.kind, []).append(table)

    def put(
        self, change: Change, now: datetime, tables: Collection[Table] | None = None
    ) -> dict[Table, list[Group]]:
        """The entity is now so: the groups that are touched, by table. With `tables` nothing happened to itself, and
        these alone look at what did.
        """
        found = self._by_kind.get(change.key[1], ()) if tables is None else tables
        if not found or change.passing:
            return {}
        news = tables is None
        return {table: self._built(table, now).put(change, now, news=news) for table in found}

    def drop(self, keys: Iterable[Key]) -> dict[Table, list[Group]]:
        """The entities are gone: the groups that they were in, each once, by table."""
        touched: dict[Table, dict[Group, None]] = {}
        for key in keys:
            for table in self._by_kind.get(key[1], ()):
                touched.setdefault(table, {}).update(dict.fromkeys(table.drop(key)))
        return {table: list(groups) for table, groups in touched.items()}

    def look(self, rule: Rule, now: datetime) -> list[Group]:
        """All groups of the rule, everybody judged anew: time alone may change who takes part."""
        table = self._of_rule[rule.id]
        table.build(now)
        return list(table.groups.values())

    def table(self, rule: Rule) -> Table:
        return self._of_rule[rule.id]

    def of(self, rule: Rule, now: datetime) -> list[Group]:
        """All groups of the rule."""
        return list(self._built(self._of_rule[rule.id], now).groups.values())

    def find(self, rule: Rule, key: str, called: str, now: datetime) -> Group:
        """The group that an instance is of; one without members where there is none any more. `called` is its label."""
        table = self._built(self._of_rule[rule.id], now)
        per, shown = json.loads(key), spelled_as(key, called)
        fields = tuple(per[name] for name in table.layout.per)
        found = table.groups.get(fields)
        return found or Group(table.layout, fields, tuple(shown[name] for name in table.layout.per))

    def vanished(self, kind: str, key: str, called: str) -> Group:
        """What is left of a group that no rule asks for any more."""
        per, shown = json.loads(key), spelled_as(key, called)
        layout = Layout(kind, tuple(per), (), self._world.get)
        return Group(layout, tuple(per.values()), tuple(shown.values()))

    @staticmethod
    def _built(table: Table, now: datetime) -> Table:
        if not table.built:
            table.build(now)
        return table


def _kind(rule: Rule) -> str:
    (kind,) = rule.kinds
    return kind


def _shared(rule: Rule) -> tuple[Any, ...]:
    return (_kind(rule), rule.per, rule.where.source if rule.where else None)


def _signature(table: Table) -> tuple[Any, ...]:
    values = frozenset((value.name, value.extremes) for value in table.layout.values)
    return (table.layout.kind, table.layout.per, table.where.source if table.where else None, values)
