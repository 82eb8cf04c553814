"""The store as one rule looks at it, at one moment: its entities with their histories, groups, events, its own records. Blocks."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from msgspec import structs

from tocsin.engine.group import Group
from tocsin.engine.group_change import label
from tocsin.engine.groups import Groups
from tocsin.engine.memory import Memory
from tocsin.engine.model import Sample
from tocsin.engine.rule import Rule
from tocsin.entities import Entities
from tocsin.events import Change, Key
from tocsin.ruletest.kept import NotRecorded, change_of, key_of, together
from tocsin.store.reader import Reader, Row

LOOKED_AT = 20_000  # events of the names that a rule watches, from the latest back
_HISTORY = 500  # events of one entity


class Known:
    """`reader` gives one moment's picture (`Reader.snapshot`)."""

    def __init__(self, reader: Reader, rule: Rule) -> None:
        self._reader = reader
        self.rule = rule
        self._about = [change for kind in sorted(rule.kinds) for change in reader.entities(kind)]
        accounts = [] if "account" in rule.kinds else reader.entities("account")
        entities = Entities([*accounts, *self._about])
        self._memory = Memory()
        self._memory.ask([rule])
        kept = (row for series in sorted(self._memory.series()) for row in reader.samples(series))
        self._memory.restore(
            (Sample(row.series, row.instance, row.time, row.value) for row in kept), entities
        )
        self.world = self._memory.over(entities)
        self.records = {
            row.instance: row.record for row in reader.instances(rule.id) if row.record is not None
        }
        self.alerts = reader.alerts_of(rule.id)

    # ------------------------------------------------------------------------------------------------------- what is so

    def entities(self, id_: str | None) -> list[Change]:
        """What lives of what a rule watches, as it stands; of that id, where one is given, ended or not."""
        keys = [
            change.key for change in self._about if change.key.id == id_ or (id_ is None and not change.ended)
        ]
        return [change for key in keys if (change := self.world.get(key)) is not None]

    def groups(self, id_: str | None, now: datetime) -> list[Group]:
        """The groups of a rule on groups; those that are called so, or that something of that id is in."""
        groups = Groups(self.world)
        groups.set_rules([self.rule])
        return [
            group
            for group in groups.of(self.rule, now)
            if id_ is None
            or id_ in (label(group.per), *group.per.values())
            or any(key.id == id_ for key in group.live)
        ]

    def account_of(self, change: Change) -> Change | None:
        """The account that it belongs to."""
        account = change.key.account
        return self.world.get(Key(change.venue, "account", account, account)) if account else None

    # ------------------------------------------------------------------------------------------------- what has happened

    def happened(self, names: tuple[str, ...]) -> Iterator[tuple[int, Change]]:
        """The events of these names that are kept, latest first, each by itself and with the number that it has."""
        for row in self._reader.events_named(names, limit=LOOKED_AT):
            if (change := self._change([row])) is not None:
                yield row["id"], change

    def history(self, key: Key) -> list[Change]:
        """What happened to an entity, as far as it is kept: latest first, each with what was before it."""
        rows = (row for row in self._reader.events_of(key, limit=_HISTORY) if _is_of(row, key))
        changes = [self._change(found[::-1]) for found in together(rows)]
        known = changes[: changes.index(None)] if None in changes else changes
        linked = [
            structs.replace(change, previous=before.state)
            for change, before in pairwise(known)
            if change is not None and before is not None
        ]
        return [*linked, *(change for change in known[-1:] if change is not None)]

    def counted(self, change: Change) -> Change:
        """An event, with what is remembered of its entity, and how many were counted with it."""
        informed = self._memory.recall(change)
        tallies = self._memory.tallies
        return tallies.counted(self.rule, informed) if tallies.counts(self.rule) else informed

    def alert_since(self, change: Change) -> Row | None:
        """The first alert that the rule raised for that entity since then."""
        found = (
            row
            for row in reversed(self.alerts)
            if (row["venue"], row["entity"]) == (change.venue, change.key.id)
            and datetime.fromisoformat(row["fired_at"]) >= change.received
        )
        return next(found, None)

    def record(self, instance: str) -> dict[str, Any]:
        """What the engine keeps of one of the rule's instances; empty where there is nothing."""
        return dict(self.records.get(instance, {}))

    def _change(self, rows: list[Row]) -> Change | None:
        """None where this version can't read it."""
        try:
            return change_of(rows, account=self.world.account_of(key_of(rows[0])))
        except (NotRecorded, ValueError):
            return None


def _is_of(row: Row, key: Key) -> bool:
    return row["event"].startswith(f"{key.kind}.") and key_of(row) == key
