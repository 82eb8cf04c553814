"""One instance of one rule: the states of an alert's life, its timers, and what it remembers. Pure; time is handed in.

    inactive --when--> pending --for--> firing --end--> recovering --keep_firing_for--> inactive

Durations count on the steady clock and only while the venue's link is up (`freeze`, `thaw`). What has been counted,
and when the present count began, is kept, so that a restart goes on where the last run was seen alive.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from tocsin.engine.instances import InstanceKind, revive, tagged
from tocsin.engine.model import AlertState
from tocsin.engine.rule import Rule
from tocsin.engine.trace import Timer
from tocsin.events import Instant, Key, from_iso, iso, number_text, stored_number


@dataclass(slots=True)
class Count:
    """Seconds that have passed, on a clock that can be stopped."""

    passed: float = 0.0
    since: float | None = None  # steady; None while stopped

    def read(self, steady: float) -> float:
        return self.passed + (steady - self.since if self.since is not None else 0.0)

    def stop(self, steady: float) -> None:
        self.passed, self.since = self.read(steady), None

    def go(self, steady: float) -> None:
        if self.since is None:
            self.since = steady

    def due(self, target: float) -> float | None:
        """When (steady) `target` seconds will have passed; None while stopped."""
        return None if self.since is None else self.since + max(0.0, target - self.passed)


@dataclass(slots=True)
class AlertInstance:
    """A state rule's instance, of an entity or of a group. `worst` and the others are of the rule's `value_of` field."""

    rule: Rule
    key: str
    entity: Key
    alert_id: str = ""
    state: AlertState = "inactive"
    count: Count = field(default_factory=Count)
    started_at: datetime | None = None
    fired_at: datetime | None = None
    value: Decimal | None = None
    value_at_start: Decimal | None = None
    worst: Decimal | None = None
    remind_at: Instant | None = None
    acked: bool = False
    over: bool = False  # the entity has ended and that was told: never again

    @property
    def kind(self) -> InstanceKind:
        return "group" if self.key.startswith("{") else "alert"

    @property
    def indexed(self) -> tuple[Hashable, str]:
        """By its entity, as of its rule."""
        return self.entity, self.rule.id

    def see_value(self, value: Decimal | None) -> None:
        """Remember the value at a change, while the instance is anything but inactive."""
        if value is None:
            return
        self.value = value
        if self.worst is None or (
            value < self.worst if self.rule.worst_is == "lowest" else value > self.worst
        ):
            self.worst = value

    def begin(self, alert_id: str, now: Instant) -> None:
        """The condition holds from now: pending. What an earlier life remembered is forgotten."""
        self.alert_id = alert_id
        self.state = "pending"
        self.count = Count(since=now.steady)
        self.started_at, self.fired_at, self.remind_at = now.wall, None, None
        self.value_at_start = self.value
        self.worst = self.value
        self.acked = self.over = False

    def fire(self, now: Instant) -> None:
        self.state = "firing"
        self.count = Count()
        self.fired_at = now.wall
        self.schedule_reminder(now)

    def schedule_reminder(self, now: Instant) -> None:
        repeat = self.rule.repeat
        self.remind_at = now.later(repeat) if repeat and not self.acked else None

    def recover(self, now: Instant) -> None:
        self.state = "recovering"
        self.count = Count(since=now.steady)

    def relapse(self, now: Instant) -> None:
        """So again: reminders go on as they were due, so that flapping puts none off."""
        self.state = "firing"
        self.count = Count()
        if self.remind_at is None:
            self.schedule_reminder(now)

    def reset(self) -> None:
        self.state = "inactive"
        self.count = Count()
        self.remind_at = None

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: its new texts and times count from now on."""
        if rule.value_of != self.rule.value_of:
            self.value = self.value_at_start = self.worst = None
        self.rule = rule
        if not rule.repeat:
            self.remind_at = None
        elif self.remind_at is not None:
            self.remind_at = min(self.remind_at, now.later(rule.repeat), key=lambda at: at.steady)
        elif self.state == "firing":
            self.schedule_reminder(now)

    @property
    def lasts(self) -> float:
        """How long (seconds) the present state has to last before it leads on."""
        return self.rule.for_ if self.state == "pending" else self.rule.keep_firing_for

    def timer(self, steady: float) -> Timer | None:
        """How far its state has come towards the next, where it leads on of itself."""
        if self.state not in ("pending", "recovering"):
            return None
        key: Literal["for", "keep_firing_for"] = "for" if self.state == "pending" else "keep_firing_for"
        passed = max(self.count.passed, self.count.read(steady))
        return Timer(key, passed, self.lasts, self.count.since is not None)

    def due(self) -> float | None:
        """The steady time at which something happens of itself, if ever."""
        times = []
        if self.state in ("pending", "recovering") and (at := self.count.due(self.lasts)) is not None:
            times.append(at)
        if self.state == "firing" and self.remind_at is not None:
            times.append(self.remind_at.steady)
        return min(times, default=None)

    def freeze(self, now: Instant) -> None:
        if self.state in ("pending", "recovering"):
            self.count.stop(now.steady)

    def thaw(self, now: Instant) -> None:
        if self.state in ("pending", "recovering"):
            self.count.go(now.steady)

    def to_record(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            **tagged(self),
            "state": self.state,
            "alert_id": self.alert_id,
            "passed": self.count.passed,
            "since_steady": self.count.since,
            "started_at": iso(self.started_at) if self.started_at else None,
            "fired_at": iso(self.fired_at) if self.fired_at else None,
            "remind_at": iso(self.remind_at.wall) if self.remind_at else None,
            "acked": self.acked,
            "over": self.over,
        }
        for name in ("value", "value_at_start", "worst"):
            value = getattr(self, name)
            record[name] = number_text(value) if value is not None else None
        return record

    @classmethod
    def from_record(
        cls, rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
    ) -> "AlertInstance":
        """The instance as it was when the last run was last seen `alive`; its count stands still until `thaw`."""
        passed = float(record["passed"])
        if (since := record["since_steady"]) is not None and alive is not None:
            passed += max(0.0, alive.steady - since)

        def time(name: str) -> datetime | None:
            return from_iso(record[name]) if record[name] else None

        def value(name: str) -> Decimal | None:
            known = record[name] is not None and record["value_of"] == rule.value_of
            return stored_number(record[name]) if known else None

        return cls(
            rule=rule,
            key=key,
            entity=Key(*record["entity"]),
            alert_id=record["alert_id"],
            state=record["state"],
            count=Count(passed),
            started_at=time("started_at"),
            fired_at=time("fired_at"),
            remind_at=revive(record["remind_at"], now, rule.repeat)
            if record["remind_at"] and rule.repeat
            else None,
            value=value("value"),
            value_at_start=value("value_at_start"),
            worst=value("worst"),
            acked=record["acked"],
            over=record["over"],
        )
