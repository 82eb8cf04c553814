"""Recorded events through rules and channels: what would have fired and been told, and what an edit of the rules would add or lose."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

from tocsin.clock import ManualClock
from tocsin.engine.rule import Rule
from tocsin.events import KINDS, Change, Instant
from tocsin.events.links import LINKS, holder_of
from tocsin.replay.channels import Channels
from tocsin.replay.pairing import paired
from tocsin.replay.player import NO_CHANNELS, Firing, KnownChannels, Outcome, Player, Start
from tocsin.replay.records import Acknowledged, Faults, Record, Silenced
from tocsin.replay.runs import NO_ACTIONS, KnownActions

_LONGEST_HELD = 3 * 86400.0  # seconds after the record's end


@dataclass(frozen=True, slots=True)
class Told:
    """The whole replay by these `channels` of the config, of `count` of the record's units. `lost` fire under the
    first rules only, `added` under the second only, `both` under each (under the second, under the first); of those the
    second alone tells anybody of the `freed`, the first alone of the `kept_back`. Of what the rules in `unsure` watch the
    record may hold a part only, `because`.
    """

    count: int
    unit: str
    begun: datetime | None
    ended: datetime | None
    outcomes: tuple[Outcome, ...]
    added: tuple[Firing, ...] = ()
    lost: tuple[Firing, ...] = ()
    both: tuple[tuple[Firing, Firing], ...] = ()
    freed: tuple[Firing, ...] = ()
    kept_back: tuple[Firing, ...] = ()
    unsure: tuple[str, ...] = ()
    because: str = ""
    faults: Sequence[Faults] = ()
    channels: tuple[str, ...] = ()  # those of the config


def replay(
    record: Record,
    rule_sets: Sequence[Sequence[Rule]],
    on_progress: Callable[[int], None],
    known: KnownChannels = NO_CHANNELS,
    actions: KnownActions = NO_ACTIONS,
) -> Told:
    """All of the record through each set of rules; of two, how they differ. `known` are the channels that there are: of others each
    takes all that it is to tell; `actions` the actions, of which none is run. `on_progress` hears of `Moment.done`. Blocks, and runs trio.
    """
    clock = ManualClock()

    def player(rules: Sequence[Rule], start: Start) -> Player:
        return Player(rules, record.world, known, start, actions)

    total, begun, ended, outcomes = trio.run(
        partial(_played, record, rule_sets, on_progress, player, clock), clock=clock
    )
    told = Told(
        total,
        record.unit,
        begun,
        ended,
        outcomes,
        unsure=tuple(_unsure(rule_sets, record)),
        because=record.because,
        faults=record.faults,
        channels=tuple(known.channels),
    )
    if len(outcomes) < 2:
        return told
    pairs = paired(*(outcome.firings for outcome in outcomes))
    return replace(
        told,
        added=tuple(pairs.added),
        lost=tuple(pairs.lost),
        both=tuple(pairs.both),
        freed=tuple(now for now, then in pairs.both if now.told and not then.told),
        kept_back=tuple(now for now, then in pairs.both if then.told and not now.told),
    )


async def _played(
    record: Record,
    rule_sets: Sequence[Sequence[Rule]],
    on_progress: Callable[[int], None],
    player: Callable[[Sequence[Rule], Start], Player],
    clock: ManualClock,
) -> tuple[int, datetime | None, datetime | None, tuple[Outcome, ...]]:
    total, begun, ended = 0, None, None
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        players = [
            player(rules, lambda stand_ins: Channels(stand_ins, clock, nursery)) for rules in rule_sets
        ]
        game = _Game(players, clock)
        try:
            for moment in record.moments():
                total += moment.count
                if begun is None:
                    begun = moment.at.wall
                    game.begin(moment.at)
                ended = moment.at.wall
                await game.until(moment.at)
                if moment.act is not None:
                    await game.do(moment.act, moment.at)
                else:
                    await game.take(list(moment.changes), moment.at)
                on_progress(moment.done)
            await game.finish()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below, by itself
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return total, begun, ended, tuple(player.outcome for player in players)


class _Game:
    """Several players on one clock."""

    def __init__(self, players: Sequence[Player], clock: ManualClock) -> None:
        self._players, self._clock = players, clock

    def begin(self, now: Instant) -> None:
        self._set(now)
        for player in self._players:
            player.begin(now)

    async def until(self, now: Instant) -> None:
        """Every timer that comes due before what happens next, every hour that opens and all that channels do, each at its time."""
        stuck: set[int] = set()
        while (due := self._due(stuck)) <= now.steady:
            at = now.later(due - now.steady)
            self._set(at)
            for number, player in enumerate(self._players):
                if (timer := player.deadline()) is not None and timer <= due and number not in stuck:
                    player.take((), at)
                    if player.deadline() == timer:
                        stuck.add(number)
            await self._settle(at)
        self._set(now)

    async def take(self, changes: Sequence[Change], now: Instant) -> None:
        """What came at once."""
        for player in self._players:
            player.take(changes, now)
        if not all(player.is_idle for player in self._players):
            await self._settle(now)

    async def finish(self) -> None:
        """What channels still hold goes out when its time comes, within three days; for rules the time doesn't go on."""
        begun = self._clock.now()
        while not all(player.is_idle for player in self._players):
            passed = self._clock.next_wake() - begun.steady
            if passed > _LONGEST_HELD:
                break
            self._set(begun.later(passed))
            await self._settle(self._clock.now())
        for player in self._players:
            player.finish()

    async def do(self, act: Silenced | Acknowledged, now: Instant) -> None:
        for player in self._players:
            player.do(act, now)
        await self._settle(now)

    def _due(self, stuck: Container[int]) -> float:
        timers = (player.deadline() for number, player in enumerate(self._players) if number not in stuck)
        due = min((timer for timer in timers if timer is not None), default=float("inf"))
        is_idle = all(player.is_idle for player in self._players)
        return due if is_idle else min(due, self._clock.next_wake())

    def _set(self, now: Instant) -> None:
        self._clock.set(now.steady)
        self._clock.set_wall(now.wall)

    async def _settle(self, now: Instant) -> None:
        more = True
        while more:
            await wait_all_tasks_blocked()
            found = [player.settled(now) for player in self._players]
            more = any(found)


