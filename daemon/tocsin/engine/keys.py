"""By what the instances of rules are known: names of events, fields of changes, keys of entities as text."""

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tocsin.engine.rule import Rule
from tocsin.events import Change, Key, iso
from tocsin.events.vocabulary import caseless, is_caseless


def is_one_of(name: str, events: Iterable[str]) -> bool:
    """Whether an event's name is one of these; `order.*` is every event of that kind."""
    return any(name == event or (event.endswith(".*") and name.startswith(event[:-1])) for event in events)


def happens_in(change: Change, events: Iterable[str]) -> bool:
    """Whether one of these events has happened."""
    return any(is_one_of(name, events) for name in change.events)


@lru_cache(maxsize=1024)  # of one entity many rules ask, one after the other
def instance_key(key: Key) -> str:
    """The text by which an entity's instance of a rule is known."""
    return json.dumps(list(key))


def entity_of(text: str) -> Key | None:
    """The inverse of `instance_key`; None where the text is none of its."""
    try:
        return Key(*json.loads(text))
    except (ValueError, TypeError):
        return None


def group_fields(rule: Rule) -> tuple[str, ...]:
    """By what an event rule's cooldown is told apart, and its counts and sequences are. `account` brings `venue`.

    `per`, else the entity where a sequence is of one kind and says nothing else, else venue and account.
    """
    fields = rule.per if rule.per is not None else ("venue", "account")
    if rule.per is None and rule.sequel is not None and rule.sequel.same_kind and not rule.sequel.match:
        fields = ("venue", "kind", "account", "id")
    return ("venue", *fields) if "account" in fields and "venue" not in fields else fields


def group_of(rule: Rule, change: Change) -> list[str | None]:
    """What those fields are for this change."""
    return [field_text(change, field) for field in group_fields(rule)]


def cooldown_key(rule: Rule, change: Change) -> str:
    """The key of the cooldown that an event of the rule falls under."""
    return _cooldown_text(tuple(group_of(rule, change)))


@lru_cache(maxsize=1024)  # of a flood each event asks for the same one
def _cooldown_text(fields: tuple[str | None, ...]) -> str:
    return json.dumps(["cooldown", *fields])


def rekeyed(rule: Rule, key: str) -> str:
    """The key of a rule's instance as this version spells it: without case where that tells nothing. An earlier one did
    otherwise.
    """
    if key.startswith("{"):  # a group's
        per = json.loads(key)
        return json.dumps({name: _folded(value, name, rule.kinds) for name, value in per.items()})
    list_, bracket, page = key.rpartition("]")
    parts = json.loads(list_ + bracket) if key.startswith("[") else []
    if parts[:1] not in (["cooldown"], ["sequence"]):
        return key
    return json.dumps([parts[0], *_folded_all(rule, parts[1:])]) + page


def retallied(rule: Rule, key: str) -> str:
    """The same of what a rule's events are counted by."""
    return json.dumps(_folded_all(rule, json.loads(key)))


def _folded_all(rule: Rule, values: list[str | None]) -> list[str | None]:
    """The values that a key is made of: the rule's `per` fields, then what a sequence is matched by."""
    fields = group_fields(rule)
    rest = values[len(fields) :]
    found = [_folded(value, name, rule.kinds) for name, value in zip(fields, values, strict=False)]
    if rule.sequel is not None:
        for place, (theirs, ours) in enumerate(rule.sequel.match[: len(rest)]):
            if is_caseless(ours, rule.kinds) and is_caseless(theirs, rule.sequel.kinds):
                rest[place] = _folded(rest[place], ours, rule.kinds)
    return [*found, *rest]


def _folded(value: str | None, field: str, kinds: frozenset[str]) -> str | None:
    return value.casefold() if value is not None and is_caseless(field, kinds) else value


def field_text(change: Change, field: str, *, exact: bool = False) -> str | None:
    """A field as keys have it: numbers that are equal, and times, are the same text, and so are texts of which case tells
    nothing, unless they are compared with one of which it does (`exact`). None where it has none.
    """
    text = field_shown(change, field)
    return text if exact or text is None or field not in caseless(change.kind) else text.casefold()


def field_shown(change: Change, field: str) -> str | None:
    """The same, its texts as they came."""
    value: Any
    if field in ("venue", "account", "kind", "symbol"):
        value = getattr(change, field)
    else:
        value = change.key.id if field == "id" else getattr(change.state, field, None)
    if isinstance(value, Decimal):
        return _plainest(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _plainest(value: Decimal) -> str:
    """`1` for 1, 1.0 and 1.00."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"
