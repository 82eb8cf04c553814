"""What one rule misses, or may come to miss, in one group, and what is told of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from tocsin.engine.aggregates import label
from tocsin.engine.alert_instance import Count
from tocsin.engine.api import AlertState, Distance, Notification, Part
from tocsin.engine.group_rule import common_state
from tocsin.engine.index import named_values
from tocsin.engine.instances import InstanceKind, Step, absence_key, group_fields, revive, tagged
from tocsin.engine.rule import Rule
from tocsin.engine.trace import context_of
from tocsin.events import Change, Instant, Key, from_iso, iso
from tocsin.quantities import duration_text

_SHOWN = ("venue", "account", "symbol")  # of what is looked for


def words(rule: Rule) -> tuple[str, str]:
    """What is looked for, and that it is missed in few words: `order.filled where amount > 5 for 24h`, `no such order.filled for 24h`."""
    what, where = " or ".join(rule.events), f" where {rule.where.source}" if rule.where is not None else ""
    lasts = duration_text(timedelta(seconds=rule.absent or 0.0))
    return f"{what}{where} for {lasts}", f"no {'such ' if where else ''}{what} for {lasts}"


@dataclass(slots=True)
class Absence:
    """What one rule misses, or may come to, in one group; `common` is what is known of all that it looks for (`symbol`), as it was first
    spelled.

    `count`: for how long nothing has come, as far as that counts. `heard_at` is when something last came (UTC), `last` what that was;
    empty: nothing since the rule began, which was then. `alert` is the id of its alert while it fires.
    """

    rule: Rule
    key: str
    entity: Key
    common: Mapping[str, str | None]
    asked: str
    limit: str
    heard_at: datetime
    last: str = ""
    count: Count = field(default_factory=Count)
    alert: str = ""
    fired_at: datetime | None = None
    remind_at: Instant | None = None
    acked: bool = False

    @property
    def kind(self) -> InstanceKind:
        return "absence"

    @property
    def alert_id(self) -> str:
        return self.alert or self.key

    @property
    def state(self) -> AlertState:
        return "firing" if self.alert else "inactive"

    @property
    def indexed(self) -> None:
        return None

    def due(self) -> float | None:
        """When (steady) it fires, or reminds."""
        if not self.alert:
            return self.count.due(self.rule.absent or 0.0)
        return self.remind_at.steady if self.remind_at is not None else None

    def fire(self, alert_id: str, now: Instant) -> None:
        self.alert, self.fired_at, self.acked = alert_id, now.wall, False
        self.schedule_reminder(now)

    def schedule_reminder(self, now: Instant, *, at_once: bool = False) -> None:
        repeat = self.rule.repeat if self.alert and not self.acked else None
        self.remind_at = now.later(0.0 if at_once else repeat) if repeat else None

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: its new texts and times count from now on."""
        self.rule, due = rule, self.remind_at
        self.schedule_reminder(now)
        if due is not None and self.remind_at is not None:
            self.remind_at = min(due, self.remind_at, key=lambda at: at.steady)

    def to_record(self) -> dict[str, Any]:
        return {
            **tagged(self),
            "per": list(group_fields(self.rule)),
            "common": self.common,
            "asked": self.asked,
            "limit": self.limit,
            "state": self.state,
            "alert_id": self.alert,
            "passed": self.count.passed,
            "since_steady": self.count.since,
            "heard_at": iso(self.heard_at),
            "last": self.last,
            "fired_at": iso(self.fired_at) if self.fired_at else None,
            "remind_at": iso(self.remind_at.wall) if self.remind_at else None,
            "acked": self.acked,
        }

    @classmethod
    def begun(cls, rule: Rule, per: tuple[str | None, ...], now: Instant) -> "Absence":
        """Nothing has come, and its time stands still until it is let go."""
        named = {name: named_values(rule, name) or () for name in _SHOWN}
        common: dict[str, str | None] = {
            name: next(iter(values)) for name, values in named.items() if len(values) == 1
        }
        common |= dict(zip(group_fields(rule), per, strict=True))
        kind, (asked, limit) = rule.events[0].partition(".")[0], words(rule)
        return cls(
            rule=rule,
            key=absence_key(rule, per),
            entity=Key(common.get("venue") or "", kind, common.get("account") or "", label(common)),
            common=common,
            asked=asked,
            limit=limit,
            heard_at=now.wall,
        )

    @classmethod
    def from_record(
        cls, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> "Absence":
        """As it was when the last run was last seen `alive`; its time stands still."""
        reminds = record["remind_at"] and rule.repeat
        return cls(
            rule=rule,
            key=key,
            entity=Key(*record["entity"]),
            common=record["common"],
            asked=record["asked"],
            limit=record["limit"],
            heard_at=from_iso(record["heard_at"]),
            last=record["last"],
            count=Count.of_record(record, alive),
            alert=record["alert_id"],
            fired_at=from_iso(record["fired_at"]) if record["fired_at"] else None,
            remind_at=revive(record["remind_at"], now, rule.repeat or 0.0) if reminds else None,
            acked=record["acked"],
        )

    @property
    def seen(self) -> str:
        """What came last, in words."""
        return f"the last was {self.last}" if self.last else "none since the rule began"

    def stand_in(self, event: Change | None = None) -> Change:
        """What has not come, as messages see it: what its group has in common, as if it were one of it. `event`: what came then."""
        state = common_state(self.entity.kind, self.common, None)
        return Change(
            key=self.entity,
            events=(),
            state=state,
            previous=state,
            origin=event.origin if event is not None else "synthetic",
            time=event.time if event is not None else self.heard_at,
            received=self.heard_at,
            known_since=self.heard_at,
            symbol=self.common.get("symbol"),
        )

    def parts(self, now: Instant) -> tuple[Part, ...]:
        """What is looked for and how far that is from being missed; nothing where the rule is gone."""
        if self.rule.absent is None:
            return ()
        lasts = timedelta(seconds=self.rule.absent)
        passed = timedelta(seconds=round(self.count.read(now.steady)))
        part = Part(
            of="absent",
            asks=self.asked,
            holds=bool(self.alert),
            saw=self.seen,
            distance=Distance(
                value=duration_text(passed),
                limit=duration_text(lasts),
                gap=duration_text(abs(lasts - passed)),
                relative=abs(lasts - passed) / max(lasts, passed),
                met=bool(self.alert),
            ),
            as_of=self.heard_at,
        )
        return (part,)

    def notification(
        self, told: Notification, now: Instant, says: str, reason: str = "", *, event: Change | None = None
    ) -> Step:
        """`says`: what is so, in words. `event`: what came."""
        context = context_of(
            self.rule,
            self.stand_in(event),
            now,
            state=told,
            condition=says,
            words=says,
            limit=self.limit,
            reason=reason,
            value=None,
            value_at_start=None,
            worst=None,
            started_at=self.heard_at,
            fired_at=self.fired_at,
            parts=self.parts(now),
        )
        context = structs.replace(context, group=self.common)
        return Step(told, context, f"{told}: {says}" + (f" ({reason})" if reason else ""))
