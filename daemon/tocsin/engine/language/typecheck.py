"""The types of a condition's parts: what can be compared, added or given to a function.

A constant is read as what it is compared with: a quoted `5m` beside an age is a duration, `cancelled` beside a status is `canceled`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tocsin.engine.language.ast import (
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
    constant_text,
    is_caseless,
    text,
    walk,
)
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.implementations import RESULTS, Function, Parameter
from tocsin.engine.language.scope import NOT_KEPT, Readable, Scope, is_common
from tocsin.engine.language.windowed import SINCE, is_sample_count, read_samples, read_since
from tocsin.errors import Report
from tocsin.events import from_iso, number
from tocsin.events.links import holder_of
from tocsin.events.vocabulary import ALIASES, canonical, did_you_mean, listed, misspelt
from tocsin.quantities import parse_duration

_ORDERED: frozenset[Type] = frozenset({"number", "time", "duration", "?"})


def check(node: Node, scope: Scope, report: Report) -> Node | None:
    """The condition with its types; None, with at least one error in `report`, where it is none."""
    before = report.errors
    checked = _Check(scope, report).condition(node)
    if report.errors == before and not _looks_at_something(checked):
        report.error(f"`{text(checked)}` looks at no field: it is always the same", node.place)
    return checked if report.errors == before else None


def _looks_at_something(node: Node) -> bool:
    return any(
        isinstance(part, Name) or ((known := function_of(part)) and (known.timed or known.needs))
        for part in walk(node)
    )


class _Check:
    def __init__(self, scope: Scope, report: Report) -> None:
        self._scope = scope
        self._report = report

    def condition(self, node: Node) -> Node:
        checked = self.node(node)
        if checked.type not in ("flag", "?"):
            self._report.error(
                f"`{text(node)}` is {SAID[checked.type]}, not a condition",
                node.place,
                "compare it with something",
            )
        return checked

    def node(self, node: Node) -> Node:
        """The node with its type; `?` where it has none, which has then been complained of."""
        match node:
            case Constant():
                return node
            case Name():
                return self._name(node)
            case Junction() | Not():
                return self._joined(node)
            case Compare():
                return self._compare(node)
            case Member():
                return self._member(node)
            case Arithmetic():
                return self._arithmetic(node)
            case Negative():
                return self._negative(node)
            case Call():
                return self._call(node)
        self._report.error("a list can stand only behind `in`", node.place)
        return replace(node, type="?")

    def _joined(self, node: Junction | Not) -> Node:
        if isinstance(node, Not):
            return Not(self.condition(node.operand), node.place)
        return Junction(node.word, tuple(map(self.condition, node.parts)), node.place)

    def _name(self, node: Name) -> Name:
        field = self._scope.fields.get(node.name)
        if field is None:
            message, hint = self._scope.unknown(node.name)
            self._report.error(message, node.place, hint)
            return node
        return Name(node.name, node.place, field.type, field.caseless, field.none_when)

    # ----------------------------------------------------------------------------------------------- comparisons

    def _compare(self, node: Compare) -> Node:
        operands = [self.node(operand) for operand in node.operands]
        for position, operator in enumerate(node.operators):
            left, right = operands[position : position + 2]
            if isinstance(left, Constant) and isinstance(right, Constant):
                self._report.error(f"`{text(left)} {operator} {text(right)}` looks at no field: it is always the same",
                                   left.place if len(node.operators) > 1 else node.place)  # fmt: skip
                continue
            operands[position : position + 2] = self._comparable(left, operator, right)
        return Compare(tuple(operands), node.operators, node.place)

    def _comparable(self, left: Node, operator: Ordering, right: Node) -> tuple[Node, Node]:
        left, right = alike(left, right, self._scope, self._report)
        if "?" in (left.type, right.type):
            return left, right
        if left.type != right.type and {left.type, right.type} != {"event", "text"}:
            complain_unlike(left, right, self._scope, self._report)
        elif operator not in ("==", "!=") and left.type not in _ORDERED:
            self._report.error(
                f"`{operator}` needs numbers or times; `{text(left)}` is {SAID[left.type]}", left.place
            )
        elif left.type == right.type == "event":
            self._report.error("`event` compared with itself", right.place)
        return left, right

    def _member(self, node: Member) -> Node:
        item = self.node(node.item)
        if not isinstance(node.options, Listing):
            self._report.error("`in` needs a list behind it", node.options.place,
                               'write `symbol in ["BTCUSD", "ETHUSD"]`; for a part of a text `matches(symbol, "BTC")`')  # fmt: skip
            return replace(node, item=item)
        if not node.options.items:
            self._report.error("an empty list: nothing is in it", node.options.place)
        options = []
        for written in node.options.items:
            if not isinstance(written, Constant):
                self._report.error("a list holds numbers, texts and durations only", written.place)
                continue
            options.append(self._comparable(item, "==", written)[1])
        return Member(item, replace(node.options, items=tuple(options)), node.negated, node.place)

    # ------------------------------------------------------------------------------------------------- arithmetic

    def _arithmetic(self, node: Arithmetic) -> Node:
        left, right = self.node(node.left), self.node(node.right)
        if "?" in (left.type, right.type):
            return Arithmetic(node.operator, left, right, node.place)
        result = RESULTS.get((node.operator, left.type, right.type))
        if result is None:
            self._report.error(
                f"`{node.operator}` between {SAID[left.type]} (`{text(left)}`) and {SAID[right.type]} (`{text(right)}`)",
                node.place,
            )
        elif node.operator in "/%" and isinstance(right, Constant) and not right.value:
            self._report.error("a division by zero", right.place)
        return Arithmetic(node.operator, left, right, node.place, result or "?")

    def _negative(self, node: Negative) -> Node:
        operand = self.node(node.operand)
        if operand.type not in ("number", "duration", "?"):
            self._report.error(f"`-` before {SAID[operand.type]} (`{text(operand)}`)", node.place)
            return Negative(operand, node.place)
        return Negative(operand, node.place, operand.type)

    # -------------------------------------------------------------------------------------------------- functions

    def _call(self, node: Call) -> Node:
        function = FUNCTIONS.get(node.function)
        if function is None:
            self._unknown_function(node)
            return node
        if not function.fewest <= len(node.arguments) <= len(function.parameters):
            self._report.error(
                f"`{node.function}` takes other arguments", node.place, f"write {function.signature}"
            )
            return replace(node, type=function.result or "?")
        arguments: list[Node] = []
        for parameter, written in zip(function.parameters, node.arguments, strict=False):
            read = read_since(written, self._scope.tz, self._report) if "window" in parameter.types else None
            arguments.append(self._argument(function, parameter, read or self.node(written), arguments))
        result = function.result
        if result is None:
            result = arguments[0].type if arguments[0].type in function.parameters[0].types else "?"
        of_samples = function.counts_samples or any(is_sample_count(argument) for argument in arguments)
        among = (self._scope.among or "each event") if function.of_events or of_samples else ""
        keyed = of_samples and self._scope.event_rule
        caseless = function.chooses and is_caseless(arguments[0])
        return Call(node.function, tuple(arguments), node.place, result, among, keyed, caseless)

    def _unknown_function(self, node: Call) -> None:
        if node.function == SINCE:
            self._report.error(f"`{text(node)}` is a window, and stands in a function of values over time", node.place,
                               f'write change(x, {SINCE}("00:00"))')  # fmt: skip
            return
        if node.function in self._scope.fields:
            self._report.error(
                f"`{node.function}` is a field, not a function", node.place, f"write `{node.function}`"
            )
        else:
            hint = did_you_mean(node.function, tuple(FUNCTIONS), f"there are {', '.join(FUNCTIONS)}")
            self._report.error(f"unknown function `{node.function:.80}`", node.place, hint)

    def _argument(
        self, function: Function, parameter: Parameter, argument: Node, earlier: list[Node]
    ) -> Node:
        if parameter.alike:
            argument = self._comparable(earlier[0], "==", argument)[1]
        if isinstance(argument, Constant) and argument.type != "?":
            argument = as_parameter(argument, parameter.types, self._report)
        if argument.type == "?":
            return argument
        if argument.type not in parameter.types:
            wanted = " or ".join(_wanted(parameter))
            self._report.error(
                f"`{function.name}` needs {wanted} here; `{text(argument)}` is {SAID[argument.type]}",
                argument.place,
                _HOW_WRITTEN.get(parameter.types, ""),
            )
        elif parameter.written and not isinstance(argument, Constant):
            wanted = _wanted(parameter)[0]
            self._report.error(f"`{function.name}` needs {wanted} written out here: `{text(argument)}` changes", argument.place)  # fmt: skip
        elif parameter.check and isinstance(argument, Constant) and (wrong := parameter.check(argument)):
            self._report.error(wrong, argument.place)
        self._looked_at(function, parameter, argument)
        return argument

    def _looked_at(self, function: Function, parameter: Parameter, argument: Node) -> None:
        if parameter.own:
            self._own(function, argument)
        elif parameter.followed:
            self._followed(function, argument)
        elif parameter.summed:
            self._summed(function, argument)

    def _own(self, function: Function, argument: Node) -> None:
        """Only the entity's own fields have a previous value."""
        for part in walk(argument):
            inner = function_of(part)
            if isinstance(part, Name) and holder_of(part.name) and self._scope.event_rule:
                self._report.error(f"the previous value of `{part.name}` is not kept: this rule looks at the moment of its event",
                                   part.place, f"watch `{self._scope.kinds[0]}` (without a dot)")  # fmt: skip
                return
            unknown = isinstance(part, Name) and (
                part.name.removeprefix(f"{holder_of(part.name)}.") in NOT_KEPT
                or part.name.startswith("first.")
            )
            if unknown or (inner and (inner.edge or inner.timed or inner.needs or inner.earlier)):
                self._report.error(f"the previous value of `{text(part)}` is not kept", part.place,
                                   f"`{function.name}` works on the entity's own fields")  # fmt: skip
                return
        self._changing(function, argument)

    def _followed(self, function: Function, argument: Node) -> None:
        """What is seen over time is a value of the entity itself, known at each of its events."""
        for part in walk(argument):
            inner = function_of(part)
            if inner and (inner.edge or inner.timed or inner.needs):
                self._report.error(f"`{inner.name}` can't stand inside `{function.name}`", part.place,
                                   f"`{function.name}` works on the entity's own fields")  # fmt: skip
                return
        self._changing(function, argument)

    def _summed(self, function: Function, argument: Node) -> None:
        for part in walk(argument):
            inner = function_of(part)
            if inner and (inner.edge or needs_of(part) in ("events", "group")):
                self._report.error(f"`{inner.name}` can't stand inside `{function.name}`", part.place)
                return
        self._changing(function, argument)

    def _changing(self, function: Function, argument: Node) -> None:
        if not any(isinstance(part, Name) and not is_common(part.name) for part in walk(argument)):
            self._report.error(f"`{text(argument)}` never changes", argument.place,
                               f"`{function.name}` works on the entity's own fields")  # fmt: skip


