"""Messages that can't be used, told without flooding anybody."""

from typing import cast

import trio

from tocsin.feed.flood import Flood
from tocsin.feed.standing import Event, Standing
from tocsin.venues.base import Unreadable

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
