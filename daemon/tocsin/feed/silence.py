"""No data for too long is told, stream by stream; a link that lives and has nothing to say is calm."""

import math
from dataclasses import dataclass
from datetime import timedelta

import trio

from tocsin.feed.standing import Standing
from tocsin.quantities import duration_text

_SLOW = 1.0  # seconds that the queue may take before the wait counts as ours


@dataclass(slots=True)
class _Watch:
    endpoint: str | None  # whose data counts; None: any socket's
    last: float


class Silence:
    """Watches streams of one venue; `after` is in seconds. Without a stream to watch it watches nothing."""

    def __init__(self, standing: Standing, after: float) -> None:
        self._standing, self._after = standing, after
        self._watches: dict[str, _Watch] = {}
        self._told: set[str] = set()
        self._handing_over = 0

    def expect(self, stream: str, endpoint: str | None = None) -> None:
        """From now on `stream` should bring data. `endpoint` is the socket that it comes by."""
        watch = self._watches.get(stream)
        if watch is None:
            self._watches[stream] = _Watch(endpoint, trio.current_time())
        elif stream not in self._told:
            watch.last = trio.current_time()

    def forget(self, stream: str) -> None:
        """It was refused: nothing is expected of it, and it isn't late any more."""
        self._watches.pop(stream, None)
        self._told.discard(stream)

    def start_over(self) -> None:
        """A new connection: nobody is late yet."""
        self._told.clear()
        self._allow()

    def _allow(self) -> None:
        now = trio.current_time()
        for watch in self._watches.values():
            watch.last = now

    def heard(self, endpoint: str, stream: str | None) -> list[str]:
        """Data came by that socket; of that stream, or (None) of one that the message doesn't name.

        The streams that had been told silent, and are no more: to be told as `resumed`.
        """
        if not self._watches:
            return []
        now = trio.current_time()
        resumed = []
        for name, watch in self._watches.items():
            if (
                watch.endpoint is None
                or (watch.endpoint == endpoint and stream in (None, name))
                or name == endpoint
            ):
                watch.last = now
                if name in self._told:
                    self._told.discard(name)
                    resumed.append(name)
        return resumed

    def hand_over(self) -> float:
        """Data is about to be handed on; while our own queue is full, nothing that isn't read counts as silence."""
        self._handing_over += 1
        return trio.current_time()

    def handed_over(self, began: float) -> None:
        """It was; `began` is what `hand_over` said."""
        self._handing_over -= 1
        if trio.current_time() - began > _SLOW:
            self._allow()

    async def watch(self) -> None:
        """Judge, for ever."""
        while True:
            now = trio.current_time()
            if not self._handing_over:
                await self._judge(now)
            waiting = (w.last + self._after for name, w in self._watches.items() if name not in self._told)
            due = min(waiting, default=math.inf)
            # Streams may be added meanwhile, so never sleep longer than one could last.
            await trio.sleep(max(min(due, now + self._after) - trio.current_time(), self._after / 100))

    async def _judge(self, now: float) -> None:
        if not self._standing.is_up:
            return
        late = [name for name, watch in self._watches.items() if now - watch.last >= self._after]
        for name in late:
            if name in self._watches and name not in self._told:  # it may have been refused meanwhile
                self._told.add(name)
                span = duration_text(timedelta(seconds=self._after))
                await self._standing.silent(name, f"{name}: no data for {span}")
