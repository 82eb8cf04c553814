"""Small things that outlast a run: kept soon after they are set, and nobody waits for the disk."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import trio

from tocsin.delivery.channel import Wake
from tocsin.store.errors import StoreUnavailable

_AGAIN = 10.0  # seconds until it is tried again where nothing can be written


class Notes:
    """Values by key, as the last run left them and as they are set."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        self._values = dict(kept)
        self._unkept: dict[str, str | None] = {}
        self._changed = Wake()

    def under(self, prefix: str) -> dict[str, str]:
        """What stands under keys of that beginning, by the rest of the key."""
        return {
            key.removeprefix(prefix): value for key, value in self._values.items() if key.startswith(prefix)
        }

    def set(self, key: str, value: str | None) -> None:
        """None takes it away."""
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self._unkept[key] = value
        self._changed.ring()

    async def keep(self, put: Callable[[Mapping[str, str | None]], Awaitable[None]], log: Any) -> NoReturn:
        """For ever: what is set is put. `put` may raise StoreUnavailable."""
        while True:
            seen = self._changed.count
            if unkept := dict(self._unkept):
                try:
                    await put(unkept)
                except StoreUnavailable as error:
                    log.warning("can't keep notes on channels", reason=error.reason)
                    await trio.sleep(_AGAIN)
                    continue
                for key, value in unkept.items():
                    if self._unkept[key] == value:
                        del self._unkept[key]
            await self._changed.after(seen)
