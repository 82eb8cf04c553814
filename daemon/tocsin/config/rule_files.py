"""The section `rules`: rules in place, and files of rules by name or pattern."""

import glob
from pathlib import Path

from tocsin.config import shape
from tocsin.config.reading import Reading
from tocsin.document import Mapping, Node, Scalar, Sequence
from tocsin.errors import Problem


def read_rules(reading: Reading, node: Node | None) -> list[Mapping]:
    """Every rule as it is written, in the order of the files; what can't be one is noted."""
    if node is None:
        return []
    if not isinstance(node, Sequence):
        hint = "write it like: rules: [rules/*.yaml]"
        reading.add(Problem("must be a list of files and rules", node.place, "rules", hint))
        return []
    rules: list[Mapping] = []
    for count, item in enumerate(node):
        if isinstance(item, Mapping):
            rules.append(item)
        elif isinstance(item, Scalar) and isinstance(item.value, str) and item.value:
            for path in _files(reading, item, f"rules[{count}]"):
                rules += rules_in(reading, path)
        else:
            reading.add(Problem("neither a rule nor the name of a file", item.place, f"rules[{count}]"))
    return rules


def rules_in(reading: Reading, path: Path) -> list[Mapping]:
    """The rules of one file: a list, or a mapping with the key `rules`."""
    node = reading.load(path)
    if isinstance(node, Mapping):
        for entry in node:
            if entry.key.text != "rules":
                reading.add(shape.unknown_key(entry.key, (), ["rules"]))
        node = node.get("rules")
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return []
    if not isinstance(node, Sequence):
        reading.add(Problem("must be a list of rules", node.place, "rules"))
        return []
    rules = []
    for count, item in enumerate(node):
        if isinstance(item, Mapping):
            rules.append(item)
        else:
            hint = "begin each with '- id: NAME'"
            reading.add(Problem("a rule is a mapping", item.place, f"rules[{count}]", hint))
    return rules


def _files(reading: Reading, pattern: Scalar, where: str) -> list[Path]:
    """The files that a name or pattern stands for and that weren't read yet, sorted."""
    text = str(Path(pattern.text).expanduser()) if pattern.text.startswith("~/") else pattern.text
    if glob.has_magic(text):
        full = str(Path(glob.escape(str(reading.folder))) / text)
        found = sorted(map(Path, glob.iglob(full, recursive=True)))  # noqa: PTH207  Path.glob refuses absolute ones
        missing = "no file matches"
    else:
        found = [reading.folder / text]
        missing = "no such file"
    files = [path for path in found if _is_file(path)]
    if not files:
        hint = f"paths are relative to {reading.folder.absolute()}"
        reading.add(Problem(missing, pattern.place, where, hint))
    return [path for path in files if path not in reading.sources]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file, a folder that we may not look into
        return False
