"""Why a rule did what it did for an entity, or did nothing: what a failing test prints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.engine.rule import Rule
from tocsin.events import Instant, Key
from tocsin.ruletest.bench import Bench

_MOST = 40  # lines of one rule and entity; the last ones


@dataclass(frozen=True, slots=True)
class TraceLine:
    """`at` is None for how it stands now."""

    rule: str
    id: str
    at: float | None
    text: str


def traces(bench: Bench, about: Iterable[Mapping[str, Any]]) -> list[TraceLine]:
    """The steps of every rule and entity that are named, and how its condition stands now."""
    start = bench.clock.now()
    found: list[TraceLine] = []
    for rule_id, entity in dict.fromkeys(_subjects(bench, about)):
        steps = [t for t in bench.trace if t.rule == rule_id and t.entity.id == entity]
        for step in steps[-_MOST:]:
            at = start.steady - (start.wall - step.at).total_seconds()
            text = step.trace if step.trace.startswith(step.state) else f"{step.state}: {step.trace}"
            found.append(TraceLine(rule_id, entity, at, text))
        rule = next((rule for rule in bench.rules if rule.id == rule_id), None)
        found += [TraceLine(rule_id, entity, None, text) for text in standing(bench, rule, entity, start)]
    return found


def _subjects(bench: Bench, about: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for item in about:
        rule, entity = item.get("rule"), item.get("id")
        if entity is not None and rule is not None:
            yield str(rule), str(entity)
        elif rule is not None:
            yield from ((t.rule, t.entity.id) for t in bench.trace if t.rule == rule)


def standing(bench: Bench, rule: Rule | None, entity: str, now: Instant) -> list[str]:
    """How the rule's conditions stand for the entity."""
    if rule is None:
        return ["there is no such rule now"]
    if not rule.enabled:
        return ["the rule is not enabled"]
    found = []
    for kind in sorted(rule.kinds):
        for change in bench.entities.live(kind):
            if change.key.id != entity:
                continue
            for name in ("where", "when", "until"):
                condition = getattr(rule, name)
                if condition is not None:
                    truth = {True: "true", False: "false", None: "unknown"}[condition.holds(change, now.wall)]
                    found.append(f"{name} is {truth}: {condition.told(change, now.wall)}")
    if not found and not any(known.id == entity for known in _keys(bench, rule)):
        found.append(f"no live {' or '.join(sorted(rule.kinds))} is called {entity}")
    return found


def _keys(bench: Bench, rule: Rule) -> Iterable[Key]:
    for kind in rule.kinds:
        for change in bench.entities.live(kind):
            yield change.key
