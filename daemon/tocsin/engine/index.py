"""The index: of all rules those that a change can concern, so that ten thousand rules cost an event little more than ten.

    what is watched -> the values of at most three fields, the most telling first -> limits in their order -> the rule

It is conservative: it leaves a rule out only where its condition is certainly false; a missing field makes it unknown, not
false, so such a rule is reached. What can't be looked up stands in the open and is reached by every change of its kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from tocsin.engine.index_nodes import Caseless, Leaf, Level, Part, ReadKey, Reads, Several, leaf_part, reader
from tocsin.engine.index_paths import Among, Crossing, Path, Within, paths
from tocsin.engine.language.ast import Node, is_caseless
from tocsin.engine.rule import Rule
from tocsin.events import Change

_MOST_LEVELS = 3
_FEW = 4  # rules with limits: comparing those costs less than another level
_MOST_COPIES = 64  # places of one path in a tree: the values of one list times those of another


class Index:
    """Built once from rules; `candidates` is all that there is to ask."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._places = {rule.id: place for place, rule in enumerate(self._rules)}
        doors: dict[str, list[tuple[Path, int]]] = {}
        for place, rule in enumerate(self._rules):
            ways = [(path, place) for path in paths(rule)]
            for watched in rule.events or rule.kinds:
                doors.setdefault(watched.removesuffix(".*"), []).extend(ways)
        self._doors = {door: _tree(held, door.partition(".")[0]) for door, held in doors.items()}

    def candidates(self, change: Change, also: Iterable[str] = ()) -> Sequence[Rule]:
        """The rules to evaluate, in the order of the files: all whose conditions aren't certainly false.

        `also`: ids of rules to evaluate whatever their conditions: they have an instance of it, or were unknown so far.
        """
        kind, doors = change.key[1], self._doors
        found: list[int] = []
        if kind in doors:
            doors[kind].match(change, found)
        for name in change.events:
            if name in doors:
                doors[name].match(change, found)
        for rule in also:
            place = self._places.get(rule)
            if place is not None and kind in self._rules[place].kinds:
                found.append(place)
        if not found:
            return ()
        return [self._rules[place] for place in sorted(set(found))]


class RuleSet:
    """Rules by id, by what they look at, and in the order of the files. Those that aren't enabled don't run, but are known."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        given = list(rules)
        self.running = {rule.id: rule for rule in given if rule.enabled}
        self.disabled = frozenset(rule.id for rule in given if not rule.enabled)
        self.order = {rule: place for place, rule in enumerate(self.running)}
        self.index = Index(rule for rule in self.running.values() if not rule.is_group)
        level = [rule for rule in self.running.values() if rule.is_level]
        self.timed = frozenset(rule.id for rule in level if is_timed(rule))
        self.of_events = frozenset(rule.id for rule in level if _looks_back(rule)) - self.timed
        """Those that can be judged at events only, not as things stand."""
        self.timed_kinds = frozenset(kind for rule in level if is_timed(rule) for kind in rule.kinds)
        self.timed_groups = any(rule.is_group for rule in level if is_timed(rule))
        self._following: dict[str, list[Rule]] = {}
        for rule in self.running.values():
            for event in dict.fromkeys(rule.sequel.events) if rule.sequel else ():
                self._following.setdefault(event, []).append(rule)
        self.reading_account = frozenset(rule.id for rule in level if _reads_account(rule))

    def concerned(self, change: Change, also: Iterable[str]) -> Sequence[Rule]:
        """The rules to evaluate, in their order. `also` as in `Index.candidates`."""
        found = self.index.candidates(change, also)
        if not self._following or not change.events:
            return found
        names = (*change.events, f"{change.kind}.*")
        seconds = [rule for name in names for rule in self._following.get(name, ())]
        if not seconds:
            return found
        return sorted(
            {rule.id: rule for rule in (*found, *seconds)}.values(), key=lambda rule: self.order[rule.id]
        )

    def get(self, rule: str) -> Rule | None:
        return self.running.get(rule)

    def why_gone(self, rule: str) -> str:
        """The reason that the alerts of a rule which doesn't run any more end with."""
        return "rule disabled" if rule in self.disabled else "rule removed"


