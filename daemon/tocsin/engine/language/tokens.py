"""An expression's text, cut into tokens that know where they stand."""

import re
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
