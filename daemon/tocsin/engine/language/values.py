"""What the compiled pieces of a condition are: functions of a change and the time, None where the value is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from tocsin.engine.language.tree import Call, Node, Type, span_text
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
