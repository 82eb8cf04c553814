"""The section `rules`: rules in place, and files of rules by name or pattern."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from tocsin.config import shape
from tocsin.config.reading import Reading
from tocsin.document import Mapping, Node, Scalar, Sequence, listed
from tocsin.errors import Place, Problem


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
    _warn_of_left_out(reading, node)
    return rules


def rules_in(reading: Reading, path: Path) -> list[Mapping]:
    """The rules of one file: a list, or a mapping with the key `rules`."""
    node = reading.load_rules(path)
    if isinstance(node, Mapping):
        for entry in node:
            if entry.key.text != "rules":
                # Of a file that lies elsewhere nothing is quoted: it may be no file of rules at all.
                elsewhere = Problem(
                    "not a file of rules: a list of rules, or `rules:` with one", Place(str(path), 1, 1)
                )
                reading.add(
                    elsewhere if reading.is_elsewhere(path) else shape.unknown_key(entry.key, (), ["rules"])
                )
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


# --------------------------------------------------------------------------------------- which files a pattern stands for

# What an editor or a person calls a file of rules; whatever else lies in the folder isn't meant as rules.
_SUFFIXES = (".yaml", ".yml")


def _files(reading: Reading, pattern: Scalar, where: str) -> list[Path]:
    """The files that a name or pattern stands for, sorted, without those that were read already, by whatever way.

    What matches and can't be read is among them (loading it says why), and so is a folder that is called like a file.
    """
    text = str(Path(pattern.text).expanduser()) if pattern.text.startswith("~/") else pattern.text
    if glob.has_magic(text):
        found = [path for path in _matches(reading.folder, text) if _is_meant(path)]
        missing = "no file matches"
    else:
        path = reading.folder / text
        found = [path] if _is_there(path) else []
        missing = "no such file"
    if not found:
        hint = f"paths are relative to {reading.folder.absolute()}"
        reading.add(Problem(missing, pattern.place, where, hint))
    known = {os.path.realpath(path) for path in reading.sources}
    by_file: dict[str, Path] = {}  # the shortest of several ways to a file is the one that people know
    for path in sorted(found, key=lambda path: (len(path.parts), path)):
        if (real := os.path.realpath(path)) not in known:
            by_file.setdefault(real, path)
    return sorted(by_file.values())


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    """What the pattern matches; `**` goes into linked folders too, but into each folder once, whatever leads to it."""
    head, star, tail = pattern.partition("**")
    if not star or (head and not head.endswith("/")) or (tail and not tail.startswith("/")):
        full = str(Path(glob.escape(str(folder))) / pattern)
        yield from map(Path, glob.iglob(full))  # noqa: PTH207  Path.glob refuses absolute ones
        return
    for top in _matches(folder, head) if head else (folder,):
        for below in _folders(top):
            yield from _matches(below, tail.lstrip("/") or "*")


def _folders(top: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for here, names, _ in os.walk(top, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(here)


def _is_meant(path: Path) -> bool:
    """Whether a match is meant as rules: any file or broken link, and a folder only if it is called like a file."""
    return not path.is_dir() or path.suffix.lower() in _SUFFIXES


def _is_there(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except OSError:  # a name too long for any file, a folder that we may not look into
        return False


def _warn_of_left_out(reading: Reading, patterns: Node | None) -> None:
    """Files beside those of a pattern like `*.yaml` that differ in their suffix alone, which no pattern takes."""
    known = {os.path.realpath(path) for path in reading.sources}
    for item in listed(patterns):
        if not (isinstance(item, Scalar) and glob.has_magic(item.text)):
            continue
        stem, suffix = os.path.splitext(item.text)  # noqa: PTH122  a pattern is no path
        if suffix.lower() not in _SUFFIXES:
            continue
        for path in sorted(_matches(reading.folder, f"{stem}.*")):
            if path.suffix.lower() in _SUFFIXES and os.path.realpath(path) not in known:
                known.add(os.path.realpath(path))
                shown = path.relative_to(reading.folder) if path.is_relative_to(reading.folder) else path
                message = f"{shown} lies there too, and isn't read"
                hint = f"call it {path.stem}.yaml, or name it under rules: too"
                reading.add(Problem(message, item.place, hint=hint, level="warning"))
