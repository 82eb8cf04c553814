"""What is counted while the daemon runs, each where it happens; nothing is counted twice, and all of it begins at 0 with the process.

`Meters` is made once and handed down part by part. `/metrics`, `tocsin status` and the heartbeat read it through `Daemon.measures`.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, TypeAlias

SendOutcome: TypeAlias = Literal["sent", "failed", "refused"]
SEND_OUTCOMES: tuple[SendOutcome, ...] = ("sent", "failed", "refused")
TOLD = ("firing", "reminder", "resolved", "escalation")
HELD_BY = (
    "silence", "inhibited", "hours", "cooldown", "quiet", "digest", "storm", "pace", "min_severity",
    "send_resolved",
)  # fmt: skip
Answer: TypeAlias = Literal["ack", "unack", "silence", "why", "confirm", "refused"]
ANSWERS: tuple[Answer, ...] = ("ack", "unack", "silence", "why", "confirm", "refused")
AnswerMeters: TypeAlias = Counter[tuple[str, Answer]]
"""By channel and what was done."""
RUN_OUTCOMES = ("ok", "failed", "unknown", "dropped", "declined", "unanswered", "dry_run")
HEARTBEATS = ("sent", "failed", "withheld")

_PROCESSING = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_COMMIT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SEND = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DELAY = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class Histogram:
    """How long something took, in seconds: how many times up to each of `bounds`, and the sum."""

    __slots__ = ("_counts", "bounds", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def cumulative(self) -> list[int]:
        """How many took up to each bound, and last how many there were."""
        return list(accumulate(self._counts))


@dataclass(slots=True)
class VenueMeters:
    """One venue's connection. `clock_skew`: by how many seconds its last stamp was ahead of ours; None: it had none."""

    messages: int = 0
    bytes: int = 0
    unrecognized: int = 0
    malformed: int = 0
    connects: int = 0
    disconnects: int = 0
    gap_seconds: float = 0.0
    clock_skew: float | None = None

    def heard(self, message: str) -> None:
        self.messages += 1
        self.bytes += len(message) if message.isascii() else len(message.encode(errors="replace"))


def _delays() -> Histogram:
    return Histogram(_DELAY)


@dataclass(slots=True)
class ChannelMeters:
    """One channel, all its URLs. `delay` by severity; `up`: by URL, whether the last request was taken."""

    sends: Counter[SendOutcome] = field(default_factory=Counter)
    send_seconds: Histogram = field(default_factory=lambda: Histogram(_SEND))
    delay: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(_delays))
    up: dict[int, bool] = field(default_factory=dict)
    dead: int = 0
    fallbacks: int = 0

    def sent(self, target: int, outcome: SendOutcome, seconds: float) -> None:
        """One request to a URL of the channel."""
        self.sends[outcome] += 1
        self.send_seconds.observe(seconds)
        self.up[target] = outcome == "sent"


@dataclass(slots=True)
class StoreMeters:
    """Commits: how long those that succeeded took, and how many tries the disk refused."""

    commit_seconds: Histogram = field(default_factory=lambda: Histogram(_COMMIT))
    failures: int = 0


@dataclass(slots=True)
class PipelineMeters:
    """`events` by (venue, kind, origin), `fired` by (rule, severity), `notifications` by (channel, told), `held` by reason, `runs` by
    (action, outcome).
    """

    processing_seconds: Histogram = field(default_factory=lambda: Histogram(_PROCESSING))
    events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    fired: Counter[tuple[str, str]] = field(default_factory=Counter)
    notifications: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)


def _leave_out(counter: dict[Any, Any], names: Collection[str]) -> None:
    """What is counted by one of these names, or by several things of which it is the first."""
    for key in [key for key in counter if (key if isinstance(key, str) else key[0]) in names]:
        del counter[key]


@dataclass(slots=True)
class Meters:
    """All of them. `heartbeats` by outcome, `actions`: how long each run's last try took."""

    pipeline: PipelineMeters = field(default_factory=PipelineMeters)
    store: StoreMeters = field(default_factory=StoreMeters)
    venues: dict[str, VenueMeters] = field(default_factory=dict)
    channels: dict[str, ChannelMeters] = field(default_factory=dict)
    answers: AnswerMeters = field(default_factory=Counter)
    heartbeats: Counter[str] = field(default_factory=Counter)
    actions: dict[str, Histogram] = field(default_factory=dict)

    def action(self, name: str) -> Histogram:
        return self.actions.setdefault(name, Histogram(_SEND))

    def venue(self, name: str) -> VenueMeters:
        return self.venues.setdefault(name, VenueMeters())

    def channel(self, name: str) -> ChannelMeters:
        return self.channels.setdefault(name, ChannelMeters())

    def forget(
        self,
        *,
        venues: Collection[str] = (),
        channels: Collection[str] = (),
        actions: Collection[str] = (),
        rules: Collection[str] = (),
    ) -> None:
        """These are no longer in the config: what is called so later begins anew."""
        counted = self.pipeline
        by_name: tuple[tuple[Collection[str], tuple[dict[Any, Any], ...]], ...] = (
            (venues, (self.venues, counted.events)),
            (channels, (self.channels, counted.notifications, self.answers)),
            (actions, (self.actions, counted.runs)),
            (rules, (counted.fired,)),
        )
        for names, counters in by_name:
            for counter in counters:
                _leave_out(counter, names)

    def frozen(self) -> "Meters":
        """A copy that stands still."""
        return deepcopy(self)
