"""Templates in a box: what a rule's author may write in a title or message, and how much of it may run.

A template is compiled from a checked tree: no macros, imports or recursion; every loop draws on one budget of steps, every
text has a longest length. So each template ends, soon and small, without a clock or a thread to watch it.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer

from tocsin.alerts.wording import Times
from tocsin.events import number_text, rounded_text
from tocsin.quantities import duration_text

times: ContextVar[Times] = ContextVar("tocsin_template_times")
"""How the text that is being made shows times."""
_SHOWN_DIGITS = 8  # of what a template calculates: beyond that it is rounded as all that we work out
_LONGEST_FORMAT = 100  # characters of a time's format
_WIDE_TIME = re.compile(r"%[-_0^#]*[0-9]")


class NamedText(str):
    """An id or symbol as text, which is shown by the name that people use."""

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str) -> Self:
        made = super().__new__(cls, text)
        made.shown = shown
        return made


class LinkedText(NamedText):
    """What something belongs to: its id, and with a dot its fields: `{{ account }}` and `{{ account.equity }}`."""

    __slots__ = ("fields",)
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, text: str, shown: str, values: Mapping[str, Any]) -> Self:
        made = cls(text, shown)
        made.fields = values
        return made

    def __getitem__(self, key: Any) -> Any:
        return self.fields[key] if isinstance(key, str) else super().__getitem__(key)


class ShownNumber(Decimal):
    """A field's number, which is shown with the wire's own digits, or rounded where we worked it out."""

    __slots__ = ("shown",)
    shown: str

    @classmethod
    def of(cls, value: Decimal, shown: str) -> Self:
        made = cls(value)
        made.shown = shown
        return made


def shown(value: Any) -> Any:
    """How a value stands in a text: ids by their names, times in the reader's zone, durations in words."""
    match value:
        case NamedText() | ShownNumber():
            return value.shown
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _calculated(value)
        case datetime():
            return times.get().text(value)
        case timedelta():
            return duration_text(value)
        case None:
            return "missing"
        case list() | tuple():
            return ", ".join(str(shown(item)) for item in value)
        case _:
            return value


def formatted_time(time: Any, form: Any) -> str:
    """`strftime`, for widths that have an end."""
    if not isinstance(time, datetime):
        raise TypeError("only a time can be formatted as one")
    if len(str(form)) > _LONGEST_FORMAT or _WIDE_TIME.search(str(form)):
        raise SecurityError("a time's format with a width, or too long a one")
    return time.strftime(str(form))


def _calculated(value: Decimal) -> str:
    return number_text(value) if len(value.as_tuple().digits) <= _SHOWN_DIGITS else rounded_text(value)


# -------------------------------------------------------------------------------------------------------------- the box

