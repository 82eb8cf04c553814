"""How many messages may be sent in what time, by a sliding window over each limit. Pure."""

import re
from typing import NamedTuple

from msgspec import Struct

from tocsin.events import Instant

_RATE = re.compile(r"([1-9][0-9]{0,4})/(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Limit(NamedTuple):
    """At most `most` messages in any `seconds`."""

    most: int
    seconds: float


def parse_rate(rate: str) -> Limit:
    """`20/min` as a limit. ValueError on anything else."""
    match = _RATE.fullmatch(rate)
    if not match:
        raise ValueError("not a rate; write it like 1/s, 20/min or 100/h")
    return Limit(int(match[1]), _SECONDS[match[2]])


class RateLimiter(Struct, frozen=True):
    """When the last messages went out (seconds of the steady clock, oldest first), and the limits that this keeps.

    A sliding window, not a bucket that refills: in no stretch of time are there more messages than a limit allows,
    which is how services count.
    """

    limits: tuple[Limit, ...]
    sent: tuple[float, ...] = ()

    def wait(self, now: Instant) -> float:
        """Seconds until one more may go out; 0.0 when it may now."""
        waits = [
            self.sent[-limit.most] + limit.seconds - now.steady
            for limit in self.limits
            if len(self.sent) >= limit.most
        ]
        return max([0.0, *waits])

    def after(self, now: Instant) -> "RateLimiter":
        """The limiter when a message went out `now`."""
        keep = max((limit.most for limit in self.limits), default=0)
        return RateLimiter(self.limits, (*self.sent, now.steady)[-keep:] if keep else ())
