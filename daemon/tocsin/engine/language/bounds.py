"""What the comparisons of a condition say: their normal form, what range they leave a value, and which number they are about.

All that looks at comparisons goes by the normal form: the index, contradictions, worst values. In it negations are drawn inside,
a chain is taken apart, a constant stands on the right, and `in` is `==` to any of several:
`not (5 > profit or symbol in ["A"])` is `profit >= 5` and `symbol != A`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from tocsin.engine.language.ast import (
    MIRRORED,
    NEGATED,
    Call,
    Compare,
    Constant,
    Junction,
    Listing,
    Member,
    Name,
    Node,
    Not,
    Ordering,
    children,
    constant_text,
    folded,
    is_caseless,
    text,
)
from tocsin.engine.language.functions import function_of, needs_of
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


# ------------------------------------------------------------------------------------------------------------- ranges


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison with constants. `values` are more than one only for `==` (any of) and `!=` (none of); as they are
    compared, `written` as the user wrote them.
    """

    subject: str
    operator: Ordering
    values: tuple[Any, ...]
    place: Place
    written: tuple[Any, ...]

    def __str__(self) -> str:
        if len(self.written) == 1:
            return f"{self.subject} {self.operator} {constant_text(self.written[0])}"
        word = "in" if self.operator == "==" else "not in"
        return f"{self.subject} {word} [{', '.join(map(constant_text, self.written))}]"


@dataclass(slots=True)
class Range:
    """What is left for one value when all its bounds hold."""

    low: Bound | None = None
    high: Bound | None = None
    only: Bound | None = None
    allowed: frozenset[Any] | None = None
    denying: list[Bound] = field(default_factory=list)

    def narrow(self, bound: Bound) -> Bound | None:
        """Add a bound; the earlier one that excludes it, if that is so."""
        value = bound.values[0]
        if bound.operator == "!=":
            self.denying.append(bound)
        elif bound.operator == "==":
            self.allowed = (
                frozenset(bound.values) if self.allowed is None else self.allowed & frozenset(bound.values)
            )
            self.only, earlier = bound, self.only
            if earlier and not self.allowed:
                return earlier
        elif bound.operator in (">", ">="):
            if self.low is None or (value, bound.operator == ">") > (
                self.low.values[0],
                self.low.operator == ">",
            ):
                self.low = bound
        elif self.high is None or (value, bound.operator == "<=") < (
            self.high.values[0],
            self.high.operator == "<=",
        ):
            self.high = bound
        return self._excluded(bound)

    def _excluded(self, bound: Bound) -> Bound | None:
        if self.allowed is not None and self.only:
            if not any(self.admits(value) for value in self.allowed):
                limits = (self.low, self.high, self.only, *self.denying)
                return next((other for other in limits if other and other is not bound), bound)
        elif self.low and self.high:
            low, high = self.low.values[0], self.high.values[0]
            if low > high or (low == high and (self.low.operator == ">" or self.high.operator == "<")):
                return self.high if bound is self.low else self.low
        return None

    def admits(self, value: Any) -> bool:
        """Whether the value is within all the bounds."""
        return (
            (self.allowed is None or value in self.allowed)
            and not any(value in bound.values for bound in self.denying)
            and (self.low is None or _holds(value, self.low))
            and (self.high is None or _holds(value, self.high))
        )

    def implies(self, bound: Bound) -> bool:
        """Whether every value in the range is within that bound too."""
        if self.allowed is not None:
            return all(_holds(value, bound) for value in self.allowed if self.admits(value))
        limit = bound.values[0]
        if bound.operator in ("<", "<="):
            return self.high is not None and (
                self.high.values[0] < limit
                or (self.high.values[0] == limit and (self.high.operator == "<" or bound.operator == "<="))
            )
        if bound.operator in (">", ">="):
            return self.low is not None and (
                self.low.values[0] > limit
                or (self.low.values[0] == limit and (self.low.operator == ">" or bound.operator == ">="))
            )
        denied = {value for other in self.denying for value in other.values}
        return bound.operator == "!=" and denied.issuperset(bound.values)


def never(together: Sequence[Bound]) -> tuple[Bound, Bound] | None:
    """Two bounds that exclude each other, the later one second; None where they can all hold."""
    if len(together) < 2:
        return None
    ranges: dict[str, Range] = {}
    for bound in together:
        excluding = ranges.setdefault(bound.subject, Range()).narrow(bound)
        if excluding:
            return excluding, bound
    return None