def _wanted(parameter: Parameter) -> list[str]:
    """What it takes, in words; a duration is one of the windows."""
    types = parameter.types - {"duration"} if "window" in parameter.types else parameter.types
    return [said for type_, said in SAID.items() if type_ in types]


SAID: dict[Type, str] = {
    "number": "a number", "text": "a text", "time": "a time", "flag": "true or false", "duration": "a duration",
    "window": "a window", "event": "the name of an event", "list": "a list", "?": "anything",
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- constants

_FLAGS = {
    "yes": "true", "on": "true", "true": "true", "1": "true", "no": "false", "off": "false", "false": "false", "0": "false",
}  # fmt: skip
_WINDOW: frozenset[Type] = frozenset({"duration", "window"})
_HOW_WRITTEN: Mapping[frozenset[Type], str] = {
    frozenset({"duration"}): "durations are written like 30s, 5m, 1h30m",
    _WINDOW: 'windows are written like 5m, 5 samples, since("00:00")',
}
_IN_WORDS = {"<": "below", ">": "above", "<=": "at_most", ">=": "at_least"}


def alike(left: Node, right: Node, scope: Scope, report: Report) -> tuple[Node, Node]:
    """Both sides of a comparison, a constant among them as the type that it is compared with, if it can be read so."""
    if isinstance(right, Constant):
        return left, _fitted(right, left, scope, report)
    if isinstance(left, Constant):
        return _fitted(left, right, scope, report), right
    return left, right


def as_parameter(constant: Constant, types: frozenset[Type], report: Report) -> Constant:
    """A constant as what must stand there, if it can be read so: a duration may be in quotes, a text without."""
    if types == {"text"} and constant.written is not None:
        return Constant(constant.written, "text", constant.place)
    if types == _WINDOW and isinstance(constant.value, str):
        return _window(constant, constant.value, report)
    if types == {"duration"} and isinstance(constant.value, str):
        return _parsed(constant, constant.value, "duration", report)
    return constant


def _fitted(constant: Constant, other: Node, scope: Scope, report: Report) -> Constant:
    if other.type in ("text", "event") and constant.written is not None:
        constant = Constant(constant.written, "text", constant.place)
    if constant.type != "text" or not isinstance(constant.value, str):
        return constant
    if other.type in ("time", "duration"):
        return _parsed(constant, constant.value, other.type, report)
    field = _field_of(other, scope)
    return _word(constant, constant.value, field, report) if field else constant


def _parsed(constant: Constant, written: str, wanted: Type, report: Report) -> Constant:
    try:
        value: datetime | timedelta
        value = from_iso(written) if wanted == "time" else parse_duration(written)
    except (ValueError, OverflowError) as error:
        hint = 'times are written like "2026-01-31T09:30:00Z"' if wanted == "time" else ""
        said = "not a time" if wanted == "time" else str(error)
        report.error(f"{constant_text(written)}: {said}", constant.place, hint)
        return replace(constant, type="?")
    return Constant(value, wanted, constant.place)


def _window(constant: Constant, written: str, report: Report) -> Constant:
    try:
        samples = read_samples(written)
    except ValueError as error:
        report.error(f"{constant_text(written)}: {error}", constant.place)
        return replace(constant, type="?")
    if samples is not None:
        return Constant(samples, "window", constant.place)
    return _parsed(constant, written, "duration", report)


def _word(constant: Constant, written: str, field: Readable, report: Report) -> Constant:
    """A word compared with a field that has only certain words, or mostly has."""
    known = field.words or field.usual
    if field.type == "event":  # the names of events have no case
        constant = Constant(canonical(written), "text", constant.place)
        written = str(constant.value)
    if not known or written in known or (field.caseless and written.casefold() in known):
        return constant
    kind, dot, status = written.rpartition(".")
    if (alias := f"{kind}{dot}{ALIASES.get(status, status)}") in known:
        return Constant(alias, "text", constant.place)
    if field.words:
        report.error(f"`{field.name}` is never {constant_text(written)}", constant.place,
                     did_you_mean(written, field.words, f"it is one of {listed(field.words)}"))  # fmt: skip
    elif near := misspelt(written.casefold() if field.caseless else written, field.usual):
        report.warning(f"{constant_text(written)} is no `{field.name}` that is known", constant.place,
                       f"did you mean `{near}`?")  # fmt: skip
    return constant


def _field_of(node: Node, scope: Scope) -> Readable | None:
    """The field whose words the value has."""
    if isinstance(node, Name):
        return scope.fields.get(node.name)
    function = function_of(node)
    if function is not None and function.chooses and isinstance(node, Call) and node.arguments:
        return _field_of(node.arguments[0], scope)
    return None


def complain_unlike(left: Node, right: Node, scope: Scope, report: Report) -> None:
    """Say that these two can't be compared, and what was most likely meant."""
    report.error(
        f"`{text(left)}` is {SAID[left.type]}, `{text(right)}` is {SAID[right.type]}: they can't be compared",
        right.place if isinstance(right, Constant) or not isinstance(left, Constant) else left.place,
        _unlike_hint(left, right, scope),
    )


def _unlike_hint(left: Node, right: Node, scope: Scope) -> str:
    subject, constant = (left, right) if isinstance(right, Constant) else (right, left)
    if not isinstance(constant, Constant):
        return ""
    value = constant.value
    if isinstance(value, str) and subject.type == "number":
        return _instead_of_text(value, text(subject), scope)
    if subject.type == "flag" and (meant := _FLAGS.get(str(value).lower())):
        return f"write {meant}"
    if subject.type == "duration":
        return "durations are written like 30s, 5m, 1h30m"
    if subject.type == "time" and isinstance(value, timedelta):
        return f"to ask how long ago it was write `time_since({text(subject)})`"
    if subject.type == "text" and isinstance(value, Decimal):
        return f"put it in quotes: {constant_text(constant_text(value))}"
    return ""


def _instead_of_text(written: str, subject: str, scope: Scope) -> str:
    """What was most likely meant by a text beside a number."""
    if written in scope.fields:
        return f"to compare two fields write an expression: `{subject} > {written}`"
    sign, rest = written.rstrip("0123456789.,-+ \t"), written.lstrip("<>= ")
    if sign in _IN_WORDS and _is_number(rest):
        return f"write {{{subject}: {{{_IN_WORDS[sign]}: {rest}}}}}"
    return "write the number without quotes" if _is_number(written) else ""


def _is_number(written: str) -> bool:
    try:
        number(written)
    except ValueError:
        return False
    return True
