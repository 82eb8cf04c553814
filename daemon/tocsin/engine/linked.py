"""Who reads whom through a link (`events.links`): of an account, a ticker or a venue those entities that rules read it from.

A change of the one is then a change of each that reads it, to which itself nothing happened: of each for which it may mean something.
Where a rule compares a number of the other (`ticker.price < price * 1.01`), its truth can turn only where the number passes the limit
that the reading entity sets; the limits stand in their order, so that a tick costs what it turns.

Kept for the kinds and links that rules read only.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from msgspec import UNSET, structs

from tocsin.engine.api import World
from tocsin.engine.language.ast import Arithmetic, Call, Constant, Name, Negative, Node, walk
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.evaluator import evaluator
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.rule import Evaluate, Rule
from tocsin.events import EXACT, Change, Entity, Key
from tocsin.events.links import LINKS, KeyTexts, as_linked, folded, holder_of
from tocsin.events.vocabulary import fields

_SLACK = Decimal("1e-12")
"""Of a number: how far off its limit may have been reckoned. Within, the condition itself is asked."""


class Limit(NamedTuple):
    """Left side less right side of a comparison, which is linear in one number that is read through a link."""

    field: str
    difference: Evaluate

    def at(self, change: Change, link: str) -> Decimal | None:
        """The number at which the comparison turns, for that reader; None where it never does."""
        at_zero, at_one = (self._with(change, link, number) for number in (Decimal(0), Decimal(1)))
        if at_zero is None or at_one is None or at_zero == at_one:
            return None
        return EXACT.divide(EXACT.minus(at_zero), EXACT.subtract(at_one, at_zero))

    def _with(self, change: Change, link: str, number: Decimal) -> Any:
        there = change.linked[link]
        state = structs.replace(there.state, **{self.field: number})
        linked = {**change.linked, link: structs.replace(there, state=state)}
        return self.difference(structs.replace(change, linked=linked), change.received)


class Reading(NamedTuple):
    """What rules read through one link: fields of which any change counts, and those that are compared in a linear way."""

    any: frozenset[str]
    limits: tuple[Limit, ...]


class _Place(NamedTuple):
    """Where an entity stands: whom it reads, fields of which any change counts, the limits of others."""

    at: KeyTexts
    any: frozenset[str]
    limits: tuple[tuple[str, Decimal], ...]


@dataclass(slots=True)
class _Readers:
    """Of one account, ticker or venue: by the field, whom any change of it concerns, and the limits in their order."""

    any: dict[str, dict[Key, None]] = field(default_factory=dict)
    limits: dict[str, list[tuple[Decimal, Key]]] = field(default_factory=dict)
    all: dict[Key, None] = field(default_factory=dict)


class Readers:
    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[str, dict[str, Reading]] = {}  # by the kind that reads, by link
        self._built = True
        self._readers: dict[KeyTexts, _Readers] = {}
        self._read: dict[Key, dict[str, _Place]] = {}  # by whom: what, by link

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. Who reads is looked for when the first change comes."""
        asked: dict[str, dict[str, list[Reading]]] = {}
        for rule in rules:
            # What an event rule reads is as at its event; only what it follows over time goes on in between.
            if not rule.is_event_rule or any(condition.remembers for condition in rule.conditions):
                for kind in rule.kinds:
                    for link in rule.links:
                        if kind in LINKS[link].of:
                            asked.setdefault(kind, {}).setdefault(link, []).append(reading(rule, link))
        self._asked = {
            kind: {link: _together(found) for link, found in of_kind.items()}
            for kind, of_kind in asked.items()
        }
        self._readers, self._read, self._built = {}, {}, not self._asked

    def put(self, change: Change) -> None:
        """The entity is now so: it may read another one from here on."""
        if not self._built:
            self._build()
        if change.key[1] in self._asked and not change.passing:
            self._place(change)

    def of(self, change: Change, living: Collection[Key]) -> Iterator[Change]:
        """Those that read what this is a change of and for which it may mean something, as they stand, nothing having happened to
        themselves. `living`: those that have an instance of a rule, to which each value is news.
        """
        if not self._built:
            self._build()
        link = change.key[1]
        if link not in LINKS or change.passing:
            return
        there = self._readers.get(folded(change.key))
        if there is None:
            return
        linked = as_linked(change, change.previous)
        for key in _concerned(there, change, living):
            reader = self._world.get(key)
            if reader is not None:
                links = {**reader.linked, link: linked}
                seen = structs.replace(reader, events=(), previous=reader.state, linked=links)
                if not self._read[key][link].limits:
                    self._place(seen)
                yield seen

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._leave(key)

    def forget_venue(self, venue: str) -> None:
        self.forget([key for key in self._read if key.venue == venue])

    def _build(self) -> None:
        self._built = True
        for kind in self._asked:
            for change in self._world.live(kind):
                self._place(change)

    def _place(self, change: Change) -> None:
        before = self._read.get(change.key, _NOTHING)
        now: dict[str, _Place] = {}
        if not change.ended:
            for link, asked in self._asked[change.key[1]].items():
                if (at := LINKS[link].key(change.key, change.state)) is not None:
                    now[link] = _place(change, link, folded(at), asked)
        if now == before:
            return
        self._leave(change.key)
        if now:
            self._read[change.key] = now
            for place in now.values():
                readers = self._readers.setdefault(place.at, _Readers())
                readers.all[change.key] = None
                for name in place.any:
                    readers.any.setdefault(name, {})[change.key] = None
                for name, limit in place.limits:
                    insort(readers.limits.setdefault(name, []), (limit, change.key))

    def _leave(self, key: Key) -> None:
        for place in self._read.pop(key, _NOTHING).values():
            readers = self._readers[place.at]
            readers.all.pop(key, None)
            for name in place.any:
                readers.any[name].pop(key, None)
            for name, limit in place.limits:
                in_order = readers.limits[name]
                del in_order[bisect_left(in_order, (limit, key))]
            if not readers.all:
                del self._readers[place.at]