def implies(together: Sequence[Bound], ends: Sequence[Node]) -> bool:
    """Whether `ends` hold whenever those bounds do, as far as comparisons with constants tell."""
    ranges: dict[str, Range] = {}
    for bound in together:
        ranges.setdefault(bound.subject, Range()).narrow(bound)
    for part in ends:
        needed = exactly(normal(part))
        if not needed or not all(
            bound.subject in ranges and ranges[bound.subject].implies(bound) for bound in needed
        ):
            return False
    return True


def overlap(together: Sequence[Bound], ends: Sequence[Node]) -> tuple[Bound, Bound] | None:
    """A bound of each side, of one subject, where `ends` can hold while those bounds do; None where they can't both,
    or where `ends` are about anything else too.
    """
    needed = [exactly(normal(part)) for part in ends]
    subjects = {bound.subject for bound in together}
    if not all(each and all(bound.subject in subjects for bound in each) for each in needed):
        return None
    flat = [bound for each in needed for bound in each]
    if never([*together, *flat]):
        return None
    return next((first, second) for second in flat for first in together if first.subject == second.subject)


def bounds_of(conjuncts: Sequence[Node]) -> list[Bound]:
    """The comparisons with constants that hold whenever all the parts do."""
    return [bound for part in conjuncts for bound in _bounds(normal(part)) if bound is not None]


def exactly(condition: Normal) -> list[Bound]:
    """The comparisons with constants that it is made of, all of which must hold; none where it is anything else too."""
    bounds = list(_bounds(condition))
    found = [bound for bound in bounds if bound is not None]
    return found if len(found) == len(bounds) else []


def _bounds(condition: Normal) -> Iterator[Bound | None]:
    """Of each part that must hold its bound; None of one that is no comparison with constants."""
    match condition:
        case Joined(word="and"):
            for part in condition.parts:
                yield from _bounds(part)
        case Comparison(values=(_, *_)) if condition.subject.type != "event":
            # What happened is several names at once: two that differ don't exclude each other.
            name = text(condition.subject)
            yield Bound(name, condition.operator, condition.values, condition.place, condition.written)
        case _:
            yield None


def _holds(value: Any, bound: Bound) -> bool:
    match bound.operator:
        case "<":
            return bool(value < bound.values[0])
        case "<=":
            return bool(value <= bound.values[0])
        case ">":
            return bool(value > bound.values[0])
        case ">=":
            return bool(value >= bound.values[0])
        case "==":
            return value in bound.values
        case "!=":
            return value not in bound.values


# ------------------------------------------------------------------------------------ the number that a rule is about

Worse = Literal["lowest", "highest"]


def value_field(tree: Node | None, chosen: str | None) -> tuple[str | None, Worse]:
    """The field `chosen`, else the first number compared in the condition; and its worse end: the lowest where it must
    be below. The worse end of a chosen field that isn't compared is that of the first which is.
    """
    found = list(_numbers_compared(normal(tree))) if tree else []
    if not found:
        return chosen, "highest"
    first, end = found[0]
    if chosen is None:
        return first, end
    return chosen, next((worse for name, worse in found if name == chosen), end)


def value_limit(tree: Node | None, name: str | None) -> Decimal | None:
    """The constant beyond which that field has to be, wherever the condition holds; None where there is none, or more than one."""
    found = {
        value
        for bound in bounds_of([tree] if tree is not None else [])
        if bound.subject == name and bound.operator not in ("==", "!=")
        for value in bound.values
        if isinstance(value, Decimal)
    }
    return found.pop() if len(found) == 1 else None


def _numbers_compared(condition: Normal) -> Iterator[tuple[str, Worse]]:
    match condition:
        case Joined():
            for part in condition.parts:
                yield from _numbers_compared(part)
        case Comparison():
            yield from _numbers_in(condition.subject, condition.operator)
            yield from _numbers_in(condition.other, MIRRORED[condition.operator])
        case Stated(Call() as call) if (function := function_of(call)) and function.crossing:
            yield from _numbers_in(call.arguments[0], function.crossing)


def _numbers_in(node: Node, operator: Ordering) -> Iterator[tuple[str, Worse]]:
    if isinstance(node, Constant):
        return
    end: Worse = "lowest" if operator in ("<", "<=") else "highest"
    if needs_of(node) == "group":
        yield text(node), end
    elif needs_of(node) == "events":
        return
    elif isinstance(node, Call) and (function := function_of(node)) and function.mirrors:
        yield from _numbers_in(node.arguments[0], MIRRORED[operator])
    elif isinstance(node, Call) and node.arguments and node.arguments[0].type == "flag":
        yield from _numbers_compared(normal(node.arguments[0]))
    elif isinstance(node, Name):
        if node.type == "number":
            yield node.name, end
    else:
        for part in children(node):
            yield from _numbers_in(part, operator)
