"""State of channels beyond one message: small notes and outages, both kept across restarts."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import msgspec
import trio
from msgspec import Struct

from tocsin.alerts.wording import time_text
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.timing import RunClock, Wake
from tocsin.quantities import duration_text
from tocsin.store.errors import StoreUnavailable

_AGAIN = 10.0  # seconds until it is tried again where nothing can be written


class Notes:
    """Values by key. `kept` are those that the last run left (`Loaded.notes`); what is set is written by `keep`."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        self._values = dict(kept)
        self._unkept: dict[str, str | None] = {}
        self._changed = Wake()

    def under(self, prefix: str) -> dict[str, str]:
        """The values whose keys begin with `prefix`, by the rest of the key."""
        return {
            key.removeprefix(prefix): value for key, value in self._values.items() if key.startswith(prefix)
        }

    def set(self, key: str, value: str | None) -> None:
        """Set a value at once and have it written soon; None removes it. Never waits for the disk."""
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self._unkept[key] = value
        self._changed.ring()

    async def keep(self, put: Callable[[Mapping[str, str | None]], Awaitable[None]], log: Any) -> NoReturn:
        """Runs for ever: passes to `put` what was set since; tried again every 10 s while `put` raises StoreUnavailable."""
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
    """One URL of a channel takes no messages: since when (UTC), its last answer, whether `delivery_failed` was raised."""

    since: datetime
    reason: str
    told: bool


class Outages:
    """The outages of all channels, restored from `notes`. One that can't be read is raised anew."""

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
        """Record that this URL takes no messages. True where `delivery_failed` is to be raised: once per channel and outage."""
        told = any(outage.told for (name, _), outage in self._of.items() if name == channel)
        known = self._of.get((channel, target))
        if known is None or (tell and not known.told):
            outage = Outage(known.since if known else now, reason, told or tell)
            self._of[channel, target] = outage
            self._notes.set(f"{_KEY}{channel}/{target}", msgspec.json.encode(outage).decode())
        return tell and not told

    def end(self, channel: str, target: int, now: datetime) -> str | None:
        """Record that this URL takes messages again. The reason for `delivery_recovered` once all of the channel's URLs do, else None."""
        outage = self._drop(channel, target)
        if outage is None or not outage.told or any(name == channel for name, _ in self._of):
            return None
        return (
            f"after {duration_text(max(now - outage.since, timedelta(0)))}; it had answered: {outage.reason}"
        )

    @property
    def channels(self) -> frozenset[str]:
        """Those that have an outage."""
        return frozenset(name for name, _ in self._of)

    def first(self, channels: Mapping[str, int]) -> dict[str, Outage]:
        """The first outage of each channel that has one. `channels`: name -> number of URLs in the config."""
        first: dict[str, Outage] = {}
        for (channel, target), outage in self._of.items():
            if target < channels.get(channel, 0):
                first.setdefault(channel, outage)
        return first

    def attention(self, channels: Mapping[str, int]) -> list[str]:
        """A line for each of those, for `tocsin status`."""
        return [
            f"channel {channel} does not take messages, since {time_text(outage.since)}: {outage.reason}"
            for channel, outage in self.first(channels).items()
        ]

    def forget(self, channels: Iterable[str]) -> None:
        """Drop the outages of channels that the config no longer has."""
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
    """A message that no try has delivered: since when (steady seconds) and the last answer.

    `quiet`: it reports a channel's failure itself, so its own failing raises no event. `settled`: its event was raised.
    """

    since: float
    answer: str
    quiet: bool
    settled: bool = False


class Failures:
    """Undelivered messages of one URL of a channel, by alert. `say(event, reason)` raises `daemon.EVENT` for the rules."""

    def __init__(
        self,
        of: tuple[str, int],
        outbox: Outbox,
        outages: Outages,
        time: RunClock,
        *,
        say: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._of, self._outbox, self._outages, self._time, self._say = of, outbox, outages, time, say
        self._failing: dict[str, _Failing] = {}
        self._changed = Wake()

    async def mind(self) -> NoReturn:
        """Runs for ever: raises `delivery_failed` for what has been refused or unanswered for a minute."""
        while True:
            seen = self._changed.count
            open_ = [each for each in self._failing.items() if not each[1].settled]
            if not open_:
                await self._changed.after(seen)
                continue
            alert, oldest = min(open_, key=lambda each: each[1].since)
            wait = oldest.since + _TOLD_AFTER - self._time.steady()
            if wait <= 0:
                # What waited may have been closed otherwise than by being sent.
                waits = bool(await self._outbox.waiting(alert, *self._of))
                if self._failing.get(alert) is not oldest:  # meanwhile it was delivered, or gathered
                    continue
                if waits:
                    await self._begin(oldest.answer, quiet=oldest.quiet)
                else:
                    self.given_up(alert)
                continue
            with trio.move_on_after(wait):
                await self._changed.after(seen)

    def failed(self, alert: str, answer: str, *, since: float, quiet: bool) -> None:
        """A try, begun at `since` (steady seconds), failed; it will be repeated."""
        self._failing.setdefault(alert, _Failing(since, answer, quiet)).answer = answer
        self._changed.ring()

    async def refused(self, alert: str, answer: str, *, quiet: bool) -> None:
        """Refused for good or handed over: raise `delivery_failed` at once, unless it was raised for this message."""
        failing = self._failing.get(alert)
        if failing is None or not failing.settled:
            await self._begin(answer, quiet=quiet)

    def __bool__(self) -> bool:
        return bool(self._failing)

    def given_up(self, alert: str) -> None:
        self._failing.pop(alert, None)

    def gathered(self, alerts: Iterable[str], digest: str) -> None:
        """These go as one from now on, which has been failing for as long as the first of them."""
        of_them = [self._failing.pop(alert) for alert in dict.fromkeys(alerts) if alert in self._failing]
        if of_them:
            self._failing[digest] = min(of_them, key=lambda failing: failing.since)
            self._changed.ring()

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
