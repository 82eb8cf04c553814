"""The gatherer of one URL of a channel: what may go now, what waits and why, and when what waits goes as one.

It has one number, its interval: nothing, the channel's `digest`, or a minute while there is a storm. What it knows is read
from the outbox when it begins, but for the storm itself, which is a note.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Literal

import msgspec
from msgspec import Struct

from tocsin.alerts.channel_gates import STORM_INTERVAL, ChannelGates, ChannelState, Gate, gate
from tocsin.alerts.digest import Held
from tocsin.delivery.edits import awaits_press
from tocsin.delivery.timing import RunClock
from tocsin.store.model import EDIT, GATHERED, QUESTION, Arrival, Delivery, Recent

STORM = "storm "  # the beginning of a note's key; channel/target follows
LOOK_BACK = timedelta(minutes=2)  # of which minutes a storm's end is judged
_MINUTE = 60.0
_STORM_LOOK = 5.0  # seconds; how often a storm's end is looked for
PACE_PATIENCE, CRITICAL_PATIENCE = 5.0, 30.0  # seconds that a message waits for the pace by itself
_MOST_RULES = 200  # of a storm, that are kept by name


def reason_text(found: Gate) -> str:
    """`quiet: the channel is quiet until …`; "" where nothing holds it."""
    return f"{found.by}: {found.reason}" if found.by else ""


class Storm(Struct):
    """Since when (UTC), how many alerts came in it, and of which rules; `counted`: those that came until then."""

    since: datetime
    counted: datetime
    alerts: int = 0
    rules: list[str] = []

    def add(self, rules: Sequence[str]) -> None:
        """Alerts that came, by their rules."""
        self.alerts += len(rules)
        self.rules = sorted({*self.rules, *rules})[:_MOST_RULES]


class Choice(Struct, frozen=True, kw_only=True):
    """What may go by itself, the most urgent first; what is to be gathered now, if anything; and when to look again at the latest.

    `critical`: whether critical alerts are gathered, others, or both. `wait`: seconds.
    """

    candidates: tuple[Delivery, ...] = ()
    form: Held | None = None
    critical: tuple[bool, ...] = (False,)
    wait: float = _MINUTE

    @property
    def is_first_prompt(self) -> bool:
        """Whether a message that is told by itself goes before what is gathered; an edit doesn't."""
        first = next(iter(self.candidates), None)
        if first is None or not first.is_prompt:
            return False
        return first.state_told != EDIT or awaits_press(first)


_when = itemgetter(0)


def _urgency(each: Delivery) -> tuple[bool, bool, bool, datetime, bool]:
    """What somebody waits for who has pressed first, other edits last; critical ones first, then by age. What is asked about an alert
    comes after the alert.
    """
    return (
        not awaits_press(each),
        each.state_told == EDIT,
        each.severity != "critical",
        each.created_at,
        each.state_told == QUESTION,
    )


