"""The expression spelling: its own small grammar, by recursive descent. Nothing of it is ever Python's to evaluate.

condition  = and { "or" and }
and        = not { "and" not }
not        = "not" not | comparison
comparison = sum { ("<" | "<=" | ">" | ">=" | "==" | "!=") sum } | sum [ "not" ] "in" sum
sum        = product { ("+" | "-") product }
product    = sign { ("*" | "/" | "%") sign }
sign       = "-" sign | value
value      = number | duration | text | "true" | "false" | list | name | name "(" [ condition { "," condition } ] ")"
           | "(" condition ")"
list       = "[" [ condition { "," condition } ] "]"
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Literal, TypeVar

from tocsin.document import Scalar
from tocsin.engine.language.ast import (
    MIRRORED,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Listing,
    Member,
    Name,
    Negative,
    Node,
    Not,
    Operator,
    Ordering,
    junction,
)
from tocsin.engine.language.lexer import Token, TokenKind, Unreadable, meant, refuse, tokens, unquoted
from tocsin.errors import Place
from tocsin.events import number
from tocsin.quantities import parse_duration

_T = TypeVar("_T")
DEEPEST = 30  # parentheses in parentheses; keeps every recursion over a tree far from the interpreter's limit
_MOST_OPERATORS = 100  # signs, `not`s and arithmetic in one expression, for the same reason
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_PERCENT = (
    "write the number alone where the value is in percent (percent_change(…), drawdown(…), margin_level), "
    "or compute it: profit < -0.05 * cost"
)
_ELSEWHERE = {
    "+": "write the number without `+`",
    ",": "numbers have no thousands separator: 1000",
    "percent": _PERCENT,
    "pct": _PERCENT,
    "AND": "write `and`",
    "OR": "write `or`",
    "NOT": "write `not`",
    "IN": "write `in`",
}

# What can follow a value, and not `%` as the remainder of a division; the empty text is the end.
_AFTER_A_PERCENTAGE = frozenset(
    {"", "and", "or", "not", "in", ")", "]", ",", "<", ">", "<=", ">=", "==", "!="}
)


def parse(scalar: Scalar) -> Node:
    """The tree of the expression in `scalar`. Unreadable, with the place, for anything that isn't one."""
    written = scalar.value if isinstance(scalar.value, str) else scalar.text
    parser = _Parser(scalar, written, tokens(scalar, written))
    node = parser.condition()
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, scalar: Scalar, written: str, found: list[Token]) -> None:
        self._scalar = scalar
        self._written = written
        self._tokens = found
        self._next = 0
        self._depth = 0
        self._operators = 0

    # ------------------------------------------------------------------------------------------------ conditions

    def condition(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: Literal["and", "or"], part: Callable[[], Node]) -> Node:
        start = self._token.start
        parts = [part()]
        while self._take("name", word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else junction(word, parts, self._since(start))

    def _not(self) -> Node:
        start = self._token.start
        negations = 0
        while self._take("name", "not"):
            self._count_operator()
            negations += 1
        node = self._comparison()
        for _ in range(negations):
            node = Not(node, self._since(start))
        return node

    def _comparison(self) -> Node:
        start = self._token.start
        first = self._sum()
        negated = self._token.text == "not" and self._tokens[self._next + 1].text == "in"
        if negated:
            self._next += 1
        if self._take("name", "in"):
            return Member(first, self._sum(), negated, self._since(start))
        operands, operators = [first], list[Ordering]()
        while self._token.kind == "operator" and self._token.text in MIRRORED:
            operators.append(self._token.text)
            self._next += 1
            operands.append(self._sum())
        return Compare(tuple(operands), tuple(operators), self._since(start)) if operators else first

    # ------------------------------------------------------------------------------------------------ arithmetic

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/", "%"), self._sign)

    def _chain(self, operators: tuple[Operator, ...], part: Callable[[], Node]) -> Node:
        start = self._token.start
        node = part()
        while self._token.kind == "operator" and self._token.text in operators:
            operator: Operator = self._token.text
            self._count_operator()
            self._next += 1
            if operator == "%" and self._token.text in _AFTER_A_PERCENTAGE:
                percent = self._place(self._tokens[self._next - 1])
                refuse("a percentage is written without the `%`", percent, _PERCENT)
            node = Arithmetic(operator, node, part(), self._since(start))
        return node

    def _sign(self) -> Node:
        start = self._token.start
        signs = 0
        while self._take("operator", "-"):
            self._count_operator()
            signs += 1
        node = self._value()
        for _ in range(signs):
            node = self._negative(node, self._since(start))
        return node

    @staticmethod
    def _negative(node: Node, place: Place) -> Node:
        if isinstance(node, Constant) and isinstance(node.value, Decimal):
            return Constant(node.value.copy_negate(), "number", place)
        if isinstance(node, Constant) and isinstance(node.value, timedelta):
            return Constant(-node.value, "duration", place)
        return Negative(node, place)

    # ---------------------------------------------------------------------------------------------------- values

    def _value(self) -> Node:
        token = self._token
        self._next += 1
        if token.kind in ("number", "duration"):
            return self._quantity(token)
        if token.kind == "text":
            return Constant(unquoted(token), "text", self._place(token))
        if token.kind == "name" and token.text in ("true", "false"):
            return Constant(token.text == "true", "flag", self._place(token))
        if token.kind == "name" and token.text not in _KEYWORDS:
            return self._name(token)
        if token.kind == "operator" and token.text == "(":
            node = self._nested(self.condition)
            self._closed(")", token)
            return node
        if token.kind == "operator" and token.text == "[":
            items = self._nested(lambda: self._items("]", token))
            return Listing(items, self._since(token.start))
        self._next -= 1
        raise self._unexpected("a field, a number, a text or a function")

    def _quantity(self, token: Token) -> Node:
        place = self._place(token)
        try:
            if token.kind == "duration":
                return Constant(parse_duration(token.text), "duration", place)
            return Constant(number(token.text), "number", place)
        except ValueError as error:
            refuse(f"`{token.text:.40}`: {error}", place)

    def _name(self, token: Token) -> Node:
        opening = self._token
        if not self._take("operator", "("):
            return Name(token.text, self._place(token))
        arguments = self._nested(lambda: self._items(")", opening))
        return Call(token.text, arguments, self._since(token.start))

    def _items(self, closing: str, opening: Token) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._take("operator", closing):
            if items and not self._take("operator", ","):
                self._closed(closing, opening)
            items.append(self.condition())
        return tuple(items)

    def _nested(self, read: Callable[[], _T]) -> _T:
        self._depth += 1
        if self._depth > DEEPEST:
            refuse(
                f"more than {DEEPEST} brackets inside each other", self._place(self._tokens[self._next - 1])
            )
        found = read()
        self._depth -= 1
        return found

    # ---------------------------------------------------------------------------------------------------- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, kind: TokenKind, text: str) -> bool:
        token = self._tokens[self._next]
        if token.kind == kind and token.text == text:
            self._next += 1
            return True
        return False

    def _place(self, token: Token) -> Place:
        return self._scalar.within(token.start, max(1, len(token.text)))

    def _since(self, start: int) -> Place:
        """From `start` to the end of the token read last."""
        return self._scalar.within(start, max(1, self._tokens[self._next - 1].end - start))

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > _MOST_OPERATORS:
            refuse("too much arithmetic for one expression", self._place(self._token))

    def _closed(self, closing: str, opening: Token) -> None:
        if not self._take("operator", closing):
            if self._token.kind == "end":
                refuse(f"this `{opening.text}` is never closed", self._place(opening), f"add `{closing}`")
            raise self._unexpected(f"`{closing}`" if closing == ")" else f"`,` or `{closing}`")

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected("`and`, `or` or the end")

    def _unexpected(self, wanted: str) -> Unreadable:
        token = self._token
        what = f"`{token.text}`" if token.kind != "end" else "the end of the expression"
        refuse(f"{what} stands where {wanted} was expected", self._place(token), self._hint(token))

    def _hint(self, token: Token) -> str:
        before = self._tokens[self._next - 1] if self._next else None
        if token.text == "," and before is not None and before.kind != "number":
            return 'write a list: ["BTCUSD", "ETHUSD"]'
        if token.kind == "name" and (like := meant(self._written, self._tokens, self._next)):
            return f"write `{like}`"
        return _ELSEWHERE.get(token.text, "")
