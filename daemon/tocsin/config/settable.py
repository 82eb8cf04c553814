"""What of a rule can be set to something else to see what would be: the numbers and durations of its conditions and times."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tocsin import document
from tocsin.document import Mapping, Node, Scalar
from tocsin.engine.language.ast import Call, walk
from tocsin.engine.language.functions import function_of
from tocsin.engine.language.mapping import OPERATORS, lower
from tocsin.engine.language.parser import Unreadable
from tocsin.engine.language.written_numbers import COMPARED, Quantity, numbers_in

CONDITIONS = ("when", "until")
"""Whole expressions that can be put in the place of what stands there."""
_OF_STATES, _OF_EVENTS = ("for", "keep_firing_for"), ("cooldown",)
_WRITTEN_NOT = {"for": "0s", "keep_firing_for": "0s", "cooldown": ""}


@dataclass(frozen=True, slots=True)
class Settable:
    """One number or duration of a rule. `path` names it (`when.profit.below`; `when.2`: the second number in an expression;
    `when.any.1.profit.below`: in the first of a list), `called` is that for people (`when profit below`). `value` is as it is
    written; what isn't `written` has the value that counts then ("": none). `at` leads to it in the rule's document, `span` is
    from where to where it stands in the expression there (`within`).
    """

    path: str
    called: str
    value: str
    kind: Quantity
    written: bool = True
    at: tuple[str | int, ...] = ()
    span: tuple[int, int] | None = None
    within: str = ""


def settable(rule: Mapping) -> list[Settable]:
    """All of a sound rule that can be set. In the order of the keys `when`, `until`, then the times."""
    found = [
        each
        for key in CONDITIONS
        if (node := rule.get(key)) is not None
        for each in _of_condition(node, (key,), (key,))
    ]
    for key in _times(rule):
        node = rule.get(key)
        value = node.text if isinstance(node, Scalar) else _WRITTEN_NOT[key]
        found.append(
            Settable(key, key.replace("_", " "), value, "duration", written=node is not None, at=(key,))
        )
    return _told_apart(found)


def _times(rule: Mapping) -> tuple[str, ...]:
    """The keys with durations that a rule of this sort has or can have."""
    watched = [each.text for each in document.items(rule.get("watch")) if isinstance(each, Scalar)]
    if any("." in name for name in watched):
        return _OF_EVENTS if rule.get("absent") is None else ()
    when = rule.get("when")
    tree = lower(when, []) if when is not None else None
    calls = [node for node in walk(tree) if isinstance(node, Call)] if tree is not None else []
    momentary = any(function is not None and function.edge for function in map(function_of, calls))
    return () if momentary else _OF_STATES


def _of_condition(node: Node, at: tuple[str | int, ...], path: tuple[str, ...]) -> Iterator[Settable]:
    if isinstance(node, Scalar):
        yield from _of_expression(node, at, path)
    elif isinstance(node, Mapping):
        for entry in node:
            word, value = entry.key.text, entry.value
            if word in ("any", "all"):
                for count, item in enumerate(document.listed(value)):
                    yield from _of_condition(item, (*at, word, count), (*path, word, str(count + 1)))
            elif word == "not":
                yield from _of_condition(value, (*at, word), (*path, word))
            else:
                yield from _of_value(value, (*at, word), (*path, word), (path[0], word))


def _of_value(
    node: Node, at: tuple[str | int, ...], path: tuple[str, ...], said: tuple[str, ...]
) -> Iterator[Settable]:
    """What stands behind a field; `said`: the words for people so far."""
    if isinstance(node, Mapping):
        for entry in node:
            word = entry.key.text
            operator = OPERATORS.get(word)
            ordering = operator.ordering if operator is not None else None
            words = COMPARED[ordering] if ordering is not None else word.replace("_", " ")
            yield from _of_value(entry.value, (*at, word), (*path, word), (*said, words))
    elif isinstance(node, document.Sequence):
        between = path[-1] == "between"
        for count, item in enumerate(node):
            end = ("to" if count else "from",) if between else ()
            yield from _of_value(item, (*at, count), (*path, str(count + 1)), (*said, *end))
    elif not isinstance(node.value, bool | str | None):
        yield Settable(".".join(path), " ".join(said), node.text, "number", at=at)


def _of_expression(scalar: Scalar, at: tuple[str | int, ...], path: tuple[str, ...]) -> Iterator[Settable]:
    if not isinstance(scalar.value, str):
        return
    try:
        found = numbers_in(scalar)
    except Unreadable:  # whoever compiles the rule says why
        return
    for count, each in enumerate(found, 1):
        yield Settable(
            ".".join((*path, str(count))),
            f"{path[0]} {each.called}",
            each.text,
            each.kind,
            at=at,
            span=(each.start, each.end),
            within=scalar.text,
        )


def _told_apart(found: list[Settable]) -> list[Settable]:
    """Those of one name are counted."""
    total = Counter(each.called for each in found)
    seen: Counter[str] = Counter()
    told = []
    for each in found:
        seen[each.called] += 1
        alone = total[each.called] == 1
        told.append(each if alone else replace(each, called=f"{each.called} ({seen[each.called]})"))
    return told
