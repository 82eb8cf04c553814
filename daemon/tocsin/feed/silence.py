"""No data for too long is told, stream by stream; a link that lives and has nothing to say is calm.

That the socket lives is the pings' to find out. How long a stream may be without data is what the user says; where he
says nothing, what it did before: the public trades of a thin market come once an hour, a ticker's every second.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import trio

from tocsin.feed.link_status import LinkStatus
from tocsin.quantities import duration_text

_SLOW = 1.0  # seconds that the queue may take before the wait counts as ours
_PAUSES = 4.0  # so many times as long as its longest pause a stream may be without data
_DAY = 86400.0  # seconds; the longest pause of the present and of the last such span counts


@dataclass(frozen=True, slots=True)
class SilenceTimeout:
    """How long a stream may be without data: `least` seconds.

    `by_pauses`: longer, where it had long pauses before; else `least` is exactly meant.
    """

    least: float
    by_pauses: bool = False


@dataclass(slots=True)
class _Watch:
    endpoint: str | None  # whose data counts; None: any socket's
    last: float
    longest: float = 0.0  # of its pauses that ended with data, on the present day
    before: float = 0.0  # and on the last one
    day: float = 0.0  # when the present one began


class Silence:
    """Watches the streams of one venue that `expect` named. Times are seconds of trio's clock."""

    def __init__(self, link: LinkStatus, timeout: SilenceTimeout) -> None:
        self._link, self._timeout = link, timeout
        self._watches: dict[str, _Watch] = {}
        self._late: set[str] = set()
        self._handing_over = 0

    @property
    def streams(self) -> Collection[str]:
        """Those that are watched."""
        return self._watches.keys()

    def expect(self, stream: str, endpoint: str | None = None) -> None:
        """From now on `stream` should bring data. `endpoint` is the socket that it comes by."""
        watch = self._watches.get(stream)
        now = trio.current_time()
        if watch is None:
            self._watches[stream] = _Watch(endpoint, now, day=now)
        elif stream not in self._late:
            watch.last = now

    def forget(self, stream: str) -> None:
        """The stream was refused: it is watched no longer."""
        self._watches.pop(stream, None)
        self._late.discard(stream)

    def start_over(self) -> None:
        """A new connection: no stream is late on it yet. Those told silent before stay so until data comes."""
        self._late.clear()
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
                if (pause := now - watch.last) > watch.longest:
                    # An outage is no custom of the stream's: of a pause that was told only so much counts.
                    watch.longest = min(pause, _PAUSES * self._allowed(watch, now))
                watch.last = now
                if name in self._late or self._link.lacks(name):
                    self._late.discard(name)
                    resumed.append(name)
        return resumed

    def hand_over(self) -> float:
        """Before data is put into the sink; while that waits (our queue is full), no stream is judged.

        Returns what `handed_over` wants.
        """
        self._handing_over += 1
        return trio.current_time()

    def handed_over(self, began: float) -> None:
        """After it; `began` is what `hand_over` returned. A wait of ours gives all streams their time anew."""
        self._handing_over -= 1
        if trio.current_time() - began > _SLOW:
            self._allow()

    async def watch(self) -> None:
        """For ever: tell `LinkStatus` of each stream that is late."""
        least = self._timeout.least
        while True:
            now = trio.current_time()
            if not self._handing_over:
                await self._judge(now)
            waiting = (
                watch.last + self._allowed(watch, now)
                for name, watch in self._watches.items()
                if name not in self._late
            )
            due = min(waiting, default=math.inf)
            # Streams may be added meanwhile, so never sleep longer than one could last.
            await trio.sleep(max(min(due, now + least) - trio.current_time(), least / 100))

    def _allowed(self, watch: _Watch, now: float) -> float:
        """How many seconds that stream may be without data."""
        timeout = self._timeout
        if not timeout.by_pauses:
            return timeout.least
        if now - watch.day >= _DAY:
            watch.before, watch.longest, watch.day = watch.longest, 0.0, now
        return max(timeout.least, _PAUSES * max(watch.longest, watch.before))

    async def _judge(self, now: float) -> None:
        if not self._link.is_up:
            return
        late = [
            name for name, watch in self._watches.items() if now - watch.last >= self._allowed(watch, now)
        ]
        for name in late:
            watch = self._watches.get(name)  # it may have been refused meanwhile
            if watch is not None and name not in self._late:
                self._late.add(name)
                await self._link.silent(name, f"{name}: {self._reason(watch, now)}")

    def _reason(self, watch: _Watch, now: float) -> str:
        reason = f"no data for {_text(now - watch.last)}"
        longest = max(watch.longest, watch.before)
        if not self._timeout.by_pauses or _PAUSES * longest < self._timeout.least:
            return reason
        return f"{reason}; its longest pause before was {_text(longest)}"


def _text(seconds: float) -> str:
    return duration_text(timedelta(seconds=round(seconds, None if seconds >= 1 else 3)))
