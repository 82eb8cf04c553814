"""How it stands with one rule, for who looks at it: all that it is about, what is nearest first, and what would hold its messages back."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import trio

from tocsin.alerts.decide import MuteReasons
from tocsin.alerts.silences import matchable, words_of
from tocsin.app.components import Components
from tocsin.app.watching import watched_of
from tocsin.config.settings import Settings
from tocsin.control.snapshot import Snapshot, Watched, WatchedRule
from tocsin.engine.api import FAR, AlertContext
from tocsin.engine.looks import Look, Standing, Watching, of_entity
from tocsin.engine.rule import Rule
from tocsin.engine.trace import urgency
from tocsin.events import Instant, Key
from tocsin.explain.barriers import with_its_own

_AT_ONCE = 20  # that are looked at before messages have their turn
_LASTS = 1.0  # seconds that what was seen of a rule is good for, at least
_SHARE = 20  # of the time, one part in so many is spent on looking at rules
_MOST_RULES = 20  # of which what was seen is kept


class RuleViews:
    """`snapshot` gives what is so now."""

    def __init__(self, components: Components, snapshot: Callable[[], Snapshot]) -> None:
        self._components, self._snapshot = components, snapshot
        self._kept: dict[str, tuple[Rule, int, float, WatchedRule]] = {}
        self._looking = trio.Lock()

    @property
    def settings(self) -> Settings:
        """The config that runs."""
        return self._components.settings

    def mute_reasons(self, rule: Rule, about: Watched | None) -> MuteReasons:
        """What would hold a message of the rule back now, wherever it goes: one about that, or (None) any."""
        now = self._components.clock.now()
        reasons = self._components.turn.notifier.mute_reasons(rule.id, _context(rule, about, now), now)
        if about is None:  # of which no field is known that a silence may match
            silences = self._components.acts.silences().of_rule(rule, now.wall)
            reasons = replace(
                reasons, silence=next((words_of(each) for each, whole in silences if whole), "")
            )
        return with_its_own(rule, reasons, now.wall)

    def holds(self, channel: str, told: str, severity: str) -> str:
        """What on a channel holds what is told of a severity now, in words; "" for nothing."""
        return self._components.holds(channel, told, severity)

    async def watched(self, rule: str, most: int) -> WatchedRule:
        """What a rule that runs is about, as it was seconds ago at most, since when nobody did anything; where that is much, or alerting needs
        all of the time, longer.
        """
        running = self._components.engine.rule(rule)
        if running is None:
            return WatchedRule((), 0)
        async with self._looking:
            begun, acts = trio.current_time(), self._components.journal.changes["acts"]
            of, done, until, found = self._kept.get(rule, (None, 0, 0.0, WatchedRule((), 0)))
            if (
                of is not running
                or done != acts
                or begun > until
                or len(found.first) < min(most, found.total)
            ):
                found = await self._look(running, most)
                took = trio.current_time() - begun
                self._kept.pop(rule, None)
                while len(self._kept) >= _MOST_RULES:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[rule] = running, acts, begun + max(_LASTS, _SHARE * took), found
            return WatchedRule(found.first[:most], found.total)

    async def _look(self, rule: Rule, most: int) -> WatchedRule:
        snapshot, now = self._snapshot(), self._components.clock.now()
        alive = {each.instance: each for each in snapshot.alerts if each.rule == rule.id}
        if not rule.is_level:
            return WatchedRule(tuple(alive.values())[:most], len(alive))
        engine, found = self._components.engine, list[tuple[Watching, Standing | None, Look | None]]()
        for count, at in enumerate(self._all(rule, now)):
            if count % _AT_ONCE == _AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
                if engine.rule(rule.id) is not rule:  # reloaded
                    break
            standing, look = engine.looks.standing(rule.id, at.instance, now), engine.looks.look(at, now)
            if look is not None or at.instance in alive:
                found.append((at, standing, look))
        found.sort(key=_nearest)
        first: list[Watched] = []
        for at, standing, look in found[:most]:
            lives = alive.get(at.instance)
            first.append(lives or watched_of(at, standing=standing, look=look, now=now, away=snapshot.away))
            if len(first) % _AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return WatchedRule(tuple(first), len(found))

    def _all(self, rule: Rule, now: Instant) -> Iterable[Watching]:
        if rule.is_group:
            return self._components.engine.looks.groups(rule, now)
        entities = self._components.entities
        return [
            of_entity(rule, change) for kind in sorted(rule.kinds) for change in entities.in_order.of(kind)
        ]


def _nearest(found: tuple[Watching, Standing | None, Look | None]) -> tuple[int, float, float, float]:
    """What fires first, then what is pending, the first to fire first, then what is nearest to its limit."""
    _, standing, look = found
    state = standing.state if standing is not None else "inactive"
    timer = standing.timer if standing is not None and state == "pending" else None
    fires_in = timer.lasts - timer.passed if timer is not None and timer.runs else FAR
    return urgency(state), fires_in, *(look.gap.order if look is not None else (FAR, FAR))


def _context(rule: Rule, about: Watched | None, now: Instant) -> AlertContext:
    """As much of it as what holds messages back looks at."""
    key = about.key if about is not None else Key("", min(rule.kinds, default=""), "", "")
    symbol = about.symbol if about is not None else None
    return matchable(rule.id, rule.severity, key, now.wall, account=key.account or None, symbol=symbol)
