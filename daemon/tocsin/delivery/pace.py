"""How fast a channel may be told: our own `rate`, and what the services are known to take. Pure."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from tocsin.events import Instant

_RATE = re.compile(r"([1-9][0-9]{0,4})/(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Limit(NamedTuple):
    """At most `most` messages in any `seconds`."""

    most: int
    seconds: float


# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: one a second to a chat, 20 a minute
# to a group.
_TELEGRAM = (Limit(1, 1.0),)
_TELEGRAM_GROUP = (Limit(1, 1.0), Limit(20, 60.0))
_SERVICES: dict[str, tuple[Limit, ...]] = {
    "tgram": _TELEGRAM,
    # https://api.slack.com/apis/rate-limits: one message a second to a channel.
    "slack": (Limit(1, 1.0),),
    # https://discord.com/developers/docs/topics/rate-limits, webhooks: 5 in 2 s.
    "discord": (Limit(5, 2.0),),
    # Providers count by the minute and the hour; a burst of thirty a minute passes with all the large ones.
    "mailto": (Limit(30, 60.0),),
    "mailtos": (Limit(30, 60.0),),
}


def parse_rate(rate: str) -> Limit:
    """`20/min` as a limit. ValueError on anything else."""
    match = _RATE.fullmatch(rate)
    if not match:
        raise ValueError("not a rate; write it like 1/s, 20/min or 100/h")
    return Limit(int(match[1]), _SECONDS[match[2]])


def service_limits(url: str) -> tuple[Limit, ...]:
    """What the service behind an Apprise URL is known to take; nothing for one that we know nothing of."""
    schema, _, rest = url.partition("://")
    if schema.lower() == "tgram":
        # Groups' and channels' ids are negative (https://core.telegram.org/bots/api#chat); names stand for them too.
        _, *chats = unquote(rest.partition("?")[0]).split("/")  # the first part is the bot's token
        is_group = any(chat[:1] in "-@" or chat[:1].isalpha() for chat in chats if chat)
        return _TELEGRAM_GROUP if is_group else _TELEGRAM
    return _SERVICES.get(schema.lower(), ())


class Pace(Struct, frozen=True):
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

    def after(self, now: Instant) -> "Pace":
        """The pace when a message went out `now`."""
        keep = max((limit.most for limit in self.limits), default=0)
        return Pace(self.limits, (*self.sent, now.steady)[-keep:] if keep else ())


def pace_for(url: str, rate: str | None) -> Pace:
    """The pace of one URL of a channel: the service's own limits, and ours."""
    ours = (parse_rate(rate),) if rate else ()
    return Pace(service_limits(url) + ours)
