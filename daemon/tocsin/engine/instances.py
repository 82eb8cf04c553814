"""What the engine keeps between changes: instances of rules by their keys, and when each is due; how a step in one is told; and
what keys are made of.
"""

import json
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from tocsin.engine.api import AlertContext, AlertState, Notification, Transition
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key, from_iso, iso
from tocsin.events.vocabulary import caseless, is_caseless

InstanceKind: TypeAlias = Literal["alert", "group", "cooldown", "reminder", "sequence", "absence"]
_KIND = "kind"
# Earlier versions wrote no kind but one of these flags, or none for alerts. They are still written, for whoever goes back.
_FLAGS: Mapping[InstanceKind, str] = {"cooldown": "cooldown", "reminder": "reminding", "sequence": "sequence"}


class RuleInstance(Protocol):
    """What one rule keeps for one key. `entity` is what a message of it would be about."""

    rule: Rule
    key: str
    entity: Key

    @property
    def kind(self) -> InstanceKind:
        """By this it is known whose it is (`runtime.Runtimes`), and its record what it is of."""
        ...

    @property
    def alert_id(self) -> str:
        """The id of its alert; where it is of none, its key."""
        ...

    @property
    def state(self) -> AlertState:
        """The state of its alert; `inactive` where it is of none."""
        ...

    @property
    def indexed(self) -> tuple[Hashable, str] | None:
        """By what it is looked up beside its key, and its name among those that are found by that."""
        ...

    def due(self) -> float | None:
        """The steady time at which its timer is due, if one runs."""
        ...

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: its new texts and times count from now on."""
        ...

    def to_record(self) -> dict[str, Any]: ...


class EventInstance:
    """An instance of a rule on what happens: its alert, if it has one, has no state, and its id is its key."""

    __slots__ = ()
    key: str

    @property
    def alert_id(self) -> str:
        return self.key

    @property
    def state(self) -> AlertState:
        return "inactive"

    @property
    def indexed(self) -> tuple[Hashable, str] | None:
        return None


_Entry: TypeAlias = tuple[float, int, str]  # when, as how manieth it was asked, by whom
_FEW = 64  # entries that don't count, for which no heap is built anew


class Timers:
    """Who wants to be woken when. Of what is due at one time, whoever asked first is first.

    A heap with lazy removal: an entry counts only while its owner still wants that time. What doesn't leaves when it comes to
    the top, or all at once when it is more than half of the heap.
    """

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._wanted: dict[str, _Entry] = {}
        self._order = count()

    def set(self, owner: str, at: float | None) -> None:
        """Wake `owner` at this steady time; None: not at all."""
        known = self._wanted.get(owner)
        if at is None:
            self._wanted.pop(owner, None)
        elif known is None or known[0] != at:
            self._wanted[owner] = entry = (at, next(self._order), owner)
            heappush(self._heap, entry)
            if len(self._heap) > 2 * len(self._wanted) + _FEW:
                self._sweep()

    def next(self) -> float | None:
        while self._heap and self._wanted.get(self._heap[0][2]) is not self._heap[0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, steady: float) -> str | None:
        """The owner whose time has come first, or None."""
        at = self.next()
        if at is None or at > steady:
            return None
        owner = heappop(self._heap)[2]
        del self._wanted[owner]
        return owner

    def _sweep(self) -> None:
        self._heap = list(self._wanted.values())
        heapify(self._heap)


class InstanceStore:
    """Instances by (rule, key), by their rule, by their alert, by what they are indexed by, and by the time at which each has
    something to do.
    """

    def __init__(self) -> None:
        self._instances: dict[tuple[str, str], RuleInstance] = {}
        self._of_rule: dict[str, dict[str, RuleInstance]] = {}  # by their keys; never an empty one
        self._indexed: dict[Hashable, dict[str, RuleInstance]] = {}
        self._alerts: dict[str, dict[tuple[str, str], RuleInstance]] = {}  # by alert
        self._alert_of: dict[tuple[str, str], str] = {}
        self._timers = Timers()

    def __iter__(self) -> Iterator[RuleInstance]:
        """A snapshot: instances may come and go while it is walked."""
        return iter(list(self._instances.values()))

    def get(self, rule: str, key: str) -> RuleInstance | None:
        return self._instances.get((rule, key))

    def of_rule(self, rule: str) -> Collection[RuleInstance]:
        return self._of_rule.get(rule, {}).values()

    def of_alert(self, alert_id: str) -> list[RuleInstance]:
        """Those that an alert is of."""
        return list(self._alerts.get(alert_id, {}).values())

    def by(self, index: Hashable) -> Mapping[str, RuleInstance]:
        """Those that are indexed by it, by their names there."""
        return self._indexed.get(index, {})

    def rules_of(self, entity: Key) -> Collection[str]:
        """The ids of the rules that have an alert's instance for that entity."""
        found = self._indexed.get(entity)
        return found.keys() if found is not None else ()

    def keep(self, instance: RuleInstance) -> None:
        """Keep it, or note that it has changed: its timer is set anew."""
        at = (instance.rule.id, instance.key)
        self._instances[at] = self._of_rule.setdefault(at[0], {})[at[1]] = instance
        if (found := instance.indexed) is not None:
            self._indexed.setdefault(found[0], {})[found[1]] = instance
        self._file(at, instance, instance.alert_id)
        self._timers.set("\n".join(at), instance.due())

    def forget(self, instance: RuleInstance) -> None:
        at = (instance.rule.id, instance.key)
        if self._instances.pop(at, None) is not None:
            del self._of_rule[at[0]][at[1]]
            if not self._of_rule[at[0]]:
                del self._of_rule[at[0]]
            self._file(at, instance, "")
        self._timers.set("\n".join(at), None)
        if (found := instance.indexed) is None or (others := self._indexed.get(found[0])) is None:
            return
        others.pop(found[1], None)
        if not others:
            del self._indexed[found[0]]

    def _file(self, at: tuple[str, str], instance: RuleInstance, alert_id: str) -> None:
        before = self._alert_of.get(at, "")
        if before and before != alert_id:
            del self._alert_of[at]
            del self._alerts[before][at]
            if not self._alerts[before]:
                del self._alerts[before]
        if alert_id:
            self._alert_of[at] = alert_id
            self._alerts.setdefault(alert_id, {})[at] = instance

    def next_due(self) -> float | None:
        return self._timers.next()

    def pop_due(self, steady: float) -> Iterator[RuleInstance]:
        """Those whose time has come, in the order in which it came."""
        while (owner := self._timers.pop_due(steady)) is not None:
            rule, _, key = owner.partition("\n")
            instance = self._instances.get((rule, key))
            if instance is not None:
                yield instance


