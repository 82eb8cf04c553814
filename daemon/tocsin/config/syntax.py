"""Says in plain words what YAML's parser stumbled over, and what to do about it."""

import re
from collections.abc import Callable, Sequence

import yaml

from tocsin.errors import Place, Problem

MAX_DEPTH = 64
_BARE_TEMPLATE = re.compile(r"[:-]\s{1,40}\{\{")
_QUOTE = "put the text in quotes"
# libyaml's words -> ours, a hint, and whether the place is where the construct began (else where it stumbled).
_KNOWN: dict[str, tuple[str, str, bool]] = {
    "mapping values are not allowed in this context": (
        "a ':' that can't stand here",
        "quote a text that holds ': '; otherwise look at the indentation",
        False,
    ),
    "found unexpected end of stream": ("this quote is never closed", "", True),
    "did not find expected ',' or ']'": ("this [ is never closed, or a comma is missing in it", "", True),
    "did not find expected ',' or '}'": (
        "this { is never closed, or a comma is missing in it",
        "a text with a bracket, a comma or quotes inside stands in quotes as a whole",
        True,
    ),
    "could not find expected ':'": (
        "a line that is neither 'key: value' nor '- item'",
        "a ':' and a space stand between a key and its value",
        True,
    ),
    "did not find expected key": (
        "not what can follow here",
        "indent all keys of one mapping alike, and put a text with quotes inside in quotes as a whole",
        False,
    ),
    "did not find expected '-' indicator": (
        "not what can follow here",
        "indent all items of a list alike",
        False,
    ),
    "block sequence entries are not allowed in this context": (
        "a list can't begin here",
        "begin it on a line of its own, or quote a text that begins with '- '",
        False,
    ),
    "did not find expected node content": ("something is missing in this", "", True),
    "did not find expected <document start>": (
        "the document has ended before this",
        "one file holds one document: remove the ... or ---",
        False,
    ),
    # libyaml's own cap (since the one in PyYAML 6.0.4), which its scanner may reach before the builder counts to ours.
    "exceeded maximum nesting depth": (f"nested more than {MAX_DEPTH} deep", "", False),
    "found unknown escape character": (
        "an escape that YAML doesn't know",
        "in single quotes a backslash is only a backslash",
        False,
    ),
}


def syntax_problem(
    error: yaml.YAMLError, lines: Sequence[str], place: Callable[[int, int], Place]
) -> Problem:
    """The parser's error as a problem; `place` makes one from a line and a column that count from 0."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem("not YAML", place(0, 0))
    stumbled = error.problem_mark or error.context_mark
    if stumbled is None:
        return Problem(f"not YAML: {error.problem}", place(0, 0))
    began = error.context_mark or stumbled
    line = lines[stumbled.line] if stumbled.line < len(lines) else ""
    found = line[stumbled.column : stumbled.column + 1]
    here = place(stumbled.line, min(stumbled.column, len(line)))
    if "\t" in line[: stumbled.column + 1] and not line[: stumbled.column].strip():
        column = line.index("\t")
        return Problem(
            "a tab where YAML allows only spaces", place(stumbled.line, column), hint="indent with spaces"
        )
    if error.problem == "found character that cannot start any token":
        return Problem(f"a text can't begin with {found or 'this'} unless it is quoted", here, hint=_QUOTE)
    message, hint, at_start = _KNOWN.get(error.problem or "", (f"not YAML: {error.problem}", "", False))
    if _BARE_TEMPLATE.search(line):
        hint = "put a text that begins with {{ in quotes"
    return Problem(message, place(began.line, began.column) if at_start else here, hint=hint)


def in_bracket(line: str, at: int) -> bool:
    """Whether that character stands in a round bracket that opens before and closes behind it, both on the line."""
    depth = line.count("(", 0, at) - line.count(")", 0, at)
    return depth > 0 and line.count(")", at) - line.count("(", at) >= depth


def cut_problem(comma: Place, key: str) -> Problem:
    """`{when: change(price, 1m) > 5}`: YAML takes the comma for the end of the value. `key`: the value's, if it has one."""
    written = f'{key:.80}: "…"' if key else '"…"'
    hint = f"put the text in quotes: {written}"
    return Problem("the comma ends the text here, inside its `(`", comma, hint=hint)
