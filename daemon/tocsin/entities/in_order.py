"""What lives, in the order of venue, account and symbol, each as a Change that stays the same object while the entity does.

It costs what changed since it was last asked, not what there is.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from operator import is_not
from typing import TypeAlias

from tocsin.entities.entity_store import EntityStore, Home, Record, symbol_of
from tocsin.events import Change

_Place: TypeAlias = tuple[str, str]
"""Symbol and id."""


class _OfHome:
    """One kind's of one account. `changes` is another object only where something is another."""

    def __init__(self) -> None:
        self.changes: Sequence[Change] = ()
        self._places: list[_Place] = []  # of those
        self._place_of: dict[Record, _Place] = {}

    def turned(self, records: Iterable[Record], store: EntityStore) -> None:
        """These came, changed or went."""
        changes = [*self.changes]
        came: list[tuple[_Place, Change]] = []
        for record in records:
            before, place = (
                self._place_of.pop(record, None),
                _place(record) if store.is_live(record) else None,
            )
            if place is not None:
                self._place_of[record] = place
            if before is not None:
                at = bisect_left(self._places, before)
                if before == place:
                    changes[at] = _as_it_stands(record)
                    continue
                del self._places[at], changes[at]
            if place is not None:
                came.append((place, _as_it_stands(record)))
        if len(came) > len(changes):
            rows = sorted([*zip(self._places, changes, strict=True), *came], key=_first)
            self._places, changes = [place for place, _ in rows], [change for _, change in rows]
        else:
            for place, change in came:
                at = bisect_left(self._places, place)
                self._places.insert(at, place)
                changes.insert(at, change)
        self.changes = changes


def _place(record: Record) -> _Place:
    return symbol_of(record.state) or "", record.id


def _first(row: tuple[_Place, Change]) -> _Place:
    return row[0]


def _as_it_stands(record: Record) -> Change:
    """Without what it belongs to: that moves without it."""
    return Change(
        key=record.key,
        events=(),
        state=record.state,
        previous=None,
        origin=record.origin,
        time=record.time,
        received=record.received,
        known_since=record.known_since,
        symbol=symbol_of(record.state),
        last_seen=record.last_seen,
        unconfirmed_since=record.unconfirmed,
    )


class InOrder:
    """What lives of each kind that is asked for, in order."""

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self._homes: dict[Home, _OfHome] = {}
        self._turned: dict[str, dict[Record, None]] = {}  # by kind what isn't taken in yet
        self._of: dict[str, tuple[Sequence[Sequence[Change]], Sequence[Change]]] = {}

    def of(self, kind: str) -> Sequence[Change]:
        """The same object as before where nothing changed, came or went."""
        while self.catch_up(kind):
            pass
        parts = [self._homes[home].changes for home in sorted(self._homes) if home[1] == kind]
        known, found = self._of.get(kind, ((), ()))
        if len(parts) != len(known) or any(map(is_not, parts, known)):
            found = parts[0] if len(parts) == 1 else [*chain.from_iterable(parts)]
            self._of[kind] = (parts, found)
        return found

    def catch_up(self, kind: str, most: int = 1_000_000) -> bool:
        """Take in that many of what changed, so that `of` costs no more than the rest; whether there is one."""
        for record in self._store.noted():
            if (turned := self._turned.get(record.home[1])) is not None:
                turned[record] = None
        if kind not in self._turned:
            self._turned[kind] = dict.fromkeys(self._store.live(kind))
        waiting, found = self._turned[kind], defaultdict(list)
        for record in [*islice(waiting, most)]:
            del waiting[record]
            found[record.home].append(record)
        for home, records in found.items():
            there = self._homes.setdefault(home, _OfHome())
            there.turned(records, self._store)
            if not there.changes:
                del self._homes[home]
        return bool(waiting)
