"""Which number a rule is about, and which end of it is the worse."""

from collections.abc import Iterator
from typing import Literal

from tocsin.engine.language.comparisons import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.functions import function_of, needs_of
from tocsin.engine.language.tree import MIRRORED, Call, Constant, Name, Node, Ordering, children, text

Worse = Literal["lowest", "highest"]


def spoken_of(tree: Node | None, chosen: str | None) -> tuple[str | None, Worse]:
    """The field `chosen`, else the first number compared in the condition; and its worse end: the lowest where it must
    be below. The worse end of a chosen field that isn't compared is that of the first which is.
    """
    found = list(_compared(normal(tree))) if tree else []
    if not found:
        return chosen, "highest"
    first, end = found[0]
    if chosen is None:
        return first, end
    return chosen, next((worse for name, worse in found if name == chosen), end)


def _compared(condition: Normal) -> Iterator[tuple[str, Worse]]:
    match condition:
        case Joined():
            for part in condition.parts:
                yield from _compared(part)
        case Comparison():
            yield from _in(condition.subject, condition.operator)
            yield from _in(condition.other, MIRRORED[condition.operator])
        case Stated(Call() as call) if (function := function_of(call)) and function.crossing:
            yield from _in(call.arguments[0], function.crossing)


def _in(node: Node, operator: Ordering) -> Iterator[tuple[str, Worse]]:
    if isinstance(node, Constant):
        return
    end: Worse = "lowest" if operator in ("<", "<=") else "highest"
    if needs_of(node) == "group":
        yield text(node), end
    elif needs_of(node) == "events":
        return
    elif isinstance(node, Call) and (function := function_of(node)) and function.mirrors:
        yield from _in(node.arguments[0], MIRRORED[operator])
    elif isinstance(node, Name):
        if node.type == "number":
            yield node.name, end
    else:
        for part in children(node):
            yield from _in(part, operator)
