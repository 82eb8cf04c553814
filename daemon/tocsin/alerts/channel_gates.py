"""What on a channel holds a notification back, and why: the gates of a channel, behind those of the alert itself. Pure.

`decide` says whether and on which channels a notification is told; these gates when a channel may tell it. What is held
is gathered there and told as one: see `digest`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from tocsin.calendars import Calendar
from tocsin.engine.api import Severity
from tocsin.quantities import duration_text

GateOutcome: TypeAlias = Literal["open", "held", "dropped"]
STORM_INTERVAL = timedelta(minutes=1)  # between the digests of a storm
# Critical alerts that go at once in a minute of a storm; the rest is named in the next digest.
CRITICAL_IN_STORM = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGates:
    """What a channel's config says: `quiet` while that calendar is open, `storm` alerts in a minute, and how long it gathers."""

    quiet: Calendar | None = None
    storm: int | None = None
    digest: timedelta = timedelta(0)

    def is_quiet(self, at: datetime) -> bool:
        return self.quiet is not None and self.quiet.is_open(at)

    def held(self, severity: str, since: datetime, until: datetime) -> timedelta:
        """How much of that time `quiet` and `digest` keep a notification that can't be tried meanwhile."""
        if severity == "critical":
            return timedelta(0)
        found, at = min(self.digest, until - since), since
        while self.quiet is not None and at < until:
            change = min(self.quiet.next_change(at) or until, until)
            if self.quiet.is_open(at):
                found += change - at
            at = change
        return min(found, until - since)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """What the gates need to know of a channel now. `critical_sent`: how many critical alerts went at once in the last minute."""

    gates: ChannelGates
    now: datetime
    in_storm: bool = False
    critical_sent: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """The first gate that is shut (`by`: quiet, storm or digest) and the reason in words; "" where all are open."""

    outcome: GateOutcome = "open"
    by: str = ""
    reason: str = ""


def _quiet(told: str, severity: str, state: ChannelState) -> tuple[GateOutcome, str]:
    quiet = state.gates.quiet
    if severity == "critical" or quiet is None or not quiet.is_open(state.now):
        return "open", ""
    return ("dropped" if told == "reminder" else "held"), _quiet_reason(quiet, state.now)


# Of all that waits it is asked at once, and to find a calendar's end can take milliseconds.
@lru_cache(maxsize=8)
def _quiet_reason(quiet: Calendar, now: datetime) -> str:
    ends = quiet.next_change(now)
    until = f" until {ends.astimezone(ZoneInfo(quiet.tz)):%Y-%m-%d %H:%M %Z}" if ends else ""
    return f"the channel is quiet{until}"


def _storm(told: str, severity: str, state: ChannelState) -> tuple[GateOutcome, str]:
    if not state.in_storm:
        return "open", ""
    if told == "reminder":
        return "dropped", "a storm on the channel"
    if severity == "critical":
        if told == "firing" and state.critical_sent < CRITICAL_IN_STORM:
            return "open", ""
        return "held", f"a storm on the channel, and {CRITICAL_IN_STORM} critical alerts went out in a minute"
    return "held", f"a storm on the channel: over {state.gates.storm} alerts in a minute"


def _digest(_told: str, severity: str, state: ChannelState) -> tuple[GateOutcome, str]:
    if severity == "critical" or not state.gates.digest:
        return "open", ""
    return "held", f"the channel gathers for {duration_text(state.gates.digest)}"


GATES: Mapping[str, Callable[[str, str, ChannelState], tuple[GateOutcome, str]]] = MappingProxyType({
    "quiet": _quiet,
    "storm": _storm,
    "digest": _digest,
})  # fmt: skip
"""In the order in which they are asked; behind them comes the pace, in delivery."""


def gate(told: str, severity: Severity | str, state: ChannelState) -> Gate:
    """What a channel does with a notification now.

    |  | firing, event | reminder | resolved |
    |---|---|---|---|
    | `quiet` | held, critical open | dropped | held |
    | storm | held; of critical ones ten a minute open | dropped | held |
    | `digest` | held, critical open | held | held |

    What else is told (a digest, an edit) isn't held.
    """
    if told in ("firing", "reminder", "resolved"):
        for by, ask in GATES.items():
            outcome, reason = ask(told, severity, state)
            if outcome != "open":
                return Gate(outcome, by, reason)
    return Gate()
