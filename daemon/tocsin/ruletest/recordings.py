"""Files of raw messages that `tocsin record` or `record: true` wrote, told again. Blocks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Literal

from tocsin.engine.api import World
from tocsin.entities import Entities
from tocsin.events import Change, Instant, Observation, Observed, Venue, from_iso
from tocsin.ruletest.decoding import decoded
from tocsin.ruletest.model import Message
from tocsin.ruletest.recorded import Faults, Moment, SteadyTime
from tocsin.ruletest.said import link
from tocsin.store.event_rows import NotRecorded

_NOT_UNDERSTOOD = ("venue.malformed", "venue.unrecognized")


@dataclass(frozen=True, slots=True)
class Source:
    """The files of raw messages of one recording, in their order, and whose they are."""

    paths: tuple[Path, ...]
    venue: str
    type: str


@dataclass(frozen=True, slots=True)
class _Line:
    received: datetime
    steady: float  # seconds since the recording's first
    message: Message
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
        self._entities = Entities()
        self.world: World = self._entities
        self.unit: Literal["message", "event"] = "message"
        self.sparse = frozenset({"venue", "daemon"})
        self.unpriced = False
        self.because = (
            "a recording holds messages, and nothing of links or of the daemon: replay its tocsin.db"
        )
        self.faults: Sequence[Faults] = [Faults(source.venue, source.type) for source in sources]
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
        found = decoded(line.message, at)
        _judge(line, found)
        yield from self._entities.take(line.message.venue, found, at, line.message.text)


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
            message = Message(source.venue, source.type, text)
            passed = steady.at(received)
            if steady.went_back:
                faults.steps_back += 1
                faults.first_step_back = faults.first_step_back or f"{path}:{count}"
            yield _Line(received, passed, message, len(line), path, count, faults)
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
