"""The index: of all rules those that a change can concern, so that ten thousand rules cost an event little more than ten.

    what is watched -> the values of at most three fields, the most telling first -> limits in their order -> the rule

Rules that are alike in the fields that they look at stand in one tree. It is conservative: it leaves a rule out only where
its condition is certainly false; a missing field makes it unknown, not false, so such a rule is reached. What can't be
looked up stands in the open and is reached by every change of its kind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from tocsin.engine.index_nodes import Between, Crossed, From, Held, Level, Part, Plain, Read, UpTo, reader
from tocsin.engine.index_paths import Among, Crossing, Path, Within, paths
from tocsin.engine.language.tree import Node
from tocsin.engine.rule import Rule
from tocsin.events import Change

_MOST_LEVELS = 3
_MOST_COPIES = 64  # places of one path in a tree: the values of one list times those of another
_NONE: tuple[Part, ...] = ()
_LEAVES: Mapping[str, Callable[[Read, Held], Part]] = {"between": Between, "from": From, "up to": UpTo}


class Index:
    """Built once from rules; `candidates` is all that there is to ask."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._places = {rule.id: place for place, rule in enumerate(self._rules)}
        doors: dict[str, list[tuple[Path, int]]] = {}
        for place, rule in enumerate(self._rules):
            ways = [(path, place) for path in paths(rule)]
            for door in rule.events or rule.kinds:
                doors.setdefault(door, []).extend(ways)
        self._doors = {door: _forest(held) for door, held in doors.items()}

    def candidates(self, change: Change, also: Iterable[str] = ()) -> Sequence[Rule]:
        """The rules to evaluate, in the order of the files: all whose conditions aren't certainly false.

        `also`: ids of rules to evaluate whatever their conditions: they have a life to end, or are to be seen to see.
        """
        kind, events, doors = change.key[1], change.events, self._doors
        found: list[int] = []
        for part in doors.get(kind, _NONE):
            part.match(change, found)
        if events:
            for name in events:
                for part in doors.get(name, _NONE):
                    part.match(change, found)
            for part in doors.get(f"{kind}.*", _NONE):
                part.match(change, found)
        rules = self._rules
        for rule in also:
            place = self._places.get(rule)
            if place is not None and kind in rules[place].kinds:
                found.append(place)
        if len(found) < 2:
            return [rules[place] for place in found]
        return [rules[place] for place in sorted(set(found))]


# ------------------------------------------------------------------------------------------------------------ building


class _Shape:
    """What the rules of one tree have in common: the fields of the levels, and how the leaves are ordered."""

    __slots__ = ("held", "keys", "leaf")

    def __init__(self, keys: tuple[Node, ...], leaf: tuple[str, Node] | None) -> None:
        self.keys = keys
        self.leaf = leaf
        self.held: dict[tuple[Any, ...], list[tuple[Any, int]]] = {}


def _forest(held: Sequence[tuple[Path, int]]) -> tuple[Part, ...]:
    """The trees of all that watch the same, one for each shape."""
    telling = _telling(held)
    shapes: dict[tuple[tuple[Node, ...], tuple[str, Node] | None], _Shape] = {}
    for path, place in held:
        levels = _levels(path, telling)
        leaf, limit = _leaf(path)
        keys = tuple(atom.key for atom in levels)
        shape = shapes.setdefault((keys, leaf), _Shape(keys, leaf))
        for values in product(*(atom.values for atom in levels)):
            shape.held.setdefault(values, []).append((limit, place))
    return tuple(_tree(shape) for shape in shapes.values())


def _telling(held: Sequence[tuple[Path, int]]) -> Mapping[Node, int]:
    """How many different values of each key rules ask for: the more, the fewer rules are left behind each."""
    values: dict[Node, set[Any]] = {}
    for path, _ in held:
        for atom in path:
            if isinstance(atom, Among):
                values.setdefault(atom.key, set()).update(atom.values)
    return {key: len(asked) for key, asked in values.items()}


def _levels(path: Path, telling: Mapping[Node, int]) -> list[Among]:
    among = {atom.key: atom for atom in path if isinstance(atom, Among)}
    order = list(telling)
    levels: list[Among] = []
    copies = 1
    for atom in sorted(among.values(), key=lambda atom: (-telling[atom.key], order.index(atom.key))):
        if len(levels) < _MOST_LEVELS and copies * len(atom.values) <= _MOST_COPIES:
            copies *= len(atom.values)
            levels.append(atom)
    return levels


def _leaf(path: Path) -> tuple[tuple[str, Node] | None, Any]:
    """How the path stands in its leaf, and its limit there: a crossing is rarer than a stretch, a stretch than a bound."""
    crossings = [atom for atom in path if isinstance(atom, Crossing)]
    if crossings:
        return ("above" if crossings[0].upwards else "below", crossings[0].key), crossings[0].limit
    bounds = [atom for atom in path if isinstance(atom, Within)]
    for bound in bounds:
        if bound.low is not None and bound.high is not None:
            return ("between", bound.key), (bound.low, bound.high)
    if not bounds:
        return None, None
    bound = bounds[0]
    return (("from", bound.key), bound.low) if bound.low is not None else (("up to", bound.key), bound.high)


def _tree(shape: _Shape) -> Part:
    reads = [reader(key) for key in shape.keys]
    leaf_read = reader(shape.leaf[1]) if shape.leaf else None
    before = (
        reader(shape.leaf[1], before=True) if shape.leaf and shape.leaf[0] in ("above", "below") else None
    )

    def leaf(held: list[tuple[Any, int]]) -> Part:
        if shape.leaf is None or leaf_read is None:
            return Plain(place for _, place in held)
        if before is not None:
            return Crossed(leaf_read, before, shape.leaf[0] == "above", held)
        return _LEAVES[shape.leaf[0]](leaf_read, held)

    def level(depth: int, held: dict[tuple[Any, ...], list[tuple[Any, int]]]) -> Part:
        if depth == len(reads):
            return leaf(held[()])
        apart: dict[Any, dict[tuple[Any, ...], list[tuple[Any, int]]]] = {}
        for (value, *rest), found in held.items():
            apart.setdefault(value, {})[tuple(rest)] = found
        return Level(reads[depth], {value: level(depth + 1, below) for value, below in apart.items()})

    return level(0, shape.held)
