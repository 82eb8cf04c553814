"""What a change, or the passing of time, does to an alert's instance: one step in its states, with what is told of it, if anything.

Unknown (a missing field) neither starts nor ends anything.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from msgspec import structs

from tocsin.engine.alert_context import end_reason, is_over, state_context, value_of, value_shown
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.instances import Step, asks
from tocsin.engine.model import Told
from tocsin.engine.rule import Condition, Rule, Truth, Wording
from tocsin.engine.trace import parts_of
from tocsin.events import Change, Instant
from tocsin.quantities import duration_text

_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


def evaluate(rule: Rule, change: Change, now: Instant) -> Truth:
    """What the rule's condition comes to. `where` and `when` are one in a rule that counts and sums nothing."""
    if rule.is_group:  # `where` says who takes part
        return False if change.ended else _holds(rule.when, change, now)
    truth = _holds(rule.when, change, now)
    if rule.where is None or truth is False:
        return truth
    where = _holds(rule.where, change, now)
    return truth if where is True else where


def selects(rule: Rule, change: Change, now: Instant) -> bool:
    """Whether the entity takes part in the rule at all."""
    return rule.is_group or rule.where is None or _holds(rule.where, change, now) is not False


def lacks(rule: Rule, change: Change, now: Instant) -> tuple[str, ...]:
    """What is missing, where the rule's verdict is unknown."""
    conditions = (rule.when,) if rule.is_group else (rule.where, rule.when)
    missing = [name for one in conditions if one is not None for name in one.missing(change, now.wall)]
    return tuple(dict.fromkeys(missing))


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
        return _tell(instance, change, now, "reminder", reason="")
    return None


def resolve(instance: AlertInstance, change: Change, now: Instant, *, reason: str) -> Step:
    """It is over: back to inactive, told."""
    step = _tell(instance, change, now, "resolved", reason=reason)
    instance.reset()
    return step


def _start(instance: AlertInstance, change: Change, now: Instant, new_id: Callable[[], str]) -> Step:
    instance.begin(new_id(), now)
    if instance.rule.for_ <= 0:
        return _fire(instance, change, now)
    return Step(
        trace=f"{_told(instance.rule.when, change, now)}: pending for {duration_text(timedelta(seconds=instance.rule.for_))}"
    )


def _fire(instance: AlertInstance, change: Change, now: Instant) -> Step:
    instance.fire(now)
    return _tell(instance, change, now, "firing", reason="")


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
        return _holds(rule.until, change, now)
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
    # Seen for the first time in an opening picture, already ended: it happened before anybody watched.
    history = change.origin == "snapshot" and change.previous is None
    if truth is True and not history:
        if instance.state == "inactive":
            instance.begin(new_id(), now)
        instance.fire(now)
        step = _tell(instance, change, now, "firing", reason=end_reason(change))
        instance.reset()
        instance.over = True
        return step
    return _drop(instance, f"{end_reason(change)} before it fired") if instance.state == "pending" else None


def _tell(instance: AlertInstance, change: Change, now: Instant, told: Told, *, reason: str) -> Step:
    rule = instance.rule
    spoken_of = rule.when
    if rule.until is not None and _speaks_until(rule, change, now, told, reason):
        spoken_of = rule.until
    # Of a condition that isn't so what is so instead is told.
    condition = _told(spoken_of, change, now)
    words = "" if is_over(change) else _told(spoken_of, change, now, wording="words")
    limit = _told(spoken_of, change, now, wording="limit")
    context = state_context(
        instance,
        change,
        now,
        told=told,
        condition=condition,
        words=words,
        limit=limit,
        reason=reason,
        parts=parts_of(rule, change, now),
    )
    return Step(told, context, f"{told}: {condition}" + (f" ({reason})" if reason else ""))


def _speaks_until(rule: Rule, change: Change, now: Instant, told: Told, reason: str) -> bool:
    """Whether it is `until` that says how it stands: it has come true, or holds the alert though `when` is no longer so."""
    if told == "resolved" and not reason:
        return _holds(rule.until, change, now) is True
    return told == "reminder" and _holds(rule.when, change, now) is False


def _holds(condition: Condition | None, change: Change, now: Instant) -> Truth:
    return True if condition is None else condition.holds(change, now.wall)


def _told(condition: Condition | None, change: Change, now: Instant, *, wording: Wording = "exact") -> str:
    return condition.told(change, now.wall, wording=wording) if condition else ""
