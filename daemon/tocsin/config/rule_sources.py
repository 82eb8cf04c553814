"""Where each rule is written, and its text as it was read: that is what runs, whatever has become of the file since."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tocsin.config.literals import hide_literals
from tocsin.config.yaml import BREAK, read
from tocsin.document import Mapping as Written
from tocsin.document import Scalar

_CLOSING = "},"


@dataclass(frozen=True, slots=True)
class RuleSource:
    """A rule's lines in a file, the first of which is its line `line` (from 1)."""

    path: Path
    line: int
    text: str = field(repr=False)  # it may hold what is no reference

    @property
    def shown(self) -> list[str]:
        """Its lines as they may be shown: what looks like a secret is starred out, a reference to one stands as it is written."""
        return BREAK.split(hide_literals(self.text))

    def is_as_written(self) -> bool:
        """Whether the file still has these lines, here or further up or down. Blocks."""
        now, problem = read(self.path, str(self.path))
        return problem is None and self.text in now


def rule_sources(written: Iterable[Written], texts: Mapping[Path, str]) -> dict[str, RuleSource]:
    """By the rules' ids. `texts` are those of the files that they were read from."""
    by_file: dict[str, list[Written]] = defaultdict(list)
    for rule in written:
        by_file[rule.place.file].append(rule)
    found: dict[str, RuleSource] = {}
    for path, text in texts.items():
        rules = by_file.get(str(path), ())
        cut = _Lines(text) if rules else None
        for rule in rules:
            id_ = rule.get("id")
            if isinstance(id_, Scalar) and cut is not None:
                first, end = cut.of_rule(rule.place.line - 1)
                found[id_.text] = RuleSource(path, first + 1, cut.text(first, end))
    return found


class _Lines:
    """A text by its lines, counted from 0."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = BREAK.split(text)
        self._starts = [0, *(each.end() for each in BREAK.finditer(text))]

    def text(self, first: int, end: int) -> str:
        """From that line up to that before `end`, without the last break."""
        return self._text[self._starts[first] : self._starts[end - 1] + len(self._lines[end - 1])]

    def of_rule(self, line: int) -> tuple[int, int]:
        """Of the rule with that line: its first, that of its dash, and the one behind its last. All that is further in than the dash
        belongs to it; in a list in brackets there is none, and a bracket as far in as its first line closes it.
        """
        first = line - 1 if line and self._lines[line - 1].strip() == "-" else line
        margin = _margin(self._lines[first])
        end = first + 1
        for place in range(end, len(self._lines)):
            row = self._lines[place]
            if not row.strip():
                continue  # within, if more of it follows
            if _margin(row) > margin:
                end = place + 1
                continue
            return first, place + 1 if row.strip(_CLOSING) == " " * margin and row.strip() else end
        return first, end


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
