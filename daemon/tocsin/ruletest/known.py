"""The store as one rule looks at it, at one moment: its entities with their histories, groups, events, its own records. Blocks."""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from msgspec import structs

from tocsin.engine.aggregates import Group
from tocsin.engine.api import World
from tocsin.engine.group_rule import Groups, label
from tocsin.engine.history import HistoryStore
from tocsin.engine.rule import Rule
from tocsin.engine.samples import SampleLog
from tocsin.entities import Entities
from tocsin.events import Account, Change, Key
from tocsin.store.event_rows import NotRecorded, change_of, key_of, together
from tocsin.store.reader import Reader, Row

LOOKED_AT = 20_000  # events of the names that a rule watches, from the latest back
_HISTORY = 500  # events of one entity


class Known:
    """`reader` gives one moment's snapshot (`Reader.snapshot`). `called` are the ids, symbols or accounts of what is asked
    about; None: all. What there may be much of is read when it is asked for.
    """

    def __init__(self, reader: Reader, rule: Rule, called: frozenset[str] | None) -> None:
        self._reader = reader
        self._called = called
        self.rule = rule
        self.accounts = {(account.venue, account.key.id): account for account in reader.entities("account")}
        self.records = {
            row.instance: row.record for row in reader.instances(rule.id) if row.record is not None
        }
        self.alerts = reader.alerts_of(rule.id)

    @cached_property
    def _about(self) -> list[Change]:
        """What the rule watches; of groups all, that the one which is asked about is whole."""
        called = None if self.rule.is_group else self._called
        return [change for kind in sorted(self.rule.kinds) for change in self._reader.entities(kind, called)]

    @cached_property
    def _entities(self) -> Entities:
        return Entities([*self.accounts.values(), *self._about], gap=False)

    @cached_property
    def _memory(self) -> HistoryStore:
        memory = HistoryStore(SampleLog())
        memory.ask([self.rule])
        if series := sorted(memory.series()):
            kept = (row for name in series for row in self._reader.samples(name))
            memory.restore(kept, self._entities)
        return memory

    @cached_property
    def world(self) -> World:
        """What the rule watches, with what is remembered of it."""
        return self._memory.over(self._entities)

    # ------------------------------------------------------------------------------------------------------- what is so

    def entities(self) -> list[Change]:
        """What lives of what a rule watches, as it stands; of what is asked about by its id ended or not."""
        keys = [
            change.key
            for change in self._about
            if not change.ended or (self._called is not None and change.key.id in self._called)
        ]
        return [change for key in keys if (change := self.world.get(key)) is not None]

    def groups(self, now: datetime) -> list[Group]:
        """The groups of a rule on groups; those that are called so, or that something of that id is in."""
        groups = Groups(self.world)
        groups.set_rules([self.rule])
        found = groups.of(self.rule, now)
        if self._called is None:
            return found
        return [group for group in found if not self._called.isdisjoint(_names_of(group))]

    def account_of(self, key: Key) -> Change | None:
        """The account that it belongs to."""
        return self.accounts.get((key.venue, key.account))

    # ------------------------------------------------------------------------------------------------- what has happened

    def happened(self, names: tuple[str, ...], *, any_: bool = False) -> Iterator[tuple[int, Change]]:
        """The events of these names that are kept, latest first, each by itself and with its number: of what is asked about,
        or of any.
        """
        called = None if any_ else self._called
        for row in self._reader.events_named(names, called, limit=LOOKED_AT):
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
        tallies = self._memory.counter
        return tallies.counted(self.rule, informed) if tallies.counts(self.rule) else informed

    def is_called(self, change: Change) -> bool:
        """Whether it is what is asked about."""
        names = (change.key.id, change.symbol, change.key.account)
        return self._called is None or not self._called.isdisjoint(names)

    @cached_property
    def last_of(self) -> dict[str, Row]:
        """The last alert of each of the rule's instances, by their keys."""
        return {row["instance"]: row for row in reversed(self.alerts)}

    def last(self) -> Row | None:
        """The last alert that the rule raised for what is asked about."""
        return next(
            (
                row
                for row in self.alerts
                if self._called is None
                or not self._called.isdisjoint((row["entity"], row["symbol"], row["account"]))
            ),
            None,
        )

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
            account = self.account_of(key_of(rows[0]))
            state = account.state if account is not None else None
            return change_of(rows, account=state if isinstance(state, Account) else None)
        except (NotRecorded, ValueError):
            return None


def _is_of(row: Row, key: Key) -> bool:
    return row["event"].startswith(f"{key.kind}.") and key_of(row) == key


def _names_of(group: Group) -> Iterator[str | None]:
    yield label(group.per)
    yield from group.per.values()
    yield from (key.id for key in group.live)
