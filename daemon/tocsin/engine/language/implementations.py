"""What a function of the rule language is: one `Function` each, in the table of `functions.py`; and what the functions and operators do.

A function of the parts below compiles a call into a function of a change and the time, None where the value is missing, or tells in
words what a call came to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal, Protocol, TypeAlias

import re2

from tocsin.engine.language.ast import Call, Constant, Node, Operator, Type, is_caseless
from tocsin.engine.rule import Evaluate
from tocsin.events import EXACT, Change, Unit


@dataclass(frozen=True, slots=True)
class Build:
    """What a function is compiled with: its call, and the way to compile its arguments.

    `before`: it stands inside `previous(…)`, so that fields mean their values before this change.
    """

    call: Call
    compile: Callable[[Node, bool], Evaluate]
    before: bool

    def argument(self, position: int) -> Evaluate:
        return self.compile(self.call.arguments[position], self.before)


class Show(Protocol):
    """What a function's fact is told with: see `Function.fact`."""

    def subject(self, node: Node) -> str:
        """`profit -60`, `(bid + ask) 201`: what it is, and its value if it isn't simply written there."""
        ...

    def name(self, node: Node) -> str: ...

    def value(self, node: Node, *, before: bool = False) -> str: ...

    def last_known(self, crossing: str) -> str | None:
        """What a crossing value was before a hole, and when: `11 at 10:02 UTC`; None where there was no hole."""
        ...


Fact: TypeAlias = Callable[[Call, bool, Show], str]
"""For a call that came out true or false: what is so, in words."""


def lifted(function: Callable[..., Any]) -> Callable[[Build], Evaluate]:
    """For functions of plain values: missing where any argument is, or where the sum can't be done."""

    def build(context: Build) -> Evaluate:
        arguments = [context.argument(position) for position in range(len(context.call.arguments))]

        def evaluate(change: Change, now: datetime) -> Any:
            values = [argument(change, now) for argument in arguments]
            if None in values:
                return None
            try:
                return function(*values)
            except (ArithmeticError, ValueError):
                return None

        return evaluate

    return build


Need: TypeAlias = Literal["history", "events", "group"]
"""What a function looks at beside the change: the entity's history, the rule's events, the group's entities."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`written`: a constant must stand here. `alike`: of the type that the first argument has. `own`: only the entity's
    own fields, whose previous values are known. `followed`: of the entity's own fields too, and seen over time.
    `summed`: seen over the entities of a group. `check` says what is wrong with a constant, if anything.
    """

    name: str
    types: frozenset[Type]
    written: bool = False
    alike: bool = False
    own: bool = False
    followed: bool = False
    summed: bool = False
    optional: bool = False
    check: Callable[[Constant], str] | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """`example`: a condition with it. `result` None is the first argument's type. `edge`: true for a moment only. `timed`: goes
    up or down as time passes.

    `build` compiles a call. `fact` tells, for a call that came out true or false, what is so, in words. `needs`: what
    it looks at beside the change, `needs_in_time` where it is given a length. `asks_for_missing`: it has a value
    where its argument has none. `unit`: of the number that it comes to; else it is its arguments'. `words`: what
    people call it, `{x}` being its first argument.

    `earlier`: of the entity's state before. `chooses`: gives one of the values that it looks at, digit for digit.
    `of_events`: of the events in its window, not of the values in force; `counts_samples`: those of its window
    in which its condition was so. `against_past`: has no value before so much time
    has passed. `mirrors`: the higher it is, the lower is its argument. `crossing`: on which side of the limit its argument
    then is. `indexed_as`: rules are looked up by its value (it is of one field, and cheap), or by its being true, which
    is never unknown. `solved_as`: how a comparison of it is solved for its first argument: that with either sign, or
    linear in it as a quotient is in its dividend.
    """

    name: str
    example: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    doc: str
    build: Callable[[Build], Evaluate]
    fact: Fact | None = None
    edge: bool = False
    timed: Literal["up", "down"] | None = None
    needs: Need | None = None
    needs_in_time: Need | None = None
    asks_for_missing: bool = False
    unit: Unit | None = None
    words: str = ""
    earlier: bool = False
    chooses: bool = False
    of_events: bool = False
    counts_samples: bool = False
    against_past: bool = False
    mirrors: bool = False
    crossing: Literal["<", ">"] | None = None
    indexed_as: Literal["key", "flag"] | None = None
    solved_as: Literal["either sign", "quotient"] | None = None

    @property
    def signature(self) -> str:
        said = ""
        for parameter in self.parameters:
            name = f", {parameter.name}" if said else parameter.name
            said += f"[{name}]" if parameter.optional else name
        return f"{self.name}({said})"

    @property
    def fewest(self) -> int:
        return sum(not parameter.optional for parameter in self.parameters)


