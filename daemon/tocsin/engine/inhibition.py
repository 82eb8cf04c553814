"""`inhibited_by`, looked at across all rules: what it names, and that no circle of rules keeps each other quiet."""

from collections.abc import Iterable, Iterator, Mapping

from tocsin import document
from tocsin.engine.rule import Rule
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean

_Nodes = Mapping[str, document.Mapping]
"""Every rule that was written, by its id; the faulty ones too."""


def inhibition_problems(nodes: _Nodes, rules: dict[str, Rule], *, complete: bool = True) -> list[Problem]:
    """What is wrong with `inhibited_by`: a rule that doesn't exist or can't fire for a while, a circle.

    `rules` are those that are sound by themselves; the others are taken out. Not `complete`: there are more, which can't be read.
    """
    problems: list[Problem] = []
    named = {rule: list(_names(node)) for rule, node in nodes.items() if "inhibited_by" in node.entries}
    for rule, names in named.items():
        path, before = f"{rule}.inhibited_by", len(problems)
        for name in names:
            if name.text == rule:
                problems.append(Problem("a rule that inhibits itself is never told", name.place, path))
            elif name.text not in nodes and complete:
                hint = did_you_mean(name.text, tuple(nodes), "it names rules by their id")
                problems.append(Problem(f"no rule is called `{name.text:.80}`", name.place, path, hint))
            elif (other := rules.get(name.text)) is not None:
                problems += _unfit(other, name, path)
                problems += _unlike(rules.get(rule), other, _same_key(nodes[rule], name), path)
        if any(problem.level == "error" for problem in problems[before:]):
            rules.pop(rule, None)
    for circle, problem in _circles(named):
        problems.append(problem)
        for rule in circle:
            rules.pop(rule, None)
    return problems


def _unfit(other: Rule, name: document.Scalar, path: str) -> Iterator[Problem]:
    if not other.lasts:
        why = "watches an event" if other.is_event_rule else "is true for a moment only"
        yield Problem(f"`{other.id}` {why}: it never fires for a while", name.place, path,
                      "name a rule that watches what is so")  # fmt: skip
    elif not other.enabled:
        yield Problem(f"`{other.id}` is not enabled: it holds nothing back", name.place, path, "", "warning")


def _unlike(rule: Rule | None, other: Rule, same: document.Scalar | None, path: str) -> Iterator[Problem]:
    """Of `same: [id]`: that the two are never of one entity."""
    if rule is None or same is None:
        return
    if rule.is_group or other.is_group:
        group = rule if rule.is_group else other
        yield Problem(
            f"`same` means one entity, and `{group.id}` is on groups", same.place, path, "leave `same` away"
        )
    elif not rule.kinds & other.kinds:
        yield Problem(f"`{other.id}` watches {', '.join(sorted(other.kinds))}: it never fires for the same entity", same.place, path,
                      "leave `same` away: the same venue is meant then")  # fmt: skip


def _circles(named: Mapping[str, list[document.Scalar]]) -> Iterator[tuple[tuple[str, ...], Problem]]:
    """Each circle once, at the first rule in the files that is part of it, with the rules that form it."""
    seen: set[str] = set()
    for start in named:
        if start in seen:
            continue
        way = _way_back(start, named)
        if way and len(way) > 1:
            seen.update(way)
            place = next(name.place for name in named[start] if name.text == way[1])
            circle = " -> ".join((*way, start))
            yield (
                way,
                Problem(
                    f"rules inhibit each other in a circle: {circle}",
                    place,
                    f"{start}.inhibited_by",
                    "while all of them fire, none would be told",
                ),
            )


def _way_back(start: str, named: Mapping[str, list[document.Scalar]]) -> tuple[str, ...]:
    """The shortest way from a rule over those that inhibit it back to itself; empty where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    for way in ways:
        for name in named.get(way[-1], ()):
            if name.text == start:
                return way
            if name.text not in seen:
                seen.add(name.text)
                ways.append((*way, name.text))
    return ()


def _names(node: document.Mapping) -> Iterator[document.Scalar]:
    for item in _inhibitors(node):
        found = item.get("rule") if isinstance(item, document.Mapping) else item
        if isinstance(found, document.Scalar) and isinstance(found.value, str):
            yield found


def _same_key(node: document.Mapping, name: document.Scalar) -> document.Scalar | None:
    """The key `same` beside that name."""
    for item in _inhibitors(node):
        if isinstance(item, document.Mapping) and item.get("rule") is name and "same" in item.entries:
            return item.entries["same"].key
    return None


def _inhibitors(node: document.Mapping) -> Iterable[document.Node]:
    return document.items(node.get("inhibited_by"))
