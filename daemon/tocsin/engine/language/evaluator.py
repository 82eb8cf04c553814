"""A checked tree as functions that evaluate it: chosen once, when the rule is compiled, so that an event costs little.

Every value may be missing (None); comparing a missing value is unknown (None), and so is a sum that can't be done.

Some values can't exist: while no margin is in use there is no margin level. What is compared with one is false, not unknown,
negated too: `not (margin_level > 120)` asks for a margin level. A comparison looks for them (`absences`) before it looks at
values. What asks whether there is a value (`missing`, `default`, `changed`) is answered as for any missing one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter, eq, ge, gt, le, lt, ne
from typing import Any, Literal

from msgspec import UNSET

from tocsin.engine.language.ast import (
    Arithmetic,
    Call,
    Compare,
    Constant,
    Junction,
    Listing,
    Member,
    Name,
    Negative,
    Node,
    Not,
    Ordering,
    children,
    folded,
    folds,
    is_caseless,
    text,
)
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.implementations import Build, negative, operation
from tocsin.engine.rule import Evaluate, Truth
from tocsin.events import Change, Entity
from tocsin.events.links import LINKS, holder_of
from tocsin.events.vocabulary import cannot_exist

Judge = Callable[[Change, datetime], Truth]

_COMPARE: Mapping[Ordering, Callable[[Any, Any], bool]] = {
    "<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne,
}  # fmt: skip
COMMON: Mapping[str, Callable[[Change], Any]] = {
    "venue": attrgetter("key.venue"),
    "kind": attrgetter("key.kind"),
    "account": attrgetter("account"),
    "id": attrgetter("key.id"),
    "event": attrgetter("events"),
    "origin": attrgetter("origin"),
    "time": attrgetter("time"),
    "received": attrgetter("received"),
    "last_seen": lambda change: change.last_seen or change.received,
}


def evaluator(node: Node, before: bool = False) -> Evaluate:
    """The function that gives the node's value; `before`: as it was before the change."""
    build: Callable[[Any, bool], Evaluate] = _BUILD[type(node)]
    return build(node, before)


def _constant(node: Constant, _before: bool) -> Evaluate:
    value = node.value
    return lambda _change, _now: value


def _call(node: Call, before: bool) -> Evaluate:
    function = FUNCTIONS[node.function]
    evaluate = function.build(Build(node, evaluator, before))
    return _if_there(evaluate, (node,), before) if function.result == "flag" else evaluate


def _if_there(judge: Judge, nodes: Sequence[Node], before: bool) -> Judge:
    """False where one of these values can't exist; else what `judge` says."""
    absent = absences(nodes, before)
    if not absent:
        return judge

    def judge_what_is_there(change: Change, now: datetime) -> Truth:
        return False if why(absent, change) is not None else judge(change, now)

    return judge_what_is_there


# ------------------------------------------------------------------------------------------------------------- fields


def _field(node: Name, before: bool) -> Evaluate:
    name = node.name
    if (common := COMMON.get(name)) is not None:
        return lambda change, _now: common(change)
    if name == "symbol":
        return _symbol(before)
    if link := holder_of(name):
        return _of_linked(link, name.removeprefix(f"{link}."), before)
    if name.startswith("first."):
        return _of_first(Name(name.removeprefix("first."), node.place, node.type))
    if before:
        return _previous(name)
    read = attrgetter(f"state.{name}")

    def evaluate(change: Change, _now: datetime) -> Any:
        value = read(change)
        return None if value is UNSET else value

    return evaluate


def _previous(name: str) -> Evaluate:
    def evaluate(change: Change, _now: datetime) -> Any:
        value = getattr(change.previous, name, None)
        return None if value is UNSET else value

    return evaluate


def _symbol(before: bool) -> Evaluate:
    """The entity's own symbol, else the one that the change is about."""

    def evaluate(change: Change, _now: datetime) -> Any:
        value = getattr(change.previous if before else change.state, "symbol", None)
        return change.symbol if value is UNSET or (value is None and not before) else value

    return evaluate


def _of_first(name: Name) -> Evaluate:
    """Of the first event of a sequence, which its second carries (`sequence_rule`)."""
    read = _field(name, False)
    return lambda change, now: read(getattr(change, "first"), now)  # noqa: B009 - a plain Change has none


