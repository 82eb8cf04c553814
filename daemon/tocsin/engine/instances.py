"""What the engine keeps between changes: instances of rules by their keys, and when each is due. And how a step in one is told."""

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from tocsin.engine.model import AlertState, Context, Told, Transition
from tocsin.engine.rule import Rule
from tocsin.events import Account, Change, Instant, Key, from_iso

InstanceKind: TypeAlias = Literal["alert", "group", "cooldown", "reminder", "sequence"]
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
    """Instances by (rule, key), by what they are indexed by, and by the time at which each has something to do."""

    def __init__(self) -> None:
        self._instances: dict[tuple[str, str], RuleInstance] = {}
        self._indexed: dict[Hashable, dict[str, RuleInstance]] = {}
        self._timers = Timers()

    def __iter__(self) -> Iterator[RuleInstance]:
        """A snapshot: instances may come and go while it is walked."""
        return iter(list(self._instances.values()))

    def get(self, rule: str, key: str) -> RuleInstance | None:
        return self._instances.get((rule, key))

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
        self._instances[at] = instance
        if (found := instance.indexed) is not None:
            self._indexed.setdefault(found[0], {})[found[1]] = instance
        self._timers.set("\n".join(at), instance.due())

    def forget(self, instance: RuleInstance) -> None:
        at = (instance.rule.id, instance.key)
        self._instances.pop(at, None)
        self._timers.set("\n".join(at), None)
        if (found := instance.indexed) is None or (others := self._indexed.get(found[0])) is None:
            return
        others.pop(found[1], None)
        if not others:
            del self._indexed[found[0]]

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
    """An instance has moved. `told` is what a person should hear of it."""

    told: Told | None = None
    context: Context | None = None
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
        tell=step.told,
        entity=instance.entity,
        at=now.wall,
        context=step.context,
        record=(instance.to_record if later else instance.to_record()) if keep else None,
        notify=instance.rule.notify,
        trace=step.trace,
    )


def unchanged(change: Change, account: Account | None = None) -> Change:
    """The entity as it stands, nothing having happened: no edge is seen twice."""
    return msgspec.structs.replace(
        change,
        events=(),
        previous=change.state,
        account_state=account if account is not None else change.account_state,
    )


def before(change: Change) -> Change:
    """The entity as it stood until this change; as it is now, where it wasn't known."""
    if change.previous is None:
        return unchanged(change)
    return msgspec.structs.replace(change, events=(), state=change.previous, ended=False)
