"""Sums that conditions do: exact decimals, times and durations."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tocsin.engine.language.tree import Operator, Type
from tocsin.events import EXACT

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
