"""An expression's text, cut into tokens that know where they stand; and what phrases of plain English would be here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias

from tocsin.document import Scalar
from tocsin.errors import Place, Problem

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
_ELSEWHERE = {
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
           _ELSEWHERE.get(word, ""))  # fmt: skip


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
