"""The numbers and durations in an expression, as they are written: where each stands, and what people call it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tocsin.document import Scalar
from tocsin.engine.language.ast import (
    MIRRORED,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Listing,
    Member,
    Name,
    Node,
    Ordering,
    children,
    text,
)
from tocsin.engine.language.describe import words
from tocsin.engine.language.functions import function_of
from tocsin.engine.language.parser import Token, parse, tokens
from tocsin.quantities import DURATION

Quantity: TypeAlias = Literal["number", "duration"]
COMPARED: Mapping[Ordering, str] = {
    "<": "below",
    ">": "above",
    ">=": "at least",
    "<=": "at most",
    "==": "is",
    "!=": "is not",
}
"""How people say a comparison."""
_LONGEST = 100  # characters; far beyond any price
_FORMS: Mapping[Quantity, re.Pattern[str]] = {
    "number": re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?", re.ASCII),
    "duration": re.compile(f"-?{DURATION}", re.ASCII),
}
_ELLIPSIS = "…"  # stands for the number itself in what it is called


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """It begins at the character `start` of the expression and ends before `end`, a sign of its own included."""

    start: int
    end: int
    text: str
    kind: Quantity
    called: str


def is_quantity(written: str, kind: Quantity) -> bool:
    """Whether the language reads it as one, a sign before it allowed."""
    return len(written) <= _LONGEST and _FORMS[kind].fullmatch(written) is not None


def numbers_in(expression: Scalar) -> list[WrittenNumber]:
    """In the order in which they stand there. Raises Unreadable."""
    tree = parse(expression)
    found = tokens(expression, expression.text)
    spans = [(before, each) for before, each in _with_signs(found) if each.kind in ("number", "duration")]
    called = [_called(constant, above) for constant, above in _constants(tree, ())]
    return [
        WrittenNumber(
            start := sign.start if sign is not None else token.start,
            token.end,
            expression.text[start : token.end],
            "number" if token.kind == "number" else "duration",
            name,
        )
        for (sign, token), name in zip(spans, called, strict=True)
    ]


def _with_signs(found: list[Token]) -> Iterator[tuple[Token | None, Token]]:
    """Each token, beside the minus before it that is its sign."""
    for place, token in enumerate(found):
        sign = found[place - 1] if place and found[place - 1].text == "-" else None
        before = found[place - 2] if place > 1 else None
        subtracts = before is not None and (
            before.text in (")", "]")
            or before.kind in ("number", "duration", "text")
            or (before.kind == "name" and before.text not in ("and", "or", "not", "in"))
        )
        yield (None if subtracts else sign), token


def _constants(node: Node, above: tuple[Node, ...]) -> Iterator[tuple[Constant, tuple[Node, ...]]]:
    """Those of the tree that are numbers, durations or counts of samples, each with what it stands in, the nearest first."""
    if isinstance(node, Constant) and node.type in ("number", "duration", "window"):
        yield node, above
    for child in children(node):
        yield from _constants(child, (node, *above))


def _called(constant: Constant, above: tuple[Node, ...]) -> str:
    match above:
        case (Compare() as compare, *_):
            for left, operator, right in compare.pairs():
                if right is constant:
                    return f"{_words(left)} {COMPARED[operator]}"
                if left is constant:
                    return f"{_words(right)} {COMPARED[MIRRORED[operator]]}"
        case (Listing(), Member() as member, *_):
            return f"{_words(member.item)} {'not among' if member.negated else 'among'}"
        case (Call() as call, *_):
            return _words(replace(call, arguments=tuple(_gap(each, constant) for each in call.arguments)))
        case (Arithmetic() as sum_, *_):
            return _words(replace(sum_, left=_gap(sum_.left, constant), right=_gap(sum_.right, constant)))
    return ""


def _gap(node: Node, constant: Constant) -> Node:
    return Name(_ELLIPSIS, constant.place) if node is constant else node


def _words(node: Node) -> str:
    return text(node) if isinstance(node, Call) and function_of(node) is None else words(node)
