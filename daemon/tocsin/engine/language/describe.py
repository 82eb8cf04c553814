"""What a condition saw, in the vocabulary's own words: `profit -60 < -50`, `status is canceled`.

Only what mattered is told: of a true `or` what was true, of a false `and` what was false. A false comparison is told by the
one that held instead, so that each part is a fact, and facts are joined by `and`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from tocsin.calendars import Since
from tocsin.engine.api import Aggregates
from tocsin.engine.language.ast import (
    NEGATED,
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
    Type,
    children,
    constant_text,
    span_text,
    text,
    walk,
)
from tocsin.engine.language.evaluator import absences, evaluator, why
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.windowed import last_known
from tocsin.engine.rule import Evaluate, Truth, Wording
from tocsin.events import Change, Derived, Unit, iso, number_text, readable_text, rounded_text
from tocsin.events.links import link_of
from tocsin.events.vocabulary import unit_of
from tocsin.quantities import duration_text

_NEW = timedelta(seconds=1)
_LONGEST_SHOWN = 120  # characters of a venue's text in one condition
_TOLD_ANYWAY = frozenset({"venue", "account", "symbol", "id"})  # by every message
Compiled: TypeAlias = dict[tuple[int, bool | Ordering], Evaluate]
"""The evaluators of one condition's parts, by the part's identity and whether it is of the state before, or its operator:
what is told often (an event under a cooldown) is compiled once. It lives as long as its condition.
"""


class Description:
    """One condition, one change, one time: what was seen. `compiled`: the condition's own parts, as far as compiled.

    `wording`: see `Wording`.
    """

    def __init__(
        self, change: Change, now: datetime, compiled: Compiled, *, wording: Wording = "exact"
    ) -> None:
        self._change = change
        self._now = now
        self._compiled = compiled
        self._wording = wording

    def facts(self, node: Node) -> list[str]:
        """What is so, and makes the condition what it is; each fact once."""
        return list(dict.fromkeys(self._facts(node)))

    def missing(self, node: Node) -> list[str]:
        """The fields whose absence makes the condition unknown; empty where it is not."""
        return list(dict.fromkeys(self._missing(node)))

    def _facts(self, node: Node) -> Iterator[str]:
        truth = self._value(node)
        if isinstance(node, Compare | Member | Call) and (because := why(absences((node,)), self._change)):
            yield because
            return
        if self._wording != "exact" and self._says_nothing(node):
            return
        if isinstance(node, Junction):
            for part in node.parts:
                if self._value(part) is truth:
                    yield from self._facts(part)
        elif isinstance(node, Not):
            yield from self._facts(node.operand)
        elif truth is None:
            yield self._unknown(node)
        elif isinstance(node, Compare):
            yield from self._compared(node, truth)
        else:
            yield self._fact(node, truth)

    def _says_nothing(self, node: Node) -> bool:
        """Whether a person learns nothing by it: what every message says, or of a default that nothing was there."""
        if isinstance(node, Junction | Not):
            return False
        asked = next((each for each in walk(node) if isinstance(each, Name) or _is_default(each)), None)
        if isinstance(asked, Name):
            return asked.type == "event" or asked.name in _TOLD_ANYWAY
        return isinstance(asked, Call) and self._value(asked.arguments[0]) is None

    def _missing(self, node: Node) -> Iterator[str]:
        if self._value(node) is not None:
            return
        if isinstance(node, Name):
            yield text(node)
        elif isinstance(node, Call) and (FUNCTIONS[node.function].earlier or needs_of(node)):
            yield from self._not_remembered(node)
            return
        for child in children(node):
            if not isinstance(child, Listing):
                yield from self._missing(child)

    def _not_remembered(self, node: Call) -> Iterator[str]:
        """What is seen over time may itself be missing; members of a group are told of elsewhere."""
        need = needs_of(node)
        inside = list(self._missing(node.arguments[0])) if need == "history" else []
        group: Aggregates | None = getattr(self._change, "group", None)
        if need == "group" and group is not None and node.arguments:
            unlike = group.currencies(text(node.arguments[0]))
            yield text(node) + (f" (members in {' and '.join(unlike)})" if unlike else "")
        else:
            yield from inside or (text(node),)

    def _unknown(self, node: Node) -> str:
        missing = self.missing(node)
        return " and ".join(f"{name} is missing" for name in missing) or f"{text(node)} can't be worked out"

    # ------------------------------------------------------------------------------------------------ single facts

    def _compared(self, node: Compare, truth: bool) -> Iterator[str]:
        if truth and len(node.operators) > 1 and not {"==", "!="} & set(node.operators):
            rest = (f" {op} {self.subject(right, after=left)}" for left, op, right in node.pairs())
            yield f"{self.subject(node.operands[0], beside=node.operands[1])}{''.join(rest)}"
            return
        for left, operator, right in node.pairs():
            if self._holds(left, operator, right) is truth:
                yield self._pair(left, operator if truth else NEGATED[operator], right)

    def _pair(self, left: Node, operator: Ordering, right: Node) -> str:
        if operator not in ("==", "!="):
            said = f"{self.subject(left, beside=right)} {operator} {self.subject(right, after=left)}"
            return said + self._read_through_links(left, right)
        if isinstance(left, Constant) and not isinstance(right, Constant):
            left, right = right, left
        if not isinstance(right, Constant):
            return f"{self.subject(left)} {'is' if operator == '==' else 'is not'} {self.subject(right)}"
        return self._is(left)

    def _fact(self, node: Node, truth: bool) -> str:
        function = function_of(node)
        if function is not None and function.fact is not None and isinstance(node, Call):
            return function.fact(node, truth, self)
        return self._is(node.item if isinstance(node, Member) else node)

    def _is(self, node: Node) -> str:
        return f"{self.name(node)} is {self.value(node)}{self._dated(node)}"

    def _dated(self, node: Node) -> str:
        """Of a value that is read through a link: of whom it is, and how old: ` (BTCUSD, 2s ago)`."""
        link = link_of(node.name) if isinstance(node, Name) else None
        there = self._change.linked.get(link.kind) if link is not None and link.dated else None
        if there is None or self._wording == "limit":
            return ""
        called = value_text(there.key.id, "text", computed=False)
        age = max(self._now - there.seen, timedelta(0))
        return f" ({called}, {f'{duration_text(age)} ago' if age >= _NEW else 'just now'})"

    def _read_through_links(self, *nodes: Node) -> str:
        """What was reckoned with, where that can't be seen: ` at ticker.price 101 (BTCUSD, 2s ago)`."""
        if self._wording == "limit":
            return ""
        names = {
            part.name: part
            for node in nodes
            for part in walk(node)
            if part is not node and isinstance(part, Name)
        }
        said = [
            f"{name} {self.value(part)}{dated}"
            for name, part in names.items()
            if (dated := self._dated(part))
        ]
        return f" at {' and '.join(said)}" if said else ""

    # ---------------------------------------------------------------------------------- what functions tell their facts with

    def name(self, node: Node) -> str:
        called = text(node) if self._wording == "exact" else words(node)
        return f"({called})" if isinstance(node, Arithmetic | Negative) else called

    def value(
        self, node: Node, *, before: bool = False, beside: Node | None = None, after: Node | None = None
    ) -> str:
        """`beside` and `after`: what it is compared with, and `after` what stands before it. Rounded it compares as exact."""
        if isinstance(node, Constant):
            return node.value if isinstance(node.value, str) else constant_text(node.value)
        others = [self._value(other) for other in (beside, after) if other is not None]
        if after is not None and isinstance(others[-1], Decimal) and not isinstance(after, Constant):
            others.append(Decimal(self.value(after, beside=node)))
        return value_text(
            self._value(node, before=before),
            node.type,
            computed=is_computed(node),
            unit=unit_of_node(node),
            beside=[other for other in others if isinstance(other, Decimal)],
            short=self._wording != "exact",
        )

    def last_known(self, crossing: str) -> str | None:
        if (known := last_known(self._change, crossing)) is None:
            return None
        at, (value, _) = known
        day = "" if at.date() == self._change.received.date() else f"{at:%Y-%m-%d} "
        return f"{number_text(value)} at {day}{at:%H:%M} UTC"

    def subject(self, node: Node, *, beside: Node | None = None, after: Node | None = None) -> str:
        if isinstance(node, Constant):
            return self.value(node)
        name = self.name(node)
        if self._wording == "limit":
            return name
        return f"{name} {self.value(node, beside=beside, after=after)}{self._dated(node)}"

    def bounds(self, node: Node, name: str) -> Iterator[Decimal]:
        """The numbers that what is spelled `name` is compared with."""
        for part in walk(node):
            if not isinstance(part, Compare):
                continue
            for left, _, right in part.pairs():
                for one, other in ((left, right), (right, left)):
                    if text(one) == name and isinstance(bound := self._value(other), Decimal):
                        yield bound

    def _value(self, node: Node, *, before: bool = False) -> Any:
        compiled = self._compiled.get((id(node), before))
        if compiled is None:
            compiled = self._compiled[id(node), before] = evaluator(node, before)
        return compiled(self._change, self._now)

    def _holds(self, left: Node, operator: Ordering, right: Node) -> Truth:
        """One comparison of a chain."""
        key = (id(left), operator)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = evaluator(Compare((left, right), (operator,), left.place))
        truth: Truth = compiled(self._change, self._now)
        return truth


