"""The functions of the rule language: one entry each in one table, with all that the rest needs to know of it.

To add one: an entry in `FUNCTIONS` with its parameters' types, its documentation and its implementation. The checker, the
compiler, the messages and the reference documentation follow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import re2

from tocsin.engine.language.tree import Call, Constant, Node, Type
from tocsin.engine.language.values import Build, Evaluate, Show, lifted
from tocsin.events import EXACT, Change

_ANY: frozenset[Type] = frozenset({"number", "text", "time", "flag", "duration"})
_NUMBER: frozenset[Type] = frozenset({"number"})
_QUANTITY: frozenset[Type] = frozenset({"number", "duration"})
_TEXT: frozenset[Type] = frozenset({"text"})
_TIME: frozenset[Type] = frozenset({"time"})

Fact = Callable[[Call, bool, Show], str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`written`: a constant must stand here. `alike`: of the type that the first argument has. `own`: only the entity's
    own fields, whose previous values are known. `check` says what is wrong with a constant, if anything.
    """

    name: str
    types: frozenset[Type]
    written: bool = False
    alike: bool = False
    own: bool = False
    optional: bool = False
    check: Callable[[Constant], str] | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """`result` None is the first argument's type. `edge`: true for a moment only. `timed`: changes as time passes.

    `build` compiles a call. `fact` tells, for a call that came out true or false, what is so, in words.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    doc: str
    build: Callable[[Build], Evaluate]
    fact: Fact | None = None
    edge: bool = False
    timed: bool = False

    @property
    def signature(self) -> str:
        needed = ", ".join(parameter.name for parameter in self.parameters if not parameter.optional)
        optional = "".join(f"[, {parameter.name}]" for parameter in self.parameters if parameter.optional)
        return f"{self.name}({needed}{optional})"

    @property
    def fewest(self) -> int:
        return sum(not parameter.optional for parameter in self.parameters)


# ---------------------------------------------------------------------------------------------------- before and now


def _previous(context: Build) -> Evaluate:
    return context.compile(context.call.arguments[0], True)


def _changed(context: Build) -> Evaluate:
    node = context.call.arguments[0]
    now_value, then_value = context.compile(node, False), context.compile(node, True)

    def evaluate(change: Change, now: datetime) -> bool:
        return change.previous is not None and now_value(change, now) != then_value(change, now)

    return evaluate


def _changed_fact(call: Call, truth: bool, show: Show) -> str:
    (node,) = call.arguments
    if not truth:
        return f"{show.name(node)} is {show.value(node)}, unchanged"
    return f"{show.name(node)} changed from {show.value(node, before=True)} to {show.value(node)}"


def _crosses(beyond: Callable[[Any, Any], bool]) -> Callable[[Build], Evaluate]:
    """Was not beyond, and now is. What it was compared with then counts where that is known too."""

    def build(context: Build) -> Evaluate:
        value, limit = context.call.arguments
        value_now, value_then = context.compile(value, False), context.compile(value, True)
        limit_now, limit_then = context.compile(limit, False), context.compile(limit, True)

        def evaluate(change: Change, now: datetime) -> bool | None:
            new, bound = value_now(change, now), limit_now(change, now)
            if new is None or bound is None:
                return None
            if change.previous is None or not beyond(new, bound):
                return False
            old, old_bound = value_then(change, now), limit_then(change, now)
            return old is not None and not beyond(old, bound if old_bound is None else old_bound)

        return evaluate

    return build


def _crosses_fact(direction: str) -> Fact:
    def fact(call: Call, truth: bool, show: Show) -> str:
        value, limit = call.arguments
        said = "crosses" if truth else "doesn't cross"
        was = show.value(value, before=True)
        return f"{show.subject(value)} {said} {direction} {show.subject(limit)} (was {was})"

    return fact


# ----------------------------------------------------------------------------------------------------------- missing


def _missing(context: Build) -> Evaluate:
    value = context.argument(0)
    return lambda change, now: value(change, now) is None


def _missing_fact(call: Call, _truth: bool, show: Show) -> str:
    (node,) = call.arguments
    return f"{show.name(node)} is {show.value(node)}"


def _default(context: Build) -> Evaluate:
    value, otherwise = context.argument(0), context.argument(1)

    def evaluate(change: Change, now: datetime) -> Any:
        found = value(change, now)
        return otherwise(change, now) if found is None else found

    return evaluate


# ------------------------------------------------------------------------------------------------------------- texts


def _regex(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20  # bytes for one user's regex; the library's default is eight times that
    return re2.compile(pattern, options)


def _regex_check(constant: Constant) -> str:
    try:
        _regex(str(constant.value))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return f"not a regex: {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    except UnicodeEncodeError:
        return "not a regex: it holds half a character"
    return ""


def _matches(context: Build) -> Evaluate:
    value = context.argument(0)
    pattern = context.call.arguments[1]
    search = _regex(str(pattern.value)).search if isinstance(pattern, Constant) else None

    def evaluate(change: Change, now: datetime) -> bool | None:
        found = value(change, now)
        if found is None or search is None:
            return None
        texts = (found,) if isinstance(found, str) else found  # the names of what happened are several
        return any(search(text.encode(errors="replace")) is not None for text in texts)

    return evaluate


def _matches_fact(call: Call, truth: bool, show: Show) -> str:
    value, pattern = call.arguments
    return f"{show.subject(value)} {'matches' if truth else 'does not match'} {show.value(pattern)}"


# ----------------------------------------------------------------------------------------------------------- numbers


def _absolute(value: Decimal | timedelta) -> Decimal | timedelta:
    return EXACT.abs(value) if isinstance(value, Decimal) else abs(value)


def _round(value: Decimal, digits: Decimal = Decimal(0)) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-int(digits)), ROUND_HALF_EVEN, EXACT)


def _digits_check(constant: Constant) -> str:
    whole = isinstance(constant.value, Decimal) and constant.value == int(constant.value)
    return (
        "" if whole and 0 <= Decimal(str(constant.value)) <= 30 else "digits are a whole number from 0 to 30"
    )


# -------------------------------------------------------------------------------------------------------------- time

_BORN = ("created", "opened")


def _age(context: Build) -> Evaluate:
    del context

    def evaluate(change: Change, now: datetime) -> timedelta:
        for name in _BORN:
            born = getattr(change.state, name, None)
            if isinstance(born, datetime):
                return now - born
        return now - change.known_since

    return evaluate


def _since(context: Build) -> Evaluate:
    value = context.argument(0)

    def evaluate(change: Change, now: datetime) -> timedelta | None:
        moment = value(change, now)
        return None if moment is None else now - moment

    return evaluate


def _until(context: Build) -> Evaluate:
    since = _since(context)

    def evaluate(change: Change, now: datetime) -> timedelta | None:
        span = since(change, now)
        return None if span is None else -span

    return evaluate


# --------------------------------------------------------------------------------------------------------- the table

_TABLE = (
    Function(
        "previous", (Parameter("x", _ANY, own=True),), None,
        "x at this entity's previous event; missing at first sight", _previous,
    ),
    Function(
        "changed", (Parameter("x", _ANY, own=True),), "flag",
        "x differs from its previous value; not at first sight", _changed, _changed_fact, edge=True,
    ),
    Function(
        "crosses_above", (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)), "flag",
        "x was at or below n and is now above it; not at first sight",
        _crosses(lambda value, limit: value > limit), _crosses_fact("above"), edge=True,
    ),
    Function(
        "crosses_below", (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)), "flag",
        "x was at or above n and is now below it; not at first sight",
        _crosses(lambda value, limit: value < limit), _crosses_fact("below"), edge=True,
    ),
    Function(
        "missing", (Parameter("x", _ANY),), "flag",
        "x has no value; never unknown itself", _missing, _missing_fact,
    ),
    Function(
        "default", (Parameter("x", _ANY), Parameter("v", _ANY, alike=True)), None,
        "x, or v where x is missing", _default,
    ),
    Function(
        "matches", (Parameter("x", _TEXT | {"event"}), Parameter("re", _TEXT, written=True, check=_regex_check)), "flag",
        "the regex (RE2) is found somewhere in the text x", _matches, _matches_fact,
    ),
    Function(
        "age", (), "duration",
        "how old the entity is: since its own created or opened time, else since it was first seen", _age, timed=True,
    ),
    Function("time_since", (Parameter("t", _TIME),), "duration", "how long ago t was", _since, timed=True),
    Function("time_until", (Parameter("t", _TIME),), "duration", "how long it is until t", _until, timed=True),
    Function("abs", (Parameter("x", _QUANTITY),), None, "x without its sign", lifted(_absolute)),
    Function(
        "round", (Parameter("x", _NUMBER), Parameter("digits", _NUMBER, written=True, optional=True, check=_digits_check)),
        "number", "x rounded to that many digits after the point (0), halves to even", lifted(_round),
    ),
    Function("lower", (Parameter("x", _TEXT),), "text", "x in lower case", lifted(str.lower)),
    Function("upper", (Parameter("x", _TEXT),), "text", "x in upper case", lifted(str.upper)),
    Function("len", (Parameter("x", _TEXT),), "number", "how many characters x has", lifted(lambda x: Decimal(len(x)))),
)  # fmt: skip

FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _TABLE}

LATER = frozenset({
    "change", "percent_change", "drawdown", "runup", "lowest", "highest", "average", "total", "peak", "count",
    "sum", "min", "max", "mean",
})  # fmt: skip
"""Known to the language, not to this version."""


def function_of(node: Node) -> Function | None:
    return FUNCTIONS.get(node.function) if isinstance(node, Call) else None