# ------------------------------------------------------------------------------------------------------------- records


def kind_of(record: Mapping[str, Any], key: str) -> InstanceKind:
    """What the record with that key is of, whichever version has written it."""
    if _KIND in record:
        kind: InstanceKind = record[_KIND]
        return kind
    flagged = next((kind for kind, flag in _FLAGS.items() if record.get(flag)), None)
    return flagged or ("group" if key.startswith("{") else "alert")


def tagged(instance: RuleInstance) -> dict[str, Any]:
    """What the records of all kinds have: their kind; and of their rule that by which an edit is seen and, where the rule is
    gone, what was announced is still resolved rightly.
    """
    rule, kind = instance.rule, instance.kind
    return {
        _KIND: kind,
        **({_FLAGS[kind]: True} if kind in _FLAGS else {}),
        "fingerprint": rule.fingerprint,
        "severity": rule.severity,
        "notify": rule.notify,
        "value_of": rule.value_of,
        "asks": asks(rule),
        "entity": list(instance.entity),
    }


def asks(rule: Rule) -> dict[str, Any]:
    """What the rule wants to be so, apart from how long and how often."""
    return {
        "watch": sorted(rule.events or rule.kinds),
        "where": rule.where.source if rule.where else None,
        "when": rule.when.source if rule.when else None,
        "until": rule.until.source if rule.until else None,
    }


def revive(wall: str, now: Instant, within: float) -> Instant:
    """A moment that was stored, as this run's clocks have it: across runs only the wall-clock means anything.

    At most `within` seconds ahead: the machine's clock may have been set back meanwhile.
    """
    at = from_iso(wall)
    ahead = min((at - now.wall).total_seconds(), within)
    return now.later(ahead)


# --------------------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True, slots=True)
class Step:
    """An instance has moved. `notification` is what people are to hear of it, if anything."""

    notification: Notification | None = None
    context: AlertContext | None = None
    trace: str = ""


def transition(
    instance: RuleInstance,
    step: Step,
    now: Instant,
    *,
    state: AlertState | None = None,
    alert_id: str | None = None,
    keep: bool = True,
    later: bool = False,
) -> Transition:
    """`keep`: the instance goes on, or has to be remembered; without it the store forgets it. `later`: its record is made
    when the batch is written, so that what moves many times in one is written once.
    """
    return Transition(
        rule=instance.rule.id,
        instance=instance.key,
        alert_id=instance.alert_id if alert_id is None else alert_id,
        state=state or instance.state,
        notification=step.notification,
        entity=instance.entity,
        at=now.wall,
        context=step.context,
        record=(instance.to_record if later else instance.to_record()) if keep else None,
        notify=instance.rule.notify,
        trace=step.trace,
    )


def unchanged(change: Change) -> Change:
    """The entity as it stands, nothing having happened: no edge is seen twice."""
    return msgspec.structs.replace(change, events=(), previous=change.state)


def before(change: Change) -> Change:
    """The entity as it stood until this change; as it is now, where it wasn't known."""
    if change.previous is None:
        return unchanged(change)
    return msgspec.structs.replace(change, events=(), state=change.previous, ended=False)


# --------------------------------------------------------- keys: names of events, fields of changes, entities as text


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


BY_DEFAULT = ("venue", "account")
"""What event rules are grouped by where they don't say it."""


def group_fields(rule: Rule) -> tuple[str, ...]:
    """By what an event rule's cooldown is told apart, and its counts and sequences are. `account` brings `venue`.

    `per`, else the entity where a sequence is of one kind and says nothing else, else venue and account.
    """
    fields = rule.per if rule.per is not None else BY_DEFAULT
    if rule.per is None and rule.sequence is not None and rule.sequence.same_kind and not rule.sequence.match:
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


def absence_key(rule: Rule, per: Iterable[str | None]) -> str:
    """The key of what a rule with `absent` misses in the group that has these fields."""
    folded = (_folded(value, name, rule.kinds) for name, value in zip(group_fields(rule), per, strict=True))
    return json.dumps(["absence", *folded])


def rekeyed(rule: Rule, key: str) -> str:
    """The key of a rule's instance as this version spells it: without case where that tells nothing. An earlier one did
    otherwise.
    """
    if key.startswith("{"):  # a group's
        per = json.loads(key)
        return json.dumps({name: _folded(value, name, rule.kinds) for name, value in per.items()})
    list_, bracket, page = key.rpartition("]")
    parts = json.loads(list_ + bracket) if key.startswith("[") else []
    if parts[:1] not in (["cooldown"], ["sequence"], ["absence"]):
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
    if rule.sequence is not None:
        for place, (theirs, ours) in enumerate(rule.sequence.match[: len(rest)]):
            if is_caseless(ours, rule.kinds) and is_caseless(theirs, rule.sequence.kinds):
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
