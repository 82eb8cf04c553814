"""What was recorded, told again: of a database its own events and what people did, of `tocsin record` and `record: true` the raw messages. Blocks."""

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, Protocol

from msgspec import structs

from tocsin.engine.api import World
from tocsin.entities import Entities
from tocsin.events import KINDS, Change, Instant, Key, Observation, Observed, Venue, from_iso
from tocsin.events.links import KeyTexts, folded
from tocsin.events.synthetic import link
from tocsin.events.vocabulary import OWN_KINDS
from tocsin.replay.alerts_kept import AlertsKept
from tocsin.store.event_rows import NotRecorded, change_of, key_of, together
from tocsin.store.reader import Reader, Row
from tocsin.venues.base import Adapter
from tocsin.venues.decoding import observations

_SQLITE = b"SQLite format 3\x00"
_NOT_UNDERSTOOD = ("venue.malformed", "venue.unrecognized")
_OF_LINKS = ("venue.", "daemon.")
_CHUNK = 2000  # rows read at once
_MOST_SILENCES = 100_000


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence (`id`) begins, up to then (UTC); None: it is taken back."""

    id: str
    matchers: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody has the alert of that rule for that venue, account and entity, up to `until` (UTC; None: for good). Not `holds`: it is
    taken back.
    """

    of: tuple[str, str, str | None, str]
    by: str
    holds: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Moment:
    """What came at once, or what somebody did. Its `changes` come about one by one, as they are taken. `done` is how much of the
    record's `size` it ends, `count` how many of the record's units it is.
    """

    at: Instant
    changes: Iterator[Change]
    done: int
    count: int = 1
    act: Silenced | Acknowledged | None = None


@dataclass(slots=True)
class Faults:
    """What of one venue's messages couldn't be told again, as far as they were taken.

    How often the clock was set back between two of them, and where first.

    Of the lines that aren't ours, and of the messages that the venue's decoder didn't understand: how many, and the
    first (`fx.jsonl:3`, of a message with the reason too).
    """

    venue: str
    type: str
    messages: int = 0
    unread: int = 0
    first_unread: str = ""
    puzzling: int = 0
    first_puzzling: str = ""
    steps_back: int = 0
    first_step_back: str = ""

    @property
    def nothing_understood(self) -> bool:
        return 0 < self.messages == self.puzzling


class Record(Protocol):
    """A record that is told once: `world` is how things stand after what was taken of it. It counts in its `unit`. Of the
    kinds in `sparse`, and where `unpriced` of what prices move, it may hold a part only, `because`. `alerts`: those that
    fired while it was made, where it has them.
    """

    world: World
    size: int
    unit: Literal["message", "event"]
    sparse: frozenset[str]
    unpriced: bool
    because: str
    faults: Sequence[Faults]
    alerts: AlertsKept | None

    def moments(self) -> Iterator[Moment]: ...


@dataclass(slots=True)
class SteadyTime:
    """The daemon's steady clock, as far as a record tells of it: where the wall-clock was set back, no time passed."""

    passed: float = 0.0  # seconds since the first
    latest: datetime | None = None
    went_back: bool = False  # with the latest

    def at(self, wall: datetime) -> float:
        """The seconds that have passed by then; wall-clock times are given in the order in which they were recorded."""
        step = (wall - self.latest).total_seconds() if self.latest is not None else 0.0
        self.latest, self.went_back = wall, step < 0
        self.passed += max(0.0, step)
        return self.passed


def is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


