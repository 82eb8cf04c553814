"""Venues' links: while one is down, time stands still for what hangs on it."""

from tocsin.engine.rule import Rule
from tocsin.events import Change

_DOWN = frozenset({"connecting", "disconnected", "auth_failed", "refused"})
UNHELD = frozenset({"venue", "daemon"})
"""The kinds that time goes on for."""


def is_down(venue: Change) -> bool:
    """Whether nothing can be heard of that venue, as its entity says."""
    return getattr(venue.state, "status", None) in _DOWN


def hangs_on_link(rule: Rule) -> bool:
    """Whether a venue's absence concerns the rule: not one that watches venues or the daemon."""
    return not rule.kinds & UNHELD
