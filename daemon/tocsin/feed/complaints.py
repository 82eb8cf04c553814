"""Messages that can't be used are told without flooding anybody: the first at once, the others as a count."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import cast

import trio

from tocsin.feed.link_status import Event, LinkStatus
from tocsin.venues.base import Unreadable


@dataclass(slots=True)
class _Span:
    since: float
    told: int = 1
    suppressed: int = 0


class Throttle:
    """Limits how often a kind of complaint is told. Times are in seconds, of any steady clock.

    Up to `burst` of a kind are told in one span of `every` seconds; the others are counted. At most `kinds` kinds are
    told apart; the ones beyond share one count.
    """

    def __init__(self, every: float, *, burst: int = 1, kinds: int = 100) -> None:
        self._every, self._burst, self._kinds = every, burst, kinds
        self._spans: dict[Hashable, _Span] = {}

    def admit(self, kind: Hashable, now: float) -> int | None:
        """How many were suppressed since the last one told, if this one may be told now; else None: it was counted."""
        if kind not in self._spans and len(self._spans) >= self._kinds:
            kind = None
        span = self._spans.get(kind)
        if span is None:
            self._spans[kind] = _Span(now)
            return 0
        if now - span.since >= self._every:
            suppressed = span.suppressed
            self._spans[kind] = _Span(now)
            return suppressed
        if span.told < self._burst:
            span.told += 1
            return 0
        span.suppressed += 1
        return None

    def overdue(self, now: float) -> list[tuple[Hashable, int]]:
        """What was suppressed in spans that are over, to be told now; spans without any are forgotten."""
        over = [
            (kind, span.suppressed) for kind, span in self._spans.items() if now - span.since >= self._every
        ]
        for kind, suppressed in over:
            if suppressed:
                self._spans[kind] = _Span(now, self._burst)
            else:
                del self._spans[kind]
        return [(kind, suppressed) for kind, suppressed in over if suppressed]


# So many of one type in one span are told each with its message; beyond that they are counted.
_UNRECOGNIZED_BURST = 20
_PARTS = 1000  # fields and lists are told apart by our own names for them, of which there are fewer
_MALFORMED_SHOWN = 16384  # characters kept of a message that is no message


class Complaints:
    """Tells of messages that can't be used, as `venue.malformed` and `venue.unrecognized`.

    `every` is in seconds: malformed messages are told once in it, unrecognized ones once their burst is over; what can't
    be read of a message that counts otherwise is told once in `parts_every` for each part.
    """

    def __init__(self, link: LinkStatus, every: float, parts_every: float) -> None:
        self._link = link
        self._every = every
        self._malformed = Throttle(every)
        self._unrecognized = Throttle(every, burst=_UNRECOGNIZED_BURST)
        self._fields, self._rows = Throttle(parts_every, kinds=_PARTS), Throttle(parts_every, kinds=_PARTS)

    async def malformed(self, reason: str, raw: str) -> None:
        self._link.meters.malformed += 1
        # One kind, whatever the reason: a hostile venue can give each message its own.
        suppressed = self._malformed.admit("", trio.current_time())
        if suppressed is not None:
            await self._link.complain("malformed", _with_count(reason, suppressed), raw[:_MALFORMED_SHOWN])

    async def unrecognized(self, reason: str, raw: str) -> None:
        self._link.meters.unrecognized += 1
        suppressed = self._unrecognized.admit(reason, trio.current_time())
        if suppressed is not None:
            await self._link.complain("unrecognized", _with_count(reason, suppressed), raw)

    async def unreadable(self, what: Unreadable, raw: str | None) -> None:
        event, throttle = _event_of(what.row), self._rows if what.row else self._fields
        if what.row:
            self._link.meters.malformed += 1
        else:
            self._link.meters.unrecognized += 1
        suppressed = throttle.admit(what.part, trio.current_time())
        if suppressed is not None:
            await self._link.complain(event, _with_count(f"{what.part}: {what.reason}", suppressed), raw)

    async def tell_suppressed(self) -> None:
        """For ever: tell the count of what was suppressed, when its span is over."""
        throttles: tuple[tuple[Event, Throttle], ...] = (
            ("malformed", self._malformed),
            ("unrecognized", self._unrecognized),
            (_event_of(row=False), self._fields),
            (_event_of(row=True), self._rows),
        )
        while True:
            await trio.sleep(self._every)
            for event, throttle in throttles:
                for kind, suppressed in throttle.overdue(trio.current_time()):
                    what = f"{cast('str', kind)}: " if kind else ""
                    more = f"{suppressed} more {'message' if suppressed == 1 else 'messages'} like it"
                    await self._link.complain(event, f"{what}{more}")


def _event_of(row: bool) -> Event:
    """A row is left out: what it was about is lost, as with a whole message. A field is only missing."""
    return "malformed" if row else "unrecognized"


def _with_count(reason: str, suppressed: int) -> str:
    return f"{reason} (and {suppressed} more since the last one told)" if suppressed else reason
