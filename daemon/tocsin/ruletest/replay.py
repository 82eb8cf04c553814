"""Recorded events through rules: what would have fired, and what an edit of the rules would add or lose. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from tocsin.alerts.message import Names, default_title
from tocsin.engine.engine import Engine
from tocsin.engine.model import Transition, World
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key
from tocsin.ruletest.recorded import Faults, Record


@dataclass(slots=True)
class Firing:
    """One alert. `until` is None while it lasts; what happened once ends as it begins."""

    rule: str
    entity: Key
    at: datetime
    until: datetime | None
    title: str
    held_back: int = 0  # events that a cooldown held back, and that are told with this one

    def meets(self, other: "Firing") -> bool:
        """Whether the two are the same alert, under rules that differ."""
        if (self.rule, self.entity) != (other.rule, other.entity):
            return False
        begins = self.until is None or other.at <= self.until
        return begins and (other.until is None or self.at <= other.until)


@dataclass(slots=True)
class Outcome:
    """What a set of rules made of the record."""

    rules: Sequence[Rule]
    firings: list[Firing] = field(default_factory=list)

    def of(self, rule: str) -> list[Firing]:
        return [firing for firing in self.firings if firing.rule == rule]


@dataclass(frozen=True, slots=True)
class Told:
    """The whole replay, of `count` of the record's units. `lost` fire under the first rules only, `added` under the second
    only. Of what the rules in `unsure` watch the record may hold a part only, `because`.
    """

    count: int
    unit: str
    begun: datetime | None
    ended: datetime | None
    outcomes: tuple[Outcome, ...]
    added: tuple[Firing, ...] = ()
    lost: tuple[Firing, ...] = ()
    unsure: tuple[str, ...] = ()
    because: str = ""
    faults: Sequence[Faults] = ()


class Player:
    """One set of rules, following a record."""

    def __init__(self, rules: Sequence[Rule], world: World) -> None:
        ids = count(1)
        self.outcome = Outcome(rules)
        self._engine = Engine(rules, world, lambda: str(next(ids)))
        self._lasting: dict[str, Firing] = {}

    def begin(self, now: Instant) -> None:
        """The record begins: until then nothing was, and no hours passed."""
        self._engine.restore((), None, now)

    def until(self, now: Instant) -> None:
        """Every timer that comes due before what happens next, each at its time."""
        while (due := self._engine.deadline()) is not None and due <= now.steady:
            before = due
            self._take(self._engine.advance(now.later(due - now.steady)))
            if self._engine.deadline() == before:
                break

    def take(self, change: Change, now: Instant) -> None:
        self._take(self._engine.process(change, now))

    def _take(self, transitions: Iterable[Transition]) -> None:
        self._engine.remembered()  # for another run: there is none
        for transition in transitions:
            context = transition.context
            if context is None:
                continue
            if transition.tell == "firing":
                lasting = transition.state != "inactive"
                until = None if lasting else context.at
                firing = Firing(
                    transition.rule,
                    transition.entity,
                    context.at,
                    until,
                    default_title(context, Names()),
                    context.suppressed,
                )
                self.outcome.firings.append(firing)
                if lasting:
                    self._lasting[transition.alert_id] = firing
            elif transition.tell == "resolved" and (known := self._lasting.pop(transition.alert_id, None)):
                known.until = context.at


def replay(record: Record, rule_sets: Sequence[Sequence[Rule]], on_progress: Callable[[int], None]) -> Told:
    """All of the record through each set of rules; of two, how they differ. `on_progress` hears of `Moment.done`."""
    players = [Player(rules, record.world) for rules in rule_sets]
    total, begun, ended = 0, None, None
    for moment in record.moments():
        total += moment.count
        if begun is None:
            begun = moment.at.wall
            for player in players:
                player.begin(moment.at)
        ended = moment.at.wall
        for player in players:
            player.until(moment.at)
        for change in moment.changes:
            for player in players:
                player.take(change, moment.at)
        on_progress(moment.done)
    outcomes = tuple(player.outcome for player in players)
    told = Told(
        total,
        record.unit,
        begun,
        ended,
        outcomes,
        unsure=tuple(_unsure(rule_sets, record.sparse)),
        because=record.because,
        faults=record.faults,
    )
    if len(outcomes) < 2:
        return told
    before, after = outcomes
    return replace(told, added=_only_in(after, before), lost=_only_in(before, after))


def _unsure(rule_sets: Sequence[Sequence[Rule]], sparse: frozenset[str]) -> Iterable[str]:
    """The rules that run and watch something of which the record may hold a part only."""
    running = (rule for rules in rule_sets for rule in rules if rule.enabled)
    return dict.fromkeys(
        rule.id
        for rule in running
        if sparse & (rule.kinds | (rule.sequel.kinds if rule.sequel else frozenset()))
    )


def _only_in(these: Outcome, those: Outcome) -> tuple[Firing, ...]:
    """The firings without a counterpart; each counterpart counts for one."""
    left: dict[tuple[str, Key], list[Firing]] = {}
    for firing in those.firings:
        left.setdefault((firing.rule, firing.entity), []).append(firing)
    found = []
    for firing in these.firings:
        candidates = left.get((firing.rule, firing.entity), [])
        same = next((other for other in candidates if firing.meets(other)), None)
        if same is None:
            found.append(firing)
        else:
            candidates.remove(same)
    return tuple(found)
