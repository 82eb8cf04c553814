"""What was recorded, told again: a file that `tocsin record` wrote, or a database's own events. Blocks."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Protocol

from msgspec import structs

from tocsin.engine.model import World
from tocsin.entities import Entities
from tocsin.events import KINDS, Account, Change, Instant, Key, from_iso
from tocsin.ruletest.decoding import decoded
from tocsin.ruletest.kept import NotRecorded, change_of, key_of, together
from tocsin.ruletest.model import Message
from tocsin.ruletest.said import link
from tocsin.store.reader import Reader, Row

_SQLITE = b"SQLite format 3\x00"
_CHUNK = 2000  # rows read at once


@dataclass(frozen=True, slots=True)
class Moment:
    """One message. Its `changes` come about one by one, as they are taken. `done` is how much of the record's `size` it ends."""

    at: Instant
    changes: Iterator[Change]
    done: int


class Record(Protocol):
    """A record that is told once: `world` is how things stand after what was taken of it. Of the kinds in `sparse` it may
    hold a part only.
    """

    world: World
    size: int
    sparse: frozenset[str]

    def moments(self) -> Iterator[Moment]: ...


def is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


@dataclass(frozen=True, slots=True)
class Source:
    """The files of raw messages of one recording, in their order, and whose they are."""

    paths: tuple[Path, ...]
    venue: str
    type: str


@dataclass(frozen=True, slots=True)
class _Line:
    received: datetime
    message: Message
    length: int


class Recordings:
    """Raw messages of one venue or several, through their decoders and the entities. Raises NotRecorded."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._entities = Entities()
        self.world: World = self._entities
        self.sparse: frozenset[str] = frozenset()
        self.size = sum(path.stat().st_size for source in sources for path in source.paths)

    def moments(self) -> Iterator[Moment]:
        begun: datetime | None = None
        done = 0
        for line in merge(*map(_lines, self._sources), key=lambda line: line.received):
            if begun is None:
                begun = line.received
                # The recordings were made on links that were up, which is no news.
                for source in self._sources:
                    self._entities.apply(
                        source.venue, link(source.venue, "connected"), Instant(begun, 0.0), None
                    )
            done += line.length
            at = Instant(line.received, (line.received - begun).total_seconds())
            yield Moment(at, self._changes(line.message, at), done)

    def _changes(self, message: Message, at: Instant) -> Iterator[Change]:
        for said in decoded(message, at):
            yield from self._entities.apply(message.venue, said, at, message.text)


def _lines(source: Source) -> Iterator[_Line]:
    for path in source.paths:
        yield from _lines_of(path, source)


def _lines_of(path: Path, source: Source) -> Iterator[_Line]:
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                said = json.loads(line)
                received = from_iso(said["received"])
                message = Message(source.venue, source.type, said["message"])
            except (ValueError, KeyError, TypeError):
                raise NotRecorded(f"{path}:{count}: not a line that tocsin record writes") from None
            yield _Line(received, message, len(line))


@dataclass(slots=True)
class Remembered:
    """Entities as the events of a database tell of them."""

    of_kind: dict[str, dict[Key, Change]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def live(self, kind: str) -> Iterable[Change]:
        return [change for change in self.of_kind[kind].values() if not change.ended]

    def of_account(self, venue: str, account: str) -> Iterable[Change]:
        owned = (change for kind in ("order", "position") for change in self.live(kind))
        return [change for change in owned if change.venue == venue and change.account == account]

    def get(self, key: Key) -> Change | None:
        return self.of_kind[key.kind].get(key)

    def account_of(self, key: Key) -> Account | None:
        known = self.get(Key(key.venue, "account", key.account, key.account))
        return known.state if known is not None and isinstance(known.state, Account) else None

    def take(self, change: Change) -> None:
        self.of_kind[change.key.kind][change.key] = structs.replace(
            change, events=(), previous=None, raw=None
        )


class Database:
    """The events that a daemon kept. Raises StoreUnavailable, or NotRecorded for a row of another vocabulary."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._remembered = Remembered()
        self.world: World = self._remembered
        self.size = self._reader.count_events()
        self.sparse = frozenset(kind for kind, of in KINDS.items() if of.market_data)

    def moments(self) -> Iterator[Moment]:
        begun: datetime | None = None
        done = 0
        for rows in together(self._rows()):
            done += len(rows)
            received = from_iso(rows[0]["received_at"])
            begun = begun or received
            at = Instant(received, max(0.0, (received - begun).total_seconds()))
            yield Moment(at, self._changes(rows), done)

    def _rows(self) -> Iterator[Row]:
        after = 0
        while found := self._reader.events(after=after, limit=_CHUNK):
            yield from found
            after = found[-1]["id"]

    def _changes(self, rows: list[Row]) -> Iterator[Change]:
        key = key_of(rows[0])
        change = change_of(rows, self._remembered.get(key), self._remembered.account_of(key))
        self._remembered.take(change)
        yield change
