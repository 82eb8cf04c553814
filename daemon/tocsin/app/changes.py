"""What a reload changes: compared by value, so that what the user didn't touch notices nothing; and how that is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tocsin.config.settings import Settings
from tocsin.engine.rule import Condition, Rule
from tocsin.engine.rule_keys import spelled_sequence


@dataclass(frozen=True, slots=True)
class Difference:
    """Names that are new, gone, or mean something else than before."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @classmethod
    def between(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> "Difference":
        return cls(
            added=tuple(name for name in after if name not in before),
            removed=tuple(name for name in before if name not in after),
            changed=tuple(name for name in after if name in before and before[name] != after[name]),
        )

    def told(self, what: str) -> list[str]:
        return [
            f"{what} {name} {how}"
            for how, names in (("added", self.added), ("removed", self.removed), ("changed", self.changed))
            for name in names
        ]


def venues(before: Settings, after: Settings) -> Difference:
    return Difference.between(before.venues, after.venues)


def channels(before: Settings, after: Settings) -> Difference:
    return Difference.between(before.channels, after.channels)


def actions(before: Settings, after: Settings) -> Difference:
    return Difference.between(before.actions, after.actions)


def calendars(before: Settings, after: Settings) -> Difference:
    return Difference.between(before.calendars, after.calendars)


def stale_channels(before: Settings, after: Settings) -> tuple[str, ...]:
    """The channels whose tasks have to begin anew: those that changed, whose fallback did, or that are written otherwise."""
    difference = channels(before, after)
    moved = {*difference.added, *difference.removed, *difference.changed}
    said = [(each.names, each.tz, each.links, each.public_url) for each in (before, after)]
    reworded = said[0] != said[1]
    return tuple(
        name
        for name, channel in after.channels.items()
        if name in before.channels
        and (
            reworded
            or name in moved
            or channel.fallback in moved
            or before.gates.get(name) != after.gates.get(name)
        )
    )


def rules(before: Settings, after: Settings) -> list[str]:
    """In words, the rules that are new, gone, or edited: what they mean, or how they are told only."""
    old, new = {rule.id: rule for rule in before.rules}, {rule.id: rule for rule in after.rules}
    difference = Difference.between(
        {id_: _said(rule) for id_, rule in old.items()}, {id_: _said(rule) for id_, rule in new.items()}
    )
    edited = [f"rule {name} changed {_how(old[name], new[name])}" for name in difference.changed]
    return [*replace(difference, changed=()).told("rule"), *edited]


def _said(rule: Rule) -> tuple[Any, ...]:
    return (rule.fingerprint, *(of(rule) for of in TOLD.values()))


def _how(old: Rule, new: Rule) -> str:
    if old.enabled != new.enabled:
        return "and is switched on" if new.enabled else "and is switched off"
    told = [key for key, of in TOLD.items() if of(old) != of(new)]
    if old.fingerprint == new.fingerprint:
        return f"in how it is told only ({', '.join(told)}); its alerts go on"
    meant = [key for key, of in MEANT.items() if of(old) != of(new)]
    told = [key for key in told if key != "value"]  # mostly what `when` compares, and edited with it
    return f"in what it means ({', '.join([*meant, *told])})"


def _source(condition: Condition | None) -> str | None:
    return condition.source if condition is not None else None


# What a rule means, by its keys, and how it is told: so that what is edited can be named. Each key of a rule but its id is in one.
MEANT: Mapping[str, Callable[[Rule], Any]] = {
    "watch": lambda rule: (rule.kinds, rule.events),
    "where": lambda rule: _source(rule.where),
    "when": lambda rule: _source(rule.when),
    "until": lambda rule: _source(rule.until),
    "for": lambda rule: rule.for_,
    "keep_firing_for": lambda rule: rule.keep_firing_for,
    "repeat": lambda rule: rule.repeat,
    "cooldown": lambda rule: rule.cooldown,
    "per": lambda rule: rule.per,
    "absent": lambda rule: rule.absent,
    "then or unless": lambda rule: spelled_sequence(rule.sequence) if rule.sequence is not None else None,
    "active": lambda rule: rule.active,
    "if_unknown": lambda rule: rule.if_unknown,
    "on_gap": lambda rule: rule.on_gap,
}
TOLD: Mapping[str, Callable[[Rule], Any]] = {
    "severity": lambda rule: rule.severity,
    "notify": lambda rule: rule.notify,
    "title": lambda rule: rule.title,
    "message": lambda rule: rule.message,
    "value": lambda rule: rule.value_of,
    "inhibited_by": lambda rule: rule.inhibited_by,
    "escalate": lambda rule: rule.escalate,
    "run": lambda rule: rule.run,
    "notify_during": lambda rule: rule.notify_during,
    "enabled": lambda rule: rule.enabled,
}


# What is told in words of its own, or of which nothing is worth telling.
_TOLD_ELSEWHERE = frozenset(
    {
        "path",
        "venues",
        "channels",
        "actions",
        "rules",
        "rule_sources",
        "calendars",
        "state_dir",
        "log",
        "sources",
        "masker",
        "warnings",
        "gates",
    }
)
_KEYS = {"notify": "defaults"}  # what the config calls it


def others(before: Settings, after: Settings) -> list[str]:
    """In words, the sections beside venues, channels and rules that are others now."""
    return [
        f"{_KEYS.get(each.name, each.name)} changed"
        for each in fields(Settings)
        if each.name not in _TOLD_ELSEWHERE and getattr(before, each.name) != getattr(after, each.name)
    ]


def needs_restart(before: Settings, after: Settings) -> list[str]:
    """What a reload can't change, in words."""
    kept = {"state_dir": (before.state_dir, after.state_dir), "log": (before.log, after.log)}
    return [f"{name} takes effect at the next start" for name, (old, new) in kept.items() if old != new]
