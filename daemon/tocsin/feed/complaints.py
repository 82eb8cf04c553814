"""Messages that can't be used: told without flooding anybody, the first at once, then now and then with a count of the others."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

import trio

from tocsin.feed.link_status import Event, Standing
from tocsin.venues.base import Unreadable


@dataclass(slots=True)
class _Told:
    since: float
    told: int = 1
    held: int = 0


class Flood:
    """Decides what to tell. Times are in seconds, of any steady clock.

    Up to `burst` of a kind are told in one span of `every` seconds; the others are counted. At most `kinds` kinds are
    told apart; the ones beyond share one count.
    """

    def __init__(self, every: float, *, burst: int = 1, kinds: int = 100) -> None:
        self._every, self._burst, self._kinds = every, burst, kinds
        self._spans: dict[Hashable, _Told] = {}

    def admit(self, kind: Hashable, now: float) -> int | None:
        """How many were held back since the last one told, if this one may be told now; else None: it was counted."""
        if kind not in self._spans and len(self._spans) >= self._kinds:
            kind = None
        span = self._spans.get(kind)
        if span is None:
            self._spans[kind] = _Told(now)
            return 0
        if now - span.since >= self._every:
            held = span.held
            self._spans[kind] = _Told(now)
            return held
        if span.told < self._burst:
            span.told += 1
            return 0
        span.held += 1
        return None

    def overdue(self, now: float) -> list[tuple[Hashable, int]]:
        """What was held back in spans that are over, to be told now; spans without any are forgotten."""
        over = [(kind, span.held) for kind, span in self._spans.items() if now - span.since >= self._every]
        for kind, held in over:
            if held:
                self._spans[kind] = _Told(now, self._burst)
            else:
                del self._spans[kind]
        return [(kind, held) for kind, held in over if held]


_UNRECOGNIZED_BURST = (
    20  # of one type in one span are told each with its message; beyond that they are counted
)
_PARTS = 1000  # fields and lists are told apart by our own names for them, of which there are fewer
_MALFORMED_SHOWN = 16384  # characters kept of a message that is no message


class Complaints:
    """`every` is in seconds: malformed messages are told once in it, unrecognized ones once their burst is over; what can't
    be read of a message that counts otherwise is told once in `parts_every` for each part.
    """

    def __init__(self, standing: Standing, every: float, parts_every: float) -> None:
        self._standing = standing
        self._every = every
        self._malformed = Flood(every)
        self._unrecognized = Flood(every, burst=_UNRECOGNIZED_BURST)
        self._fields, self._rows = Flood(parts_every, kinds=_PARTS), Flood(parts_every, kinds=_PARTS)

    async def malformed(self, reason: str, raw: str) -> None:
        # One kind, whatever the reason: a hostile venue can give each message its own.
        held = self._malformed.admit("", trio.current_time())
        if held is not None:
            await self._standing.complain("malformed", _with(reason, held), raw[:_MALFORMED_SHOWN])

    async def unrecognized(self, reason: str, raw: str) -> None:
        held = self._unrecognized.admit(reason, trio.current_time())
        if held is not None:
            await self._standing.complain("unrecognized", _with(reason, held), raw)

    async def unreadable(self, what: Unreadable, raw: str | None) -> None:
        event, flood = _told_as(what.row), self._rows if what.row else self._fields
        held = flood.admit(what.part, trio.current_time())
        if held is not None:
            await self._standing.complain(event, _with(f"{what.part}: {what.reason}", held), raw)

    async def tell_held(self) -> None:
        """For ever: tell what was only counted, when its span is over."""
        floods: tuple[tuple[Event, Flood], ...] = (
            ("malformed", self._malformed),
            ("unrecognized", self._unrecognized),
            (_told_as(row=False), self._fields),
            (_told_as(row=True), self._rows),
        )
        while True:
            await trio.sleep(self._every)
            for event, flood in floods:
                for kind, held in flood.overdue(trio.current_time()):
                    what = f"{cast('str', kind)}: " if kind else ""
                    more = f"{held} more {'message' if held == 1 else 'messages'} like it"
                    await self._standing.complain(event, f"{what}{more}")


def _told_as(row: bool) -> Event:
    """Of a row that is left out nobody knows any more what it was about."""
    return "malformed" if row else "unrecognized"


def _with(reason: str, held: int) -> str:
    return f"{reason} (and {held} more since the last one told)" if held else reason
