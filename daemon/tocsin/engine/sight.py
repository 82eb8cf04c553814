"""Which rules are blind: unknown, for want of some field, for everything that they concern."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from tocsin.engine.rule import Rule, Truth

BLIND_AFTER = 3600.0  # seconds


class Blind(NamedTuple):
    """A rule that sees nothing. `lacks`: what it needs and is missing, as far as that is known."""

    rule: str
    lacks: tuple[str, ...]

    @property
    def reason(self) -> str:
        """In words, for daemon.rule_blind."""
        want = f"for want of {', '.join(self.lacks)}" if self.lacks else "for want of some field"
        return f"rule {self.rule} could judge nothing for an hour, {want}"


class Sight:
    """Notes what each rule's condition came to for what it concerns; `blind` looks again at those that long saw nothing."""

    def __init__(self) -> None:
        self._unseeing: dict[str, float] = {}  # rule -> steady time since when nothing but unknown was seen
        self._told: set[str] = set()

    def note(self, rule: Rule, truth: Truth, steady: float) -> None:
        if truth is None:
            self._unseeing.setdefault(rule.id, steady)
        elif rule.id in self._unseeing:
            del self._unseeing[rule.id]
            self._told.discard(rule.id)

    @property
    def unseeing(self) -> Collection[str]:
        """The rules that have seen nothing but unknown since some time: anything else that they come to is news."""
        return self._unseeing

    def blind(self, steady: float, lacks: Callable[[str], tuple[str, ...] | None]) -> list[Blind]:
        """Rules newly found blind. `lacks` judges all that lives (what is quiet may well be known, or there is nothing):
        what is missing, None where the rule sees.
        """
        found = []
        for rule, since in list(self._unseeing.items()):
            if steady - since < BLIND_AFTER or rule in self._told:
                continue
            lacking = lacks(rule)
            if lacking is None:
                del self._unseeing[rule]
            else:
                self._told.add(rule)
                found.append(Blind(rule, lacking))
        return found

    def forget(self, rule: str) -> None:
        self._unseeing.pop(rule, None)
        self._told.discard(rule)
