"""How big the house is: lines that are neither blank, comment nor docstring, and files, of each room.

`./run bench tests/benchmarks/bench_house.py -s` prints them.
"""

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

import tocsin

_CODE = Path(tocsin.__file__).parent
_SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def lines_of_code(source: str) -> int:
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def bench_house(figures):
    lines, files = Counter(), Counter()
    for file in _CODE.rglob("*.py"):
        inside = file.relative_to(_CODE).parts
        room = inside[0] if len(inside) > 1 else "."
        lines[room] += lines_of_code(file.read_text())
        files[room] += 1
    figures["house/lines"] = lines.total()
    figures["house/engine"] = files["engine"]
    figures["house/tests"] = files["ruletest"] + files["replay"] + files["explain"]
    figures["house/longest"] = max(len(file.read_text().splitlines()) for file in _CODE.rglob("*.py"))
    for room, count in lines.most_common():
        print(f"{room:12} {count:6} lines {files[room]:4} files")  # noqa: T201 - this is what `-s` shows