@dataclass(slots=True)
class Remembered:
    """Entities as the events of a database tell of them."""

    of_kind: dict[str, dict[KeyTexts, Change]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def live(self, kind: str) -> Iterable[Change]:
        return [change for change in self.of_kind[kind].values() if not change.ended]

    def get(self, key: KeyTexts) -> Change | None:
        return self.of_kind[key[1]].get(folded(key))

    def called(self, kind: str, names: Collection[str] | None) -> Iterable[Key]:
        found = (change for change in self.of_kind[kind].values() if not change.ended)
        return [
            each.key
            for each in found
            if names is None or not {each.key.id, each.symbol, each.account}.isdisjoint(names)
        ]

    def take(self, change: Change) -> None:
        self.of_kind[change.key.kind][folded(change.key)] = structs.replace(
            change, events=(), previous=None, raw=None
        )


class Database:
    """The events that a daemon kept: of these `kinds`, the `last` so many of them. Raises StoreUnavailable, or NotRecorded for a row of
    another vocabulary.
    """

    def __init__(self, path: Path, kinds: Collection[str] | None = None, last: int | None = None) -> None:
        self._reader, self._kinds = Reader(path), kinds
        self.alerts: AlertsKept | None = AlertsKept(self._reader)
        self._after = self._reader.before_last(last, kinds) if last is not None else 0
        self._remembered = Remembered()
        self.world: World = self._remembered
        self.size = self._reader.count_events(self._after, kinds)
        self.unit: Literal["message", "event"] = "event"
        self.sparse = frozenset(kind for kind, of in KINDS.items() if of.market_data)
        self.unpriced = self._reader.prices_left_out()
        self.because = (
            "of market data a database keeps only what made rules fire, and so of positions and accounts what only "
            "prices move, unless store_market_data says otherwise: replay a recording"
        )
        self.faults: Sequence[Faults] = ()

    def moments(self) -> Iterator[Moment]:
        done, steady = 0, SteadyTime()
        acts = deque(sorted(self._acts(), key=itemgetter(0)))
        for _, came in groupby(self._rows(), itemgetter("venue", "received_at")):  # one message's
            rows = list(came)
            received = from_iso(rows[0]["received_at"])
            while acts and acts[0][0] < received:
                done_at, act = acts.popleft()
                # What was done before the first event holds when it comes; and no act sets the clock.
                wall = max(done_at, steady.latest) if steady.latest is not None else received
                yield Moment(Instant(wall, steady.at(wall)), iter(()), done, 0, act)
            done += len(rows)
            at = Instant(received, steady.at(received))
            if not rows[0]["event"].startswith(_OF_LINKS):
                self._connect(rows[0]["venue"], at)
            yield Moment(at, self._changes(rows), done, len(rows))

    def _acts(self) -> Iterator[tuple[datetime, Silenced | Acknowledged]]:
        """What people did, and when."""
        for row in self._reader.silence_rows("", everything=True, limit=_MOST_SILENCES):
            id_, matchers = row["id"], row["matchers"]
            yield from_iso(row["starts_at"]), Silenced(id_, matchers, from_iso(row["ends_at"]))
            if row["ended_at"] is not None:
                yield from_iso(row["ended_at"]), Silenced(id_, matchers, None)
        for row in self._reader.acknowledgements():
            of = (row["rule"], row["venue"], row["account"], row["entity"])
            until = from_iso(row["until"]) if row["until"] is not None else None
            yield from_iso(row["at"]), Acknowledged(of, row["by"], row["does"] == "ack", until)

    def _rows(self) -> Iterator[Row]:
        after = self._after
        while found := self._reader.events(after=after, limit=_CHUNK, kinds=self._kinds):
            yield from found
            after = found[-1]["id"]

    def _changes(self, rows: list[Row]) -> Iterator[Change]:
        for events in together(rows):
            key = key_of(events[0])
            change = change_of(events, self._remembered.get(key), self._remembered.get)
            self._remembered.take(change)
            yield change

    def _connect(self, venue: str, at: Instant) -> None:
        """What a venue says before anything is kept of its link came over one that was up, which is no news."""
        if self._remembered.get(Key(venue, "venue", "", venue)) is None:
            for change in Entities().apply(venue, link(venue, "connected"), at, None):
                self._remembered.take(change)


@dataclass(frozen=True, slots=True)
class Source:
    """The files of raw messages of one recording, in their order, and whose they are."""

    paths: tuple[Path, ...]
    venue: str
    adapter: Adapter


@dataclass(frozen=True, slots=True)
class _Line:
    received: datetime
    steady: float  # seconds since the recording's first
    source: Source
    text: str
    length: int
    path: Path
    count: int
    faults: Faults


class Recordings:
    """Raw messages of one venue or several, through their decoders and the entities.

    A line that isn't ours is skipped, since a crash can tear one: `faults` counts them. Raises NotRecorded for a file
    that has no other.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.alerts: AlertsKept | None = None
        self._entities = Entities()
        self.world: World = self._entities
        self.unit: Literal["message", "event"] = "message"
        self.sparse = frozenset(OWN_KINDS)
        self.unpriced = False
        self.because = (
            "a recording holds messages, and nothing of links or of the daemon: replay its tocsin.db"
        )
        self.faults: Sequence[Faults] = [Faults(source.venue, source.adapter.name) for source in sources]
        self.size = sum(path.stat().st_size for source in sources for path in source.paths)

    def moments(self) -> Iterator[Moment]:
        begun: datetime | None = None
        done = 0
        sources = [
            _begun(_lines(source, faults)) for source, faults in zip(self._sources, self.faults, strict=True)
        ]
        first = min((at for at, _ in sources if at is not None), default=None)
        for ahead, line in merge(*(_timed(at, lines, first) for at, lines in sources), key=itemgetter(0)):
            if begun is None:
                begun = line.received
                # The recordings were made on links that were up, which is no news.
                for source in self._sources:
                    self._entities.apply(
                        source.venue, link(source.venue, "connected"), Instant(begun, 0.0), None
                    )
            done += line.length
            at = Instant(line.received, ahead)
            yield Moment(at, self._changes(line, at), done)

    def _changes(self, line: _Line, at: Instant) -> Iterator[Change]:
        venue = line.source.venue
        found = observations(venue, line.source.adapter, line.text, at.wall)
        _judge(line, found)
        yield from self._entities.take(venue, found, at, line.text)


def _judge(line: _Line, found: Sequence[Observed]) -> None:
    """Count the message, and whether nothing of it was understood."""
    reasons = [
        said.state.reason
        for said in found
        if isinstance(said, Observation) and isinstance(said.state, Venue) and said.event in _NOT_UNDERSTOOD
    ]
    faults = line.faults
    faults.messages += 1
    if reasons and len(reasons) == len(found):
        faults.puzzling += 1
        faults.first_puzzling = faults.first_puzzling or f"{line.path}:{line.count}: {reasons[0]}"


def _begun(lines: Iterator[_Line]) -> tuple[datetime | None, Iterator[_Line]]:
    """When the first of the lines came, and all of them."""
    first = next(lines, None)
    return (None, iter(())) if first is None else (first.received, chain((first,), lines))


def _timed(
    begun: datetime | None, lines: Iterator[_Line], first: datetime | None
) -> Iterator[tuple[float, _Line]]:
    """Each line with the seconds since the first of all recordings."""
    ahead = (begun - first).total_seconds() if begun is not None and first is not None else 0.0
    for line in lines:
        yield ahead + line.steady, line


def _lines(source: Source, faults: Faults) -> Iterator[_Line]:
    steady = SteadyTime()
    for path in source.paths:
        yield from _lines_of(path, source, faults, steady)


def _lines_of(path: Path, source: Source, faults: Faults, steady: SteadyTime) -> Iterator[_Line]:
    read, unread = 0, ""
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):
            if not line.strip():
                continue
            found = _read(line)
            if found is None:
                unread = unread or f"{path}:{count}"
                faults.unread += 1
                faults.first_unread = faults.first_unread or unread
                continue
            read += 1
            received, text = found
            passed = steady.at(received)
            if steady.went_back:
                faults.steps_back += 1
                faults.first_step_back = faults.first_step_back or f"{path}:{count}"
            yield _Line(received, passed, source, text, len(line), path, count, faults)
    if unread and not read:
        raise NotRecorded(f"{unread}: not a line that tocsin record writes, nor is any other there")


def _read(line: bytes) -> tuple[datetime, str] | None:
    """When the line's message came, and the message; None where it is no line of ours."""
    try:
        said = json.loads(line)
        received, text = from_iso(said["received"]), said["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (received, text) if isinstance(text, str) else None