def _is_default(node: Node) -> bool:
    function = function_of(node)
    return function is not None and function.chooses and function.asks_for_missing


def describe(
    node: Node, change: Change, now: datetime, compiled: Compiled, *, wording: Wording = "exact"
) -> str:
    return " and ".join(Description(change, now, compiled, wording=wording).facts(node))


def bounds(node: Node, name: str, change: Change, now: datetime, compiled: Compiled) -> tuple[Decimal, ...]:
    return tuple(Description(change, now, compiled).bounds(node, name))


def missing(node: Node, change: Change, now: datetime, compiled: Compiled) -> tuple[str, ...]:
    """Empty where the condition is known, or unknown only because of a sum that can't be done."""
    return tuple(Description(change, now, compiled).missing(node))


def unit_of_node(node: Node) -> Unit | None:
    """What the number that it comes to is of, as far as its spelling tells."""
    match node:
        case Name():
            return unit_of(node.name)
        case Negative():
            return unit_of_node(node.operand)
        case Arithmetic() if node.operator in ("+", "-"):
            return _unit_of_all(children(node))
        case Call() if (unit := FUNCTIONS[node.function].unit) is not None:
            return unit
        case Call():
            return _unit_of_all(each for each in node.arguments if each.type == "number")
        case _:
            return None


