"""Venues' links: while one is down, time stands still for what hangs on it; once it is lost, `on_gap: resolve` ends it.

A link that is only being made (`connecting`, after a start) is down and not yet lost: a restart resolves nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tocsin.engine.rule import Rule
from tocsin.events import Change

_LOST = frozenset({"disconnected", "auth_failed", "refused"})
_DOWN = _LOST | {"connecting"}
_UNHELD = frozenset({"venue", "daemon"})


def is_down(venue: Change) -> bool:
    """Whether nothing can be heard of that venue, as its entity says."""
    return getattr(venue.state, "status", None) in _DOWN


def is_lost(venue: Change) -> bool:
    """Whether its link is known to be lost, as its entity says."""
    return getattr(venue.state, "status", None) in _LOST


def hangs_on_link(rule: Rule) -> bool:
    """Whether a venue's absence concerns the rule: not one that watches venues or the daemon."""
    return not rule.kinds & _UNHELD


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

    def resolves(self, rule: Rule, venue: str) -> bool:
        """Whether the rule has nothing to say of that venue until it is back."""
        return rule.on_gap == "resolve" and venue in self._lost and hangs_on_link(rule)

    def pauses(self, change: Change) -> bool:
        """Whether time stands still for that entity."""
        return change.venue in self._down and change.kind not in _UNHELD

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
