"""Rules that were edited, between two runs or within one: what becomes of the lives that hang on them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.engine import states
from tocsin.engine.group_change import is_group_key
from tocsin.engine.grouped import Grouped
from tocsin.engine.happenings import Quiet, Reminding, group_fields
from tocsin.engine.instance import Instance
from tocsin.engine.lives import Life, Lives
from tocsin.engine.model import Transition, World
from tocsin.engine.occasions import Occasions
from tocsin.engine.rule import Rule
from tocsin.engine.sequences import Awaiting, sign
from tocsin.engine.states import Step
from tocsin.engine.transitions import standing, transition
from tocsin.events import Change, Instant


class Changeover:
    def __init__(self, lives: Lives, world: World, occasions: Occasions, grouped: Grouped) -> None:
        self._lives = lives
        self._world = world
        self._occasions = occasions
        self._grouped = grouped

    def edited(
        self, life: Life, rule: Rule, asked: Mapping[str, Any], grouped: Sequence[str] | None, now: Instant
    ) -> Iterator[Transition]:
        """The rule means something else now. `asked` and `grouped` are what it wanted, and its `per`, before."""
        life.adopt(rule, now)
        if self._goes_on(life, asked, grouped, now):
            self._lives.keep(life)
            yield transition(life, Step(trace="rule changed, and it goes on"), now)
        else:
            yield from self.end(life, now, "rule changed")

    def end(self, life: Life, now: Instant, reason: str) -> Iterator[Transition]:
        """End it from outside; what was announced as firing is announced as resolved."""
        if isinstance(life, Quiet):
            yield from self._occasions.quiet_ended(life, now, reason)
            return
        self._lives.forget(life)
        step = Step(trace=reason)
        if isinstance(life, Instance) and life.state in ("firing", "recovering"):
            change = self.standing(life, now)
            if change is not None:
                step = states.resolve(life, change, now, reason=reason)
        yield transition(life, step, now, state="inactive", keep=False)

    def standing(self, life: Life, now: Instant) -> Change | None:
        """What the life is of, as it stands: its entity, if that is known, or its group."""
        if isinstance(life, Instance) and is_group_key(life.key):
            return self._grouped.standing(life, now)
        change = self._world.get(life.entity)
        return standing(change) if change is not None else None

    def _goes_on(
        self, life: Life, asked: Mapping[str, Any], grouped: Sequence[str] | None, now: Instant
    ) -> bool:
        rule = life.rule
        if isinstance(life, Quiet):
            return (
                rule.is_event_rule and bool(rule.cooldown) and list(group_fields(rule)) == list(grouped or ())
            )
        if isinstance(life, Reminding):
            return rule.is_event_rule and bool(rule.repeat)
        if isinstance(life, Awaiting):
            return life.sign == sign(rule)
        if is_group_key(life.key) != rule.is_group or (rule.is_group and not self._grouped.fits(life)):
            return False
        change = self.standing(life, now)
        if change is None:  # it couldn't be read: what is so will be seen when the venue speaks of it
            return rule.is_level and life.entity.kind in rule.kinds
        if life.state == "inactive":
            return rule.is_level and change.ended
        return states.has_not_ended(life, asked, change, now)


class Remembered:
    """The condition of a rule that is no longer there, as far as a message needs it."""

    edge = False
    timed = False
    remembers = False
    fields: tuple[str, ...] = ()
    followed = ()
    counted = ()
    summed = ()

    def __init__(self, source: str) -> None:
        self.source = source

    def holds(self, _change: Change, _now: datetime) -> None:
        return None

    def missing(self, _change: Change, _now: datetime) -> tuple[str, ...]:
        return ()

    def told(self, _change: Change, _now: datetime) -> str:
        return self.source


def gone_rule(rule: str, record: Mapping[str, Any]) -> Rule:
    """What is known of a rule that was removed while we were down, from the record of one of its lives."""
    source = record["asks"]["when"]
    notify = record["notify"]
    return Rule(
        id=rule,
        kinds=frozenset(),
        when=Remembered(source) if source else None,
        severity=record["severity"],
        notify=None if notify is None else tuple(notify),
        value_of=record["value_of"],
    )
