"""State rules: what a change, or the passing of time, does to an instance. Steps return what was told, if anything.

Unknown (a missing field) neither starts nor ends anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tocsin.engine.context import end_reason, state_context, value_of
from tocsin.engine.instance import Instance
from tocsin.engine.model import Context, Told
from tocsin.engine.rule import Condition, Truth
from tocsin.events import Change, Instant

_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


@dataclass(frozen=True, slots=True)
class Step:
    """An instance has moved. `told` is what a person should hear of it; `over`: it can be forgotten afterwards."""

    told: Told | None = None
    context: Context | None = None
    trace: str = ""


def judge(
    instance: Instance, change: Change, now: Instant, new_id: Callable[[], str]
) -> tuple[Truth, Step | None]:
    """One evaluation after `change`: what the condition came to, and the step, None where nothing moved."""
    rule = instance.rule
    truth = _holds(rule.when, change, now)
    if truth is True and rule.where is not None:
        truth = _holds(rule.where, change, now)
    if instance.state == "inactive":
        instance.value = value_of(rule, change)
    else:
        instance.see_value(value_of(rule, change))
    if change.ended:
        return truth, _entity_ended(instance, change, now, truth, new_id)
    if instance.state == "inactive":
        return truth, _start(instance, change, now, new_id) if truth is True else None
    if instance.state == "pending":
        return truth, _drop(instance, "no longer so before `for` had passed") if truth is False else None
    return truth, _towards_end(instance, change, now, truth)


def passed(instance: Instance, change: Change, now: Instant) -> Step | None:
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
        return _tell(instance, change, now, "reminder", reason="")
    return None


def resolve(instance: Instance, change: Change, now: Instant, *, reason: str) -> Step:
    """It is over: back to inactive, told."""
    step = _tell(instance, change, now, "resolved", reason=reason)
    instance.reset()
    return step


def _start(instance: Instance, change: Change, now: Instant, new_id: Callable[[], str]) -> Step:
    instance.begin(new_id(), now)
    if instance.rule.for_ <= 0:
        return _fire(instance, change, now)
    return Step(
        trace=f"{_told(instance.rule.when, change, now)}: pending for {timedelta(seconds=instance.rule.for_)}"
    )


def _fire(instance: Instance, change: Change, now: Instant) -> Step:
    instance.fire(now)
    return _tell(instance, change, now, "firing", reason="")


def _drop(instance: Instance, why: str) -> Step:
    instance.reset()
    return Step(trace=why)


def _towards_end(instance: Instance, change: Change, now: Instant, when: Truth) -> Step | None:
    """Firing or recovering: does the end condition (`until`, else `when` not true) hold?"""
    rule = instance.rule
    ended = _holds(rule.until, change, now) if rule.until else (None if when is None else not when)
    if ended is True and instance.state == "firing":
        if rule.keep_firing_for <= 0:
            return resolve(instance, change, now, reason="")
        instance.recover(now)
        return Step(trace=f"recovering for {timedelta(seconds=rule.keep_firing_for)}")
    if ended is False and instance.state == "recovering":
        instance.relapse()
        instance.schedule_reminder(now)
        return Step(trace="so again: firing on")
    return None


def _entity_ended(
    instance: Instance, change: Change, now: Instant, truth: Truth, new_id: Callable[[], str]
) -> Step | None:
    """The order is terminal, the position closed: its instances end with it."""
    if instance.state in ("firing", "recovering"):
        instance.over = truth is True  # what was announced for its last state is not announced again
        return resolve(instance, change, now, reason=end_reason(change))
    if instance.over:
        return None
    # Seen for the first time in an opening picture, already ended: it happened before anybody watched.
    history = change.origin == "snapshot" and change.previous is None
    if truth is True and not history:
        if instance.state == "inactive":
            instance.begin(new_id(), now)
        instance.over = True
        instance.fire(now)
        step = _tell(instance, change, now, "firing", reason=end_reason(change))
        instance.reset()
        return step
    return _drop(instance, f"{end_reason(change)} before it fired") if instance.state == "pending" else None


def _tell(instance: Instance, change: Change, now: Instant, told: Told, *, reason: str) -> Step:
    rule = instance.rule
    if told != "resolved":
        condition = _told(rule.when, change, now)
    elif rule.until is not None and _holds(rule.until, change, now) is True:
        condition = _told(rule.until, change, now)
    else:
        condition = f"no longer {rule.when.source}" if rule.when and not reason else ""
    context = state_context(instance, change, now, told=told, condition=condition, reason=reason)
    return Step(told, context, f"{told}: {condition or reason}")


def _holds(condition: Condition | None, change: Change, now: Instant) -> Truth:
    return True if condition is None else condition.holds(change, now.wall)


def _told(condition: Condition | None, change: Change, now: Instant) -> str:
    return condition.told(change, now.wall) if condition else ""
