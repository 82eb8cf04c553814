"""All that there is to know of a function stands in its entry: its name is compared with nowhere else."""

import ast
from pathlib import Path

import pytest

from tocsin import engine
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.mapping import OPERATORS

ROOM = Path(engine.__file__).parent
# The table itself, the mapping's own, and the hints, which name functions to people.
TABLES = {"functions.py", "mapping.py", "phrases.py"}


def compared_names(tree: ast.AST) -> set[str]:
    """The texts that `….function` or a function's `name` is compared with."""
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Attribute)
            and node.left.attr in ("function", "name")
        ):
            found |= {
                each.value
                for side in node.comparators
                for each in ast.walk(side)
                if isinstance(each, ast.Constant)
            }
        elif isinstance(node, ast.Set) and all(isinstance(each, ast.Constant) for each in node.elts):
            found |= {each.value for each in node.elts}  # type: ignore[attr-defined]  # all are constants
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOM.rglob("*.py")) if path.name not in TABLES],
    ids=lambda path: path.stem,
)
def test_no_function_is_known_by_its_name(path):
    alone = FUNCTIONS.keys() - {
        "count",
        "total",
        "average",
        "change",
        "min",
        "max",
        "sum",
    }  # fields or words, too
    assert not compared_names(ast.parse(path.read_text())) & alone


def test_a_comparison_that_is_a_function_is_in_the_table():
    assert {name for name, operator in OPERATORS.items() if operator.call} <= FUNCTIONS.keys()
