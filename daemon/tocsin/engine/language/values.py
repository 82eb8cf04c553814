"""What the compiled pieces of a condition are: functions of a change and the time, None where the value is missing.

And what there is to know of a function of the rule language: one `Function` each, in the table of `functions.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from tocsin.engine.language.ast import Call, Constant, Node, Type, span_text
from tocsin.engine.rule import Evaluate as Evaluate  # noqa: PLC0414 - part of what this module gives
from tocsin.events import Change, Derived, Unit, iso, number_text, readable_text, rounded_text
from tocsin.quantities import duration_text

_LONGEST_SHOWN = 120  # characters of a venue's text in one condition


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


# ---------------------------------------------------------------------------------------------------------- functions

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
    it looks at beside the change, `needs_in_time` where it is given a length. `asks_for_missing`: it has a value where its argument has none. `unit`: of the number
    that it comes to; else it is its arguments'. `words`: what people call it, `{x}` being its first argument.

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
