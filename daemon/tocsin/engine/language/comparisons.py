"""The normal form of a condition, by which all that looks at its comparisons goes: the index, contradictions, worst values.

Negations are drawn inside, a chain is taken apart, a constant stands on the right, and `in` is `==` to any of several:
`not (5 > profit or symbol in ["A"])` is `profit >= 5` and `symbol != A`.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tocsin.engine.language.tree import (
    MIRRORED,
    NEGATED,
    Compare,
    Constant,
    Junction,
    Listing,
    Member,
    Node,
    Not,
    Ordering,
    folded,
    is_caseless,
)
from tocsin.errors import Place


@dataclass(frozen=True, slots=True)
class Comparison:
    """`other` is a list only for `==` (any of it) and `!=` (none of it)."""

    subject: Node
    operator: Ordering
    other: Node
    place: Place

    @property
    def written(self) -> tuple[Any, ...]:
        """The constants that it is compared with; none where it is compared with anything else."""
        items = self.other.items if isinstance(self.other, Listing) else (self.other,)
        values = tuple(item.value for item in items if isinstance(item, Constant))
        return values if len(values) == len(items) and not isinstance(self.subject, Constant) else ()

    @property
    def values(self) -> tuple[Any, ...]:
        """The same as they are compared."""
        return tuple(map(folded, self.written)) if is_caseless(self.subject) else self.written


@dataclass(frozen=True, slots=True)
class Joined:
    word: Literal["and", "or"]
    parts: tuple["Normal", ...]


@dataclass(frozen=True, slots=True)
class Stated:
    """What else is true or false: a flag, a call."""

    node: Node
    negated: bool


Normal: TypeAlias = Comparison | Joined | Stated


def normal(node: Node, *, negated: bool = False) -> Normal:
    """The node, or its negation, in the normal form."""
    match node:
        case Not():
            return normal(node.operand, negated=not negated)
        case Junction():
            parts = tuple(normal(part, negated=negated) for part in node.parts)
            return Joined(_word(node.word, negated=negated), parts)
        case Compare():
            pairs = tuple(
                _pair(left, operator, right, negated=negated) for left, operator, right in node.pairs()
            )
            return pairs[0] if len(pairs) == 1 else Joined(_word("and", negated=negated), pairs)
        case Member():
            operator: Ordering = "==" if node.negated is negated else "!="
            return Comparison(node.item, operator, node.options, node.place)
        case _:
            return Stated(node, negated)


def _word(word: Literal["and", "or"], *, negated: bool) -> Literal["and", "or"]:
    return "and" if (word == "and") is not negated else "or"


def _pair(left: Node, operator: Ordering, right: Node, *, negated: bool) -> Comparison:
    if negated:
        operator = NEGATED[operator]
    if isinstance(left, Constant):
        left, operator, right = right, MIRRORED[operator], left
    return Comparison(left, operator, right, right.place)
