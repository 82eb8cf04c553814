"""What a condition is made of, and its canonical spelling.

Both spellings that users write (an expression, a mapping) become this tree. Two trees are equal when they mean the
same, wherever they stand: places take no part in it. `type` is set by the checker (`typecheck.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

from tocsin.calendars import Since
from tocsin.errors import Place
from tocsin.events import iso
from tocsin.events.kinds import NoneWhen
from tocsin.quantities import SampleCount

Type: TypeAlias = Literal["number", "text", "time", "flag", "duration", "window", "event", "list", "?"]
"""`event` is the names of what happened, several at once; `?` is what couldn't be told and was complained of."""
Ordering: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
Operator: TypeAlias = Literal["+", "-", "*", "/", "%"]
ConstantValue: TypeAlias = Decimal | str | bool | timedelta | datetime | SampleCount | Since

NEGATED: dict[Ordering, Ordering] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
MIRRORED: dict[Ordering, Ordering] = {"<": ">", ">": "<", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the user wrote. `written` is its YAML spelling where YAML, not the user, chose its type."""

    value: ConstantValue
    type: Type
    place: Place = field(compare=False)
    written: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A field: `profit`, `account.equity`. `caseless`: its texts are compared without case; `none_when`: when it can't
    exist. Both are set by the checker.
    """

    name: str
    place: Place = field(compare=False)
    type: Type = field(default="?", compare=False)
    caseless: bool = field(default=False, compare=False)
    none_when: NoneWhen | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple["Node", ...]
    place: Place = field(compare=False)
    type: Type = field(default="list", compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`among`: which events a function takes its samples from, empty for one of the values in force (see
    `windowed.Followed`); `keyed`: these of each instance of an event rule; `caseless`: it gives a text that is
    compared without case. Both are set by the checker.
    """

    function: str
    arguments: tuple["Node", ...]
    place: Place = field(compare=False)
    type: Type = field(default="?", compare=False)
    among: str = field(default="", compare=False)
    keyed: bool = field(default=False, compare=False)
    caseless: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Negative:
    operand: "Node"
    place: Place = field(compare=False)
    type: Type = field(default="?", compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: Operator
    left: "Node"
    right: "Node"
    place: Place = field(compare=False)
    type: Type = field(default="?", compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """`operands[0] operators[0] operands[1] operators[1] …`: each pair must hold."""

    operands: tuple["Node", ...]
    operators: tuple[Ordering, ...]
    place: Place = field(compare=False)
    type: Type = field(default="flag", compare=False)

    def pairs(self) -> Iterator[tuple["Node", Ordering, "Node"]]:
        return zip(self.operands, self.operators, self.operands[1:], strict=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`item in options`, or `item not in options`."""

    item: "Node"
    options: "Node"
    negated: bool
    place: Place = field(compare=False)
    type: Type = field(default="flag", compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"
    place: Place = field(compare=False)
    type: Type = field(default="flag", compare=False)


@dataclass(frozen=True, slots=True)
class Junction:
    """Parts joined by `and` or by `or`; never one of the same word directly inside another."""

    word: Literal["and", "or"]
    parts: tuple["Node", ...]
    place: Place = field(compare=False)
    type: Type = field(default="flag", compare=False)


Node: TypeAlias = Constant | Name | Listing | Call | Negative | Arithmetic | Compare | Member | Not | Junction


def junction(word: Literal["and", "or"], parts: list[Node], place: Place) -> Node:
    """The parts joined; what is joined by the same word already is taken apart, one part alone is itself."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Junction) and part.word == word else (part,)
    return flat[0] if len(flat) == 1 else Junction(word, tuple(flat), place)


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Constant() | Name():
            return ()
        case Compare():
            return node.operands
        case Junction():
            return node.parts
        case Member():
            return (node.item, node.options)
        case Listing():
            return node.items
        case Call():
            return node.arguments
        case Negative() | Not():
            return (node.operand,)
        case Arithmetic():
            return (node.left, node.right)


def walk(node: Node) -> list[Node]:
    """The node and all below it, in the order in which they are written."""
    found: list[Node] = []
    waiting = [node]
    while waiting:
        found.append(waiting.pop())
        waiting += reversed(children(found[-1]))
    return found


def is_caseless(node: Node) -> bool:
    """Whether it is a text that is compared without case: a field's, now or before."""
    return isinstance(node, Name | Call) and node.caseless


def folds(one: Node, other: Node) -> bool:
    """Whether these two are compared without case: both are such texts, or one is and the other was written by the user."""
    both = (is_caseless(one), is_caseless(other))
    return all(both) or (any(both) and (isinstance(one, Constant) or isinstance(other, Constant)))


def folded(value: ConstantValue) -> ConstantValue:
    """A constant as what is compared without case has it."""
    return value.casefold() if isinstance(value, str) else value


def conjuncts(node: Node) -> tuple[Node, ...]:
    """The parts that must all hold; of a negated `or` each must not."""
    match node:
        case Junction(word="and"):
            return tuple(part for each in node.parts for part in conjuncts(each))
        case Not(operand=Junction(word="or") as alternatives):
            return tuple(part for each in alternatives.parts for part in conjuncts(Not(each, each.place)))
        case Not(operand=Not(operand=inner)):
            return conjuncts(inner)
        case _:
            return (node,)


# --------------------------------------------------------------------------------------------- the canonical spelling

_BINDING = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_NOT, _COMPARE, _SUM, _SIGN, _TIGHTEST = 3, 4, 5, 7, 8


def text(node: Node) -> str:
    """The canonical spelling; parsing it gives an equal tree."""
    return _spelled(node)[0]


def _spell(node: Node, outside: int) -> str:
    if isinstance(node, Name):
        return node.name
    spelled, binding = _spelled(node)
    return f"({spelled})" if binding < outside else spelled


def _spelled(node: Node) -> tuple[str, int]:
    """The spelling and how tightly it binds."""
    match node:
        case Compare():
            rest = [f" {op} {_spell(right, _SUM)}" for _, op, right in node.pairs()]
            return f"{_spell(node.operands[0], _SUM)}{''.join(rest)}", _COMPARE
        case Junction():
            binding = _BINDING[node.word]
            return f" {node.word} ".join([_spell(part, binding + 1) for part in node.parts]), binding
        case Member():
            word = "not in" if node.negated else "in"
            return f"{_spell(node.item, _SUM)} {word} {text(node.options)}", _COMPARE
        case Not():
            return f"not {_spell(node.operand, _NOT)}", _NOT
        case Arithmetic():
            binding = _BINDING[node.operator]
            return f"{_spell(node.left, binding)} {node.operator} {_spell(node.right, binding + 1)}", binding
        case Negative():
            return f"-{_spell(node.operand, _SIGN)}", _SIGN
        case _:
            return _spelled_value(node)


def _spelled_value(node: Constant | Name | Listing | Call) -> tuple[str, int]:
    match node:
        case Constant():
            spelled = constant_text(node.value)
            return spelled, _SIGN if spelled.startswith("-") else _TIGHTEST
        case Name():
            return node.name, _TIGHTEST
        case Listing():
            return f"[{', '.join(map(text, node.items))}]", _TIGHTEST
        case Call():
            return f"{node.function}({', '.join(map(text, node.arguments))})", _TIGHTEST


def constant_text(value: ConstantValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain_digits(value)
    if isinstance(value, timedelta):
        return span_text(value)
    if isinstance(value, datetime):
        return quoted(iso(value))
    if isinstance(value, Since):
        return f"since({quoted(str(value))}, {quoted(value.tz)})"
    return str(value) if isinstance(value, SampleCount) else quoted(value)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def plain_digits(value: Decimal) -> str:
    """All digits, no exponent, no needless zeros."""
    digits = format(value, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits in ("-0", "") else digits


def span_text(span: timedelta) -> str:
    """A duration, exactly, as the language writes it: `1h30m`."""
    rest = abs(span) // timedelta(milliseconds=1)
    parts = []
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if span < timedelta(0) else "") + ("".join(parts) or "0s")
