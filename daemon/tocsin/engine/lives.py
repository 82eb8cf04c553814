"""All that the engine keeps between changes: rule instances, running cooldowns, reminders; and when each is due."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from tocsin.engine.awaiting import Awaiting, page_key, page_of
from tocsin.engine.happenings import Quiet, Reminding
from tocsin.engine.instance import Instance
from tocsin.engine.rule import Rule
from tocsin.engine.timers import Timers
from tocsin.events import Instant, Key

Life: TypeAlias = Instance | Quiet | Reminding | Awaiting


class Lives:
    """Lives by (rule, instance key), instances by their entity, all by the time at which each has something to do."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, str], Life] = {}
        self._of_entity: dict[Key, set[str]] = {}
        self._pages: dict[
            tuple[str, str], dict[str, Awaiting]
        ] = {}  # by (rule, sequence), then by their own keys
        self._last_page = 0
        self._timers = Timers()

    def __iter__(self) -> Iterator[Life]:
        """A snapshot: lives may come and go while it is walked."""
        return iter(list(self._lives.values()))

    def get(self, rule: str, key: str) -> Life | None:
        return self._lives.get((rule, key))

    def pages(self, rule: str, sequence: str) -> list[Awaiting]:
        """All that waits in that sequence: the lives of that key and of those that `new_page` gave for it."""
        return list(self._pages.get((rule, sequence), {}).values())

    def new_page(self, sequence: str) -> str:
        """A key that no life of that sequence has."""
        return page_key(sequence, self._last_page + 1)

    def rules_of(self, entity: Key) -> Collection[str]:
        """The ids of the rules that have an instance for that entity."""
        return self._of_entity.get(entity, ())

    def keep(self, life: Life) -> None:
        """Keep it, or note that it has changed: its timer is set anew."""
        at = (life.rule.id, life.key)
        self._lives[at] = life
        if isinstance(life, Instance):
            self._of_entity.setdefault(life.entity, set()).add(life.rule.id)
        if isinstance(life, Awaiting):
            sequence, page = page_of(life.key)
            self._pages.setdefault((life.rule.id, sequence), {})[life.key] = life
            self._last_page = max(self._last_page, page)
        self._timers.set("\n".join(at), due(life))

    def forget(self, life: Life) -> None:
        at = (life.rule.id, life.key)
        self._lives.pop(at, None)
        self._timers.set("\n".join(at), None)
        if isinstance(life, Instance) and (rules := self._of_entity.get(life.entity)) is not None:
            rules.discard(life.rule.id)
            if not rules:
                del self._of_entity[life.entity]
        if isinstance(life, Awaiting):
            of_it = (life.rule.id, page_of(life.key)[0])
            if (pages := self._pages.get(of_it)) is not None:
                pages.pop(life.key, None)
                if not pages:
                    del self._pages[of_it]

    def next_due(self) -> float | None:
        return self._timers.next()

    def pop_due(self, steady: float) -> Iterator[Life]:
        """Those whose time has come, in the order in which it came."""
        while (owner := self._timers.pop_due(steady)) is not None:
            rule, _, key = owner.partition("\n")
            life = self._lives.get((rule, key))
            if life is not None:
                yield life


def due(life: Life) -> float | None:
    if isinstance(life, Instance | Awaiting):
        return life.due()
    return life.until.steady if isinstance(life, Quiet) else life.next_at.steady


def revive(rule: Rule, key: str, record: Mapping[str, Any], alive: Instant | None, now: Instant) -> Life:
    """What `to_record` of any of the kinds of life had written."""
    if record.get("cooldown"):
        return Quiet.from_record(rule, key, record, now)
    if record.get("reminding"):
        return Reminding.from_record(rule, key, record, now)
    if record.get("sequence"):
        return Awaiting.from_record(rule, key, record, now)
    return Instance.from_record(rule, key, record, alive, now)
