"""How bad the alerts were that a daemon kept: of a database without all prices a replay of its events alone doesn't know. Blocks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tocsin.events import Key, from_iso
from tocsin.store.reader import Reader

_MOST = 10_000  # alerts of a rule, the latest
_LAST = datetime.max.replace(tzinfo=UTC)


class AlertKept(Struct, frozen=True):
    """`worst` of what is `measured`, from when it began to be pending to its end (`resolved`), or until now."""

    fired: datetime
    resolved: datetime
    measured: str | None
    worst: str


class AlertsKept:
    """Of a database."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._of: dict[str, dict[tuple[str, str, str], list[AlertKept]]] = {}  # by rule, then entity

    def worst(
        self, rule: str, entity: Key, at: datetime, until: datetime | None, measured: str | None
    ) -> str | None:
        """Of the alert that was nearest to one which fires from then on; None where there was none at that time, or what the rule
        measured was another thing. Raises StoreUnavailable.
        """
        if rule not in self._of:
            self._of[rule] = self._read(rule)
        found = [
            each
            for each in self._of[rule].get((entity.venue, entity.account, entity.id), ())
            if each.measured == measured and each.fired <= (until or _LAST) and at <= each.resolved
        ]
        nearest = min(found, key=lambda each: abs(each.fired - at), default=None)
        return nearest.worst if nearest is not None else None

    def _read(self, rule: str) -> dict[tuple[str, str, str], list[AlertKept]]:
        lives = {
            each.record.get("alert_id"): each.record.get("worst")
            for each in self._reader.instances(rule)
            if each.record is not None
        }
        found: dict[tuple[str, str, str], list[AlertKept]] = {}
        for row in self._reader.alerts_of(rule, limit=_MOST):
            data: Mapping[str, Any] = row["data"] if isinstance(row["data"], dict) else {}
            worst = lives.get(row["id"]) or data.get("worst")
            if isinstance(worst, str):
                resolved = from_iso(row["resolved_at"]) if row["resolved_at"] else _LAST
                measured = data.get("value_called") or data.get("value_of")
                kept = AlertKept(from_iso(row["fired_at"]), resolved, measured, worst)
                found.setdefault((row["venue"], row["account"] or "", row["entity"]), []).append(kept)
        return found
