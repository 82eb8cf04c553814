"""What the sections of a config share while it is read: its folder, its secrets, and everything found wrong so far."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from pathlib import Path

from tocsin.config import shape, yaml
from tocsin.config.literals import hide_doubtful, hide_in_urls, seems_secret_name, star
from tocsin.config.references import References, is_nearly, readable_by_others
from tocsin.config.sections import read_items, read_sections
from tocsin.config.settings import IDENTIFIER
from tocsin.document import Entry, Mapping, Node, Plain, Scalar, Sequence
from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import OURSELVES, did_you_mean
from tocsin.secrets import Masker

_QUOTED = re.compile("`([^`]*)`")


@dataclass(slots=True)
class Reading:
    """One config on its way from text to settings. `instead`: files that are read in the place of others; `texts`: what
    stood in each that was read.
    """

    path: Path
    environ: Map[str, str]
    instead: Map[Path, Path] = field(default_factory=dict)
    masker: Masker = field(default_factory=Masker)
    problems: list[Problem] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    texts: dict[Path, str] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()  # sections of the config that can't be read
    unread: list[Path] = field(default_factory=list)
    references: References = field(init=False)
    exposed: bool = field(init=False)
    _unresolved: set[tuple[str, int, int]] = field(default_factory=set)
    _outside: set[str] = field(default_factory=set)
    _hidden: dict[tuple[str, int], dict[tuple[Place, Callable[[str], str]], None]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def __post_init__(self) -> None:
        self.references = References(self.folder, self.environ, self.masker)
        self.exposed = readable_by_others(self.path)

    @property
    def folder(self) -> Path:
        """What relative paths in the config are relative to."""
        return self.path.parent

    def load(self, path: Path) -> Node | None:
        """The document in one of the config's files; what is wrong with it is noted.

        Of a file outside of the config's folder no line is shown: who names /etc/shadow is not to read it here.
        """
        source = self.instead.get(path, path)
        text, problem = yaml.read(source, str(source))
        node, problems = (None, [problem]) if problem else yaml.load(text, str(source))
        self.sources.append(path)
        self.texts[source] = text
        if self.is_elsewhere(path):
            self._outside.add(str(path))
        self.problems += problems
        if node is None:
            self.unread.append(path)
        return node

    def load_config(self) -> Node | None:
        """The config itself; where a slip keeps it from being read as a whole, those of its sections that can be."""
        before = len(self.problems)
        node = self.load(self.path)
        if node is not None:
            return node
        source = self.instead.get(self.path, self.path)
        text, problem = yaml.read(source, str(source))
        found = None if problem else read_sections(text, str(source))
        if found is None:
            self._not_looked_at(before, "nothing else in it was looked at, and no file of rules")
            return None
        self.broken = found.broken
        self.problems[before:] = found.problems
        if "rules" in found.broken and "rules" not in found.root.entries:
            self._not_looked_at(before, "the files under `rules:` were not looked at")
        return found.root

    def load_rules(self, path: Path) -> Node | None:
        """The document in a file of rules; where a slip keeps it from being read as a whole, a list of what can be read."""
        before = len(self.problems)
        node = self.load(path)
        if node is None:
            source = self.instead.get(path, path)
            text, problem = yaml.read(source, str(source))
            found = None if problem else read_items(text, str(source))
            if found is not None:
                self.problems[before:] = found.problems
                node = Sequence(tuple(found.items), Place(str(source), 1, 1))
        return node

    def _not_looked_at(self, first: int, what: str) -> None:
        if first < len(self.problems) and self.problems[first].place is not None:
            problem = self.problems[first]
            self.problems[first] = replace(problem, hint="; ".join(filter(None, (problem.hint, what))))

    def is_elsewhere(self, path: Path) -> bool:
        """Whether the file lies outside of the config's folder."""
        return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.folder))

    def add(self, *problems: Problem) -> None:
        """Notes problems, but those about a text whose reference is unresolved: one complaint is enough."""
        for problem in problems:
            place = problem.place
            if place is None or (place.file, place.line, place.column) not in self._unresolved:
                self.problems.append(problem)

    def plain(self, node: Node) -> Plain:
        """The node's values with references resolved."""
        if isinstance(node, Mapping):
            return {key: self.plain(entry.value) for key, entry in node.entries.items()}
        if isinstance(node, Sequence):
            return [self.plain(item) for item in node]
        refers = isinstance(node.value, str) and ("${" in node.text or is_nearly(node.text))
        return self.text(node) if refers else node.value

    def text(self, scalar: Scalar, *, secret: bool = True) -> str:
        text, problems = self.references.resolve(scalar, secret=secret)
        self.problems += problems
        if any(problem.level == "error" for problem in problems):
            self._unresolved.add((scalar.place.file, scalar.place.line, scalar.place.column))
        return text

    def is_unresolved(self, scalar: Node) -> bool:
        return (scalar.place.file, scalar.place.line, scalar.place.column) in self._unresolved

    def hide(self, node: Node) -> None:
        """Stars the node's texts, which are secrets, out of every line that is shown beside a problem."""
        for scalar in _scalars(node):
            self._hidden[scalar.place.file, scalar.place.line][scalar.place, star] = None

    def hide_secret(self, node: Node) -> None:
        """The same of what stands where a secret is to stand; of a URL what can't be one stays."""
        for scalar in _scalars(node):
            how = hide_doubtful if "://" in scalar.text else star
            self._hidden[scalar.place.file, scalar.place.line][scalar.place, how] = None

    def hide_doubtful(self, node: Node, name: str = "") -> None:
        """Stars what may be a secret in the value of an unknown key, by the key's `name` or by its looks."""
        if seems_secret_name(name):
            self.hide(node)
        elif isinstance(node, Mapping):
            for entry in node:
                self.hide_doubtful(entry.value, entry.key.text)
        else:
            for scalar in _scalars(node):
                self._hidden[scalar.place.file, scalar.place.line][scalar.place, hide_doubtful] = None

    def warn_of_literal(self, node: Node) -> None:
        """A secret stands in a file as it is: well, if only we can read that file."""
        if self.exposed:
            hint = f"run: chmod 600 {self.path}; or keep the secret in secrets/ and write ${{cred:NAME}}"
            message = "a secret stands here, and others can read this file"
            self.problems.append(Problem(message, node.place, hint=hint, level="warning"))

    def section(self, node: Node | None, name: str, of: str) -> Mapping | None:
        """A section by names of the user's choice, `of` what stands behind each; None where it is absent or, which is noted, isn't one."""
        if node is None or isinstance(node, Mapping):
            return node
        self.hide_doubtful(node)
        self.add(Problem(f"must be a mapping: a name of your choice, then {of}", node.place, name))
        return None

    def refuse_value(self, entry: Entry, wanted: str, path: shape.Path) -> None:
        """Notes that what stands behind a name isn't what is wanted there: at the name, where nothing does."""
        self.hide_doubtful(entry.value)
        nothing = isinstance(entry.value, Scalar) and entry.value.value is None
        place = entry.key.place if nothing else entry.value.place
        self.add(Problem(f"must be {wanted}", place, shape.dotted(path)))

    def check_name(self, entry: Entry, what: str, path: shape.Path) -> bool:
        """Whether a venue or channel can be called so."""
        if what == "venue" and entry.key.text == OURSELVES:
            message = f"`{OURSELVES}` is what the daemon calls itself where it tells of itself"
            self.add(
                Problem(message, entry.key.place, shape.dotted(path), "call the venue otherwise", "warning")
            )
        if shape.matches(IDENTIFIER, entry.key.text):
            return True
        hint = "a letter first, then letters, digits, - and _; at most 64"
        self.add(
            Problem(
                f"not a name for {'an' if what[0] in 'aeiou' else 'a'} {what}",
                entry.key.place,
                shape.dotted(path),
                hint,
            )
        )
        return False

    def check_channel(self, node: Node, channels: list[str], path: shape.Path) -> None:
        """That a text names one of the channels."""
        if isinstance(node, Scalar) and node.text not in channels:
            hint = did_you_mean(node.text, channels, f"channels here: {', '.join(channels) or 'none'}")
            self.add(Problem(f"no channel is called `{node.text:.80}`", node.place, shape.dotted(path), hint))

    def shown(self) -> list[Problem]:
        """All problems as they may be shown: without secrets, each once, in the order of the text."""
        seen: dict[Problem, None] = {}
        for problem in self.problems:
            place = problem.place
            if place is not None:
                for hidden, how in self._hidden.get((place.file, place.line), ()):
                    place = _starred(place, hidden, how)
                if place.file in self._outside:
                    place = Place(place.file, place.line, place.column, place.length)
            seen[
                replace(
                    problem,
                    place=place,
                    path=hide_in_urls(self.masker.mask(problem.path)),
                    message=_QUOTED.sub(_without_secrets, self.masker.mask(problem.message)),
                    hint=_QUOTED.sub(_without_secrets, self.masker.mask(problem.hint)),
                )
            ] = None
        order = {str(source): count for count, source in enumerate(self.sources)}
        return sorted(seen, key=lambda problem: _order(problem, order))


def _without_secrets(quoted: re.Match[str]) -> str:
    return f"`{hide_in_urls(quoted[1])}`"


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
        return
    for child in node if isinstance(node, Sequence) else [entry.value for entry in node]:
        yield from _scalars(child)


def _starred(place: Place, hidden: Place, how: Callable[[str], str]) -> Place:
    start, end = hidden.column - 1, hidden.column - 1 + hidden.length
    source = place.source
    source = source[:start] + how(source[start:end]) + source[end:]
    return Place(place.file, place.line, place.column, place.length, source)


def _order(problem: Problem, files: Map[str, int]) -> tuple[int, int, int]:
    place = problem.place
    return (files.get(place.file, len(files)), place.line, place.column) if place else (len(files), 0, 0)