_NOTHING: Mapping[str, _Place] = {}


def _place(change: Change, link: str, at: KeyTexts, asked: Reading) -> _Place:
    if link not in change.linked:  # there is none yet
        return _Place(at, asked.any | {limit.field for limit in asked.limits}, ())
    limits = ((limit.field, limit.at(change, link)) for limit in asked.limits)
    return _Place(at, asked.any, tuple((name, limit) for name, limit in limits if limit is not None))


def _concerned(there: _Readers, change: Change, living: Collection[Key]) -> Iterable[Key]:
    """In the order in which they came to read it."""
    found = {key for key in living if key in there.all}
    before, now = change.previous, change.state
    if before is None:
        return tuple(there.all)
    for name, keys in there.any.items():
        if name == _LAST_SEEN or _value(before, name) != _value(now, name):
            found.update(keys)
    for name, in_order in there.limits.items():
        old, new = _value(before, name), _value(now, name)
        if old == new:
            continue
        if old is None or new is None:
            found.update(key for _, key in in_order)
            continue
        low, high = (old, new) if old < new else (new, old)
        slack = max(abs(low), abs(high)) * _SLACK
        first = bisect_left(in_order, (low - slack,))
        last = bisect_right(in_order, high + slack, key=_limit)
        found.update(key for _, key in in_order[first:last])
    return [key for key in there.all if key in found] if len(found) > 1 else found


def _limit(held: tuple[Decimal, Key]) -> Decimal:
    return held[0]


_LAST_SEEN = "last_seen"


def _value(state: Entity, name: str) -> Any:
    value = getattr(state, name, None)
    return None if value is UNSET else value


# --------------------------------------------------------------------------------------------- what a rule reads


