"""What the engine takes and gives: rules in, changes in, transitions out. The rest of the room is behind this.

Conditions stay pure: what needs more than one change (windows, events counted, the group) is handed in as an `EnrichedChange`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field, structs

from tocsin.engine.windows import Window
from tocsin.events import Change, Entity, Key

Severity: TypeAlias = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
AlertState: TypeAlias = Literal["inactive", "pending", "firing", "recovering"]
Notification: TypeAlias = Literal["firing", "reminder", "resolved"]
"""What people are told of an alert: that it fires, still fires, is over."""


FAR = float("inf")
"""How far it is to what no number tells of."""


class World(Protocol):
    """What the engine may ask about entities as they stand now."""

    def live(self, kind: str) -> Iterable[Change]:
        """Every entity of that kind that hasn't ended, each as its latest Change."""
        ...

    def get(self, key: Key) -> Change | None: ...

    def called(self, kind: str, names: Collection[str] | None) -> Iterable[Key]:
        """What lives of that kind and has one of these ids, symbols or accounts (None: all), and what has ended of these ids."""
        ...


class Distance(Struct, frozen=True, kw_only=True):
    """A number or duration, and the limit that it is compared with, as people read them; how far apart they are: `gap` as they
    are, `relative` of the larger of them (0 to 2). `met`: the comparison holds.
    """

    value: str
    limit: str
    gap: str
    relative: float
    met: bool


class Gap(NamedTuple):
    """How far a condition is from being so. `to_go` is relative: 0 where it is so, infinite where no number tells. `by`: the comparison
    that says so, if any: of parts put together by `and` the farthest, by `or` the nearest.
    """

    to_go: float
    by: Distance | None = None

    @property
    def order(self) -> tuple[float, float]:
        """Nearest first; of what is met, what is so by far comes first."""
        beyond = self.by.relative if self.by is not None and self.by.met else 0.0 if self.by else FAR
        return self.to_go, -beyond

    @property
    def distance(self) -> Distance | None:
        """None where it is infinitely far, or no number has to do with it."""
        return self.by if self.to_go < FAR else None


class Part(Struct, frozen=True, kw_only=True):
    """One part of a rule's conditions as an evaluation saw it: of `where`, `when`, `until`, `then` or `unless`, what it asks,
    whether that holds (None: unknown), and what it saw. `decides`: it made that condition what it is. `distance`: of the
    comparison that counts, where the part is one of numbers. `as_of`: since when that is so, where the engine knows it.
    """

    of: str
    asks: str
    holds: bool | None
    saw: str
    decides: bool = True
    distance: Distance | None = None
    as_of: datetime | None = None


class LinkedFields(Struct, frozen=True):
    """What an entity belongs to, as `AlertContext` has fields; `seen` is when the last message mentioned it."""

    fields: Mapping[str, Any]
    derived: tuple[str, ...] = ()
    seen: datetime | None = None


class AlertContext(Struct, frozen=True, kw_only=True):
    """All that a message can speak of, frozen when it happened; JSON-able, kept with the delivery.

    `fields` are the entity's as plain JSON (numbers as the wire's text, times as ISO 8601), `linked` those of what it belongs
    to, by the link (`account`, `ticker`, `venue`; an older version wrote `account_fields` in its place). `condition` is in the
    vocabulary's own words with the values that made it true (`profit -60 < -50`), `words` the same as people read it (None: an
    older version wrote this), `limit` that without the values. `value`, `value_at_start` and `worst` are of the field `value_of`,
    `bounds` are the numbers that it was compared with. Times are UTC.

    `unacknowledged`: it is told because nobody has acknowledged it for so many seconds. `acked_by`: what is told is
    that somebody has. `action_failed`: an action that it started, and what is wrong with that. `asks`: what is asked
    of people about it (`run hedge?`). `after_silence`: what held it and those that are told `together` with it, all
    of which a silence held, by its matchers. Of a `resolved` one `reason` says what ended it if its own end condition
    didn't: `position closed: stop_loss`. `parts` are the rule's conditions as they were evaluated for it (none: an
    older version wrote this).
    """

    rule: str
    severity: Severity
    state: Notification
    kind: str
    venue: str
    entity: str
    account: str | None = None
    symbol: str | None = None
    event: str | None = None
    condition: str = ""
    words: str | None = None
    limit: str = ""
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    linked: Mapping[str, LinkedFields] = field(default_factory=dict)
    account_fields: Mapping[str, Any] = field(default_factory=dict)
    value_of: str | None = None
    value_called: str | None = None  # by people, where that is another word
    value: str | None = None
    value_at_start: str | None = None
    worst: str | None = None
    bounds: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()  # of the fields and `value_of`: whose numbers we worked out
    account_derived: tuple[str, ...] = ()
    started_at: datetime  # the condition began to hold (before `for`)
    fired_at: datetime | None = None
    at: datetime  # of this transition
    time: datetime  # of the change behind it, as the venue dates it
    last_seen: datetime | None = None  # when the last message mentioned it
    origin: str = "live"
    unconfirmed_since: datetime | None = None  # nobody knows whether it still is so: its venue was away then
    missing: tuple[str, ...] = ()  # fields that an event rule needed and didn't have
    suppressed: int = 0  # events that were held back and are told with this one
    held_by: str = ""  # what held the firing back until now
    together: tuple[str, ...] = ()  # the titles of those, but for this one's
    # Of a rule on groups: the `per` fields; there is no one entity then.
    group: Mapping[str, str | None] | None = None
    # The group's entities that take part, as `fields`; the first of them.
    members: tuple[Mapping[str, Any], ...] = ()
    member_count: int = 0
    left_out: tuple[str, ...] = ()  # members without the value, by their ids; the first of them
    left_out_count: int = 0
    title: str | None = None  # the rule's templates, where it has them
    message: str | None = None
    parts: tuple[Part, ...] = ()
    unacknowledged: float | None = None
    acked_by: str = ""
    after_silence: tuple[str, ...] = ()
    action_failed: str = ""
    asks: str = ""