def is_timed(rule: Rule) -> bool:
    """Whether its truth changes as time passes."""
    return any(condition.timed for condition in rule.conditions)


def _looks_back(rule: Rule) -> bool:
    return any(condition.looks_back for condition in rule.conditions)


def _reads_account(rule: Rule) -> bool:
    return any(name.startswith("account.") for condition in rule.conditions for name in condition.fields)


# ------------------------------------------------------------------------------------------------------------ building


class _Held(NamedTuple):
    """A path on its way into a tree: the levels still to go through, then its leaf, its limit there, and its rule."""

    levels: tuple[Among, ...]
    leaf: Leaf | None
    limit: Any
    place: int


def _tree(held: Sequence[tuple[Path, int]], kind: str) -> Part:
    """Of all that watch the same."""
    telling = _telling(held)

    @cache
    def read(key: Node, before: bool = False) -> Reads:
        return reader(key, kind, before=before)

    return _part([_Held(_levels(path, telling), *_leaf(path), place) for path, place in held], read)


def _part(held: Sequence[_Held], read: ReadKey, *, below_root: bool = False) -> Part:
    """All that goes through the same levels so far."""
    few = below_root and len(held) <= _FEW
    apart: dict[Node, dict[Any, list[_Held]]] = {}
    leaves: dict[Leaf | None, list[tuple[Any, int]]] = {}
    for each in held:
        if not each.levels or (few and each.leaf is not None):
            leaves.setdefault(each.leaf, []).append((each.limit, each.place))
            continue
        first, *rest = each.levels
        below = apart.setdefault(first.key, {})
        for value in first.values:
            below.setdefault(value, []).append(each._replace(levels=tuple(rest)))
    parts: list[Part] = [
        (Caseless if is_caseless(key) else Level)(
            *read(key), {value: _part(group, read, below_root=True) for value, group in below.items()}
        )
        for key, below in apart.items()
    ]
    parts += [leaf_part(leaf, limits, read) for leaf, limits in leaves.items()]
    return parts[0] if len(parts) == 1 else Several(parts)


def _telling(held: Sequence[tuple[Path, int]]) -> Mapping[Node, tuple[int, int]]:
    """How telling each key is: by how many values rules ask for (of each, the fewer rules remain), then by order."""
    values: dict[Node, set[Any]] = {}
    for path, _ in held:
        for atom in path:
            if isinstance(atom, Among):
                values.setdefault(atom.key, set()).update(atom.values)
    return {key: (-len(asked), place) for place, (key, asked) in enumerate(values.items())}


def _levels(path: Path, telling: Mapping[Node, tuple[int, int]]) -> tuple[Among, ...]:
    among = {atom.key: atom for atom in path if isinstance(atom, Among)}
    levels: list[Among] = []
    copies = 1
    for atom in sorted(among.values(), key=lambda atom: telling[atom.key]):
        if len(levels) < _MOST_LEVELS and copies * len(atom.values) <= _MOST_COPIES:
            copies *= len(atom.values)
            levels.append(atom)
    return tuple(levels)


def _leaf(path: Path) -> tuple[Leaf | None, Any]:
    """How the path stands in its leaf, and its limit there: a crossing is rarer than a stretch, a stretch than a bound."""
    crossings = [atom for atom in path if isinstance(atom, Crossing)]
    if crossings:
        first = crossings[0]
        return Leaf("crosses above" if first.upwards else "crosses below", first.key), first.limit
    bounds = [atom for atom in path if isinstance(atom, Within)]
    for bound in bounds:
        if bound.low is not None and bound.high is not None:
            return Leaf("between", bound.key), (bound.low, bound.high)
    for bound in bounds:
        if bound.low is not None:
            return Leaf("from", bound.key), bound.low
        return Leaf("up to", bound.key), bound.high
    return None, None
