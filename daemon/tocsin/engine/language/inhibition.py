"""`inhibited_by`, across all rules: whether the rules that it names exist, can fire for a while, and form no circle."""

from collections.abc import Iterator, Mapping

from tocsin import document
from tocsin.engine.language.report import did_you_mean
from tocsin.engine.rule import Rule
from tocsin.errors import Problem

Written = Mapping[str, document.Mapping]
"""Every rule that was written, by its id; the faulty ones too."""


def check(written: Written, rules: dict[str, Rule]) -> list[Problem]:
    """Everything that is wrong with them. `rules` are those that are sound by themselves; the others are taken out."""
    problems: list[Problem] = []
    named = {rule: list(_names(node)) for rule, node in written.items() if "inhibited_by" in node.entries}
    for rule, names in named.items():
        path, before = f"{rule}.inhibited_by", len(problems)
        for name in names:
            if name.text == rule:
                problems.append(Problem("a rule that inhibits itself is never told", name.place, path))
            elif name.text not in written:
                hint = did_you_mean(name.text, tuple(written), "it names rules by their id")
                problems.append(Problem(f"no rule is called `{name.text:.80}`", name.place, path, hint))
            elif (other := rules.get(name.text)) is not None:
                problems += _unfit(other, name, path)
        if any(problem.level == "error" for problem in problems[before:]):
            rules.pop(rule, None)
    for circle, problem in _circles(named):
        problems.append(problem)
        for rule in circle:
            rules.pop(rule, None)
    return problems


def _unfit(other: Rule, name: document.Scalar, path: str) -> Iterator[Problem]:
    if not other.is_level:
        why = "watches an event" if other.is_event_rule else "is true for a moment only"
        yield Problem(f"`{other.id}` {why}: it never fires for a while", name.place, path,
                      "name a rule that watches what is so")  # fmt: skip
    elif not other.enabled:
        yield Problem(f"`{other.id}` is not enabled: it holds nothing back", name.place, path, "", "warning")


def _circles(named: Mapping[str, list[document.Scalar]]) -> Iterator[tuple[tuple[str, ...], Problem]]:
    """Each circle once, at the first rule in the files that is part of it, with the rules that form it."""
    told: set[str] = set()
    for start in named:
        if start in told:
            continue
        way = _way_back(start, named)
        if way and len(way) > 1:
            told.update(way)
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
    value = node.entries["inhibited_by"].value
    for item in value if isinstance(value, document.Sequence) else (value,):
        if isinstance(item, document.Scalar) and isinstance(item.value, str):
            yield item
