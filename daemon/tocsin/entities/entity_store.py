"""The keyed store of entities: live and ended ones apart, by kind, with the index that prices need."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from sys import intern
from typing import TypeAlias

from msgspec import Struct, structs

from tocsin.events import KINDS, Change, Entity, Key, Origin, Position, Stamps
from tocsin.events.links import KeyTexts, linked_now
from tocsin.events.vocabulary import has_ended

# All of a key but the id: venue, kind, account.
Home: TypeAlias = tuple[str, str, str]
_CALLED = frozenset(name for name, kind in KINDS.items() if kind.named_by is not None)


class Record(Struct, gc=False, eq=False):
    """One entity as it stands, and what of its latest Change outlives it. `state` is replaced, never changed.

    There may be a million: `home` is one object for all that share it, and the Key is made when it is asked for.
    `last_seen` and `seen_before` as in `Change`.
    """

    home: Home
    id: str
    state: Entity
    origin: Origin
    time: datetime
    received: datetime
    known_since: datetime
    last_seen: datetime
    seen_before: datetime | None = None
    stamps: tuple[Stamps, ...] = ()  # how new it is; several where messages of several kinds fill it
    unconfirmed: datetime | None = None  # since when

    def see(self, at: datetime) -> None:
        """A message mentions it."""
        self.seen_before = max(self.last_seen, self.received)
        self.last_seen = at

    @property
    def key(self) -> Key:
        return Key(*self.home, self.id)


_ByHome: TypeAlias = dict[Home, dict[str, Record]]  # never an empty one


class EntityStore:
    """All records, by their homes and ids. Of what lives, positions are also found by their symbol. What is called by a
    symbol or an asset is found in whatever case it is spelled, and keeps the spelling that it came with first.
    """

    def __init__(self) -> None:
        self._live: dict[str, _ByHome] = {kind: {} for kind in KINDS}
        self._ended: _ByHome = {}
        self._by_symbol: dict[tuple[str, str], dict[Record, None]] = {}
        self._spelled: dict[KeyTexts, Record] = {}  # what is called by its symbol or asset, without case
        self._homes: dict[Home, Home] = {}
        self._tell_positions: set[str] = set()
        self._sent: dict[str, tuple[str, ...]] = {}
        self._moved: dict[Home, dict[Record, None]] = {}  # of the accounts whose positions are followed
        self._noted: dict[Record, None] | None = None  # None until somebody asks

    def find(self, key: KeyTexts) -> Record | None:
        venue, kind, account, id_ = key
        home = (venue, kind, account)
        records = self._live[kind].get(home)
        record = records.get(id_) if records is not None else None
        if record is None and (records := self._ended.get(home)) is not None:
            record = records.get(id_)
        if record is None and kind in _CALLED:
            record = self._spelled.get((venue, kind, account, id_.casefold()))
        return record

    def __iter__(self) -> Iterator[Record]:
        for homes in (*self._live.values(), self._ended):
            for records in homes.values():
                yield from records.values()

    def live(self, kind: str, venue: str | None = None) -> Iterator[Record]:
        """What lives of that kind, of one venue or of all."""
        for home, records in self._live[kind].items():
            if venue is None or home[0] == venue:
                yield from records.values()

    def count(self) -> Counter[tuple[str, str]]:
        """How many live, by venue and kind."""
        found: Counter[tuple[str, str]] = Counter()
        for homes in self._live.values():
            for (venue, kind, _), records in homes.items():
                found[venue, kind] += len(records)
        return found

    def called(self, kind: str, names: Collection[str] | None) -> Iterator[Record]:
        """What lives of that kind and has one of these ids, symbols or accounts (None: all), and what has ended of these ids."""
        if names is None:
            yield from self.live(kind)
            return
        for record in self.live(kind):
            if record.id in names or record.home[2] in names or symbol_of(record.state) in names:
                yield record
        for home, records in self._ended.items():
            if home[1] == kind:
                yield from (records[id_] for id_ in names if id_ in records)

    def add(
        self,
        key: KeyTexts,
        state: Entity,
        *,
        origin: Origin,
        time: datetime,
        received: datetime,
        known_since: datetime,
        last_seen: datetime | None = None,
        stamps: tuple[Stamps, ...] = (),
    ) -> Record:
        """The record of what wasn't known so far. Its symbol, of which there are few, becomes one text for all."""
        home = (key[0], key[1], key[2])
        home = self._homes.setdefault(home, home)
        if (symbol := symbol_of(state)) is not None and (shared := intern(symbol)) is not symbol:
            state = structs.replace(state, symbol=shared)
        record = Record(
            home, key[3], state, origin, time, received, known_since, last_seen or received, stamps=stamps
        )
        if isinstance(state, Position):
            self.note_positions(home[0])
        self._put(record)
        return record

    def replace(self, record: Record, state: Entity) -> None:
        """The record's entity is now so: it may have ended, come back, or be of another symbol."""
        before = record.state
        if has_ended(state) == has_ended(before) and symbol_of(state) == symbol_of(before):
            self.move(record, state)
            return
        self._take(record)
        record.state = state
        self._put(record)

    def move(self, record: Record, state: Entity) -> None:
        """As `replace`, of what neither ends, comes back nor changes its symbol."""
        record.state = state
        self._note_moved(record)

    def moved_positions(self, venue: str, account: str) -> Iterable[Record] | None:
        """The account's positions that came, changed or went since this was last asked; None the first time."""
        home = (venue, "position", account)
        moved, self._moved[home] = self._moved.get(home), {}
        return moved

    def note(self, record: Record) -> None:
        """It isn't as it was: what replaces a state or confirms it has to say so."""
        if self._noted is not None:
            self._noted[record] = None

    def noted(self) -> Iterable[Record]:
        """What came, changed or went since this was first asked, and wasn't told yet."""
        noted, self._noted = self._noted, {}
        return noted or ()

    def is_live(self, record: Record) -> bool:
        """Whether it is still known, and lives."""
        return self._live[record.home[1]].get(record.home, {}).get(record.id) is record

    def _note_moved(self, record: Record) -> None:
        self.note(record)
        if (moved := self._moved.get(record.home)) is not None:
            moved[record] = None

    def drop(self, key: KeyTexts) -> None:
        """No longer there; nothing happens where it wasn't."""
        record = self.find(key)
        if record is not None:
            self._take(record)

    def drop_venue(self, venue: str) -> list[Key]:
        """Drop everything of that venue; the keys of what there was."""
        gone = [record for record in self if record.home[0] == venue]
        for record in gone:
            self._take(record)
        self._homes = {home: home for home in self._homes if home[0] != venue}
        self._tell_positions.discard(venue)
        self._sent.pop(venue, None)
        self._moved = {home: moved for home, moved in self._moved.items() if home[0] != venue}
        return [record.key for record in gone]

    def knows(self, venue: str) -> bool:
        """Whether anything but its link is known of that venue."""
        return any(record.home[0] == venue and record.home[1] != "venue" for record in self)

    def positions_of(self, venue: str, account: str) -> Iterable[Record]:
        return self._live["position"].get((venue, "position", account), {}).values()

    def positions_in(self, venue: str, symbol: str) -> Iterable[Record]:
        return self._by_symbol.get((venue, symbol.casefold()), ())

    def tells_positions(self, venue: str) -> bool:
        """Whether that venue has ever told of a position: without, its accounts' equity can't be counted."""
        return venue in self._tell_positions

    def note_positions(self, venue: str) -> None:
        """That venue tells of positions."""
        self._tell_positions.add(venue)

    def sent(self, venue: str) -> tuple[str, ...]:
        """Which of its accounts' values that venue has ever sent itself."""
        return self._sent.get(venue, ())

    def note_sent(self, venue: str, names: Iterable[str]) -> bool:
        """That venue sends these values of its accounts; whether that is new of any."""
        known = self.sent(venue)
        self._sent[venue] = now = tuple(dict.fromkeys((*known, *names)))
        return now != known

    def change(
        self,
        record: Record,
        events: tuple[str, ...] = (),
        previous: Entity | None = None,
        raw: str | None = None,
        *,
        passing: bool = False,
        replaces: Entity | None = None,
        operation: str | None = None,
        linked: bool = True,
    ) -> Change:
        """What is told of an entity as it now stands; `linked`: with what it belongs to."""
        key, state = record.key, record.state
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
            symbol=symbol_of(state),
            linked=linked_now(key, state, self.find) if linked else {},
            raw=raw,
            sent=self.sent(key[0]) if key[1] == "account" else (),
            passing=passing,
            last_seen=record.last_seen,
            seen_before=record.seen_before if previous is not None else None,
            replaces=replaces,
            operation=operation,
            stamps=record.stamps,
            unconfirmed_since=record.unconfirmed,
        )

    def _put(self, record: Record) -> None:
        """Where its state says."""
        home, state = record.home, record.state
        ended = has_ended(state)
        homes = self._ended if ended else self._live[home[1]]
        homes.setdefault(home, {})[record.id] = record
        self._note_moved(record)
        if home[1] in _CALLED:
            self._spelled.setdefault((*home, record.id.casefold()), record)
        if isinstance(state, Position) and not ended and (symbol := symbol_of(state)) is not None:
            self._by_symbol.setdefault((home[0], symbol.casefold()), {})[record] = None

    def _take(self, record: Record) -> None:
        """Out of where its state says; what holds nothing any more goes too."""
        home, state = record.home, record.state
        ended = has_ended(state)
        homes = self._ended if ended else self._live[home[1]]
        del homes[home][record.id]
        self._note_moved(record)
        if not homes[home]:
            del homes[home]
        if home[1] in _CALLED and self._spelled.get(at := (*home, record.id.casefold())) is record:
            del self._spelled[at]
        if isinstance(state, Position) and not ended and (symbol := symbol_of(state)) is not None:
            found = self._by_symbol[of := (home[0], symbol.casefold())]
            del found[record]
            if not found:
                del self._by_symbol[of]


def symbol_of(state: Entity) -> str | None:
    """The symbol, where one is known."""
    symbol = getattr(state, "symbol", None)
    return symbol if symbol.__class__ is str else None
