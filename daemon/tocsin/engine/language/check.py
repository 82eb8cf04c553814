"""Types: what a condition compares, whether it can, and whether the words it names exist. All problems at once.

Checking gives a new tree in which every node has its type and every constant is of the type it is compared with
(a text compared with a duration has become a duration, `cancelled` has become `canceled`).
"""

from dataclasses import replace

from tocsin.engine.language.arithmetic import RESULTS
from tocsin.engine.language.constants import SAID, alike, as_parameter, complain_unlike
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.report import Report, did_you_mean
from tocsin.engine.language.scope import NOT_KEPT, Scope, is_common
from tocsin.engine.language.signatures import Function, Parameter
from tocsin.engine.language.tree import (
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
    is_caseless,
    text,
    walk,
)

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
            arguments.append(self._argument(function, parameter, self.node(written), arguments))
        result = function.result
        if result is None:
            result = arguments[0].type if arguments[0].type in function.parameters[0].types else "?"
        among = (self._scope.among or "each event") if function.of_events else ""
        caseless = function.chooses and is_caseless(arguments[0])
        return Call(node.function, tuple(arguments), node.place, result, among, caseless)

    def _unknown_function(self, node: Call) -> None:
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
        if isinstance(argument, Constant):
            argument = as_parameter(argument, parameter.types, self._report)
        if argument.type == "?":
            return argument
        if argument.type not in parameter.types:
            wanted = " or ".join(SAID[type_] for type_ in SAID if type_ in parameter.types)
            self._report.error(
                f"`{function.name}` needs {wanted} here; `{text(argument)}` is {SAID[argument.type]}",
                argument.place,
                "durations are written like 30s, 5m, 1h30m" if parameter.types == {"duration"} else "",
            )
        elif parameter.written and not isinstance(argument, Constant):
            wanted = next(SAID[type_] for type_ in SAID if type_ in parameter.types)
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
            unknown = isinstance(part, Name) and (
                part.name in NOT_KEPT or part.name.startswith(("account.", "first."))
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
            if isinstance(part, Name) and part.name.startswith("account."):
                self._report.error(f"the history of `{part.name}` is the account's", part.place,
                                   f"watch `account` and write {function.name}({part.name.removeprefix('account.')}, …)")  # fmt: skip
                return
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