def _together(found: Iterable[Reading]) -> Reading:
    found = list(found)
    limits = (limit for each in found for limit in each.limits)
    return Reading(frozenset[str]().union(*(each.any for each in found)), tuple(dict.fromkeys(limits)))


def reading(rule: Rule, link: str) -> Reading:
    """What the rule reads through the link. Of a group, and of what is followed over time, each change counts."""
    names = {name for condition in rule.conditions for name in condition.fields if holder_of(name) == link}
    if rule.value_of is not None and holder_of(rule.value_of) == link:
        names.add(rule.value_of)
    trees = [condition.tree for condition in rule.conditions if isinstance(condition, TreeCondition)]
    followed = any(condition.remembers for condition in rule.conditions)
    if rule.is_group or followed or len(trees) < len(rule.conditions):
        return Reading(_with_reasons(link, names), ())
    found = [each for tree in trees for each in _read(normal(tree), link)]
    limits = tuple(each for each in found if isinstance(each, Limit))
    anything = {each for each in found if isinstance(each, str)}
    return Reading(_with_reasons(link, anything), limits)


def _with_reasons(link: str, names: Iterable[str]) -> frozenset[str]:
    """The fields, and those that say that one of them can't exist."""
    own = {name.removeprefix(f"{link}.") for name in names}
    known = fields(link)
    reasons = {why.of for name in own if name in known and (why := known[name].none_when) is not None}
    return frozenset(own | reasons)


_Found: TypeAlias = Limit | str


def _read(condition: Normal, link: str) -> Iterator[_Found]:
    """By each comparison its limit, or the fields of which any change counts."""
    match condition:
        case Joined():
            for part in condition.parts:
                yield from _read(part, link)
        case Comparison():
            yield from _compared(condition.subject, condition.other, link)
        case Stated(Call() as call) if FUNCTIONS[call.function].crossing:
            yield from _compared(call.arguments[0], call.arguments[1], link)
        case Stated():
            yield from _names(condition.node, link)


def _names(node: Node, link: str) -> list[str]:
    return [part.name for part in walk(node) if isinstance(part, Name) and holder_of(part.name) == link]


def _compared(left: Node, right: Node, link: str) -> Iterator[_Found]:
    names = {*_names(left, link), *_names(right, link)}
    if not names:
        return
    (name, *others) = names
    field = name.removeprefix(f"{link}.")
    sides = [(left, right)]
    if isinstance(left, Call) and FUNCTIONS[left.function].solved_as == "either sign":
        inner = left.arguments[0]
        sides = [(inner, right), (inner, Negative(right, left.place, left.type))]
    differences = [Arithmetic("-", *both, left.place, "number") for both in sides]
    if (
        others
        or fields(link)[field].none_when is not None
        or any(_degree(each, name) is None for each in differences)
    ):
        yield from names
        return
    for each in differences:
        yield Limit(field, _evaluator(each))


@cache
def _evaluator(node: Node) -> Evaluate:
    return evaluator(node)


def _degree(node: Node, name: str) -> int | None:
    """0: a number that the reading entity alone sets; 1: linear in that field; None: anything else."""
    match node:
        case Constant(value=Decimal()):
            return 0
        case Name(type="number"):
            return 1 if node.name == name else None if "." in node.name else 0
        case Negative():
            return _degree(node.operand, name)
        case Arithmetic():
            left, right = _degree(node.left, name), _degree(node.right, name)
            return _joined(node.operator, left, right)
        case Call() if FUNCTIONS[node.function].solved_as == "quotient":
            return _joined("/", *(_degree(argument, name) for argument in node.arguments))
        case Call() if FUNCTIONS[node.function].indexed_as == "key":
            return 0 if {_degree(argument, name) for argument in node.arguments} == {0} else None
    return None


def _joined(operator: str, left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    match operator:
        case "+" | "-":
            return max(left, right)
        case "*" if left + right <= 1:
            return left + right
        case "/" if right == 0:
            return left
    return 0 if left == right == 0 else None
