"""All that the engine keeps between changes: rule instances, running cooldowns, reminders; and when each is due."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.happenings import Cooldown, Reminder
from tocsin.engine.model import AlertState, Context, Told, Transition
from tocsin.engine.partial_match import PartialMatch, page_key, page_of
from tocsin.engine.rule import Rule
from tocsin.engine.timers import Timers
from tocsin.events import Account, Change, Instant, Key

RuleInstance: TypeAlias = AlertInstance | Cooldown | Reminder | PartialMatch


class InstanceStore:
    """Instances by (rule, instance key) and by their entity, all by the time at which each has something to do."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, str], RuleInstance] = {}
        self._of_entity: dict[Key, set[str]] = {}
        self._pages: dict[
            tuple[str, str], dict[str, PartialMatch]
        ] = {}  # by (rule, sequence), then by their own keys
        self._last_page = 0
        self._timers = Timers()

    def __iter__(self) -> Iterator[RuleInstance]:
        """A snapshot: lives may come and go while it is walked."""
        return iter(list(self._lives.values()))

    def get(self, rule: str, key: str) -> RuleInstance | None:
        return self._lives.get((rule, key))

    def pages(self, rule: str, sequence: str) -> list[PartialMatch]:
        """All that waits in that sequence: the lives of that key and of those that `new_page` gave for it."""
        return list(self._pages.get((rule, sequence), {}).values())

    def new_page(self, sequence: str) -> str:
        """A key that no life of that sequence has."""
        return page_key(sequence, self._last_page + 1)

    def rules_of(self, entity: Key) -> Collection[str]:
        """The ids of the rules that have an instance for that entity."""
        return self._of_entity.get(entity, ())

    def keep(self, life: RuleInstance) -> None:
        """Keep it, or note that it has changed: its timer is set anew."""
        at = (life.rule.id, life.key)
        self._lives[at] = life
        if isinstance(life, AlertInstance):
            self._of_entity.setdefault(life.entity, set()).add(life.rule.id)
        if isinstance(life, PartialMatch):
            sequence, page = page_of(life.key)
            self._pages.setdefault((life.rule.id, sequence), {})[life.key] = life
            self._last_page = max(self._last_page, page)
        self._timers.set("\n".join(at), due(life))

    def forget(self, life: RuleInstance) -> None:
        at = (life.rule.id, life.key)
        self._lives.pop(at, None)
        self._timers.set("\n".join(at), None)
        if isinstance(life, AlertInstance) and (rules := self._of_entity.get(life.entity)) is not None:
            rules.discard(life.rule.id)
            if not rules:
                del self._of_entity[life.entity]
        if isinstance(life, PartialMatch):
            of_it = (life.rule.id, page_of(life.key)[0])
            if (pages := self._pages.get(of_it)) is not None:
                pages.pop(life.key, None)
                if not pages:
                    del self._pages[of_it]

    def next_due(self) -> float | None:
        return self._timers.next()

    def pop_due(self, steady: float) -> Iterator[RuleInstance]:
        """Those whose time has come, in the order in which it came."""
        while (owner := self._timers.pop_due(steady)) is not None:
            rule, _, key = owner.partition("\n")
            life = self._lives.get((rule, key))
            if life is not None:
                yield life


def due(life: RuleInstance) -> float | None:
    if isinstance(life, AlertInstance | PartialMatch):
        return life.due()
    return life.until.steady if isinstance(life, Cooldown) else life.next_at.steady


def revive(
    rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant
) -> RuleInstance:
    """What `to_record` of any of the kinds of life had written."""
    if record.get("cooldown"):
        return Cooldown.from_record(rule, key, record, now)
    if record.get("reminding"):
        return Reminder.from_record(rule, key, record, now)
    if record.get("sequence"):
        return PartialMatch.from_record(rule, key, record, now)
    return AlertInstance.from_record(rule, key, record, alive, now)


@dataclass(frozen=True, slots=True)
class Step:
    """An instance has moved. `told` is what a person should hear of it."""

    told: Told | None = None
    context: Context | None = None
    trace: str = ""


def transition(
    life: RuleInstance,
    step: Step,
    now: Instant,
    *,
    state: AlertState | None = None,
    alert_id: str | None = None,
    keep: bool = True,
    later: bool = False,
) -> Transition:
    """`keep`: the life goes on, or has to be remembered; without it the store forgets it. `later`: its record is made when
    the batch is written, so that what moves many times in one is written once.
    """
    if alert_id is None:
        alert_id = life.alert_id if isinstance(life, AlertInstance) else life.key
    return Transition(
        rule=life.rule.id,
        instance=life.key,
        alert_id=alert_id,
        state=state or (life.state if isinstance(life, AlertInstance) else "inactive"),
        tell=step.told,
        entity=life.entity,
        at=now.wall,
        context=step.context,
        record=(life.to_record if later else life.to_record()) if keep else None,
        notify=life.rule.notify,
        trace=step.trace,
    )


def standing(change: Change, account: Account | None = None) -> Change:
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
        return standing(change)
    return msgspec.structs.replace(change, events=(), state=change.previous, ended=False)
