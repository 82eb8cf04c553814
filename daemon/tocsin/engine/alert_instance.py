"""One instance of one rule: the states of an alert's life, its timers, and what it remembers. Pure; time is handed in.

    inactive --when--> pending --for--> firing --end--> recovering --keep_firing_for--> inactive

Durations count on the steady clock and only while the venue's link is up (`freeze`, `thaw`). What has been counted,
and when the present count began, is kept, so that a restart goes on where the last run was seen alive.

Unknown (a missing field) neither starts nor ends anything.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from msgspec import structs

from tocsin.engine.api import AlertContext, AlertState, Notification
from tocsin.engine.instances import InstanceKind, Step, asks, revive, tagged
from tocsin.engine.rule import Condition, Rule, Truth, Wording
from tocsin.engine.trace import (
    Timer,
    context_of,
    end_reason,
    evaluate,
    holds,
    is_over,
    parts_of,
    value_of,
    value_shown,
)
from tocsin.events import Change, Instant, Key, from_iso, iso, number_text, stored_number
from tocsin.quantities import duration_text


@dataclass(slots=True)
class Count:
    """Seconds that have passed, on a clock that can be stopped."""

    passed: float = 0.0
    since: float | None = None  # steady; None while stopped

    @classmethod
    def of_record(cls, record: Mapping[str, Any], alive: Instant | None) -> "Count":
        """What had passed when the last run was last seen `alive`; it is stopped."""
        passed, since = float(record["passed"]), record["since_steady"]
        if since is not None and alive is not None:
            passed += max(0.0, alive.steady - since)
        return cls(passed)

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

    def schedule_reminder(self, now: Instant, *, at_once: bool = False) -> None:
        repeat = self.rule.repeat if not self.acked else None
        self.remind_at = now.later(0.0 if at_once else repeat) if repeat else None

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
            count=Count.of_record(record, alive),
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


# -------------------------------------------------- steps: what a change, or the passing of time, does to an instance


_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


def judge(
    instance: AlertInstance, change: Change, now: Instant, truth: Truth, new_id: Callable[[], str]
) -> Step | None:
    """One evaluation after `change`, `truth` being the verdict: the step, None where there is nothing to keep."""
    rule, worst = instance.rule, instance.worst
    value = value_of(rule, change)
    if instance.state == "inactive":
        instance.value = value
    else:
        instance.see_value(value)
    if change.ended:
        return _entity_ended(instance, change, now, truth, new_id)
    if instance.state == "inactive":
        if truth is True:
            return _start(instance, change, now, new_id)
        was_over, instance.over = instance.over, False
        return Step(trace="it lives again") if was_over else None
    if instance.state == "pending":
        step = _drop(instance, "no longer so before `for` had passed") if truth is False else None
    else:
        step = _towards_end(instance, change, now, truth)
    if step is None and instance.worst is not None and instance.worst != worst:
        return Step(trace=f"worst so far: {value_shown(rule, instance.worst)}")
    if step is None and value is None and instance.value is not None and _lost_value(rule, change):
        return Step(trace=f"the value went missing, it was {value_shown(rule, instance.value)}")
    return step


def _lost_value(rule: Rule, change: Change) -> bool:
    """Whether the entity had the rule's value until this change; without it, no restart will find it there."""
    if change.previous is None or rule.is_group:
        return False
    return value_of(rule, structs.replace(change, state=change.previous)) is not None


def has_not_ended(instance: AlertInstance, asked: Mapping[str, Any], change: Change, now: Instant) -> bool:
    """Whether an instance goes on under a rule that was edited. `asked` is what the rule wanted to be so before."""
    rule, asking = instance.rule, asks(instance.rule)
    if not rule.is_level or change.kind not in rule.kinds:
        return False
    if asking == asked:
        return True
    if instance.state == "pending" or any(
        asking[key] != asked.get(key) for key in ("watch", "where", "when")
    ):
        return evaluate(rule, change, now) is not False
    return _has_ended(rule, change, now, evaluate(rule, change, now)) is not True


def passed(instance: AlertInstance, change: Change, now: Instant) -> Step | None:
    """A timer of the instance has come due."""
    if instance.state == "pending" and instance.count.read(now.steady) >= instance.rule.for_ - _ROUNDING:
        return _fire(instance, change, now)
    if (
        instance.state == "recovering"
        and instance.count.read(now.steady) >= instance.rule.keep_firing_for - _ROUNDING
    ):
        return resolve(instance, change, now, reason="")
    if (
        instance.state == "firing"
        and instance.remind_at is not None
        and now.steady >= instance.remind_at.steady - _ROUNDING
    ):
        instance.schedule_reminder(now)
        return _notify(instance, change, now, "reminder", reason="")
    return None