# ---------------------------------------------------------------------------------------------------- before and now


def previous(context: Build) -> Evaluate:
    return context.compile(context.call.arguments[0], True)


def changed(context: Build) -> Evaluate:
    node = context.call.arguments[0]
    now_value, then_value = context.compile(node, False), context.compile(node, True)
    caseless = is_caseless(node)

    def evaluate(change: Change, now: datetime) -> bool:
        if change.previous is None:
            return False
        new, old = now_value(change, now), then_value(change, now)
        if caseless and isinstance(new, str) and isinstance(old, str):
            return new.casefold() != old.casefold()
        return bool(new != old)

    return evaluate


def changed_fact(call: Call, truth: bool, show: Show) -> str:
    (node,) = call.arguments
    if not truth:
        return f"{show.name(node)} is {show.value(node)}, unchanged"
    return f"{show.name(node)} changed from {show.value(node, before=True)} to {show.value(node)}"


# ----------------------------------------------------------------------------------------------------------- missing


def missing(context: Build) -> Evaluate:
    value = context.argument(0)
    return lambda change, now: value(change, now) is None


def missing_fact(call: Call, _truth: bool, show: Show) -> str:
    (node,) = call.arguments
    return f"{show.name(node)} is {show.value(node)}"


def default(context: Build) -> Evaluate:
    value, otherwise = context.argument(0), context.argument(1)

    def evaluate(change: Change, now: datetime) -> Any:
        found = value(change, now)
        return otherwise(change, now) if found is None else found

    return evaluate


# ------------------------------------------------------------------------------------------------------------- texts


def _regex(pattern: str, *, case: bool = True) -> Any:
    options = re2.Options()
    options.case_sensitive = case
    options.log_errors = False
    options.max_mem = 1 << 20  # bytes for one user's regex; the library's default is eight times that
    return re2.compile(pattern, options)


def is_regex_wrong(constant: Constant) -> str:
    try:
        _regex(str(constant.value))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return f"not a regex: {_plainly(said.decode(errors='replace') if isinstance(said, bytes) else str(said))}"
    except UnicodeEncodeError:
        return "not a regex: it holds half a character"
    return ""


def _plainly(said: str) -> str:
    """RE2's words for what is wrong, which end with the piece that they are about."""
    what, _, piece = said.partition(": ")
    match what:
        case "missing )" | "missing ]":
            return f"its closing `{what[-1]}` is missing"
        case "invalid perl operator":
            return f"`{piece}` is not known; there is no look-ahead and no look-behind"
        case "invalid escape sequence":
            return f"`{piece}` is not known" + (
                "; there are no back-references" if piece[1:].isdigit() else ""
            )
        case _:
            return said


def matches(context: Build) -> Evaluate:
    value = context.argument(0)
    pattern = context.call.arguments[1]
    case = context.call.arguments[0].type != "event"  # the names of events have none
    search = _regex(str(pattern.value), case=case).search if isinstance(pattern, Constant) else None

    def evaluate(change: Change, now: datetime) -> bool | None:
        found = value(change, now)
        if found is None or search is None:
            return None
        texts = (found,) if isinstance(found, str) else found  # the names of what happened are several
        return any(search(text.encode(errors="replace")) is not None for text in texts)

    return evaluate


def matches_fact(call: Call, _truth: bool, show: Show) -> str:
    """What was looked at: the regex is the rule's business, and unreadable in a message."""
    value, _ = call.arguments
    return f"{show.name(value)} is {show.value(value)}"


