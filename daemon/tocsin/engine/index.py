"""The index: of all rules those that a change can concern, so that ten thousand rules cost an event little more than ten.

    what is watched -> the values of at most three fields, the most telling first -> limits in their order -> the rule

It is conservative: it leaves a rule out only where its condition is certainly false; a missing field makes it unknown, not
false, so such a rule is reached. What can't be looked up stands in the open and is reached by every change of its kind.

From a rule's conditions to what an event must have so that they can be other than false (`paths`):

    symbol == "BTCUSD" and profit < -50     one path:  symbol among {BTCUSD}, profit up to -50
    symbol == "BTCUSD" or leverage > 100    two paths: symbol among {BTCUSD}; leverage from 100

A condition is certainly false where each of its paths has an atom that is certainly false. It goes one way only: what no
atom can say is left out of the path, bounds are taken with their ends, and the condition itself is evaluated behind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple, TypeAlias

from tocsin.engine.index_nodes import Caseless, Leaf, Level, Part, ReadKey, Reads, Several, leaf_part, reader
from tocsin.engine.instances import absence_key, group_fields
from tocsin.engine.language.ast import (
    Arithmetic,
    Call,
    Constant,
    Name,
    Negative,
    Node,
    folded,
    is_caseless,
    walk,
)
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.rule import Rule
from tocsin.events import Change
from tocsin.events.links import LINKS

_MOST_PATHS = 16  # of one rule; beyond, an `or` isn't looked into
_LARGEST_KEY = 5  # parts


@dataclass(frozen=True, slots=True)
class Among:
    """The key's value is one of these; without case, where that tells nothing."""

    key: Node
    values: frozenset[Any]


@dataclass(frozen=True, slots=True)
class Within:
    """The key's value is not below `low` and not above `high`; at least one of them is given."""

    key: Node
    low: Any = None
    high: Any = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """Since the previous event the key's value has crossed the limit, upwards or downwards."""

    key: Node
    limit: Any
    upwards: bool


Atom: TypeAlias = Among | Within | Crossing
Path: TypeAlias = tuple[Atom, ...]

ANYTHING: tuple[Path, ...] = ((),)


def paths(rule: Rule) -> tuple[Path, ...]:
    """The ways in which this rule's `where` and `when` can be other than false; `ANYTHING` where nothing is known."""
    conditions = [rule.where]
    if not (rule.counted or rule.keyed):  # else it has to hear of every event that passes `where`
        conditions.append(rule.when)
    trees = []
    for condition in conditions:
        if isinstance(condition, TreeCondition):
            trees.append(condition.tree)
        elif condition is not None:
            return ANYTHING
    return _both(_paths(normal(tree)) for tree in trees)


# ------------------------------------------------------------------------------------- values that `where` names


def named_groups(rule: Rule) -> Iterator[tuple[str | None, ...]]:
    """Of an event rule, the groups (`group_fields`) that its `where` names by `==` or `in`, spelled as there."""
    fields = group_fields(rule)
    found: set[str] = set()
    for path in paths(rule):
        named = [_named(rule, path, name) for name in fields]
        for values in product(*(each or () for each in named)):
            if (key := absence_key(rule, values)) not in found:
                found.add(key)
                yield values


def named_values(rule: Rule, field: str) -> frozenset[str] | None:
    """The values of that field that an event must have one of to pass `where`; None where that isn't said."""
    found = [_named(rule, path, field) for path in paths(rule)]
    if None in found:
        return None
    return frozenset(value for each in found for value in each or ())


def _named(rule: Rule, path: Path, field: str) -> list[str] | None:
    if field == "kind":
        return sorted(rule.kinds)
    for atom in path:
        if isinstance(atom, Among) and isinstance(atom.key, Name) and atom.key.name == field:
            written = _written(rule) if is_caseless(atom.key) else {}
            return sorted(str(written.get(value, value)) for value in atom.values)
    return None


def _written(rule: Rule) -> dict[Any, Any]:
    """The texts of `where`, by what they are compared as."""
    tree = rule.where.tree if isinstance(rule.where, TreeCondition) else None
    parts = walk(tree) if tree is not None else ()
    return {folded(part.value): part.value for part in parts if isinstance(part, Constant)}


# ------------------------------------------------------------------------------------------- what joins conditions