class Transition(Struct, frozen=True, kw_only=True):
    """One step in the life of one instance of one rule.

    `instance` is the instance's key as text, `alert_id` is set from pending on and stays until inactive. `notification` is
    what people are to hear of it, if anything. `record` is the instance to keep in the store (opaque JSON for
    `Engine.restore`), or what makes it as the instance then is, None when it is over and can be forgotten. `trace` says
    in words why.
    """

    rule: str
    instance: str
    alert_id: str
    state: AlertState
    notification: Notification | None
    entity: Key
    at: datetime
    context: AlertContext | None
    record: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None
    notify: tuple[str, ...] | None = None  # the rule's channels; None: the defaults for its severity
    trace: str = ""


class ChangeOutcome(Struct):
    """A change that was taken in, and what it starts and ends, in the order of the rules.

    What a group has come to stands with the last change that moved it. `notifies`: people are to hear
    something, because of this change or of a group that it moved together with others.
    """

    change: Change
    transitions: list[Transition]
    notifies: bool = False


class Saved(Struct, frozen=True, kw_only=True):
    """An instance as it was stored: what `Transition.record` held."""

    rule: str
    instance: str
    record: Mapping[str, Any]


# --------------------------------------------------------------------------------------------- changes that know them


EVENT_TIME_WITHIN = timedelta(seconds=5)
"""How far the venue's time may be off ours to be the one that windows go by."""


class Aggregates(Protocol):
    """What a group's live entities come to. Values are named by their canonical spelling."""

    @property
    def members(self) -> int: ...

    @property
    def entities(self) -> int:
        """How many it has, whether they take part or not."""
        ...

    @property
    def heard(self) -> datetime | None:
        """When something last happened to any of those; None where there are none."""
        ...

    @property
    def per(self) -> Mapping[str, str | None]: ...

    def shown(self, values: Sequence[str]) -> Sequence[Mapping[str, str | bool | tuple[str, ...]]]:
        """The members' fields, of the first of them, which have the lowest of these values."""
        ...

    def unconfirmed_since(self) -> datetime | None:
        """Since when it isn't known of one of the members, the longest, whether it still is so."""
        ...

    def left_out(self, values: Sequence[str] | None = None) -> Sequence[str]:
        """The members without one of these values, or of all that are put together, by their ids."""
        ...

    def sum(self, value: str) -> Decimal | None: ...

    def mean(self, value: str) -> Decimal | None: ...

    def min(self, value: str) -> Decimal | None: ...

    def max(self, value: str) -> Decimal | None: ...

    def nothing(self, value: str) -> str | None:
        """Why no member can have the value; None where one may."""
        ...

    def currencies(self, value: str) -> tuple[str, ...]:
        """The unlike currencies because of which the value can't be worked out; empty where they are alike."""
        ...


class EnrichedChange(Change, frozen=True, kw_only=True):
    """`windows`: by `Followed.name`. `counts`: events by the length of the window. `last_known`: by `Crossing.name`, what was
    known before a hole that is over with this change. Each is empty where nothing is known.
    """

    windows: Mapping[str, Window]
    counts: Mapping[timedelta, int]
    group: Aggregates | None = None
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] = {}


_FIELDS = Change.__struct_fields__
_NO_WINDOWS: Mapping[str, Window] = {}
_NO_COUNTS: Mapping[timedelta, int] = {}


def inform(
    change: Change,
    windows: Mapping[str, Window] | None = None,
    counts: Mapping[timedelta, int] | None = None,
    group: Aggregates | None = None,
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] | None = None,
) -> EnrichedChange:
    """The change with these beside what it already knows."""
    known: dict[str, Any] = {}
    if windows is not None:
        known["windows"] = windows
    if counts is not None:
        known["counts"] = counts
    if group is not None:
        known["group"] = group
    if last_known is not None:
        known["last_known"] = last_known
    if isinstance(change, EnrichedChange):
        return structs.replace(change, **known)
    values = {name: getattr(change, name) for name in _FIELDS}
    return EnrichedChange(**values, **{"windows": _NO_WINDOWS, "counts": _NO_COUNTS, **known})


def event_time(change: Change, via: str | None = None) -> datetime:
    """When it happened, as windows go: when it was read, or the venue's time where it is close to that. `via`: what happened
    to the entity at the other end of that link.
    """
    of = change if via is None else change.linked[via]
    return of.time if abs(of.time - of.received) <= EVENT_TIME_WITHIN else of.received


def known_severity(text: str) -> Severity:
    """One that a store kept; of a word that a disk has damaged, a warning."""
    return next((known for known in SEVERITIES if known == text), "warning")


__all__ = [
    "FAR",
    "SEVERITIES",
    "Aggregates",
    "AlertContext",
    "AlertState",
    "Change",
    "ChangeOutcome",
    "Distance",
    "EnrichedChange",
    "Entity",
    "Gap",
    "Notification",
    "Part",
    "Saved",
    "Severity",
    "Transition",
    "World",
    "event_time",
    "inform",
    "known_severity",
]  # fmt: skip