def _of_linked(link: str, name: str, before: bool) -> Evaluate:
    """Of what the entity belongs to. Before a first sight of either nothing was known."""
    if name == "last_seen":
        return lambda change, _now: there.seen if (there := change.linked.get(link)) else None

    def evaluate(change: Change, _now: datetime) -> Any:
        value = getattr(_linked_state(change, link, before), name, None)
        return None if value is UNSET else value

    return evaluate


def _linked_state(change: Change, link: str, before: bool) -> Entity | None:
    linked = change.linked.get(link)
    if linked is None or (before and change.previous is None):
        return None
    return linked.previous if before else linked.state


# -------------------------------------------------------------------------------------------------------- comparisons


def _compare(node: Compare, before: bool) -> Judge:
    pairs = tuple(_pair(left, operator, right, before) for left, operator, right in node.pairs())
    return pairs[0] if len(pairs) == 1 else _joined(pairs, settles=False)


def _pair(left: Node, operator: Ordering, right: Node, before: bool) -> Judge:
    return _if_there(_compared(left, operator, right, before), (left, right), before)


def _compared(left: Node, operator: Ordering, right: Node, before: bool) -> Judge:
    if left.type == "event":
        return _happened(right, operator == "!=", before)
    if right.type == "event":
        return _happened(left, operator == "!=", before)
    compare = _COMPARE[operator]
    if folds(left, right):
        return _without_case(left, compare, right, before)
    if isinstance(right, Constant):
        return _against(left, compare, right.value, before)
    read_left, read_right = evaluator(left, before), evaluator(right, before)

    def judge(change: Change, now: datetime) -> Truth:
        first, second = read_left(change, now), read_right(change, now)
        return None if first is None or second is None else compare(first, second)

    return judge


def _without_case(left: Node, compare: Callable[[Any, Any], bool], right: Node, before: bool) -> Judge:
    """Two texts of which case tells nothing."""
    read_left, read_right = evaluator(left, before), evaluator(right, before)

    def judge(change: Change, now: datetime) -> Truth:
        first, second = read_left(change, now), read_right(change, now)
        return None if first is None or second is None else compare(first.casefold(), second.casefold())

    return judge


def _against(left: Node, compare: Callable[[Any, Any], bool], limit: Any, before: bool) -> Judge:
    """Against a constant: the commonest condition, so the field is read without a call between."""
    if (
        not before
        and isinstance(left, Name)
        and left.name not in (*COMMON, "symbol")
        and "." not in left.name
    ):
        field = attrgetter(f"state.{left.name}")

        def judge_field(change: Change, _now: datetime) -> Truth:
            value = field(change)
            return None if value is None or value is UNSET else compare(value, limit)

        return judge_field
    read = evaluator(left, before)

    def judge(change: Change, now: datetime) -> Truth:
        value = read(change, now)
        return None if value is None else compare(value, limit)

    return judge


def _happened(name: Node, negated: bool, before: bool) -> Judge:
    read = evaluator(name, before)

    def judge(change: Change, now: datetime) -> Truth:
        value = read(change, now)
        return None if value is None else (value in change.events) is not negated

    return judge


def _member(node: Member, before: bool) -> Judge:
    return _if_there(_among(node, before), (node.item,), before)


def _among(node: Member, before: bool) -> Judge:
    read = evaluator(node.item, before)
    options = node.options.items if isinstance(node.options, Listing) else ()
    values = frozenset(option.value for option in options if isinstance(option, Constant))
    negated = node.negated
    if node.item.type == "event":
        return lambda change, _now: values.isdisjoint(change.events) is negated
    if is_caseless(node.item):
        return _member_without_case(read, frozenset(map(folded, values)), negated)

    def judge(change: Change, now: datetime) -> Truth:
        value = read(change, now)
        return None if value is None else (value in values) is not negated

    return judge


def _member_without_case(read: Evaluate, values: frozenset[Any], negated: bool) -> Judge:
    def judge(change: Change, now: datetime) -> Truth:
        value = read(change, now)
        return None if value is None else (value.casefold() in values) is not negated

    return judge


