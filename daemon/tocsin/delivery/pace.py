"""How fast messages go, by what the services count: a bot, a chat, a workspace's channel, a mail server.

Whatever goes to the same place shares one pace, of whatever channel it is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from tocsin.delivery.service_limits import Limit, Limits, Place

Urgency: TypeAlias = tuple[bool, float]
"""The lower, the sooner it goes: whether it isn't critical, and since when it waits (Unix seconds)."""
LAST: Urgency = (True, float("inf"))


class Used(NamedTuple):
    """How much of a limit is used: `used` messages in the last `seconds`, of at most `most`."""

    used: int
    most: int
    seconds: float


class _Count:
    """What went to one place, by the steady clock. What is on its way counts as sent now."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self._most = max((limit.most for limit in limits), default=0)
        self._sent: deque[float] = deque(maxlen=self._most)
        self._open = 0
        self.claims: dict[object, Urgency] = {}

    def wait(self, now: float) -> float:
        waits = [0.0]
        for limit in self.limits:
            # The oldest of those that fill the window up with what is on its way.
            at = limit.most - self._open
            if at <= 0:
                waits.append(limit.seconds)
            elif at <= len(self._sent):
                waits.append(self._sent[-at] + limit.seconds - now)
        return max(waits)

    def used(self, now: float) -> Iterator[Used]:
        for limit in self.limits:
            gone = sum(at > now - limit.seconds for at in self._sent)
            yield Used(gone + self._open, limit.most, limit.seconds)

    def begin(self) -> None:
        self._open += 1

    def end(self, now: float) -> None:
        self._open -= 1
        self.note(now)

    def note(self, at: float) -> None:
        self._sent.append(at)


class Pace:
    """The pace of one URL of a channel. `now` gives steady seconds."""

    def __init__(self, counts: Iterable[_Count], now: Callable[[], float]) -> None:
        self._counts = tuple(counts)
        self._now = now

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self._counts)

    def wait(self, urgency: Urgency = (False, 0.0)) -> float:
        """Seconds until one more may go; 0.0 when it may now. What is more urgent elsewhere goes first."""
        now = self._now()
        longest = 0.0
        for count in self._counts:
            longest = max(longest, count.wait(now))
            count.claims[self] = urgency
            if min(count.claims.values()) < urgency:
                longest = max(longest, _STEP)
        return longest

    def beside(self) -> "Pace":
        """The same pace for what is no alert: it has a claim of its own."""
        return Pace(self._counts, self._now)

    def is_full(self) -> bool:
        """Whether nothing may go now."""
        return any(count.wait(self._now()) > 0 for count in self._counts)

    @property
    def used(self) -> list[Used]:
        """How much of each limit is, by whatever goes to the same places."""
        return [used for count in self._counts for used in count.used(self._now())]

    def withdraw(self) -> None:
        """Nothing here waits for the pace any more."""
        for count in self._counts:
            count.claims.pop(self, None)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """A message, or an edit, goes out meanwhile."""
        self.withdraw()
        for count in self._counts:
            count.begin()
        try:
            yield
        finally:
            for count in self._counts:
                count.end(self._now())


_STEP = 0.05  # seconds; what is less urgent looks again so soon


class Paces:
    """All that is counted, by what it is."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[Place, _Count] = {}

    def of(self, limits: Limits) -> Pace:
        """The pace of a message that counts at each of these places."""
        return Pace([self._count(key, limit) for key, limit in limits.items() if limit], self._now)

    def _count(self, key: Place, limits: tuple[Limit, ...]) -> _Count:
        found = self._counts.get(key)
        if found is None or found.limits != limits:
            found = self._counts[key] = _Count(limits)
        return found

    def restore(self, sent: Iterable[tuple[Limits, float]]) -> None:
        """What went out before this run: where it counts, and when (steady seconds), oldest first."""
        for limits, at in sent:
            for key, limit in limits.items():
                if limit:
                    self._count(key, limit).note(at)
