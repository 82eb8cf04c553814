"""Why a rule did what it did for an entity, or did nothing: what a failing test prints."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.engine.api import Transition
from tocsin.explain.explanation import lines, nothing_there
from tocsin.ruletest.bench import Bench
from tocsin.ruletest.expected import is_pattern

_MOST = 40  # lines of one rule and entity; the last ones
_MOST_ABOUT = 5  # entities, or rules, where the test names none


@dataclass(frozen=True, slots=True)
class TraceLine:
    """`id` is None for all that the rule is about, `at` for how it stands now."""

    rule: str
    id: str | None
    at: float | None
    text: str


async def traces(bench: Bench, about: Iterable[Mapping[str, Any]]) -> list[TraceLine]:
    """The steps of every rule and entity that are named, how the rule stands there now, and what holds it back."""
    now = bench.clock.now()
    found: list[TraceLine] = []
    for rule, entity in dict.fromkeys(_subjects(bench, about)):
        steps = [t for t in bench.trace if t.rule == rule and t.entity.id == entity]
        for step in steps[-_MOST:]:
            at = now.steady - (now.wall - step.at).total_seconds()
            found.append(TraceLine(rule, entity, at, _said(step)))
        found += [TraceLine(rule, entity, None, text) for text in await _standing(bench, rule, entity)]
    return found


def _subjects(bench: Bench, about: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """The rules and entities that are named, or all that the rules did something for."""
    for item in about:
        named, entity = item.get("rule"), item.get("id")
        rules = [rule.id for rule in bench.rules[:_MOST_ABOUT]]
        for rule in [str(named)] if named is not None and not is_pattern(str(named)) else rules:
            if entity is not None and not is_pattern(str(entity)):
                yield rule, str(entity)
                continue
            moved: dict[str | None, None] = dict.fromkeys(t.entity.id for t in bench.trace if t.rule == rule)
            yield from ((rule, id_) for id_ in list(moved or [None])[-_MOST_ABOUT:])


def _said(step: Transition) -> str:
    """A step in words: what was told, or which state it led to."""
    word = step.notification or step.state
    return step.trace if word == "inactive" or step.trace.startswith(word) else f"{word}: {step.trace}"


async def _standing(bench: Bench, name: str, entity: str | None) -> list[str]:
    rule = next((rule for rule in bench.rules if rule.id == name), None)
    if rule is None:
        return ["there is no such rule now"]
    answer = await bench.explain(rule, entity, _MOST_ABOUT)
    told = [line for each in answer.explained for line in lines(each)]
    more = answer.count - len(answer.explained)
    return [
        *([] if answer.explained else [f"it {nothing_there(answer, entity)}"]),
        *told,
        *([f"and {more} more"] if more else []),
    ]