def reminder(instance: AlertInstance, change: Change, now: Instant) -> AlertContext | None:
    """What a reminder would say now; None where it doesn't fire."""
    fires = instance.state in ("firing", "recovering")
    return _notify(instance, change, now, "reminder", reason="").context if fires else None


def resolve(instance: AlertInstance, change: Change, now: Instant, *, reason: str) -> Step:
    """It is over: back to inactive, told."""
    step = _notify(instance, change, now, "resolved", reason=reason)
    instance.reset()
    return step


def _start(instance: AlertInstance, change: Change, now: Instant, new_id: Callable[[], str]) -> Step:
    instance.begin(new_id(), now)
    if instance.rule.for_ <= 0:
        return _fire(instance, change, now)
    return Step(
        trace=f"{_described(instance.rule.when, change, now)}: pending for {duration_text(timedelta(seconds=instance.rule.for_))}"
    )


def _fire(instance: AlertInstance, change: Change, now: Instant) -> Step:
    instance.fire(now)
    return _notify(instance, change, now, "firing", reason="")


def _drop(instance: AlertInstance, why: str) -> Step:
    instance.reset()
    return Step(trace=why)


def _towards_end(instance: AlertInstance, change: Change, now: Instant, when: Truth) -> Step | None:
    """Firing or recovering: does the end condition (`until`, else `when` not true) hold?"""
    rule = instance.rule
    if (because := exists_no_more(rule, change, when)) is not None:
        return resolve(instance, change, now, reason=because)
    ended = _has_ended(rule, change, now, when)
    if ended is True and instance.state == "firing":
        if rule.keep_firing_for <= 0:
            return resolve(instance, change, now, reason="")
        instance.recover(now)
        return Step(trace=f"recovering for {duration_text(timedelta(seconds=rule.keep_firing_for))}")
    if ended is False and instance.state == "recovering":
        instance.relapse(now)
        return Step(trace="so again: firing on")
    return None


def exists_no_more(rule: Rule, change: Change, truth: Truth) -> str | None:
    """Why what the rule is about can't be so any more, whatever `until` says; None where it can. `truth` is its verdict."""
    if truth is not False:
        return None
    conditions = (rule.when,) if rule.is_group else (rule.where, rule.when)
    found = (condition.nothing(change) for condition in conditions if condition is not None)
    return next((because for because in found if because is not None), None)


def _has_ended(rule: Rule, change: Change, now: Instant, when: Truth) -> Truth:
    """`until`, else `when` not true."""
    if rule.until is not None:
        return holds(rule.until, change, now)
    return None if when is None else not when


def _entity_ended(
    instance: AlertInstance, change: Change, now: Instant, truth: Truth, new_id: Callable[[], str]
) -> Step | None:
    """The order is terminal, the position closed: its instances end with it."""
    if instance.state in ("firing", "recovering"):
        step = resolve(instance, change, now, reason=end_reason(change))
        instance.over = truth is True  # what was announced for its last state is not announced again
        return step
    if instance.over:
        return None
    # Seen for the first time in an opening snapshot, already ended: it happened before anybody watched.
    history = change.origin == "snapshot" and change.previous is None
    if truth is True and not history:
        if instance.state == "inactive":
            instance.begin(new_id(), now)
        instance.fire(now)
        step = _notify(instance, change, now, "firing", reason=end_reason(change))
        instance.reset()
        instance.over = True
        return step
    return _drop(instance, f"{end_reason(change)} before it fired") if instance.state == "pending" else None


def _notify(
    instance: AlertInstance, change: Change, now: Instant, notification: Notification, *, reason: str
) -> Step:
    rule = instance.rule
    speaking = rule.when
    if rule.until is not None and _until_speaks(rule, change, now, notification, reason):
        speaking = rule.until
    # Of a condition that isn't so what is so instead is told.
    condition = _described(speaking, change, now)
    words = "" if is_over(change) else _described(speaking, change, now, wording="words")
    limit = _described(speaking, change, now, wording="limit")
    context = context_of(
        rule,
        change,
        now,
        state=notification,
        condition=condition,
        words=words,
        limit=limit,
        reason=reason,
        value=instance.value,
        value_at_start=instance.value_at_start,
        worst=instance.worst,
        started_at=instance.started_at or now.wall,
        fired_at=instance.fired_at,
        parts=parts_of(rule, change, now),
    )
    return Step(notification, context, f"{notification}: {condition}" + (f" ({reason})" if reason else ""))


def _until_speaks(rule: Rule, change: Change, now: Instant, notification: Notification, reason: str) -> bool:
    """Whether it is `until` that says how it stands: it has come true, or holds the alert though `when` is no longer so."""
    if notification == "resolved" and not reason:
        return holds(rule.until, change, now) is True
    return notification == "reminder" and holds(rule.when, change, now) is False


def _described(
    condition: Condition | None, change: Change, now: Instant, *, wording: Wording = "exact"
) -> str:
    return condition.describe(change, now.wall, wording=wording) if condition else ""
