"""What is known of channels beyond one message: their outages, and small notes on them, which outlast a restart."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import msgspec
import trio
from msgspec import Struct

from tocsin.alerts.wording import time_text
from tocsin.delivery.timing import RunClock, Wake
from tocsin.quantities import duration_text
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


# -------------------------------------------------------------------------------------------------------------- outages

_KEY = "outage "
_TOLD_AFTER = 60.0  # seconds that a message may be refused or unanswered before that is told


class Outage(Struct, frozen=True):
    """Since when (wall-clock) a URL of a channel takes nothing, its answer, and whether the rules were told."""

    since: datetime
    reason: str
    told: bool


class Outages:
    """Of all channels, as far as `notes` remember."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._of: dict[tuple[str, int], Outage] = {}
        for of, text in notes.under(_KEY).items():
            channel, _, target = of.rpartition("/")
            try:
                self._of[channel, int(target)] = msgspec.json.decode(text, type=Outage)
            except ValueError:
                continue  # then it is told anew

    def begin(self, channel: str, target: int, reason: str, now: datetime, *, tell: bool) -> bool:
        """It takes nothing. True where the rules are to be told: once a channel, whichever of its URLs it is."""
        told = any(outage.told for (name, _), outage in self._of.items() if name == channel)
        known = self._of.get((channel, target))
        if known is None or (tell and not known.told):
            outage = Outage(known.since if known else now, reason, told or tell)
            self._of[channel, target] = outage
            self._notes.set(f"{_KEY}{channel}/{target}", msgspec.json.encode(outage).decode())
        return tell and not told

    def end(self, channel: str, target: int, now: datetime) -> str | None:
        """It takes messages again. What is to be told of that, once all of the channel's URLs do."""
        outage = self._drop(channel, target)
        if outage is None or not outage.told or any(name == channel for name, _ in self._of):
            return None
        return (
            f"after {duration_text(max(now - outage.since, timedelta(0)))}; it had answered: {outage.reason}"
        )

    def attention(self, channels: Mapping[str, int]) -> list[str]:
        """What somebody who asks should know, a line for each of the channels (name -> how many URLs it has)."""
        first: dict[str, Outage] = {}
        for (channel, target), outage in self._of.items():
            if target < channels.get(channel, 0):
                first.setdefault(channel, outage)
        return [
            f"channel {channel} does not take messages, since {time_text(outage.since)}: {outage.reason}"
            for channel, outage in first.items()
        ]

    def forget(self, channels: Iterable[str]) -> None:
        """These are no longer configured."""
        gone = set(channels)
        for channel, target in [of for of in self._of if of[0] in gone]:
            self._drop(channel, target)

    def _drop(self, channel: str, target: int) -> Outage | None:
        outage = self._of.pop((channel, target), None)
        if outage is not None:
            self._notes.set(f"{_KEY}{channel}/{target}", None)
        return outage


@dataclass
class _Failing:
    """A message that was tried in vain: since when (steady) and the last answer.

    `quiet`: it is about such a failure itself, and its own isn't told. `settled`: whatever is to be told of it was.
    """

    since: float
    answer: str
    quiet: bool
    settled: bool = False


class Failures:
    """The messages that one URL of a channel doesn't take, by their alerts; `say` (event, reason) tells the rules."""

    def __init__(
        self,
        channel: str,
        target: int,
        outages: Outages,
        time: RunClock,
        say: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._of = (channel, target)
        self._outages, self._time, self._say = outages, time, say
        self._failing: dict[str, _Failing] = {}
        self._changed = Wake()

    async def mind(self) -> NoReturn:
        """What is refused or unanswered for a minute is told, whatever the channel is busy with."""
        while True:
            seen = self._changed.count
            open_ = [failing for failing in self._failing.values() if not failing.settled]
            if not open_:
                await self._changed.after(seen)
                continue
            oldest = min(open_, key=lambda failing: failing.since)
            wait = oldest.since + _TOLD_AFTER - self._time.steady()
            if wait <= 0:
                await self._begin(oldest.answer, quiet=oldest.quiet)
                continue
            with trio.move_on_after(wait):
                await self._changed.after(seen)

    def failed(self, alert: str, answer: str, *, since: float, quiet: bool) -> None:
        """A try, begun at `since`, that may be repeated."""
        self._failing.setdefault(alert, _Failing(since, answer, quiet)).answer = answer
        self._changed.ring()

    async def refused(self, alert: str, answer: str, *, quiet: bool) -> None:
        """What is told at once, if it wasn't before."""
        failing = self._failing.get(alert)
        if failing is None or not failing.settled:
            await self._begin(answer, quiet=quiet)

    def __bool__(self) -> bool:
        return bool(self._failing)

    def given_up(self, alert: str) -> None:
        self._failing.pop(alert, None)

    async def delivered(self, alert: str) -> None:
        """A message was taken, so there is no outage, even where some other is still refused."""
        self._failing.pop(alert, None)
        ended = self._outages.end(*self._of, self._time.now().wall)
        if ended is not None:
            still = f"; {len(self._failing)} not delivered yet" if self._failing else ""
            await self._say("delivery_recovered", ended + still)

    async def _begin(self, answer: str, *, quiet: bool) -> None:
        for failing in self._failing.values():
            failing.settled |= failing.quiet or not quiet
        if self._outages.begin(*self._of, answer, self._time.now().wall, tell=not quiet):
            await self._say("delivery_failed", answer)
