"""A rule after it was checked: nothing left to parse, to look up or to refuse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from tocsin.calendars import Calendar, Since
from tocsin.engine.api import Gap, Severity
from tocsin.engine.windows import WindowSpec
from tocsin.events import Change
from tocsin.events.links import holder_of

Wording: TypeAlias = Literal["exact", "words", "limit"]
"""A condition in its own words (`abs(profit) 60 > 50`), as people read it (`size of profit 60 > 50`), or that without what it
compares (`size of profit > 50`).
"""
WORDINGS: tuple[Wording, ...] = ("exact", "words", "limit")
Truth: TypeAlias = bool | None
"""Three-valued: None is unknown, because a field was missing."""
Evaluate: TypeAlias = Callable[[Change, datetime], Any]


class Followed(Protocol):
    """A value whose history a condition asks for; those of equal names are one. `window` None: for ever.

    `samples`: it has one of each event that takes part in the rule; else one of each change of the entity. `keyed`: it is of each of
    an event rule's instances (`per`); else of the entity.
    """

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> Evaluate: ...

    @property
    def window(self) -> WindowSpec | None: ...

    @property
    def samples(self) -> bool: ...

    @property
    def keyed(self) -> bool: ...

    @property
    def links(self) -> frozenset[str]:
        """The links through which it reads: it has samples of what happens there too."""
        ...


class Crossing(Protocol):
    """A value that is to cross another one. `name` is the same where both are alike, whatever a constant limit is: then
    `limit` is None. The pair is known where both are.
    """

    @property
    def name(self) -> str: ...

    def pair(self, change: Change, *, before: bool = False) -> tuple[Decimal, Decimal] | None:
        """The value and its limit at a change, or before it; None where one is missing."""
        ...


class Summed(Protocol):
    """A value that is summed over the entities of a group. `money`: it is of a currency. `extremes`: its lowest or
    highest is asked for too.
    """

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> Evaluate: ...

    @property
    def money(self) -> bool: ...

    @property
    def extremes(self) -> bool: ...

    @property
    def absent(self) -> tuple[Callable[[Change], str | None], ...]:
        """Of the values that it reads, whether and why one can't exist."""
        ...


