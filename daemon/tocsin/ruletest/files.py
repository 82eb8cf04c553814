"""Which test files there are."""

from collections.abc import Iterable
from pathlib import Path

from tocsin.config.yaml import load
from tocsin.document import Mapping
from tocsin.errors import ConfigError, Problem
from tocsin.shipped import shipped

_HERE = Path("rules/tests")


def test_files(given: Iterable[Path]) -> list[Path]:
    """The given files (a folder: those in it; a rule file: its tests), else `rules/tests/*.yaml` here, else the shipped ones.

    Raises ConfigError for what isn't there.
    """
    asked = list(given)
    if not asked:
        return sorted(_HERE.glob("*.yaml")) or sorted((shipped("rules") / "tests").glob("*.yaml"))
    problems: list[Problem] = []
    found: dict[Path, None] = {}
    for path in asked:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [_tests_of(path)]
        if not all(file.is_file() for file in files) or not files:
            hint = "a folder's tests are its *.yaml" if path.is_dir() else ""
            problems.append(Problem(f"there is no test file {path}", hint=hint))
        found |= dict.fromkeys(files)
    if problems:
        raise ConfigError(problems)
    return list(found)


def _tests_of(path: Path) -> Path:
    """The file itself; of a file of rules, that of its tests, where there is one."""
    beside = path.parent / "tests" / path.name
    if not beside.is_file():
        return path
    node, _ = load(path)
    return path if isinstance(node, Mapping) and "tests" in node.entries else beside