LONGEST_SOURCE = 20_000  # characters of a template
LONGEST_TEXT = 16_000  # characters that a template, or any part of it, may come to
STEPS = 10_000  # turns of loops and calls of one rendering together, long texts counting more
_LARGEST_BITS = 1024
_LARGEST_EXPONENT = 1000  # of a decimal: as an integer or as a text it has as many digits
_ROUNDED_DIGITS = 30  # behind the point that a number is rounded to, or before it
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "format", "int", "join", "last", "length", "list", "lower",
    "map", "max", "min", "reject", "rejectattr", "replace", "round", "select", "selectattr", "sort", "string", "sum", "title",
    "trim", "truncate", "unique", "upper",
)  # fmt: skip
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset({
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit", "islower", "isupper",
        "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split", "splitlines",
        "startswith", "strip", "title", "upper",
    }),
    datetime: frozenset({"year", "month", "day", "hour", "minute", "second", "date", "time", "isoformat", "timestamp", "weekday", "strftime"}),
    timedelta: frozenset({"days", "seconds", "total_seconds"}),
    Decimal: frozenset({"is_signed", "is_zero", "copy_abs", "normalize"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}  # fmt: skip
ATTRIBUTES = frozenset().union(*_METHODS.values())
"""What may stand behind the dot of some field."""
_REFUSED = (
    nodes.Macro, nodes.CallBlock, nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block, nodes.FilterBlock,
    nodes.Dict,
)  # fmt: skip
_WIDE = re.compile(r"%[^%a-zA-Z]*(?:\d{3,}|\*)")
_steps: ContextVar[list[int]] = ContextVar("tocsin_template_steps")


class _Bounded(NodeTransformer):
    """Refuses what could run away; loops and `~` go through filters of ours that count."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 # Jinja's visitors are named for the node
        if node.recursive:
            raise TemplateSyntaxError("a loop can't be recursive here", node.lineno)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 # same
        self.generic_visit(node)
        return nodes.Filter(node, "_shallow", [], [], None, None, lineno=node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 # same
        self.generic_visit(node)
        if node.ctx != "load":
            return node
        return nodes.Filter(node, "_shallow", [], [], None, None, lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 # same
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_together", [], [], None, None, lineno=node.lineno)

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if isinstance(node, _REFUSED):
            raise TemplateSyntaxError(f"{type(node).__name__.lower()} can't be used here", node.lineno)
        return super().generic_visit(node, *args, **kwargs)


class Box(ImmutableSandboxedEnvironment):
    """Jinja2 with an own list of filters and methods, strict about names, bounded in time and size."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, finalize=shown, autoescape=False, trim_blocks=True, lstrip_blocks=True
        )
        self.filters = {name: FILTERS[name] for name in _FILTERS} | {
            "format": _format, "replace": _replace, "join": _join, "_counted": _counted, "_together": _together,
            "_shallow": _shallow, "strftime": formatted_time, "list": _list, "default": _default, "d": _default, "round": _round,
        }  # fmt: skip
        self.filters = {name: _costing(call) for name, call in self.filters.items()}
        self.tests = {name: _costing(call) for name, call in TESTS.items()}  # type: ignore[arg-type]  # Jinja's: "function"
        self.globals = {"range": _range}

    def checked(self, source: str) -> nodes.Template:
        """The template's tree, bounded. Raises Jinja's TemplateSyntaxError."""
        if len(source) > LONGEST_SOURCE:
            raise TemplateSyntaxError(f"a template of more than {LONGEST_SOURCE} characters", 1)
        tree = _Bounded().visit(self.parse(source))
        if not isinstance(tree, nodes.Template):
            raise TypeError(f"Jinja parsed a template into {type(tree).__name__}")
        return tree

    def ready(self, source: str) -> Template:
        """The template, compiled. Raises Jinja's TemplateSyntaxError (for an unknown filter too)."""
        return Template.from_code(self, self.compile(self.checked(source)), dict(self.globals))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, methods in _METHODS.items():
            if isinstance(obj, kind):
                return attr in methods
        # What a loop knows of itself (loop.index, loop.last) is the only other thing with attributes.
        return isinstance(obj, LoopContext) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:  # noqa: ARG002 # Jinja's signature
        """str.format isn't allowed at all: its widths have no bound."""
        return

    def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        of = getattr(called, "__self__", None)
        _spend(of, *args)
        if isinstance(of, datetime) and called == of.strftime:
            return formatted_time(of, *args, **kwargs)
        return super().call(context, called, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("** can't be used in a template")
        if operator == "%" and isinstance(left, str):
            return _format(left, *(right if isinstance(right, tuple) else (right,)))
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            raise SecurityError("* takes numbers only in a template")
        return _short(super().call_binop(context, operator, left, right))


def run(template: Template, values: Mapping[str, Any], as_shown: Times) -> str:
    """The text that the template makes of `values`, cut. Raises whatever the template's own mistakes raise."""
    token, outer = _steps.set([STEPS]), times.set(as_shown)
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_TEXT:
                pieces.append("… (cut)")
                break
    finally:
        _steps.reset(token)
        times.reset(outer)
    return "".join(pieces)[: LONGEST_TEXT + len("… (cut)")]


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal | int | float | timedelta)


def _short(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
        raise SecurityError("a number too large for a template")
    if isinstance(value, Decimal) and abs(value.adjusted()) > _LARGEST_EXPONENT:
        raise SecurityError("a number too large or too small for a template")
    if isinstance(value, str | list | tuple) and len(value) > LONGEST_TEXT:
        raise SecurityError(f"a text of more than {LONGEST_TEXT} characters")
    return value


def _spend(*values: Any) -> None:
    """One step, and more for long texts and lists: a call on them takes as much longer."""
    left = _steps.get()
    left[0] -= 1 + sum(len(value) for value in values if isinstance(value, str | list | tuple | range)) // 64
    if left[0] < 0:
        raise SecurityError(f"more than {STEPS} steps in a template")


def _costing(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)  # also Jinja's mark that the filter wants the environment first
    def costing(*args: Any, **kwargs: Any) -> Any:
        _spend(*args)
        return call(*args, **kwargs)

    return costing


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _spend()
        yield value


def _list(values: Iterable[Any]) -> list[Any]:
    return list(_counted(values))


def _shallow(values: Any) -> Any:
    if any(isinstance(value, list | tuple) for value in values):
        raise SecurityError("a list in a list can't be made in a template")
    return values


def _default(value: Any, otherwise: Any = "", boolean: bool = False) -> Any:
    """Jinja's own, for which a field without a value is missing too."""
    absent = value is None or isinstance(value, Undefined) or (boolean and not value)
    return otherwise if absent else value


def _round(value: Any, precision: int = 0, method: Any = "common") -> Any:
    """Jinja's own works with ten to the power of `precision`."""
    if abs(precision) > _ROUNDED_DIGITS:
        raise SecurityError(f"rounding to more than {_ROUNDED_DIGITS} digits")
    return FILTERS["round"](value, precision, method)


def _together(parts: Iterable[Any]) -> str:
    return str(_short("".join(str(shown(part)) for part in parts)))


def _join(values: Iterable[Any], separator: str = "") -> str:
    return str(_short(str(separator).join(str(shown(value)) for value in _counted(values))))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > STEPS:
        raise SecurityError(f"a range of more than {STEPS} numbers")
    return numbers


def _format(template: str, *values: Any) -> str:
    if _WIDE.search(template):
        raise SecurityError("a width of more than two digits in a format")
    return str(_short(template % values))


def _replace(text: Any, old: str, new: str) -> str:
    whole, old, new = str(shown(text)), str(old), str(new)
    if len(whole) + whole.count(old) * len(new) > LONGEST_TEXT:
        raise SecurityError(f"a text of more than {LONGEST_TEXT} characters")
    return whole.replace(old, new)
