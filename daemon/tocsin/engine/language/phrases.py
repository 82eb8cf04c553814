"""What people write as they would say it (`profit is below -50`), and how it is written here: only ever a hint."""

import re
from collections.abc import Sequence

from tocsin.engine.language.tokens import Token

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
