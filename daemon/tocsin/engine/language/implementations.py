"""What the functions and operators of the rule language do; `functions.py` has the table of the functions.

A function of the first parts compiles a call into a function of a change and the time, or tells in words what a call came to.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import re2

from tocsin.engine.language.ast import Call, Constant, Operator, Type, is_caseless
from tocsin.engine.language.values import Build, Evaluate, Show
from tocsin.events import EXACT, Change

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