class Gatherer:
    """`note` keeps the storm under a key, `kept` is what was kept under it. All times within are steady seconds of `time`."""

    def __init__(
        self,
        gates: ChannelGates,
        time: RunClock,
        *,
        note: Callable[[str | None], None],
        kept: str | None,
    ) -> None:
        self._gates, self._time, self._note = gates, time, note
        self._arrivals: list[tuple[float, str]] = []  # when, of which rule: of the last two minutes, sorted
        self._seen: frozenset[str] = frozenset()
        self._critical: deque[float] = deque()
        self._last_digest = float("-inf")
        self.storm: Storm | None = None
        if kept is not None:
            try:
                self.storm = msgspec.json.decode(kept, type=Storm)
            except ValueError:
                note(None)  # it begins anew

    # ---------------------------------------------------------------------------------------------------- what happens

    def restore(self, recent: Recent) -> None:
        """What came and went shortly before."""
        self._add(recent.arrived)
        self._seen = frozenset(each.id for each in recent.arrived)
        if self.storm is not None:
            self.storm.add([each.rule for each in recent.arrived if each.at > self.storm.counted])
        self._critical.extend(self._steady(at) for at in recent.critical_at)
        if recent.digest_at is not None:
            self._last_digest = self._steady(recent.digest_at)

    def arrived(self, arrivals: Sequence[Arrival]) -> Literal["begun", "over"] | None:
        """Firings that came; whether a storm begins or is over by now."""
        new = [each for each in arrivals if each.id not in self._seen]
        self._seen = frozenset()  # those that `recent` had, too, are the first that arrive
        self._add(new)
        now = self._time.steady()
        self._forget(now)
        if self._gates.storm is None:
            return "over" if self.storm is not None else None
        if self.storm is not None:
            self.storm.add([each.rule for each in new])
            return "over" if self._is_over(now, self.storm) else None
        if self._count(now - _MINUTE, now) > self._gates.storm:
            return "begun"
        return None

    def begin_storm(self) -> None:
        now = self._time.steady()
        made_it = self._arrivals[bisect_right(self._arrivals, now - _MINUTE, key=_when) :]
        self.storm = Storm(self._time.now().wall, self._time.now().wall)
        self.storm.add([rule for _, rule in made_it])
        self._last_digest = float("-inf")
        self._keep()

    def end_storm(self) -> None:
        self.storm = None
        self._keep()

    def sent_critical(self) -> None:
        """A critical firing went out by itself."""
        self._critical.append(self._time.steady())

    def formed(self, *, whole: bool) -> None:
        """A digest of the storm was formed; not `whole`: what had no room goes with another at once."""
        self._last_digest = self._time.steady() if whole else float("-inf")
        self._keep()

    def _keep(self) -> None:
        if self.storm is not None:
            self.storm.counted = self._time.now().wall
        self._note(None if self.storm is None else msgspec.json.encode(self.storm).decode())

    # ------------------------------------------------------------------------------------------------------- what goes

    def state(self) -> ChannelState:
        """As the gates see it now."""
        now = self._time.now()
        while self._critical and self._critical[0] <= now.steady - _MINUTE:
            self._critical.popleft()
        return ChannelState(
            gates=self._gates,
            now=now.wall,
            in_storm=self.storm is not None,
            critical_sent=len(self._critical),
        )

    def gate(self, told: str, severity: str) -> Gate:
        """What holds what is told of a severity now."""
        return gate(told, severity, self.state())

    def choose(
        self, prompt: Sequence[Delivery], others: Sequence[Delivery], paced_since: float | None
    ) -> Choice:
        """What to do next with the heads that are due, those that are prompt and the others, oldest first. What was handed over to
        the channel as a fallback passes by quiet hours and digest.

        `paced_since`: since when nothing but the pace keeps what is open from being sent; None where there is no pace.
        """
        state = self.state()
        passing = replace(state, gates=replace(self._gates, quiet=None, digest=timedelta(0)))
        opened = [
            (each, gate(each.state_told, each.severity, passing if each.is_handed else state))
            for each in (*prompt, *others)
        ]
        candidates = [each for each, found in opened if found.outcome == "open"]
        candidates.sort(key=_urgency)
        held = [(each, found.by) for each, found in opened if found.outcome != "open"]
        form, wait = self._held(held) if held else (None, _MINUTE)
        critical: tuple[bool, ...] = (
            (True, False) if form == "storm" and not self.is_quiet else (form == "storm",)
        )
        if form is None and candidates:
            form, critical = self._gathered_anyway(candidates, paced_since)
        if self.storm is not None:
            wait = min(wait, _STORM_LOOK)
        return Choice(candidates=tuple(candidates), form=form, critical=critical, wait=wait)

    @property
    def is_quiet(self) -> bool:
        return self._gates.is_quiet(self._time.now().wall)

    def _held(self, held: Sequence[tuple[Delivery, str]]) -> tuple[Held | None, float]:
        """Whether what is held is to be gathered now, and how long until that is asked again."""
        now, by = self._time.steady(), {by for _, by in held}
        kind: Held
        if "storm" in by:
            kind, left = "storm", self._last_digest + STORM_INTERVAL.total_seconds() - now
        elif "digest" in by:
            oldest = next(each for each, by in held if by == "digest").created_at
            kind = "quiet" if self._gates.is_quiet(oldest) else "digest"
            left = (self._gates.digest - self._time.age(oldest)).total_seconds()
        else:
            wall = self._time.now().wall
            ends = self._gates.quiet.next_change(wall) if self._gates.quiet else None
            return None, (ends - wall).total_seconds() if ends else _MINUTE
        return (kind, _MINUTE) if left <= 0 else (None, left)

    def _gathered_anyway(
        self, candidates: Sequence[Delivery], paced_since: float | None
    ) -> tuple[Held | None, tuple[bool, ...]]:
        """Whether what nothing holds any more is gathered: the quiet is over, or the pace keeps it too long."""
        critical = [
            each for each in candidates if each.severity == "critical" and each.state_told in GATHERED
        ]
        # What is gathered is all that waits; what passes by quiet hours and digest may not take what they hold along.
        holds = self.is_quiet or bool(self._gates.digest)
        others = [each for each in candidates if not each.is_prompt and not (holds and each.is_handed)]
        if others and self._gates.is_quiet(others[0].created_at):
            return "quiet", (False,)
        if paced_since is not None:
            for found, patience in ((critical, CRITICAL_PATIENCE), (others, PACE_PATIENCE)):
                if len(found) > 1 and self._waited(found[0], paced_since) > patience:
                    return "pace", (found is critical,)
        return None, (False,)

    def _waited(self, delivery: Delivery, since: float) -> float:
        age = self._time.age(delivery.created_at).total_seconds()
        return min(age, self._time.steady() - since)

    # --------------------------------------------------------------------------------------------------------- storms

    def _add(self, arrivals: Sequence[Arrival]) -> None:
        self._arrivals += [(self._steady(each.at), each.rule) for each in arrivals]
        self._arrivals.sort()

    def _forget(self, now: float) -> None:
        del self._arrivals[: bisect_right(self._arrivals, now - LOOK_BACK.total_seconds(), key=_when)]

    def _count(self, after: float, until: float) -> int:
        first, last = (bisect_right(self._arrivals, at, key=_when) for at in (after, until))
        return last - first

    def _is_over(self, now: float, storm: Storm) -> bool:
        if self._time.age(storm.since) < LOOK_BACK or self._gates.storm is None:
            return False
        minutes = (self._count(now - _MINUTE, now), self._count(now - 2 * _MINUTE, now - _MINUTE))
        return all(2 * count < self._gates.storm for count in minutes)

    def _steady(self, at: datetime) -> float:
        """When it was, of the run's steady clock; before the run it is less."""
        return self._time.steady() - self._time.age(at).total_seconds()