# ---------------------------------------------------------------------------------------------- three-valued and, or, not


def _joined(parts: tuple[Judge, ...], *, settles: bool) -> Judge:
    """One part that `settles` it is enough; where none does, what isn't known leaves the whole unknown."""

    def judge(change: Change, now: datetime) -> Truth:
        truth: Truth = not settles
        for part in parts:
            found = part(change, now)
            if found is settles:
                return settles
            if found is None:
                truth = None
        return truth

    return judge


def _junction(node: Junction, before: bool) -> Judge:
    parts = tuple(evaluator(part, before) for part in node.parts)
    return _joined(parts, settles=node.word == "or")


def _not(node: Not, before: bool) -> Judge:
    operand = node.operand
    absent = absences((operand,), before)
    if absent and isinstance(operand, Junction):  # each comparison for itself: the others may be known
        word: Literal["and", "or"] = "or" if operand.word == "and" else "and"
        return _junction(
            Junction(word, tuple(Not(part, part.place) for part in operand.parts), node.place), before
        )
    if absent and isinstance(operand, Not):
        judge: Judge = evaluator(operand.operand, before)
        return judge
    return _if_there(_negated(operand, before), (operand,), before)


def _negated(operand: Node, before: bool) -> Judge:
    part = evaluator(operand, before)

    def judge(change: Change, now: datetime) -> Truth:
        found = part(change, now)
        return None if found is None else not found

    return judge


# ---------------------------------------------------------------------------------------------------------- arithmetic


def _arithmetic(node: Arithmetic, before: bool) -> Evaluate:
    left, right = evaluator(node.left, before), evaluator(node.right, before)
    calculate = operation(node.operator, node.left.type, node.right.type)

    def evaluate(change: Change, now: datetime) -> Any:
        first, second = left(change, now), right(change, now)
        if first is None or second is None:
            return None
        try:
            return calculate(first, second)
        except ArithmeticError:  # a division by zero, a number or a time beyond all bounds
            return None

    return evaluate


def _negative(node: Negative, before: bool) -> Evaluate:
    operand = evaluator(node.operand, before)

    def evaluate(change: Change, now: datetime) -> Any:
        value = operand(change, now)
        return None if value is None else negative(value)

    return evaluate


# A list is missing here: it has no value of its own, and the checker lets it stand behind `in` only.
_BUILD: Mapping[type[Node], Callable[[Any, bool], Evaluate]] = {
    Constant: _constant,
    Name: _field,
    Compare: _compare,
    Member: _member,
    Junction: _junction,
    Not: _not,
    Arithmetic: _arithmetic,
    Negative: _negative,
    Call: _call,
}


# -------------------------------------------------------------------------------------------- values that can't exist

Absent = Callable[[Change], str | None]
"""Why the value can't exist at a change; None where it may."""


def absences(nodes: Iterable[Node], before: bool = False) -> tuple[Absent, ...]:
    """Of each value that these read, whether and why it can't exist. `before`: as it was before the change."""
    return tuple(each for node in nodes for each in _absences_of(node, before))


def why(absent: Iterable[Absent], change: Change) -> str | None:
    """Why one of these can't exist; None where all may."""
    return next((because for each in absent if (because := each(change)) is not None), None)


def _absences_of(node: Node, before: bool) -> Iterator[Absent]:
    function = function_of(node)
    if isinstance(node, Name):
        if node.none_when is not None:
            yield _field_absence(node, before)
    elif needs_of(node) == "group" and isinstance(node, Call):
        if node.arguments and any(_absences_of(node.arguments[0], False)):
            yield _of_all_members(text(node.arguments[0]))
    elif function is None or not function.asks_for_missing:
        inside = before or (function is not None and function.earlier)
        for part in children(node):
            yield from _absences_of(part, inside)


def _field_absence(node: Name, before: bool) -> Absent:
    none_when = node.none_when
    assert none_when is not None, "the caller has looked"  # noqa: S101 - a bug of ours
    holder, _, _ = node.name.rpartition(".")

    def absent(change: Change) -> str | None:
        state: Any
        if holder in LINKS:
            state = _linked_state(change, holder, before)
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
