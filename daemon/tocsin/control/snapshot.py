"""What is so now, thing by thing: what the page's screens are made of, beside the database.

It is made on the daemon's loop, at most four times a second, out of what nobody changes any more: whoever renders it may do so in
another thread. Numbers and words (`measures`) are those of `/metrics` and `tocsin status`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from tocsin.alerts.silences import Silences
from tocsin.control.measures import Measures
from tocsin.engine.api import AlertState, Distance
from tocsin.engine.trace import Timer
from tocsin.events import Change, Key


class Point(NamedTuple):
    """A value that was seen at a time (UTC)."""

    at: datetime
    value: Decimal


class Watched(Struct, frozen=True, kw_only=True):
    """One instance of a state rule: an entity, or (`key.id` is the group's name then) a group, as the rule sees it.

    `since` is when `state` began, `alert` the id of its alert (empty: none). `value` and `worst` are of what the rule's messages speak
    of (`value_of`), as they show it, in `currency` where it is money. `distance` is of the comparison that decides: of parts put
    together by `and` the farthest, by `or` the nearest. `far` says how far it is from firing, 0 at the limit; None: infinitely, since
    something without a number is false, or it isn't known. `timer`: of `for` or `keep_firing_for`. `stale_since`: its venue isn't
    connected, and it is as it was then.
    """

    rule: str
    instance: str
    key: Key
    symbol: str | None
    state: AlertState
    since: datetime | None = None
    alert: str = ""
    value: str | None = None
    value_of: str | None = None
    currency: str | None = None
    worst: str | None = None
    distance: Distance | None = None
    far: float | None = None
    timer: Timer | None = None
    stale_since: datetime | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that is so at `measures.now`.

    `entities`: what lives of each kind (`position`, `order`, `account`, `balance`, `contract`), in the order of venue, account and symbol.
    `away`: since when each venue that isn't connected hasn't been. `alerts`: what is pending, fires or recovers, the
    most urgent first; `closest`: of what doesn't fire, what is nearest to it (known and fresh), the nearest first; `watched`: of how
    many. `nearest`: for an entity what of it is nearest to firing, or fires. `trails`: of what is pending or fires the last half hour,
    by rule and instance, cut to 60 points. `rates`: messages a second that each venue sent in the last minute. `changes`: how often
    alerts, deliveries, acknowledgements, acts, silences and runs were changed in the database (`Journal.changes`).
    """

    measures: Measures
    entities: Mapping[str, Sequence[Change]]
    away: Mapping[str, datetime | None]
    alerts: Sequence[Watched]
    closest: Sequence[Watched]
    watched: int
    nearest: Mapping[Key, Watched]
    trails: Mapping[tuple[str, str], Sequence[Point]]
    rates: Mapping[str, float]
    changes: Mapping[str, int]
    silences: Silences
