"""The functions of the rule language: one entry each in one table, with all that the rest needs to know of it.

To add one: an entry in `FUNCTIONS` with its parameters' types, its documentation and its implementation. The checker, the
compiler, the messages and the reference documentation follow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tocsin.engine.language import implementations
from tocsin.engine.language.implementations import Fact
from tocsin.engine.language.tree import Call, Constant, Node, Type
from tocsin.engine.language.values import Build, Evaluate, lifted

_ANY: frozenset[Type] = frozenset({"number", "text", "time", "flag", "duration"})
_NUMBER: frozenset[Type] = frozenset({"number"})
_QUANTITY: frozenset[Type] = frozenset({"number", "duration"})
_TEXT: frozenset[Type] = frozenset({"text"})
_TIME: frozenset[Type] = frozenset({"time"})


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


# --------------------------------------------------------------------------------------------------------- the table

_TABLE = (
    Function(
        "previous",
        (Parameter("x", _ANY, own=True),),
        None,
        "x at this entity's previous event; missing at first sight",
        implementations.previous,
    ),
    Function(
        "changed",
        (Parameter("x", _ANY, own=True),),
        "flag",
        "x differs from its previous value; not at first sight",
        implementations.changed,
        implementations.changed_fact,
        edge=True,
    ),
    Function(
        "crosses_above",
        (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)),
        "flag",
        "x was at or below n and is now above it; not at first sight",
        implementations.crosses(lambda value, limit: value > limit),
        implementations.crosses_fact("above"),
        edge=True,
    ),
    Function(
        "crosses_below",
        (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)),
        "flag",
        "x was at or above n and is now below it; not at first sight",
        implementations.crosses(lambda value, limit: value < limit),
        implementations.crosses_fact("below"),
        edge=True,
    ),
    Function(
        "missing",
        (Parameter("x", _ANY),),
        "flag",
        "x has no value; never unknown itself",
        implementations.missing,
        implementations.missing_fact,
    ),
    Function(
        "default",
        (Parameter("x", _ANY), Parameter("v", _ANY, alike=True)),
        None,
        "x, or v where x is missing",
        implementations.default,
    ),
    Function(
        "matches",
        (
            Parameter("x", _TEXT | {"event"}),
            Parameter("re", _TEXT, written=True, check=implementations.is_regex_wrong),
        ),
        "flag",
        "the regex (RE2) is found somewhere in the text x",
        implementations.matches,
        implementations.matches_fact,
    ),
    Function(
        "age",
        (),
        "duration",
        "how old the entity is: since its own created or opened time, else since it was first seen",
        implementations.age,
        timed=True,
    ),
    Function(
        "time_since",
        (Parameter("t", _TIME),),
        "duration",
        "how long ago t was",
        implementations.time_since,
        timed=True,
    ),
    Function(
        "time_until",
        (Parameter("t", _TIME),),
        "duration",
        "how long it is until t",
        implementations.time_until,
        timed=True,
    ),
    Function(
        "abs", (Parameter("x", _QUANTITY),), None, "x without its sign", lifted(implementations.absolute)
    ),
    Function(
        "round",
        (
            Parameter("x", _NUMBER),
            Parameter("digits", _NUMBER, written=True, optional=True, check=implementations.are_digits_wrong),
        ),
        "number",
        "x rounded to that many digits after the point (0), halves away from zero",
        lifted(implementations.rounded),
    ),
    Function("lower", (Parameter("x", _TEXT),), "text", "x in lower case", lifted(str.lower)),
    Function("upper", (Parameter("x", _TEXT),), "text", "x in upper case", lifted(str.upper)),
    Function(
        "len",
        (Parameter("x", _TEXT),),
        "number",
        "how many characters x has",
        lifted(lambda x: Decimal(len(x))),
    ),
)

FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _TABLE}

LATER = frozenset({
    "change", "percent_change", "drawdown", "runup", "lowest", "highest", "average", "total", "peak", "count",
    "sum", "min", "max", "mean",
})  # fmt: skip
"""Known to the language, not to this version."""


def function_of(node: Node) -> Function | None:
    return FUNCTIONS.get(node.function) if isinstance(node, Call) else None