def _unsure(rule_sets: Sequence[Sequence[Rule]], record: Record) -> Iterable[str]:
    """The rules that run and watch something of which the record may hold a part only."""
    running = (rule for rules in rule_sets for rule in rules if rule.enabled)
    return dict.fromkeys(
        rule.id
        for rule in running
        if record.sparse & kinds_read(rule) or (record.unpriced and _reads_prices(rule))
    )


def _fields(rule: Rule) -> frozenset[str]:
    """What its conditions read, of whichever event of a sequence."""
    conditions = [*rule.conditions, *([rule.sequence.when] if rule.sequence and rule.sequence.when else [])]
    return frozenset(name.removeprefix("first.") for condition in conditions for name in condition.fields)


def _kinds(rule: Rule) -> frozenset[str]:
    """What it watches."""
    return rule.kinds | (rule.sequence.kinds if rule.sequence else frozenset())


def kinds_read(rule: Rule) -> frozenset[str]:
    """What it watches, and what it reads through a link of that."""
    return _kinds(rule) | rule.links | {holder for name in _fields(rule) if (holder := holder_of(name))}


def _reads_prices(rule: Rule) -> bool:
    """Whether it reads what prices move of positions and accounts."""
    priced = {name for kind in _kinds(rule) for name in KINDS[kind].priced}
    priced |= {f"{link}.{name}" for link in LINKS for name in KINDS[link].priced}
    return not priced.isdisjoint(_fields(rule))
