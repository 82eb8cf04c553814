"""What can be wrong with what a user wrote, and how it is told: with the place and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from msgspec import Struct


class TocsinError(Exception):
    """Anything that Tocsin itself says is wrong; its text is fit to be shown to a user."""


class OutsideError(TocsinError):
    """Something outside, or the way to it, failed. The text may quote it: mask it before showing it."""


class ConnectFailed(OutsideError):
    """No connection came about: name, network, TLS, time."""


class Place(Struct, frozen=True, gc=False):
    """Where in a file something stands. Lines and columns count from 1; `length` is what the caret underlines."""

    file: str
    line: int
    column: int
    length: int = 1
    source: str = ""  # the line itself, with literal secrets already masked

    def at(self, offset: int, length: int = 1) -> "Place":
        """The place `offset` characters further on the same line."""
        return Place(self.file, self.line, self.column + offset, length, self.source)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration.

    `path` names the setting (`rules[3].when.profit`), `hint` says what to do about it.
    """

    message: str
    place: Place | None = None
    path: str = ""
    hint: str = ""
    level: Literal["error", "warning"] = "error"

    def render(self) -> str:
        """The problem as compilers print it: place, message, the line with a caret below, the hint."""
        head = f"{self.place}: " if self.place else ""
        text = f"{head}{self.level}: {self.path + ': ' if self.path else ''}{self.message}"
        if self.place and self.place.source:
            # Tabs keep their width, so that the caret stands below what it means.
            lead = "".join(c if c == "\t" else " " for c in self.place.source[: self.place.column - 1])
            text += f"\n {self.place.line:>4} | {self.place.source}\n      | {lead}{'^' * max(1, self.place.length)}"
        return _visible(f"{text}\n      = {self.hint}" if self.hint else text)


def _visible(text: str) -> str:
    """What a terminal would act on instead of showing it, spelled out."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def gathered(problems: Iterable[Problem]) -> list[Problem]:
    """For people, with the errors last, where they are seen: a warning of the same words in several rules is told at the
    first, which names the others.
    """
    problems = list(problems)
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        if problem.level == "warning":
            alike.setdefault((problem.message, problem.hint), []).append(problem)
    told = []
    for problem in problems:
        same = alike.get((problem.message, problem.hint), [problem])
        if problem.level == "error" or len(same) == 1:
            told.append(problem)
        elif problem is same[0]:
            others = dict.fromkeys(map(_named, same[1:]))
            also = f"the same in {len(others)} more: {', '.join(others)}"
            told.append(replace(problem, hint="; ".join(filter(None, (problem.hint, also)))))
    return sorted(told, key=lambda problem: problem.level == "error")


def _named(problem: Problem) -> str:
    """The rule that a problem is about, or the line."""
    return problem.path.partition(".")[0] or f"line {problem.place.line}" if problem.place else problem.path


class ConfigError(TocsinError):
    """The configuration can't be used; `problems` holds every reason at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in gathered(self.problems)))


def leaves(error: BaseException) -> list[BaseException]:
    """The plain exceptions inside nested groups (each nursery wraps them once more), or the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


class Report:
    """The problems of one rule, as they are found. `rule` names it in each problem's path."""

    def __init__(self, rule: str, problems: list[Problem]) -> None:
        self._rule = rule
        self._problems = problems
        self._key = ""
        self.errors = 0

    def under(self, key: str) -> "Report":
        """What is found from now on concerns that key of the rule."""
        self._key = key
        return self

    def error(self, message: str, place: Place | None, hint: str = "") -> None:
        self.errors += 1
        self._problems.append(Problem(message, place, self._path(), hint))

    def warning(self, message: str, place: Place | None, hint: str = "") -> None:
        self._problems.append(Problem(message, place, self._path(), hint, "warning"))

    def add(self, problem: Problem) -> None:
        """A problem that was found by what knows neither rule nor key."""
        (self.error if problem.level == "error" else self.warning)(
            problem.message, problem.place, problem.hint
        )

    def _path(self) -> str:
        return ".".join(part for part in (self._rule, self._key) if part)
