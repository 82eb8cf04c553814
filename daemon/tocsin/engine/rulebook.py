"""The rules that run, looked up by what the engine asks: whom does this concern, and in which order are they told?"""

from collections.abc import Iterable

from tocsin.engine.rule import Rule


class Rulebook:
    """Rules by id and by kind, in the order of the files. Those that aren't enabled don't run, but are known."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        given = list(rules)
        self.running = {rule.id: rule for rule in given if rule.enabled}
        self.disabled = frozenset(rule.id for rule in given if not rule.enabled)
        self.order = {rule: place for place, rule in enumerate(self.running)}
        self.by_kind: dict[str, list[Rule]] = {}
        self.timed: list[Rule] = []
        self.reading_account: list[Rule] = []
        for rule in self.running.values():
            for kind in rule.kinds:
                self.by_kind.setdefault(kind, []).append(rule)
            if not rule.is_level:
                continue
            if is_timed(rule):
                self.timed.append(rule)
            if any(name.startswith("account.") for condition in rule.conditions for name in condition.fields):
                self.reading_account.append(rule)
        self.timed_kinds = frozenset(kind for rule in self.timed for kind in rule.kinds)

    def get(self, rule: str) -> Rule | None:
        return self.running.get(rule)

    def why_gone(self, rule: str) -> str:
        """The reason that the alerts of a rule which doesn't run any more end with."""
        return "rule disabled" if rule in self.disabled else "rule removed"


def is_timed(rule: Rule) -> bool:
    """Whether its truth changes as time passes."""
    return any(condition.timed for condition in rule.conditions)
