"""What is so now, thing by thing: what the page's screens are made of, beside the database.

It is made on the daemon's loop, at most four times a second, out of what nobody changes any more: whoever renders it may do so in
another thread. What is as it was in the snapshot before is the same object there. Numbers and words (`measures`) are those of
`/metrics` and `tocsin status`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from tocsin.alerts.silences import Silences
from tocsin.control.measures import Measures
from tocsin.engine.api import AlertState, Distance, Severity
from tocsin.events import Change, Key
from tocsin.store.model import Acked

Hours: TypeAlias = Literal["active", "notify_during"]
"""Which of a rule's calendars: when it counts, or when people are told."""


class Point(NamedTuple):
    """A value that was seen at a time (UTC)."""

    at: datetime
    value: Decimal


class Countdown(NamedTuple):
    """`for`, `keep_firing_for` or what `absent` waits for, which lasts so many seconds: `due` (UTC) is when it will have passed, as it runs; while it stands still,
    since its venue is away, that is None, and `left` are the seconds that it then still lacks.
    """

    key: Literal["for", "keep_firing_for", "absent"]
    lasts: float
    due: datetime | None
    left: float | None = None


class Watched(Struct, frozen=True, kw_only=True):
    """One instance of a rule on what is so for a while: an entity, or (`key.id` is the group's name then) a group, as the rule sees it;
    or what a rule misses.

    `since`: since when it fires, recovering or not, or is pending; `alert` is the id of its alert (empty: none). `value` and `worst` are
    of what the rule's messages speak of (`value_of`), as they show it, in `currency` where it is money. `distance` is of the comparison
    that decides: of parts put together by `and` the farthest, by `or` the nearest. `far` says how far its conditions are from being so, 0
    at the limit; None: infinitely, since something without a number is false, or it isn't known. Both are a second old at most where it is pending or fires, else five. `stale`: its venue isn't connected,
    and was heard the last time at `stale_since` (None: never, or it is connected); `unconfirmed`: nobody knows whether it is there.
    """

    rule: str
    severity: Severity
    instance: str
    key: Key
    symbol: str | None
    side: str | None = None
    state: AlertState
    since: datetime | None = None
    alert: str = ""
    acked: bool = False
    value: str | None = None
    value_of: str | None = None
    currency: str | None = None
    worst: str | None = None
    distance: Distance | None = None
    far: float | None = None
    timer: Countdown | None = None
    stale: bool = False
    stale_since: datetime | None = None
    unconfirmed: bool = False


class WatchedRule(NamedTuple):
    """What one rule is about: the `first` of it, what fires first, then what is nearest to its limit; and how many there are (`total`)."""

    first: Sequence[Watched]
    total: int


class Refusing(NamedTuple):
    """A channel that takes no messages: since when (UTC), and what it answered last."""

    since: datetime
    reason: str


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that is so at `measures.now`.

    `entities`: what lives of each kind (`position`, `order`, `account`, `balance`, `contract`), in the order of venue, account and symbol;
    without what they belong to (`linked`), and `last_seen` is of when they changed. `away`: when each venue that isn't connected was
    heard the last time, None: never. `outages`: the channels that refuse, or don't answer. `alerts`: what is pending, fires or
    recovers, the most urgent first; `closest`: of what doesn't fire, what is nearest to it (known and fresh), at most 100: what is
    pending, the first to fire first, then the nearest; `watched`: of how many. `nearest`: for an entity what of it is nearest to firing, or fires. `trails`: of what is
    pending or fires the last half hour, by rule and instance, cut to 60 points. `rates`: messages a second that each venue sent in
    the last minute. `shut`: the rules that are out of their hours, and of which (`active` or `notify_during`). `changes`: how often
    alerts, deliveries, acknowledgements, acts, silences and runs were changed in the database (`Journal.changes`). `acknowledged`: what
    became of late of acknowledgements, by alert: the database may be behind of these and of `silences`.
    """

    measures: Measures
    entities: Mapping[str, Sequence[Change]]
    away: Mapping[str, datetime | None]
    outages: Mapping[str, Refusing]
    alerts: Sequence[Watched]
    closest: Sequence[Watched]
    watched: int
    nearest: Mapping[Key, Watched]
    trails: Mapping[tuple[str, str], Sequence[Point]]
    rates: Mapping[str, float]
    changes: Mapping[str, int]
    silences: Silences
    shut: frozenset[tuple[str, Hours]]
    acknowledged: Mapping[str, Acked] = {}
