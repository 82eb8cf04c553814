"""Event rules and edge conditions: something happened, told once; with `cooldown`, at most once in that time.

What a cooldown held back is counted and told, with its count, when the time is over, and a new cooldown begins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from tocsin.engine.alert_context import event_context
from tocsin.engine.alert_instance import revive, rule_record
from tocsin.engine.keys import group_fields
from tocsin.engine.model import Context
from tocsin.engine.rule import WORDINGS, Rule, Truth
from tocsin.events import Change, Instant, Key, iso

MOST_REMINDERS = 24


def verdict(rule: Rule, change: Change, now: Instant) -> tuple[Truth, tuple[str, ...]]:
    """Whether the rule's conditions hold for this event, and what was missing where that is unknown."""
    outcome: Truth = True
    missing: tuple[str, ...] = ()
    for condition in (rule.where, rule.when):
        if condition is None:
            continue
        truth = condition.holds(change, now.wall)
        if truth is False:
            return False, ()
        if truth is None:
            outcome = None
            missing += condition.missing(change, now.wall)
    return outcome, tuple(dict.fromkeys(missing))


def tells(rule: Rule, truth: Truth) -> bool:
    """Whether an event of that verdict raises an alert. Unknown does, unless the rule says to ignore it."""
    return truth is True or (truth is None and rule.if_unknown == "tell")


def happened(rule: Rule, change: Change, now: Instant, truth: Truth, missing: tuple[str, ...]) -> Context:
    """The context of the alert that this event raises."""
    known = [c for c in (rule.where, rule.when) if c is not None and truth is True]
    condition, words, limit = (
        " and ".join(filter(None, (c.told(change, now.wall, wording=wording) for c in known)))
        for wording in WORDINGS
    )
    return event_context(rule, change, now, condition=condition, words=words, limit=limit, missing=missing)


@dataclass(slots=True)
class Cooldown:
    """A rule's cooldown for one instance (`per`): until when (wall-clock), and what it has held back.

    `latest` makes the context of the last of those, which is wanted only when the time is over or a record is written.
    """

    rule: Rule
    key: str
    entity: Key
    until: Instant
    held: int = 0
    latest: Callable[[], Context] | None = None

    def hold(self, context: Callable[[], Context]) -> None:
        self.held += 1
        self.latest = context

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: what is still to be told has its new words, and no cooldown lasts longer than it says."""
        self.rule = rule
        self.until = min(self.until, now.later(rule.cooldown or 0.0), key=lambda at: at.steady)
        if self.latest is not None:
            self.latest = partial(_reworded, self.latest(), rule)

    def end(self, now: Instant) -> Context | None:
        """The time is over: what to tell of what was held back (a new cooldown then begins), or None."""
        if not self.held or self.latest is None:
            return None
        told = msgspec.structs.replace(self.latest(), suppressed=self.held, at=now.wall)
        self.held, self.latest = 0, None
        self.until = now.later(self.rule.cooldown or 0.0)
        return told

    def to_record(self) -> dict[str, Any]:
        return {
            "cooldown": True,
            **rule_record(self.rule),
            "per": group_fields(self.rule),
            "entity": list(self.entity),
            "until": iso(self.until.wall),
            "held": self.held,
            "latest": msgspec.to_builtins(self.latest()) if self.latest else None,
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "Cooldown":
        latest = always(msgspec.convert(record["latest"], Context)) if record["latest"] else None
        until = revive(record["until"], now, rule.cooldown or 0.0)
        return cls(rule, key, Key(*record["entity"]), until, record["held"], latest)


@dataclass(slots=True)
class Reminder:
    """An event rule's alert that is repeated until acknowledged, at most 24 times."""

    rule: Rule
    key: str
    context: Context
    entity: Key
    next_at: Instant
    times: int = field(default=0)

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: reminders have its new words, and come as often as it says."""
        self.rule = rule
        self.next_at = min(self.next_at, now.later(rule.repeat or 0.0), key=lambda at: at.steady)
        self.context = _reworded(self.context, rule)

    def remind(self, now: Instant) -> Context:
        self.times += 1
        self.next_at = now.later(self.rule.repeat or 0.0)
        return msgspec.structs.replace(self.context, state="reminder", at=now.wall)

    @property
    def exhausted(self) -> bool:
        return self.times >= MOST_REMINDERS

    def to_record(self) -> dict[str, Any]:
        return {
            "reminding": True,
            **rule_record(self.rule),
            "entity": list(self.entity),
            "context": msgspec.to_builtins(self.context),
            "next_at": iso(self.next_at.wall),
            "times": self.times,
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "Reminder":
        return cls(
            rule,
            key,
            msgspec.convert(record["context"], Context),
            Key(*record["entity"]),
            revive(record["next_at"], now, rule.repeat or 0.0),
            record["times"],
        )


def always(context: Context) -> Callable[[], Context]:
    """Makes a context that is there already."""
    return lambda: context


def _reworded(context: Context, rule: Rule) -> Context:
    return msgspec.structs.replace(context, severity=rule.severity, title=rule.title, message=rule.message)
