"""The rules that run, looked up by what the engine asks: whom does this concern, and in which order are they told?"""

from collections.abc import Iterable, Sequence

from tocsin.engine.index import Index
from tocsin.engine.rule import Rule
from tocsin.events import Change


class RuleSet:
    """Rules by id, by what they look at, and in the order of the files. Those that aren't enabled don't run, but are known."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        given = list(rules)
        self.running = {rule.id: rule for rule in given if rule.enabled}
        self.disabled = frozenset(rule.id for rule in given if not rule.enabled)
        self.order = {rule: place for place, rule in enumerate(self.running)}
        self.index = Index(rule for rule in self.running.values() if not rule.is_group)
        level = [rule for rule in self.running.values() if rule.is_level]
        self.timed = frozenset(rule.id for rule in level if is_timed(rule))
        self.of_events = frozenset(rule.id for rule in level if _looks_back(rule)) - self.timed
        """Those that can be judged at events only, not as things stand."""
        self.timed_kinds = frozenset(kind for rule in level if is_timed(rule) for kind in rule.kinds)
        self.timed_groups = any(rule.is_group for rule in level if is_timed(rule))
        self._following: dict[str, list[Rule]] = {}
        for rule in self.running.values():
            for event in dict.fromkeys(rule.sequel.events) if rule.sequel else ():
                self._following.setdefault(event, []).append(rule)
        self.reading_account = frozenset(rule.id for rule in level if _reads_account(rule))

    def concerned(self, change: Change, also: Iterable[str]) -> Sequence[Rule]:
        """The rules to evaluate, in their order. `also` as in `Index.candidates`."""
        found = self.index.candidates(change, also)
        if not self._following or not change.events:
            return found
        names = (*change.events, f"{change.kind}.*")
        seconds = [rule for name in names for rule in self._following.get(name, ())]
        if not seconds:
            return found
        return sorted(
            {rule.id: rule for rule in (*found, *seconds)}.values(), key=lambda rule: self.order[rule.id]
        )

    def get(self, rule: str) -> Rule | None:
        return self.running.get(rule)

    def why_gone(self, rule: str) -> str:
        """The reason that the alerts of a rule which doesn't run any more end with."""
        return "rule disabled" if rule in self.disabled else "rule removed"


def is_timed(rule: Rule) -> bool:
    """Whether its truth changes as time passes."""
    return any(condition.timed for condition in rule.conditions)


def _looks_back(rule: Rule) -> bool:
    return any(condition.looks_back for condition in rule.conditions)


def _reads_account(rule: Rule) -> bool:
    return any(name.startswith("account.") for condition in rule.conditions for name in condition.fields)
