"""How it stands with rules on what is so for a while, for who watches them: read beside the messages' way, and never changed."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tocsin.engine.absence import Absence
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.api import AlertState, Gap, World
from tocsin.engine.group_rule import Groups, as_seen_by, group_key, group_stand_in
from tocsin.engine.instances import InstanceStore, instance_key
from tocsin.engine.pauses import ActiveHours
from tocsin.engine.rule import Rule
from tocsin.engine.trace import Timer, value_of
from tocsin.events import Change, Instant, Key


class Watching(NamedTuple):
    """A rule and one thing that it is about, an entity or a group (`entity` stands for it), whether it is so or not."""

    rule: Rule
    instance: str
    entity: Key


class Standing(NamedTuple):
    """What an instance has come to: as its rule judged last. `since`: when it fired, or began to be pending. `value` and `worst` are of
    the rule's `value_of`.
    """

    rule: Rule
    instance: str
    entity: Key
    state: AlertState
    since: datetime | None
    alert_id: str
    acked: bool
    value: Decimal | None = None
    worst: Decimal | None = None
    timer: Timer | None = None


class Look(NamedTuple):
    """What a rule sees of something now: the value of its `value_of`, and how far its conditions are from being so."""

    change: Change
    value: Decimal | None
    gap: Gap


class Looks:
    """Looks at instances. Each costs some microseconds."""

    def __init__(self, instances: InstanceStore, world: World, groups: Groups, hours: ActiveHours) -> None:
        self._instances, self._world, self._groups, self._hours = instances, world, groups, hours

    def standing(self, rule: str, instance: str, now: Instant) -> Standing | None:
        """None where there is no such instance with an alert that begins and ends."""
        found = self._instances.get(rule, instance)
        if isinstance(found, Absence):
            of = found.rule, found.key, found.entity
            return Standing(*of, found.state, found.fired_at, found.alert, found.acked)
        if not isinstance(found, AlertInstance):
            return None
        fired = found.state in ("firing", "recovering")
        return Standing(
            found.rule,
            found.key,
            found.entity,
            found.state,
            found.fired_at if fired else found.started_at,
            found.alert_id,
            found.acked,
            found.value,
            found.worst,
            found.timer(now.steady),
        )

    def groups(self, rule: Rule, now: Instant) -> Iterator[Watching]:
        """All groups of a rule on groups, which runs."""
        for group in self._groups.of(rule, now.wall):
            yield Watching(rule, group_key(group), group_stand_in(group))

    def look(self, at: Watching, now: Instant) -> Look | None:
        """None where there is no such thing, where the rule isn't about it, and out of its hours. Its rule runs."""
        rule = at.rule
        if not self._hours.counts(rule):
            return None
        change = self._change(at, now)
        if change is None or change.ended:
            return None
        where = rule.where if not rule.is_group else None  # of a group it says who takes part
        if where is not None and where.holds(change, now.wall) is False:
            return None
        conditions = (where, rule.when)
        gaps = (each.gap(change, now.wall) for each in conditions if each is not None)
        return Look(change, value_of(rule, change), max(gaps, key=lambda gap: gap.order))

    def _change(self, at: Watching, now: Instant) -> Change | None:
        if not at.rule.is_group:
            return self._world.get(at.entity)
        return as_seen_by(at.rule, self._groups.find(at.rule, at.instance, at.entity.id, now.wall), now.wall)


def of_entity(rule: Rule, change: Change) -> Watching:
    """The rule, and an entity of one of its kinds."""
    return Watching(rule, instance_key(change.key), change.key)