# ----------------------------------------------------------------------------------------------------------- numbers


def percent_from(value: Decimal, reference: Decimal) -> Decimal | None:
    """(x - ref) / |ref| x 100."""
    if not reference:
        return None
    return EXACT.multiply(EXACT.divide(EXACT.subtract(value, reference), EXACT.abs(reference)), Decimal(100))


def absolute(value: Decimal | timedelta) -> Decimal | timedelta:
    return EXACT.abs(value) if isinstance(value, Decimal) else abs(value)


def rounded(value: Decimal, digits: Decimal = Decimal(0)) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_UP, EXACT)


def are_digits_wrong(constant: Constant) -> str:
    whole = isinstance(constant.value, Decimal) and constant.value == int(constant.value)
    return (
        "" if whole and 0 <= Decimal(str(constant.value)) <= 30 else "digits are a whole number from 0 to 30"
    )


# -------------------------------------------------------------------------------------------------------------- time

_BORN = ("created", "opened")


def age(context: Build) -> Evaluate:
    del context

    def evaluate(change: Change, now: datetime) -> timedelta:
        for name in _BORN:
            born = getattr(change.state, name, None)
            if isinstance(born, datetime):
                return now - born
        return now - change.known_since

    return evaluate


def time_since(context: Build) -> Evaluate:
    value = context.argument(0)

    def evaluate(change: Change, now: datetime) -> timedelta | None:
        moment = value(change, now)
        return None if moment is None else now - moment

    return evaluate


def time_until(context: Build) -> Evaluate:
    since = time_since(context)

    def evaluate(change: Change, now: datetime) -> timedelta | None:
        span = since(change, now)
        return None if span is None else -span

    return evaluate


# --------------------------------------------------------------------- operators: exact decimals, times and durations

_MICROSECOND = timedelta(microseconds=1)

RESULTS: Mapping[tuple[Operator, Type, Type], Type] = {
    ("+", "number", "number"): "number",
    ("-", "number", "number"): "number",
    ("*", "number", "number"): "number",
    ("/", "number", "number"): "number",
    ("%", "number", "number"): "number",
    ("-", "time", "time"): "duration",
    ("+", "time", "duration"): "time",
    ("-", "time", "duration"): "time",
    ("+", "duration", "time"): "time",
    ("+", "duration", "duration"): "duration",
    ("-", "duration", "duration"): "duration",
    ("*", "duration", "number"): "duration",
    ("*", "number", "duration"): "duration",
    ("/", "duration", "number"): "duration",
    ("/", "duration", "duration"): "number",
}
"""What can be added, taken away, multiplied and divided, and what comes of it."""


def operation(operator: Operator, left: Type, right: Type) -> Callable[[Any, Any], Any]:
    """The function of two values; it raises ArithmeticError where the sum can't be done."""
    return _NUMBERS[operator] if left == right == "number" else _TIMES[operator]


def negative(value: Decimal | timedelta) -> Decimal | timedelta:
    return EXACT.minus(value) if isinstance(value, Decimal) else -value


def _times_number(first: Any, second: Any) -> timedelta:
    span, factor = (first, second) if isinstance(first, timedelta) else (second, first)
    return _span(EXACT.multiply(Decimal(span // _MICROSECOND), factor))


def _divided_span(first: timedelta, second: Any) -> Any:
    microseconds = Decimal(first // _MICROSECOND)
    if isinstance(second, timedelta):
        return EXACT.divide(microseconds, Decimal(second // _MICROSECOND))
    return _span(EXACT.divide(microseconds, second))


def _span(microseconds: Decimal) -> timedelta:
    return timedelta(microseconds=int(microseconds))


_NUMBERS: Mapping[Operator, Callable[[Decimal, Decimal], Decimal]] = {
    "+": EXACT.add, "-": EXACT.subtract, "*": EXACT.multiply, "/": EXACT.divide, "%": EXACT.remainder,
}  # fmt: skip
_TIMES: Mapping[Operator, Callable[[Any, Any], Any]] = {
    "+": lambda first, second: first + second,
    "-": lambda first, second: first - second,
    "*": _times_number,
    "/": _divided_span,
}
