"""Recorded events through rules: what would have fired, and what an edit of the rules would add or lose. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tocsin.engine.rule import Rule
from tocsin.events import KINDS, Key
from tocsin.ruletest.player import Firing, Outcome, Player
from tocsin.ruletest.recorded import Faults, Record


@dataclass(frozen=True, slots=True)
class Told:
    """The whole replay, of `count` of the record's units. `lost` fire under the first rules only, `added` under the second
    only; of what fires under both, the second alone tells anybody of the `freed`, the first alone of the `kept_back`. Of what the rules in `unsure` watch the record may hold a part only, `because`.
    """

    count: int
    unit: str
    begun: datetime | None
    ended: datetime | None
    outcomes: tuple[Outcome, ...]
    added: tuple[Firing, ...] = ()
    lost: tuple[Firing, ...] = ()
    freed: tuple[Firing, ...] = ()
    kept_back: tuple[Firing, ...] = ()
    unsure: tuple[str, ...] = ()
    because: str = ""
    faults: Sequence[Faults] = ()


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
        changes = list(moment.changes)
        for player in players:
            player.take(changes, moment.at)
        on_progress(moment.done)
    outcomes = tuple(player.outcome for player in players)
    told = Told(
        total,
        record.unit,
        begun,
        ended,
        outcomes,
        unsure=tuple(_unsure(rule_sets, record)),
        because=record.because,
        faults=record.faults,
    )
    if len(outcomes) < 2:
        return told
    before, after = outcomes
    added, both = _compared(after, before)
    return replace(
        told,
        added=tuple(added),
        lost=tuple(_compared(before, after)[0]),
        freed=tuple(now for now, then in both if now.told and not then.told),
        kept_back=tuple(now for now, then in both if then.told and not now.told),
    )


def _unsure(rule_sets: Sequence[Sequence[Rule]], record: Record) -> Iterable[str]:
    """The rules that run and watch something of which the record may hold a part only."""
    running = (rule for rules in rule_sets for rule in rules if rule.enabled)
    return dict.fromkeys(
        rule.id
        for rule in running
        if record.sparse & (rule.kinds | (rule.sequence.kinds if rule.sequence else frozenset()))
        or (record.unpriced and _reads_prices(rule))
    )


def _reads_prices(rule: Rule) -> bool:
    """Whether it reads what prices move of positions and accounts."""
    conditions = [*rule.conditions, *([rule.sequence.when] if rule.sequence and rule.sequence.when else [])]
    kinds = rule.kinds | (rule.sequence.kinds if rule.sequence else frozenset())
    fields = {name.removeprefix("first.") for condition in conditions for name in condition.fields}
    priced = {name for kind in kinds for name in KINDS[kind].priced}
    priced |= {f"account.{name}" for name in KINDS["account"].priced}
    return not priced.isdisjoint(fields)


def _compared(these: Outcome, those: Outcome) -> tuple[list[Firing], list[tuple[Firing, Firing]]]:
    """The firings without a counterpart, and the others each beside its own; each counterpart counts for one."""
    left: dict[tuple[str, Key], list[Firing]] = {}
    for firing in those.firings:
        left.setdefault((firing.rule, firing.entity), []).append(firing)
    alone, both = [], []
    for firing in these.firings:
        candidates = left.get((firing.rule, firing.entity), [])
        same = next((other for other in candidates if firing.meets(other)), None)
        if same is None:
            alone.append(firing)
        else:
            candidates.remove(same)
            both.append((firing, same))
    return alone, both
