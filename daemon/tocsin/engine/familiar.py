"""Which rules ran last, as what they meant: what such a rule had to say of things as they stand, it has said."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from tocsin.engine.keeping import Keeping
from tocsin.engine.model import Sample
from tocsin.engine.rule import Rule
from tocsin.events import Instant

_SERIES = "rules that ran"


class Familiar:
    """Kept for the next run, so that a start tells of standing things only what is news: by rules that are."""

    def __init__(self, keeping: Keeping) -> None:
        self._known: set[str] = set()  # by what they are kept as
        self._keeping = keeping

    def restore(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Take up what the last run had kept; the samples that aren't of it pass through."""
        for sample in samples:
            if sample.series == _SERIES:
                self._known.add(sample.instance)
            else:
                yield sample

    def knows(self, rule: Rule) -> bool:
        """Whether the rule ran last, and meant what it means now."""
        return kept_as(rule) in self._known

    def run(self, rules: Iterable[Rule], now: Instant) -> None:
        """These rules run from now on."""
        running = {kept_as(rule): None for rule in rules}
        for gone in sorted(self._known - running.keys()):
            self._keeping.fade(_SERIES, gone)
        for new in running:
            if new not in self._known:
                self._keeping.mark(_SERIES, new, now.wall)
        self._known = set(running)


def kept_as(rule: Rule) -> str:
    """The rule as what it means, in one text."""
    return f"{rule.id} {rule.fingerprint}"


def has_turned(rule: Rule, since: datetime, now: datetime) -> bool:
    """Whether the rule's hours may have begun in that time (UTC)."""
    if rule.active is None:
        return False
    turns = rule.active.next_change(since)
    return (turns is not None and turns <= now) or rule.active.is_open(since) != rule.active.is_open(now)
