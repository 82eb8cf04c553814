"""The mapping spelling, lowered to the very tree that the expression would give.

`{profit: {below: -50}, symbol: [BTCUSD, ETHUSD]}` is `profit < -50 and symbol in ["BTCUSD", "ETHUSD"]`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from tocsin import document
from tocsin.engine.language.ast import (
    Call,
    Compare,
    Constant,
    Listing,
    Member,
    Name,
    Node,
    Not,
    Ordering,
    junction,
)
from tocsin.engine.language.parser import DEEPEST, Unreadable, parse, refuse
from tocsin.errors import Problem
from tocsin.events import KINDS, number
from tocsin.events.vocabulary import all_fields, events, fields, nearest

# What a comparison of a field takes, as JSON Schema has it.
_TIME = {"type": "string", "format": "date-time"}
_THRESHOLD: dict[str, Any] = {"anyOf": [{"type": "number"}, _TIME]}
_NUMBER: dict[str, Any] = {"type": "number"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_VALUE = {"type": ["string", "number", "boolean"]}
_VALUES = {"type": "array", "items": _VALUE, "minItems": 1}
FIELD: dict[str, Any] = {"anyOf": [_VALUE, _VALUES, {"$ref": "#/$defs/Comparisons"}]}
"""What stands under a field: a value, any of several, or comparisons."""


@dataclass(frozen=True, slots=True)
class MappingOperator:
    """One comparison of the mapping. `takes`: the JSON Schema of what stands behind it. `ordering`, `call`: the comparison
    or the function that it is, where it is one; `stated`: of that function true or false stands behind it.
    """

    doc: str
    takes: Mapping[str, Any]
    ordering: Ordering | None = None
    call: bool = False
    stated: bool = False


OPERATORS: Mapping[str, MappingOperator] = {
    "below": MappingOperator("less than", _THRESHOLD, "<"),
    "above": MappingOperator("more than", _THRESHOLD, ">"),
    "at_least": MappingOperator("not less than", _THRESHOLD, ">="),
    "at_most": MappingOperator("not more than", _THRESHOLD, "<="),
    "between": MappingOperator("both ends included", {"type": "array", "items": _THRESHOLD, "minItems": 2, "maxItems": 2}),
    "matches": MappingOperator("a regex (RE2) found anywhere in the text", {"type": "string"}, call=True),
    "missing": MappingOperator("the field has no value", _FLAG, call=True, stated=True),
    "changed": MappingOperator("the field differs from its previous value", _FLAG, call=True, stated=True),
    "crosses_above": MappingOperator("was at or below, and is now above", _NUMBER, call=True),
    "crosses_below": MappingOperator("was at or above, and is now below", _NUMBER, call=True),
    "not": MappingOperator("anything but this", FIELD),
}  # fmt: skip
"""All that there is to know of each; the schema and the reference are made of it."""


def lower(node: document.Node, problems: list[Problem]) -> Node | None:
    """The tree of a condition in either spelling. None, with at least one problem added, where it has none."""
    return _Lowering(problems).condition(node, 0)


class _Lowering:
    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def condition(self, node: document.Node, depth: int) -> Node | None:
        try:
            if depth > DEEPEST:
                refuse(f"conditions nested more than {DEEPEST} deep", node.place)
            if isinstance(node, document.Mapping):
                return self._mapping(node, depth)
            if isinstance(node, document.Sequence):
                refuse(
                    "a list is no condition",
                    node.place,
                    "say how its parts are joined: {all: […]} or {any: […]}",
                )
            if node.value is None or node.value == "":
                refuse("an empty condition", node.place)
            return parse(node)
        except Unreadable as unreadable:
            self._problems.append(unreadable.problem)
            return None

    def _mapping(self, node: document.Mapping, depth: int) -> Node | None:
        if not node.entries:
            refuse("an empty condition", node.place)
        return self._all(node, [partial(self._entry, entry, depth) for entry in node])

    def _all(self, node: document.Node, reads: list[Callable[[], Node | None]]) -> Node | None:
        """The parts joined by `and`; each is read, so that each says what is wrong with it."""
        parts = []
        for read in reads:
            try:
                parts.append(read())
            except Unreadable as unreadable:
                self._problems.append(unreadable.problem)
                parts.append(None)
        found = [part for part in parts if part is not None]
        return junction("and", found, node.place) if len(found) == len(parts) else None

    def _entry(self, entry: document.Entry, depth: int) -> Node | None:
        word, value = entry.key.text, entry.value
        if word in ("any", "all"):
            return self._joined("or" if word == "any" else "and", entry, depth)
        if word == "not":
            inner = self.condition(value, depth + 1)
            return Not(inner, entry.key.place) if inner else None
        field = Name(word, entry.key.place)
        if isinstance(value, document.Mapping):
            return self._operators(field, value)
        if isinstance(value, document.Sequence):
            return Member(field, self._list(value), negated=False, place=entry.key.place)
        return Compare((field, self._constant(value)), ("==",), value.place)

    def _joined(self, word: Literal["and", "or"], entry: document.Entry, depth: int) -> Node | None:
        if not isinstance(entry.value, document.Sequence) or not entry.value.items:
            refuse(f"`{entry.key.text}` takes a list of conditions", entry.value.place)
        parts = [self.condition(item, depth + 1) for item in entry.value]
        found = [part for part in parts if part is not None]
        return junction(word, found, entry.key.place) if len(found) == len(parts) else None

    def _operators(self, field: Name, node: document.Mapping) -> Node | None:
        if not node.entries:
            refuse("an empty condition", node.place)
        return self._all(node, [partial(self._operator, field, entry) for entry in node])

    def _operator(self, field: Name, entry: document.Entry) -> Node:
        word, value = entry.key.text, entry.value
        operator = OPERATORS.get(word)
        if operator is None:
            near = nearest(word, tuple(OPERATORS))
            hint = f"did you mean `{near}`?" if near else f"there are {', '.join(OPERATORS)}"
            raise Unreadable(Problem(f"unknown comparison `{word:.80}`", entry.key.place, hint=hint))
        if operator.ordering is not None:
            return Compare((field, self._scalar(entry)), (operator.ordering,), value.place)
        if operator.stated:
            return self._stated(Call(word, (field,), entry.key.place), value)
        if operator.call:
            return Call(word, (field, self._scalar(entry)), value.place)
        if word == "between":
            return self._between(field, value)
        return self._not(field, entry)

    def _not(self, field: Name, entry: document.Entry) -> Node:
        value = entry.value
        if isinstance(value, document.Mapping):
            inner = self._operators(field, value)
            if inner is None:
                raise Unreadable(self._problems.pop())
            return Not(inner, entry.key.place)
        if isinstance(value, document.Sequence):
            return Member(field, self._list(value), negated=True, place=entry.key.place)
        return Compare((field, self._constant(value)), ("!=",), value.place)

    def _between(self, field: Name, value: document.Node) -> Node:
        if not isinstance(value, document.Sequence) or len(value.items) != 2:
            refuse("`between` takes two values", value.place, "write between: [10, 20]")
        low, high = self._list(value).items
        return Compare((low, field, high), ("<=", "<="), value.place)

    @staticmethod
    def _stated(call: Call, value: document.Node) -> Node:
        if not isinstance(value, document.Scalar) or not isinstance(value.value, bool):
            refuse(f"`{call.function}` takes true or false", value.place)
        return call if value.value else Not(call, call.place)

    def _list(self, node: document.Sequence) -> Listing:
        items = []
        for item in node:
            if not isinstance(item, document.Scalar):
                refuse("only single values can stand in this list", item.place)
            items.append(self._constant(item))
        return Listing(tuple(items), node.place)

    def _scalar(self, entry: document.Entry) -> Constant:
        if not isinstance(entry.value, document.Scalar):
            refuse(f"`{entry.key.text}` takes a single value", entry.value.place)
        return self._constant(entry.value)

    @staticmethod
    def _constant(scalar: document.Scalar) -> Constant:
        value = scalar.value
        if value is None:
            refuse("no value", scalar.place, "to ask whether a field has no value write {missing: true}")
        if isinstance(value, bool):
            return Constant(value, "flag", scalar.place, scalar.text)
        if isinstance(value, str):
            return Constant(value, "text", scalar.place)
        try:
            return Constant(Decimal(number(value)), "number", scalar.place, scalar.text)
        except ValueError as error:
            refuse(str(error), scalar.place)


# ---------------------------------------------------------------------------------------------------- its JSON Schema


def _described() -> dict[str, str]:
    """Every field that a condition can name, and what it is, kind by kind."""
    said: dict[str, dict[str, list[str]]] = {}
    for kind in KINDS:
        for name, field in fields(kind).items():
            said.setdefault(name, {}).setdefault(field.doc, []).append(kind)
    for name, field in all_fields("account").items():
        if name in fields("account"):
            said.setdefault(f"account.{name}", {})[f"of the account: {field.doc}"] = []
    return {
        name: "; ".join(
            doc if len(docs) == 1 else f"{', '.join(kinds)}: {doc}" for doc, kinds in docs.items()
        )
        for name, docs in said.items()
    }


def _of(name: str) -> dict[str, Any]:
    """What a field can be compared with: any value; its own words; or those, and what venues say where a kind has none."""
    found = [known for kind in KINDS if (known := fields(kind).get(name)) is not None]
    words = list(dict.fromkeys(word for field in found for word in field.values))
    if not words:
        return FIELD
    word: dict[str, Any] = {"enum": words}
    if any(not field.values for field in found):
        word = {"anyOf": [word, {"type": "string"}]}
    return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}, {"$ref": "#/$defs/Comparisons"}]}


_CONDITION = {"$ref": "#/$defs/Condition"}
_CONDITIONS = {"type": "array", "items": _CONDITION, "minItems": 1}
_EITHER: dict[str, Any] = {
    "description": "an expression (`profit < -50`) or fields with what they must be ({profit: {below: -50}})",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": ["profit < -50 and not missing(stop_loss)"]},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "all": _CONDITIONS | {"description": "every one of these"},
                "any": _CONDITIONS | {"description": "at least one of these"},
                "not": _CONDITION | {"description": "this is not so"},
                **{name: _of(name) | {"description": doc} for name, doc in _described().items()},
            },
        },
    ],
}
DEFINITIONS: dict[str, Any] = {
    "Condition": _EITHER,
    "Comparisons": {
        "type": "object",
        "properties": {
            name: {**operator.takes, "description": operator.doc} for name, operator in OPERATORS.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
    },
}
"""What a schema that uses a condition needs under `$defs`."""


def watched() -> dict[str, Any]:
    """What a rule can watch: a kind, an event of one, all events of one; and the words that venues add of their own."""
    kinds = [kind for kind in KINDS if kind != "daemon"]
    known = [*kinds, *(name for kind in KINDS for name in (*events(kind), f"{kind}.*"))]
    added = "|".join(kind for kind in KINDS if KINDS[kind].open_status)
    return {"anyOf": [{"enum": known}, {"pattern": f"^({added})\\.", "type": "string"}]}
