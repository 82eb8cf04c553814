"""What would be if numbers of rules were others: recorded events through the rules as they are and as they are edited, compared."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tocsin.config.edits import Edit
from tocsin.engine.rule import Rule, Run
from tocsin.errors import Problem
from tocsin.events import Key
from tocsin.replay.comparison import Alert, Alerts, Changed, Side, WhatIf
from tocsin.replay.coverage import Counted
from tocsin.replay.player import Firing, Outcome
from tocsin.replay.records import Record
from tocsin.replay.replay import Told, kinds_read, replay

MOST_STEPS = 500
_Firings: TypeAlias = dict[tuple[str, Key], list[Firing]]


def what_if(
    record: Record,
    rules: tuple[Sequence[Rule], Sequence[Rule]],
    edits: Sequence[Edit],
    *,
    warnings: Sequence[Problem] = (),
    diff: str = "",
    most: int | None = None,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> WhatIf:
    """The record through the edited ones of the `rules` as they are, and as they are edited; nothing else is run. `most` alerts of each
    list are given; `warnings` are what is doubtful in the edited ones only. Blocks, and runs trio; raises what the record raises.
    """
    ids = dict.fromkeys(edit.rule for edit in edits)
    before, after = ([_bare(rule) for rule in each if rule.id in ids] for each in rules)
    counted = Counted(record, before)
    told = replay(counted, [before, after], on_progress)
    lasted = told.ended - told.begun if told.begun is not None and told.ended is not None else None
    unsure = {rule.id for rule in before if rule.id in told.unsure}
    as_it_is, edited = told.outcomes
    if record.alerts is not None:
        for each in told.lost:
            if each.rule in unsure:  # the record lacks what made it worse, the alert that fired then doesn't
                kept = record.alerts.worst(each.rule, each.entity, each.at, each.until, each.measured)
                each.worst = kept or each.worst
    rules_of = {old.id: (old, new) for old in before for new in after if old.id == new.id}
    go_on = _by_instance(edited)
    lost, unknown = list[Firing](), list[Firing]()
    for each in told.lost:
        may_fire = each.rule in unsure and _may_fire_later(each, *rules_of[each.rule])
        (unknown if may_fire and not _is_covered(each, go_on) else lost).append(each)
    moved = [_alert(now, by=(now.at - then.at).total_seconds()) for now, then in told.both]
    return WhatIf(
        coverage=tuple(counted.coverage(rule, lasted, whole=rule.id not in told.unsure) for rule in before),
        at_least=bool(unsure),
        because=told.because if unsure else "",
        begun=told.begun.isoformat() if told.begun is not None else None,
        ended=told.ended.isoformat() if told.ended is not None else None,
        count=told.count,
        edits=tuple(
            Changed(rule=each.rule, path=each.path, called=each.called, before=each.before, after=each.after)
            for each in edits
        ),
        warnings=tuple(_sentence(each) for each in warnings),
        diff=diff,
        off=tuple(rule.id for rule in rules[0] if rule.id in ids and not rule.enabled),
        as_it_is=_side(as_it_is, told),
        edited=_side(edited, told),
        lost=_alone(lost, edited, before, most),
        unknown=_alone(unknown, edited, before, most),
        gained=_alone(told.added, as_it_is, after, most),
        later=_first([each for each in moved if each.by > 0], most),
        earlier=_first([each for each in moved if each.by < 0], most),
    )


def _may_fire_later(lost: Firing, as_it_is: Rule, edited: Rule) -> bool:
    """Whether it got beyond a limit that is edited to lie further out: for how long isn't known."""
    was, limit = as_it_is.value_limit, edited.value_limit
    if lost.worst is None or was is None or limit is None:
        return False
    worst = Decimal(lost.worst)
    return worst <= limit < was if edited.worst_is == "lowest" else worst >= limit > was


def _sentence(problem: Problem) -> str:
    where = f"{problem.path}: " if problem.path else ""
    return f"{where}{problem.message}" + (f" ({problem.hint})" if problem.hint else "")


def kinds_that_count(rules: tuple[Sequence[Rule], Sequence[Rule]], ids: Container[str]) -> frozenset[str]:
    """What a record has to have for these of the rules, as they are and as they are edited: more wouldn't change what is told."""
    kinds = [kinds_read(rule) for each in rules for rule in each if rule.id in ids]
    return frozenset({"venue"}).union(*kinds)


def _bare(rule: Rule) -> Rule:
    """The rule as far as it fires: nobody is told, and nothing run."""
    return replace(
        rule,
        enabled=True,
        notify=(),
        inhibited_by=(),
        escalate=(),
        run=Run(),
        repeat=None,
        notify_during=None,
    )


def _alone(firings: Sequence[Firing], other: Outcome, rules: Iterable[Rule], most: int | None) -> Alerts:
    """What fires on one side only, the worst of each rule first."""
    lowest = {rule.id: rule.worst_is == "lowest" for rule in rules}

    def badness(firing: Firing) -> tuple[str, bool, Decimal, datetime]:
        worst = Decimal(firing.worst) if firing.worst is not None else Decimal(0)
        return firing.rule, firing.worst is None, worst if lowest[firing.rule] else -worst, firing.at

    others = _by_instance(other)
    found = [
        _alert(firing, covered=_is_covered(firing, others)) for firing in sorted(firings, key=badness)[:most]
    ]
    return Alerts(len(firings), tuple(found))


def _by_instance(outcome: Outcome) -> _Firings:
    found: _Firings = {}
    for each in outcome.firings:
        found.setdefault((each.rule, each.entity), []).append(each)
    return found


def _is_covered(firing: Firing, others: _Firings) -> bool:
    """Whether one of these goes on then."""
    return firing.lasts and any(map(firing.meets, others.get((firing.rule, firing.entity), ())))


def _first(moved: Sequence[Alert], most: int | None) -> Alerts:
    return Alerts(len(moved), tuple(sorted(moved, key=lambda alert: -abs(alert.by))[:most]))


def _alert(firing: Firing, *, by: float = 0.0, covered: bool = False) -> Alert:
    key = firing.entity
    return Alert(
        rule=firing.rule,
        kind=key.kind,
        venue=key.venue,
        account=key.account or None,
        id=key.id,
        symbol=firing.symbol,
        side=firing.side,
        title=firing.title,
        at=firing.at.isoformat(),
        until=firing.until.isoformat() if firing.until is not None else None,
        of=firing.measured,
        worst=firing.worst,
        by=by,
        covered=covered,
    )


def _side(outcome: Outcome, told: Told) -> Side:
    if told.begun is None or told.ended is None:
        return Side(0)
    times = sorted(firing.at for firing in outcome.firings)
    every = max(1, -(-len(times) // MOST_STEPS))  # rounded up
    steps = [(told.begun.isoformat(), 0)]
    steps += [(at.isoformat(), count) for count, at in enumerate(times, 1) if count % every == 0]
    return Side(len(times), (*steps, (told.ended.isoformat(), len(times))))
