"""Messages that can't be used, told without flooding anybody."""

from typing import cast

import trio

from tocsin.feed.flood import Flood
from tocsin.feed.standing import Event, Standing

_UNRECOGNIZED_BURST = (
    20  # of one type in one span are told each with its message; beyond that they are counted
)
_MALFORMED_SHOWN = 16384  # characters kept of a message that is no message


class Complaints:
    """`every` is in seconds: malformed messages are told once in it, unrecognized ones once their burst is over."""

    def __init__(self, standing: Standing, every: float) -> None:
        self._standing = standing
        self._every = every
        self._floods: dict[Event, Flood] = {
            "malformed": Flood(every),
            "unrecognized": Flood(every, burst=_UNRECOGNIZED_BURST),
        }

    async def malformed(self, reason: str, raw: str) -> None:
        # One kind, whatever the reason: a hostile venue can give each message its own.
        held = self._floods["malformed"].admit("malformed", trio.current_time())
        if held is not None:
            await self._standing.complain("malformed", _with(reason, held), raw[:_MALFORMED_SHOWN])

    async def unrecognized(self, reason: str, raw: str) -> None:
        held = self._floods["unrecognized"].admit(reason, trio.current_time())
        if held is not None:
            await self._standing.complain("unrecognized", _with(reason, held), raw)

    async def tell_held(self) -> None:
        """For ever: tell what was only counted, when its span is over."""
        while True:
            await trio.sleep(self._every)
            for event, flood in self._floods.items():
                for kind, held in flood.overdue(trio.current_time()):
                    what = f"{cast('str', kind)}: " if kind and kind != event else ""
                    await self._standing.complain(event, f"{what}{held} more messages like it")


def _with(reason: str, held: int) -> str:
    return f"{reason} (and {held} more since the last one told)" if held else reason
