"""A rule after it was checked: nothing left to parse, to look up or to refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from tocsin.engine.model import Severity
from tocsin.events import Change

Truth: TypeAlias = bool | None
"""Three-valued: None is unknown, because a field was missing."""


class Condition(Protocol):
    """A compiled condition over one change. Pure: the same change and time give the same answer."""

    source: str
    """The expression in its canonical spelling."""
    edge: bool
    """It holds `crosses_*` or `changed`: true for a moment, nothing to resolve."""
    timed: bool
    """Its truth changes as time passes."""
    fields: tuple[str, ...]
    """The fields it reads, `account.x` for the account's."""

    def holds(self, change: Change, now: datetime) -> Truth: ...

    def missing(self, change: Change, now: datetime) -> tuple[str, ...]:
        """The fields it needed and didn't find; those that make it unknown."""
        ...

    def told(self, change: Change, now: datetime) -> str:
        """The condition with the values that it saw: `profit -60 < -50`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One checked rule. Durations are seconds.

    A state rule watches `kind`s entities (`events` empty); an event rule the dotted names in `events`, `*` meaning
    every event of that kind. `notify` None means the defaults for the severity. `fingerprint` changes exactly when
    what the rule means changes (watch, conditions, timing), not with its texts and channels. `value_of` is the field
    that a message's value, worst and value at start speak of, `worst_is` which end of it is worse.
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
    if_unknown: Literal["tell", "ignore"] = "tell"
    on_gap: Literal["hold", "resolve"] = "hold"
    severity: Severity = "warning"
    notify: tuple[str, ...] | None = None
    title: str | None = None
    message: str | None = None
    value_of: str | None = None
    worst_is: Literal["lowest", "highest"] = "lowest"
    enabled: bool = True
    fingerprint: str = ""

    @property
    def is_event_rule(self) -> bool:
        return bool(self.events)

    @property
    def is_level(self) -> bool:
        """A state rule on what is so for a while: its instances live. Others tell what happens, and are over."""
        return not self.events and self.when is not None and not self.when.edge

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in (self.where, self.when, self.until) if condition is not None)


Rules: TypeAlias = Mapping[str, Rule]
