"""The expression spelling: its own small grammar, by recursive descent. Nothing of it is ever Python's to evaluate.

condition  = and { "or" and }
and        = not { "and" not }
not        = "not" not | comparison
comparison = sum { ("<" | "<=" | ">" | ">=" | "==" | "!=") sum } | sum [ "not" ] "in" sum
sum        = product { ("+" | "-") product }
product    = sign { ("*" | "/" | "%") sign }
sign       = "-" sign | value
value      = number | number ("sample" | "samples") | duration | text | "true" | "false" | list | name | name "(" [ condition { "," condition } ] ")"
           | "(" condition ")"
list       = "[" [ condition { "," condition } ] "]"
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal, NoReturn, TypeAlias, TypeVar

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
from tocsin.errors import Place, Problem
from tocsin.events import number
from tocsin.quantities import SampleCount, parse_duration

TokenKind: TypeAlias = Literal["number", "duration", "name", "text", "operator", "end"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<duration>(?:[0-9]+(?:ms|s|m|h|d))+(?![A-Za-z0-9_.]))
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.]))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<operator><=|>=|==|!=|[-+*/%<>()\[\],])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_SPACE = re.compile(r"\s*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.]+|&&|\|\||<>|=[<>]|={2,3}|.", re.DOTALL)
_ESCAPE = re.compile(r"""\\([\\"'])""")
_LONGEST = 20_000  # characters; a list of a thousand symbols fits

# What people know from other languages, and how it is written here.
_ELSEWHERE_SIGNS = {
    "=": "write `==` to compare",
    "===": "write `==` to compare",
    "=>": "write `>=`",
    "=<": "write `<=`",
    "&&": "write `and`",
    "||": "write `or`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "<>": "write `!=`",
    "\u2212": "write the minus sign `-` that the keyboard has",
    "\u2013": "write the minus sign `-` that the keyboard has",
    "\u201c": 'write straight quotes: "…"',
    "\u201d": 'write straight quotes: "…"',
    "\u2018": "write straight quotes: '…'",
    "\u2019": "write straight quotes: '…'",
    "{": "fields stand in an expression by their bare names",
    "$": "fields stand in an expression by their bare names",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
}


class Unreadable(Exception):
    """The expression doesn't parse; never leaves the language."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def refuse(message: str, place: Place, hint: str = "") -> NoReturn:
    raise Unreadable(Problem(message, place, hint=hint))


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is as written, quotes included; `start` counts characters from the scalar's first."""

    kind: TokenKind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(scalar: Scalar, written: str) -> list[Token]:
    """The tokens of `written`, the scalar's text; the last is `end`. Unreadable where there is no token to be seen."""
    if len(written) > _LONGEST:
        refuse(f"an expression of more than {_LONGEST} characters", scalar.place)
    found: list[Token] = []
    position = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(written, position)
        if match is None or match.lastgroup is None:
            _no_token(scalar, written, _SPACE.match(written, position).end())  # type: ignore[union-attr]  # matches ""
        kind: TokenKind = match.lastgroup  # type: ignore[assignment]  # the pattern's groups are the kinds
        found.append(Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return found


def _no_token(scalar: Scalar, written: str, at: int) -> NoReturn:
    word = _WORD.match(written, at)[0]  # type: ignore[index]  # there is a character, or it would be the end
    place = scalar.within(at, len(word))
    if word in "\"'":
        refuse("a text that doesn't end", place, f"its closing {word} is missing")
    if word[0].isdigit():
        refuse(
            f"`{word}` is neither a number nor a duration",
            place,
            "numbers: -50, 0.5, 1e6; durations: 30s, 1h30m",
        )
    refuse(f"`{word}` has no meaning here" if word.isprintable() else "a character that has no meaning here", place,
           _ELSEWHERE_SIGNS.get(word, ""))  # fmt: skip


def unquoted(token: Token) -> str:
    r"""The text between the quotes. `\\`, `\"` and `\'` lose a backslash; any other stays, for regexes' sake."""
    return _ESCAPE.sub(r"\1", token.text[1:-1])


_MOVES = r"(?:(?:goes|falls|drops|sinks|rises|climbs|gets|moves|stays|is|are|was|becomes)\s+)*"
# The first that fits counts. `{x}` and `{y}` are what stands before and behind.
_PHRASES: Sequence[tuple[str, str]] = (
    (rf"{_MOVES}between\b", "{y} <= {x} <= {z}"),
    (r"(?:is|are)\s+(?:missing|null|none|empty|unknown|undefined|unset)\b", "missing({x})"),
    (
        r"exists\b|(?:is|are)\s+(?:not\s+(?:missing|null|none|empty|unknown)|present|known|set|there)\b",
        "not missing({x})",
    ),
    (rf"{_MOVES}(?:not|no)\s+(?:below|under|less\s+than)\b|{_MOVES}at[\s_]least\b", "{x} >= {y}"),
    (rf"{_MOVES}(?:not|no)\s+(?:above|over|more\s+than)\b|{_MOVES}at[\s_]most\b", "{x} <= {y}"),
    (r"cross(?:es|ed)?\s+(?:below|under)\b", "crosses_below({x}, {y})"),
    (r"cross(?:es|ed)?\s+(?:above|over)\b", "crosses_above({x}, {y})"),
    (rf"{_MOVES}(?:below|under|beneath|(?:less|lower|smaller|fewer)\s+than)\b", "{x} < {y}"),
    (rf"{_MOVES}(?:above|over|exceeds|(?:more|greater|higher|larger|bigger)\s+than)\b", "{x} > {y}"),
    (r"(?:(?:is|are)\s+)?one\s+of\b", '{x} in ["…", "…"]'),
    (r"(?:contains|like|matches|includes)\b", "matches({x}, {y})"),
    (r"(?:(?:is|are|does)\s+)?(?:not|unequal|differs?)(?:\s+(?:equals?|from|to))?\b", "{x} != {y}"),
    (r"(?:is|are|equals?)(?:\s+equal)?(?:\s+to)?\b", "{x} == {y}"),
)
_COMPILED = [(re.compile(phrase, re.IGNORECASE), form) for phrase, form in _PHRASES]


def meant(written: str, tokens: Sequence[Token], at: int) -> str:
    """What the words from the token at `at` on most likely mean, in an example that is theirs; empty where nothing is near."""
    for phrase, form in _COMPILED:
        if match := phrase.match(written, tokens[at].start):
            behind = next(
                (count for count, token in enumerate(tokens) if token.start >= match.end()), len(tokens) - 1
            )
            of_text = any(word in form for word in ("==", "!=", "matches"))
            y, end = _value(tokens, behind, quoted=of_text)
            z = _value(tokens, end + 1)[0] if tokens[end].text in ("and", "to") else ""
            return form.format(
                x=_before(written, tokens, at) or "profit",
                y=y or ('"…"' if "matches" in form else "10"),
                z=z or "20",
            )
    return ""


def _before(written: str, tokens: Sequence[Token], at: int) -> str:
    """The name or the call that ends before the token."""
    last = first = at - 1
    if first >= 0 and tokens[first].text == ")":
        depth = 0
        while first >= 0:
            depth += (tokens[first].text == ")") - (tokens[first].text == "(")
            first -= 1
            if not depth:
                break
    if first < 0 or tokens[first].kind not in ("name", "number", "duration"):
        return ""
    return written[tokens[first].start : tokens[last].end]


def _value(tokens: Sequence[Token], at: int, *, quoted: bool = False) -> tuple[str, int]:
    """The value at the token, and where it ends; `quoted`: a bare word is most likely a text."""
    sign = "-" if tokens[at].text == "-" else ""
    end = at + bool(sign)
    token = tokens[end]
    if token.kind not in ("number", "duration", "text", "name"):
        return "", at
    bare = quoted and token.kind == "name" and token.text not in ("true", "false")
    return f'"{token.text}"' if bare else f"{sign}{token.text}", end + 1


_T = TypeVar("_T")
DEEPEST = 30  # parentheses in parentheses; keeps every recursion over a tree far from the interpreter's limit
_MOST_OPERATORS = 100  # signs, `not`s and arithmetic in one expression, for the same reason
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_PERCENT = (
    "write the number alone where the value is in percent (percent_change(…), drawdown(…), margin_level), "
    "or compute it: profit < -0.05 * cost"
)
_ELSEWHERE_WORDS = {
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
            if token.kind == "number" and (self._take("name", "samples") or self._take("name", "sample")):
                return Constant(SampleCount.parse(token.text), "window", self._since(token.start))
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
        return _ELSEWHERE_WORDS.get(token.text, "")
