"""Where the checks of one rule put what they find."""

from difflib import get_close_matches

from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import nearest


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


def did_you_mean(word: str, known: tuple[str, ...], otherwise: str = "") -> str:
    """A hint with the known word that is nearest, if any is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


def misspelt(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that this one is a slip of the pen from; for words that may well be right as they are."""
    close = get_close_matches(word, known, n=1, cutoff=0.88)
    return close[0] if close else None


def a(thing: str) -> str:
    """The word with its article."""
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"


def listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