class Condition(Protocol):
    """A compiled condition over one change. Pure: the same change and time give the same answer."""

    source: str
    """The expression in its canonical spelling."""
    edge: bool
    """It holds `crosses_*` or `changed`: true for a moment, nothing to resolve."""
    looks_back_at: frozenset[str]
    """It reads `previous(x)` or an edge: only at an event is there anything to compare. At whose: "" for the entity's own,
    else the link through which x is read.
    """
    timed: bool
    """Its truth changes as time passes: by what grows older (`drifts`), or as windows begin."""
    drifts: bool
    begins: frozenset[Since]
    turn: Callable[[Change, datetime], timedelta | None] | None
    """How long after now its truth may next turn by that alone, None where it can't; None where it isn't timed."""
    fields: tuple[str, ...]
    """The fields it reads, `account.x` for what it reads through a link."""

    remembers: bool
    """It looks at more than the change: at history, at events counted, at a group. It must hear of each change of its
    kinds, also of those that leave it as it is."""

    @property
    def followed(self) -> Sequence[Followed]:
        """The values whose history it asks for."""
        ...

    @property
    def crossings(self) -> Sequence[Crossing]:
        """The values that it wants to have crossed something."""
        ...

    @property
    def counted(self) -> Sequence[timedelta]:
        """The lengths of the windows in which it counts events."""
        ...

    @property
    def summed(self) -> Sequence[Summed]:
        """The values that it sums over a group."""
        ...

    @property
    def parts(self) -> "Sequence[Condition]":
        """What it puts together by `and`; itself where it is one thing."""
        ...

    def holds(self, change: Change, now: datetime) -> Truth: ...

    def missing(self, change: Change, now: datetime) -> tuple[str, ...]:
        """The fields it needed and didn't find; those that make it unknown."""
        ...

    def nothing(self, change: Change) -> str | None:
        """Why a value that it reads can't exist (`no margin in use`); None where all may."""
        ...

    def describe(self, change: Change, now: datetime, *, wording: Wording = "exact") -> str:
        """The condition with the values that it saw: `profit -60 < -50`."""
        ...

    def gap(self, change: Change, now: datetime) -> Gap:
        """How far it is from being so, by the numbers and durations that it compares with their limits."""
        ...

    def bounds(self, name: str, change: Change, now: datetime) -> tuple[Decimal, ...]:
        """The numbers that what is spelled `name` is compared with."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSpec:
    """The second event of a sequence: `awaited` (`then`), or not to come (`unless`).

    `when` may read `first.FIELD`. `match` pairs a field of the second's entity with the equal one of the first's. `within`
    is in seconds. `same_kind`: both events are of one and the same kind.
    """

    awaited: bool
    kinds: frozenset[str]
    events: tuple[str, ...]
    when: Condition | None = None
    match: tuple[tuple[str, str], ...] = ()
    within: float
    same_kind: bool = False


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """A rule that, while it fires, holds another one's alerts: those of the same venue, or (`same`) of the same entity only."""

    rule: str
    same: bool = False


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Who is told when nobody has acknowledged for `after` seconds, and then each `repeat` seconds."""

    after: float
    notify: tuple[str, ...]
    repeat: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The actions that an alert starts, by their names: when it fires, and when it is over."""

    on_firing: tuple[str, ...] = ()
    on_resolved: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.on_firing, *self.on_resolved)

    def of(self, told: str) -> tuple[str, ...]:
        return {"firing": self.on_firing, "resolved": self.on_resolved}.get(told, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One checked rule. Durations are seconds.

    A state rule watches `kind`s entities (`events` empty); an event rule the dotted names in `events`, `*` meaning
    every event of that kind. `notify` None means the defaults for the severity. `fingerprint` changes exactly when
    what the rule means changes (watch, conditions, timing), not with its texts and channels. `value_of` is the field
    that a message's value, worst and value at start speak of, `worst_is` which end of it is worse, `value_limit` the one
    constant that it has to be beyond; in a rule on groups it is a group's number, called `value_called` by people,
    which `value_from` works out (`value_computed`: not only chooses); `put_together` are the values that it sums, by
    their spelling. `linked_fields` are the fields of tickers and venues that it names (`ticker.price`; `ticker.*`
    where that may be any).
    """

    id: str
    kinds: frozenset[str]
    events: tuple[str, ...] = ()
    when: Condition | None = None
    until: Condition | None = None
    where: Condition | None = None
    for_: float = 0.0
    keep_firing_for: float = 0.0
    repeat: float | None = None
    cooldown: float | None = None
    per: tuple[str, ...] | None = None
    absent: float | None = None
    sequence: SequenceSpec | None = None
    active: Calendar | None = None
    notify_during: Calendar | None = None
    inhibited_by: tuple[Inhibitor, ...] = ()
    escalate: tuple[EscalationStep, ...] = ()
    run: Run = Run()
    if_unknown: Literal["tell", "ignore"] = "tell"
    on_gap: Literal["hold", "resolve"] = "hold"
    severity: Severity = "warning"
    notify: tuple[str, ...] | None = None
    title: str | None = None
    message: str | None = None
    value_of: str | None = None
    value_called: str | None = None
    value_from: Callable[[Change, datetime], Decimal | None] | None = field(default=None, compare=False)
    value_computed: bool = False
    worst_is: Literal["lowest", "highest"] = "lowest"
    value_limit: Decimal | None = None
    put_together: tuple[str, ...] = ()
    linked_fields: frozenset[str] = frozenset()
    enabled: bool = True
    fingerprint: str = ""

    @property
    def is_event_rule(self) -> bool:
        return bool(self.events)

    @property
    def is_group(self) -> bool:
        """A state rule with an instance for each group of entities, instead of each entity."""
        return self.per is not None and not self.events

    @property
    def counted(self) -> frozenset[timedelta]:
        """The windows in which an event rule counts."""
        return frozenset(length for condition in self.conditions for length in condition.counted)

    @property
    def keyed(self) -> tuple[Followed, ...]:
        """The values that an event rule follows for each of its instances."""
        found = (each for condition in self.conditions for each in condition.followed if each.keyed)
        return tuple(dict.fromkeys(found))

    @property
    def is_level(self) -> bool:
        """A state rule on what is so for a while: its instances live. Others tell what happens, and are over."""
        return not self.events and self.when is not None and not self.when.edge

    @property
    def lasts(self) -> bool:
        """Whether its alerts begin and end: on what is so for a while, or doesn't come for a while."""
        return self.is_level or self.absent is not None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in (self.where, self.when, self.until) if condition is not None)

    @property
    def links(self) -> frozenset[str]:
        """The links through which its conditions and its value read."""
        names = [name for condition in self.conditions for name in condition.fields]
        if self.value_of is not None:
            names.append(self.value_of)
        return frozenset(filter(None, map(holder_of, names)))
