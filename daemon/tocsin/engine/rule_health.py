"""Which rules are blind: unknown, for want of some field, for everything that they concern; and which ran last."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from tocsin.engine.rule import Rule, Truth
from tocsin.engine.samples import SampleLog
from tocsin.events import Instant, Sample

BLIND_AFTER = 3600.0  # seconds
_BLIND = "told to be blind"
_LONG_AGO = float("-inf")


class Blind(NamedTuple):
    """A rule that sees nothing. `lacks`: what it needs and is missing, as far as that is known."""

    rule: str
    lacks: tuple[str, ...]

    @property
    def reason(self) -> str:
        """In words, for daemon.rule_blind."""
        want = f"for want of {', '.join(self.lacks)}" if self.lacks else "for want of some field"
        return f"rule {self.rule} could judge nothing for an hour, {want}"


class RuleHealth:
    """Notes what each rule's condition came to for what it concerns; `blind` looks again at those that long saw nothing.

    That a rule was told to be blind is kept for the next run: a restart tells nothing twice.
    """

    def __init__(self, log: SampleLog) -> None:
        self._unseeing: dict[str, float] = {}  # rule -> steady time since when nothing but unknown was seen
        self._missing: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, str] = {}  # rule -> what it is kept as
        self._log = log

    def note(self, rule: Rule, truth: Truth, steady: float, missing: tuple[str, ...] = ()) -> None:
        """`missing`: what an event lacked; an entity can be asked later."""
        if truth is None:
            if self._unseeing.setdefault(rule.id, steady) == steady:
                self._missing[rule.id] = missing
        elif rule.id in self._unseeing:
            self.forget(rule.id)

    @property
    def unseeing(self) -> Collection[str]:
        """The rules that have seen nothing but unknown since some time: anything else that they come to is news."""
        return self._unseeing

    def blind(
        self, now: Instant, rules: Mapping[str, Rule], lacks: Callable[[Rule], tuple[str, ...] | None]
    ) -> list[Blind]:
        """Rules newly found blind. `lacks` judges all that lives (what is quiet may well be known, or there is nothing):
        what is missing, None where the rule sees.
        """
        found = []
        for rule_id, since in list(self._unseeing.items()):
            if now.steady - since < BLIND_AFTER or rule_id in self._found:
                continue
            rule = rules[rule_id]
            lacking = lacks(rule)
            if lacking is None:
                self.forget(rule_id)
            else:
                self._found[rule_id] = kept_as(rule)
                self._log.mark(_BLIND, kept_as(rule), now.wall)
                found.append(Blind(rule_id, lacking))
        return found

    @property
    def found_blind(self) -> Collection[str]:
        """The rules that were found blind and see nothing since."""
        return self._found

    def forget(self, rule: str) -> None:
        """It sees, or is another now."""
        self._unseeing.pop(rule, None)
        self._missing.pop(rule, None)
        if (kept := self._found.pop(rule, None)) is not None:
            self._log.drop(_BLIND, kept)

    def missing(self, rule: str) -> tuple[str, ...]:
        """What the events of an event rule lacked, the first of them."""
        return self._missing.get(rule, ())

    def restore(self, samples: Iterable[Sample], rules: Iterable[Rule]) -> Iterator[Sample]:
        """Take up what the last run had kept; the samples that aren't of it pass through."""
        running = {kept_as(rule): rule.id for rule in rules}
        for sample in samples:
            if sample.series != _BLIND:
                yield sample
            elif (rule := running.get(sample.instance)) is not None:
                self._found[rule], self._unseeing[rule] = sample.instance, _LONG_AGO
            else:
                self._log.drop(_BLIND, sample.instance)


_RAN = "rules that ran"


class KnownRules:
    """Kept for the next run, so that a start tells of standing things only what is news: by rules that are."""

    def __init__(self, log: SampleLog) -> None:
        self._known: set[str] = set()  # by what they are kept as
        self._log = log

    def restore(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Take up what the last run had kept; the samples that aren't of it pass through."""
        for sample in samples:
            if sample.series == _RAN:
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
            self._log.drop(_RAN, gone)
        for new in running:
            if new not in self._known:
                self._log.mark(_RAN, new, now.wall)
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