def _paths(condition: Normal) -> tuple[Path, ...]:
    match condition:
        case Joined():
            join = _both if condition.word == "and" else _either
            return join([_paths(part) for part in condition.parts])
        case Comparison():
            return _compared(condition)
        case Stated(Call() as call, negated=False) if crossing := FUNCTIONS[call.function].crossing:
            return _crossing(call, upwards=crossing == ">")
        case Stated(Call() as call) if FUNCTIONS[call.function].indexed_as == "flag" and _is_key(
            call.arguments[0]
        ):
            return _one(Among(call, frozenset({not condition.negated})))
        case Stated(Name(type="flag") as name):
            return _one(Among(name, frozenset({not condition.negated})))
    return ANYTHING


def _both(parts: Iterable[tuple[Path, ...]]) -> tuple[Path, ...]:
    """All must be other than false: each way of the one with each of the other."""
    joined = ANYTHING
    for part in sorted(parts, key=len):
        if len(joined) * len(part) <= _MOST_PATHS:
            joined = tuple(_narrowed((*first, *second)) for first, second in product(joined, part))
    return joined


def _either(parts: Sequence[tuple[Path, ...]]) -> tuple[Path, ...]:
    found = tuple(path for part in parts for path in part)
    return ANYTHING if len(found) > _MOST_PATHS or () in found else found


def _narrowed(path: Path) -> Path:
    """The path with all that it says of one key's bounds in one atom."""
    bounds: dict[Node, Within] = {}
    rest: list[Atom] = []
    for atom in path:
        if not isinstance(atom, Within):
            rest.append(atom)
            continue
        known = bounds.get(atom.key, atom)
        lows = [low for low in (known.low, atom.low) if low is not None]
        highs = [high for high in (known.high, atom.high) if high is not None]
        bounds[atom.key] = Within(atom.key, max(lows, default=None), min(highs, default=None))
    return (*rest, *bounds.values())


# ------------------------------------------------------------------------------------------------ single conditions


def _one(atom: Atom) -> tuple[Path, ...]:
    return ((atom,),)


def _compared(comparison: Comparison) -> tuple[Path, ...]:
    key, operator, values = comparison.subject, comparison.operator, comparison.values
    if not values or not _is_key(key):
        return ANYTHING
    if operator == "==":
        return _one(Among(key, frozenset(values)))
    (value, *others) = values
    if operator == "!=":
        one_flag = isinstance(value, bool) and not others
        return _one(Among(key, frozenset({not value}))) if one_flag else ANYTHING
    return _one(Within(key, high=value) if operator in ("<", "<=") else Within(key, low=value))


def _crossing(node: Call, *, upwards: bool) -> tuple[Path, ...]:
    value, limit = node.arguments
    if not isinstance(limit, Constant) or not _is_key(value):
        return ANYTHING
    return _one(Crossing(value, limit.value, upwards))


def _is_key(node: Node) -> bool:
    """Whether its value is worth reading to look rules up by: fields, and what is reckoned from fields alone."""
    parts = walk(node)
    return (
        len(parts) <= _LARGEST_KEY
        and any(isinstance(part, Name) for part in parts)
        and all(
            (isinstance(part, Name) and part.type != "event")
            or isinstance(part, (Arithmetic, Negative))
            or (isinstance(part, Call) and FUNCTIONS[part.function].indexed_as == "key")
            for part in parts
        )
    )


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
        self._following: dict[str, list[Rule]] = {}
        for rule in self.running.values():
            for event in dict.fromkeys(rule.sequence.events) if rule.sequence else ():
                self._following.setdefault(event, []).append(rule)
        self.reading = {
            link: frozenset(rule.id for rule in self.running.values() if self._reads(rule, link))
            for link in LINKS
        }
        """By link: the rules that are judged when what is read through it changes."""

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

    def _reads(self, rule: Rule, link: str) -> bool:
        """An edge lies between two states: where it is of something else, nothing has happened to that."""
        if rule.is_event_rule or link not in rule.links:
            return False
        looks_back = frozenset[str]().union(*(each.looks_back_at for each in rule.conditions))
        return rule.is_group or rule.id in self.timed or not looks_back or link in looks_back

    def get(self, rule: str) -> Rule | None:
        return self.running.get(rule)

    def why_gone(self, rule: str) -> str:
        """The reason that the alerts of a rule which doesn't run any more end with."""
        return "rule disabled" if rule in self.disabled else "rule removed"


def is_timed(rule: Rule) -> bool:
    """Whether its truth changes as time passes."""
    return any(condition.timed for condition in rule.conditions)


def _looks_back(rule: Rule) -> bool:
    return any(condition.looks_back_at for condition in rule.conditions)


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
