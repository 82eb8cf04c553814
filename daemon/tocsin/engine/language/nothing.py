"""Values that can't exist: while no margin is in use there is no margin level. What is compared with one is false, not unknown.

A comparison looks for them before it looks at values, and negated it is false as well: `not (margin_level > 120)` asks for a
margin level too. What asks whether there is a value (`missing`, `default`, `changed`) is answered as for any missing one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tocsin.engine.language.functions import function_of, needs_of
from tocsin.engine.language.tree import Call, Name, Node, children, text
from tocsin.events import Change
from tocsin.events.vocabulary import cannot_exist

Absent = Callable[[Change], str | None]
"""Why the value can't exist at a change; None where it may."""


def absences(nodes: Iterable[Node], before: bool = False) -> tuple[Absent, ...]:
    """Of each value that these read, whether and why it can't exist. `before`: as it was before the change."""
    return tuple(each for node in nodes for each in _of(node, before))


def why(absent: Iterable[Absent], change: Change) -> str | None:
    """Why one of these can't exist; None where all may."""
    return next((because for each in absent if (because := each(change)) is not None), None)


def _of(node: Node, before: bool) -> Iterator[Absent]:
    function = function_of(node)
    if isinstance(node, Name):
        if node.none_when is not None:
            yield _field(node, before)
    elif needs_of(node) == "group" and isinstance(node, Call):
        if node.arguments and any(_of(node.arguments[0], False)):
            yield _of_all_members(text(node.arguments[0]))
    elif function is None or not function.asks_for_missing:
        inside = before or (function is not None and function.earlier)
        for part in children(node):
            yield from _of(part, inside)


def _field(node: Name, before: bool) -> Absent:
    none_when = node.none_when
    assert none_when is not None, "the caller has looked"  # noqa: S101 - a bug of ours
    holder, _, _ = node.name.rpartition(".")

    def absent(change: Change) -> str | None:
        state: Any
        if holder == "account":
            state = None if before else change.account_state
        else:
            seen = getattr(change, "first", change) if holder == "first" else change
            state = seen.previous if before else seen.state
        return none_when.because if cannot_exist(state, none_when) else None

    return absent


def _of_all_members(value: str) -> Absent:
    def absent(change: Change) -> str | None:
        group = getattr(change, "group", None)
        because: str | None = None if group is None else group.nothing(value)
        return because

    return absent