def _unit_of_all(sides: Iterable[Node]) -> Unit | None:
    """What all of these are of; a constant is of anything."""
    units = {unit_of_node(side) for side in sides if not isinstance(side, Constant)}
    return units.pop() if len(units) == 1 else None


def is_computed(node: Node) -> bool:
    """Whether its number is one that we worked out; else it has the wire's digits, chosen as it may be among others."""
    if isinstance(node, Call):
        return not FUNCTIONS[node.function].chooses or any(map(is_computed, node.arguments))
    return isinstance(node, Arithmetic | Negative)


def words(node: Node) -> str:
    """What people call a value: `percent change of price in 5m`."""
    match node:
        case Call() if said := FUNCTIONS[node.function].words:
            named = dict(
                zip((each.name for each in FUNCTIONS[node.function].parameters), node.arguments, strict=False)
            )
            within = named.get("window")
            first = words(node.arguments[0]) if node.arguments else ""
            return said.format(x=first) + (f" {_window(within)}" if within is not None else "")
        case Arithmetic():
            return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"
        case Negative():
            return f"-{_operand(node.operand)}"
        case _:
            return text(node)


def _window(window: Node) -> str:
    since = isinstance(window, Constant) and isinstance(window.value, Since)
    return f"since {window.value}" if isinstance(window, Constant) and since else f"in {text(window)}"


def _operand(node: Node) -> str:
    return f"({words(node)})" if isinstance(node, Arithmetic | Negative) else words(node)


def value_text(
    value: Any,
    type_: Type,
    *,
    computed: bool,
    unit: Unit | None = None,
    beside: Sequence[Decimal] = (),
    short: bool = False,
) -> str:
    """A value in words; a number that we worked out as `rounded_text` has it. `short`: as a person wants to read it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        is_ours = computed or isinstance(value, Derived)
        if not is_ours and short:
            return readable_text(value, unit, beside)
        return rounded_text(value, unit, beside) if is_ours else number_text(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        if short:
            return duration_text(value)
        whole = timedelta(seconds=round(value.total_seconds()))
        return span_text(whole if abs(value) >= timedelta(seconds=1) else value)
    if type_ == "event":
        return ", ".join(value)
    shown = str(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
