"""From a rule's conditions to what an event must have so that they can be other than false: the keys of the index.

    symbol == "BTCUSD" and profit < -50     one path:  symbol among {BTCUSD}, profit up to -50
    symbol == "BTCUSD" or leverage > 100    two paths: symbol among {BTCUSD}; leverage from 100

A condition is certainly false where each of its paths has an atom that is certainly false. It goes one way only: what no
atom can say is left out of the path, bounds are taken with their ends, and the condition itself is evaluated behind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from tocsin.engine.language.ast import Arithmetic, Call, Constant, Name, Negative, Node, walk
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.rule import Rule

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
    if not rule.counted:  # else it has to hear of every event that passes `where`
        conditions.append(rule.when)
    trees = []
    for condition in conditions:
        if isinstance(condition, TreeCondition):
            trees.append(condition.tree)
        elif condition is not None:
            return ANYTHING
    return _both(_paths(normal(tree)) for tree in trees)


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
