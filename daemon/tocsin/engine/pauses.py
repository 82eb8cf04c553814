"""When a rule's time stands still: outside of its `active` hours, and while its venue's link is down.

Hours go by the wall-clock, which may be set at any time. Once a link is lost, `on_gap: resolve` ends what hangs on it. A link that
is only being made (`connecting`, after a start) is down and not yet lost: a restart resolves nothing.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tocsin.calendars import Calendar
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant
from tocsin.events.vocabulary import OWN_KINDS

OUT_OF_HOURS = "out of hours"
_LONGEST = timedelta(days=1)  # a calendar that never changes is looked at again after so long


@dataclass(slots=True)
class Opening:
    """Whether a calendar is open, known from `since` up to and without `until` (wall-clock)."""

    calendar: Calendar
    open: bool
    since: datetime
    until: datetime

    @classmethod
    def at(cls, calendar: Calendar, wall: datetime) -> "Opening":
        changes = calendar.next_change(wall)
        return cls(calendar, calendar.is_open(wall), wall, changes or wall + _LONGEST)

    def is_known(self, wall: datetime) -> bool:
        return self.since <= wall < self.until


@dataclass(frozen=True, slots=True)
class Turned:
    """A rule's hours began or ended, at that time."""

    rule: Rule
    open: bool
    at: Instant


class ActiveHours:
    """The rules that have hours, and which of them count now. Between two calls of `passed` the answer stays the same."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[Rule, Opening]] = {}
        self._seen: Instant | None = None
        self._since: datetime | None = None
        self._until: datetime | None = None

    def set(self, rules: Iterable[Rule], now: Instant) -> None:
        """These are the rules from now on. What has turned since the last look, of those that mean what they meant, is for
        `passed` to tell.
        """
        known, self._rules = self._rules, {}
        for rule in rules:
            if rule.active is None:
                continue
            was, opening = known.get(rule.id, (None, None))
            if opening is None or was is None or was.fingerprint != rule.fingerprint:
                opening = Opening.at(rule.active, now.wall)
            self._rules[rule.id] = (rule, opening)
        self._note(now)

    def counts(self, rule: Rule) -> bool:
        """Whether the rule's conditions and timers count now."""
        if rule.active is None:
            return True
        known = self._rules.get(rule.id)
        return known is None or known[1].open

    def begins(self, rule: Rule, now: Instant) -> Instant:
        """When the rule's hours begin next; `now` where they have begun."""
        if rule.active is None or self.counts(rule):
            return now
        _, opening = self._rules[rule.id]
        return now.later((opening.until - now.wall).total_seconds())

    def passed(self, now: Instant) -> Iterator[Turned]:
        """The rules whose hours have begun or ended by `now`, in the order in which they did."""
        self._seen = now
        if self._until is None or (self._since or now.wall) <= now.wall < self._until:
            return
        turned = []
        for name, (rule, was) in self._rules.items():
            if was.is_known(now.wall):
                continue
            opening = Opening.at(was.calendar, now.wall)
            self._rules[name] = (rule, opening)
            if opening.open != was.open:
                late = max(0.0, (now.wall - was.until).total_seconds())
                turned.append(Turned(rule, opening.open, now.later(-late)))
        self._note(now)
        yield from sorted(turned, key=lambda each: each.at.steady)

    def deadline(self) -> float | None:
        """The steady time at which hours next begin or end, as the clocks stand."""
        if self._until is None or self._since is None or self._seen is None:
            return None
        if self._seen.wall < self._since:
            return self._seen.steady
        return self._seen.steady + (self._until - self._seen.wall).total_seconds()

    def _note(self, now: Instant) -> None:
        self._seen = now
        self._since = max((opening.since for _, opening in self._rules.values()), default=None)
        self._until = min((opening.until for _, opening in self._rules.values()), default=None)


def has_turned(rule: Rule, since: datetime, now: datetime) -> bool:
    """Whether the rule's hours may have begun in that time (UTC)."""
    if rule.active is None:
        return False
    turns = rule.active.next_change(since)
    return (turns is not None and turns <= now) or rule.active.is_open(since) != rule.active.is_open(now)


# -------------------------------------------------------------------------------------------------------------- links


_LOST = frozenset({"disconnected", "auth_failed", "refused"})
_DOWN = _LOST | {"connecting"}


def is_down(venue: Change) -> bool:
    """Whether nothing can be heard of that venue, as its entity says."""
    return getattr(venue.state, "status", None) in _DOWN


def is_lost(venue: Change) -> bool:
    """Whether its link is known to be lost, as its entity says."""
    return getattr(venue.state, "status", None) in _LOST


def hangs_on_link(rule: Rule) -> bool:
    """Whether a venue's absence concerns the rule: not one that watches venues or the daemon, or reads the venue itself."""
    return rule.kinds.isdisjoint(OWN_KINDS) and "venue" not in rule.links


class LinkTurned(NamedTuple):
    """A venue's link is `down` now, or up. `stays`: it was down before and is now known to be lost, or the other way round."""

    venue: str
    down: bool
    stays: bool


class VenueLinks:
    """The venues that are away."""

    def __init__(self) -> None:
        self._down: set[str] = set()
        self._lost: set[str] = set()  # of those

    def restore(self, venues: Iterable[Change]) -> None:
        """As the venues were last known."""
        known = list(venues)
        self._down = {venue.key.id for venue in known if is_down(venue)}
        self._lost = {venue.key.id for venue in known if is_lost(venue)}

    def forget(self, venue: str) -> None:
        self._down.discard(venue)
        self._lost.discard(venue)

    def is_paused(self, rule: Rule, venue: str) -> bool:
        """Whether the rule's time stands still for that venue."""
        return venue in self._down and hangs_on_link(rule)

    def away(self, rule: Rule, venues: Collection[str] | None) -> list[str]:
        """For which of these venues (None: all that there are) the rule's time stands still."""
        down = sorted(self._down if venues is None else self._down.intersection(venues))
        return down if hangs_on_link(rule) else []

    def resolves(self, rule: Rule, venue: str) -> bool:
        """Whether the rule has nothing to say of that venue until it is back."""
        return rule.on_gap == "resolve" and venue in self._lost and hangs_on_link(rule)

    def pauses(self, change: Change) -> bool:
        """Whether time stands still for that entity."""
        return change.venue in self._down and change.kind not in OWN_KINDS

    def turns(self, venue: Change) -> bool:
        """Whether the link goes down, is lost or comes up with this change."""
        name = venue.key.id
        return is_down(venue) != (name in self._down) or is_lost(venue) != (name in self._lost)

    def turn(self, venue: Change) -> LinkTurned:
        """It does."""
        name, down, lost = venue.key.id, is_down(venue), is_lost(venue)
        was_down = name in self._down
        (self._down.add if down else self._down.discard)(name)
        (self._lost.add if lost else self._lost.discard)(name)
        return LinkTurned(name, down, stays=down and was_down)
