"""Where the entities stand: by key, apart by kind and by whether they live, with the indexes that prices need."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypeAlias, TypeVar

from msgspec import Struct

from tocsin.events import KINDS, Account, Change, Entity, Key, Origin, Position

# A Key, or the same four texts as a bare tuple: equal, of equal hash, and cheaper to make for a look-up.
KeyTexts: TypeAlias = tuple[str, str, str, str]
_By = TypeVar("_By", tuple[str, str], tuple[str, str, str])
_OWNED = ("order", "position")  # what belongs to an account


class Record(Struct, gc=False):
    """One entity as it stands, and what of its latest Change outlives it. `state` is replaced, never changed."""

    key: Key
    state: Entity
    origin: Origin
    time: datetime
    received: datetime
    known_since: datetime

    @property
    def stated_time(self) -> datetime | None:
        """The venue's own time of the latest message, where it gave one (`time` is else `received`, or a tick's)."""
        return None if self.origin == "synthetic" or self.time == self.received else self.time


class Shelf:
    """All records. Of what lives, positions are also found by their symbol, positions and orders by their account."""

    def __init__(self) -> None:
        self.live: dict[str, dict[KeyTexts, Record]] = {kind: {} for kind in KINDS}
        self._ended: dict[KeyTexts, Record] = {}
        self._by_symbol: dict[tuple[str, str], dict[Key, Record]] = {}
        self._by_account: dict[tuple[str, str, str], dict[Key, Record]] = {}  # venue, kind, account
        self._tell_positions: set[str] = set()

    def find(self, key: KeyTexts) -> Record | None:
        return self.live[key[1]].get(key) or self._ended.get(key)

    def __iter__(self) -> Iterator[Record]:
        for records in self.live.values():
            yield from records.values()
        yield from self._ended.values()

    def add(self, record: Record) -> None:
        key = record.key
        if has_ended(record.state):
            self._ended[key] = record
        else:
            self.live[key.kind][key] = record
        if isinstance(record.state, Position):
            self._tell_positions.add(key.venue)
        self._index(record)

    def replace(self, record: Record, state: Entity) -> None:
        """The record's entity is now so: it may have ended, come back, or be of another symbol."""
        before, record.state = record.state, state
        ended = has_ended(state)
        if ended != has_ended(before):
            self._take_off(record.key, before)
            self.add(record)
        elif isinstance(state, Position) and isinstance(before, Position) and state.symbol != before.symbol:
            self._unindex(record.key, before)
            self._index(record)

    def drop(self, key: KeyTexts) -> None:
        """No longer there; nothing happens where it wasn't."""
        record = self.find(key)
        if record is not None:
            self._take_off(record.key, record.state)

    def drop_venue(self, venue: str) -> list[Key]:
        """Drop everything of that venue; the keys of what there was."""
        keys = [record.key for record in self if record.key.venue == venue]
        for key in keys:
            self.drop(key)
        self._tell_positions.discard(venue)
        return keys

    def knows(self, venue: str) -> bool:
        """Whether anything but its link is known of that venue."""
        return any(record.key.venue == venue and record.key.kind != "venue" for record in self)

    def positions_of(self, venue: str, account: str) -> Iterable[Record]:
        return self._by_account.get((venue, "position", account), {}).values()

    def owned(self, venue: str, account: str) -> list[Record]:
        """The account's orders and positions that live."""
        kinds = (self._by_account.get((venue, kind, account), {}) for kind in _OWNED)
        return [record for records in kinds for record in records.values()]

    def positions_in(self, venue: str, symbol: str) -> Iterable[Record]:
        return self._by_symbol.get((venue, symbol), {}).values()

    def tells_positions(self, venue: str) -> bool:
        """Whether that venue has ever told of a position: without, its accounts' equity can't be counted."""
        return venue in self._tell_positions

    def account_of(self, key: KeyTexts) -> Account | None:
        """The account that the entity of that key belongs to, as it stands."""
        account = key[2]
        record = self.live["account"].get((key[0], "account", account, account)) if account else None
        return record.state if record is not None and isinstance(record.state, Account) else None

    def change(
        self,
        record: Record,
        events: tuple[str, ...] = (),
        previous: Entity | None = None,
        raw: str | None = None,
    ) -> Change:
        """What is told of an entity as it now stands."""
        key, state = record.key, record.state
        owned = key[1] in _OWNED
        symbol = getattr(state, "symbol", None)
        return Change(
            key=key,
            events=events,
            state=state,
            previous=previous,
            origin=record.origin,
            time=record.time,
            received=record.received,
            known_since=record.known_since,
            ended=has_ended(state),
            symbol=symbol if symbol.__class__ is str else None,
            account_state=self.account_of(key) if owned else None,
            raw=raw,
        )

    def _take_off(self, key: Key, state: Entity) -> None:
        """`state` is what it was indexed by."""
        self.live[key.kind].pop(key, None)
        self._ended.pop(key, None)
        self._unindex(key, state)

    def _index(self, record: Record) -> None:
        (venue, kind, account, _), state = record.key, record.state
        if kind not in _OWNED or has_ended(state):
            return
        self._by_account.setdefault((venue, kind, account), {})[record.key] = record
        if isinstance(state, Position) and isinstance(state.symbol, str):
            self._by_symbol.setdefault((venue, state.symbol), {})[record.key] = record

    def _unindex(self, key: Key, state: Entity) -> None:
        if key.kind not in _OWNED:
            return
        _take(self._by_account, (key.venue, key.kind, key.account), key)
        if isinstance(state, Position) and isinstance(state.symbol, str):
            _take(self._by_symbol, (key.venue, state.symbol), key)


def _take(index: dict[_By, dict[Key, Record]], by: _By, key: Key) -> None:
    """Out of the index; what holds nothing any more goes too."""
    found = index.get(by)
    if found is not None:
        found.pop(key, None)
        if not found:
            del index[by]


def has_ended(state: Entity) -> bool:
    """Whether it lives no more; a missing status is live."""
    ended = state.ended
    return bool(ended) and getattr(state, "status", None) in ended
