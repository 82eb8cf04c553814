"""Groups of entities, as rules with `per` look at them: who belongs to which, kept up as they change.

A change touches its own entity's group only (two, where the entity moves from one to another). Rules that group the same
entities by the same fields with the same `where` share a table.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tocsin.engine.aggregates import Fields, Group, Layout, Member, Value, currency_of
from tocsin.engine.keys import field_shown, field_text
from tocsin.engine.language.evaluator import why
from tocsin.engine.model import World
from tocsin.engine.rule import Condition, Rule
from tocsin.events import EXACT, Change, Key, WireDecimal, computed

_UNSAID = ("venue", "kind")  # in what a group is called


class Table:
    """The groups of one kind of entity by some fields, of those that pass one `where`."""

    def __init__(
        self, kind: str, per: tuple[str, ...], where: Condition | None, values: Iterable[Value], world: World
    ) -> None:
        self.layout = Layout(kind, per, values, world.get)
        self.where = where
        self.world = world
        self.groups: dict[Fields, Group] = {}
        self._home: dict[Key, Group] = {}
        self._may_lack = any(value.absent for value in self.layout.values)
        self.built = False

    def build(self, now: datetime) -> None:
        """Everybody who lives, as they stand."""
        self.built = True
        for change in self.world.live(self.layout.kind):
            self.put(change, now, news=False)

    def put(self, change: Change, now: datetime, *, news: bool = True) -> list[Group]:
        """The entity is now so, from this change on or (no `news`) as it was. The groups that are other than before: the
        one it left first.
        """
        key, before = change.key, self._home.get(change.key)
        if change.ended:
            return self._leave(key, change)
        fields = tuple(field_text(change, field) for field in self.layout.per)
        left: list[Group] = []
        if before is not None and before.fields != fields:
            left = self._leave(key, change)
        group = self.groups.get(fields)
        if group is None:
            shown = tuple(field_shown(change, field) for field in self.layout.per)
            group = self.groups[fields] = Group(self.layout, fields, shown)
        self._home[key] = group
        group.live.add(key)
        group.hear(change, news=news)
        group.put(key, self._member(change, now))
        return [*left, group]

    def drop(self, key: Key) -> list[Group]:
        return self._leave(key, None)

    def _leave(self, key: Key, change: Change | None) -> list[Group]:
        group = self._home.pop(key, None)
        if group is None:
            return []
        group.put(key, None)
        group.live.discard(key)
        if change is not None:
            group.hear(change, news=True)
        else:
            group.judged()
        if not group.live:
            del self.groups[group.fields]
        return [group]

    def _member(self, change: Change, now: datetime) -> Member | None:
        if self.where is not None and self.where.holds(change, now) is not True:
            return None
        nothing: tuple[str | None, ...] = ()
        if self._may_lack:
            nothing = tuple(why(value.absent, change) for value in self.layout.values)
        values = (
            None if nothing and nothing[place] else value.evaluate(change, now)
            for place, value in enumerate(self.layout.values)
        )
        return Member(tuple(map(_in_range, values)), currency_of(change.state), nothing)


def _in_range(value: Decimal | None) -> Decimal | None:
    """A value beyond what a venue may say would leave its traces in sums when it is gone."""
    if value is None or abs(value.adjusted()) < EXACT.prec:
        return value
    return value if isinstance(value, WireDecimal) else computed(value)


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


def label(per: Mapping[str, str | None]) -> str:
    """What a group is called: its account, its symbol; its venue where it is of nothing else."""
    parts = [value for name, value in per.items() if name not in _UNSAID and value]
    return ", ".join(parts) or per.get("venue") or ""


def spelled_as(key: str, called: str) -> dict[str, str | None]:
    """The `per` fields of a group's key, in the case in which its label has them."""
    shown: dict[str, str | None] = json.loads(key)
    for name, value in shown.items():
        if value and name not in _UNSAID:
            spelled, called = called[: len(value)], called[len(value) + len(", ") :]
            if spelled.casefold() == value.casefold():
                shown[name] = spelled
    return shown


def _kind(rule: Rule) -> str:
    (kind,) = rule.kinds
    return kind


def _shared(rule: Rule) -> tuple[Any, ...]:
    return (_kind(rule), rule.per, rule.where.source if rule.where else None)


def _signature(table: Table) -> tuple[Any, ...]:
    values = frozenset((value.name, value.extremes) for value in table.layout.values)
    return (table.layout.kind, table.layout.per, table.where.source if table.where else None, values)
