"""What `tocsin rules` tells, as JSON: from the store, of the rules of these settings. Blocks."""

from typing import Any

from tocsin.config.settings import Settings
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

Json = dict[str, Any]


def listed_rules(settings: Settings) -> list[Json]:
    """The rules in their order: `rule watch severity enabled`, how often each `fired`, `last_fired_at`, and how many `firing`.

    Raises StoreUnavailable, SchemaRefused.
    """
    fired = {row["rule"]: row for row in Reader(settings.state_dir / DATABASE).rules()}
    nothing: Json = {"fired": 0, "last_fired_at": None, "active": 0}
    return [
        {
            "rule": rule.id,
            "watch": list(rule.events or sorted(rule.kinds)),
            "severity": rule.severity,
            "enabled": rule.enabled,
            "fired": (known := fired.get(rule.id, nothing))["fired"],
            "last_fired_at": known["last_fired_at"],
            "firing": known["active"],
        }
        for rule in settings.rules
    ]
