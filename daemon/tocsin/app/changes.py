"""What a reload changes: compared by value, so that what the user didn't touch notices nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.config.settings import Settings


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


def stale_channels(before: Settings, after: Settings) -> tuple[str, ...]:
    """The channels whose tasks have to begin anew: those that changed, whose fallback did, or that use other names."""
    difference = channels(before, after)
    moved = {*difference.added, *difference.removed, *difference.changed}
    renamed = before.names != after.names
    return tuple(
        name
        for name, channel in after.channels.items()
        if name in before.channels and (renamed or name in moved or channel.fallback in moved)
    )


def rules(before: Settings, after: Settings) -> Difference:
    """Rules whose meaning, texts or channels differ."""

    def by_id(settings: Settings) -> dict[str, Any]:
        return {
            rule.id: (
                rule.fingerprint,
                rule.enabled,
                rule.severity,
                rule.notify,
                rule.title,
                rule.message,
                rule.value_of,
                rule.inhibited_by,
                rule.notify_during,
            )
            for rule in settings.rules
        }

    return Difference.between(by_id(before), by_id(after))


def needs_restart(before: Settings, after: Settings) -> list[str]:
    """What a reload can't change, in words."""
    kept = {"state_dir": (before.state_dir, after.state_dir), "log": (before.log, after.log)}
    return [f"{name} takes effect at the next start" for name, (old, new) in kept.items() if old != new]
