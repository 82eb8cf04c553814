"""Groups as instances of rules: the text that they are known by, and the change that stands for one where rules look."""

import json
from collections.abc import Mapping
from datetime import datetime

from msgspec import structs

from tocsin.engine.group import Group
from tocsin.engine.groups import label
from tocsin.engine.informed import Informed, inform
from tocsin.engine.rule import Rule
from tocsin.events import KINDS, Change, Entity, Key


def group_key(group: Group) -> str:
    """The text by which a group's instance of a rule is known."""
    return json.dumps(group.known_by)


def is_group_key(key: str) -> bool:
    """Whether an instance is of a group, by its key; else it is of an entity."""
    return key.startswith("{")


def groups_by(key: str) -> frozenset[str]:
    """The fields by which the group of that key is one."""
    return frozenset(json.loads(key))


def as_seen_by(rule: Rule, group: Group, now: datetime) -> Informed:
    """The group as the rule judges it. Where nobody takes part any more and so nothing can be known, it has ended."""
    change = as_change(rule, group, now)
    if not group.taking_part and not change.ended:
        asked = (condition for condition in (rule.when, rule.until) if condition is not None)
        if any(condition.holds(change, now) is None for condition in asked):
            return structs.replace(change, ended=True)
    return change


def as_change(rule: Rule, group: Group, now: datetime) -> Informed:
    """The group as conditions and messages see it: what its entities have in common, as if it were one of them."""
    kind, per = group.kind, group.per
    state = _state(kind, per, group.currency(rule.put_together))
    key = Key(per.get("venue") or "", kind, per.get("account") or "", label(per))
    latest = group.latest
    change = Change(
        key=key,
        events=(),
        state=state,
        previous=state,
        origin=latest.origin if latest is not None else "synthetic",
        time=latest.time if latest is not None else now,
        received=latest.received if latest is not None else now,
        known_since=latest.known_since if latest is not None else now,
        ended=not group.live,
        symbol=per.get("symbol"),
    )
    return inform(change, group=group)


def _state(kind: str, per: Mapping[str, str | None], currency: str | None) -> Entity:
    state = KINDS[kind]()
    values = {"id": per.get("id"), "symbol": per.get("symbol"), "currency": currency}
    known = {name: value for name, value in values.items() if value is not None and hasattr(state, name)}
    return structs.replace(state, **known)
