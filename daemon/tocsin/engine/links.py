"""Venues' links: while one is down, time stands still for what hangs on it."""

from collections.abc import Callable, Iterable, Iterator

from tocsin.engine.awaiting import Awaiting
from tocsin.engine.instance import Instance
from tocsin.engine.lives import Life, Lives
from tocsin.engine.model import Transition
from tocsin.engine.rule import Rule
from tocsin.engine.states import Step
from tocsin.engine.transitions import transition
from tocsin.events import Change, Instant

_DOWN = frozenset({"connecting", "disconnected", "auth_failed", "refused"})
_UNHELD = frozenset({"venue", "daemon"})
End = Callable[[Life, Instant, str], Iterable[Transition]]


def is_down(venue: Change) -> bool:
    """Whether nothing can be heard of that venue, as its entity says."""
    return getattr(venue.state, "status", None) in _DOWN


def hangs_on_link(rule: Rule) -> bool:
    """Whether a venue's absence concerns the rule: not one that watches venues or the daemon."""
    return not rule.kinds & _UNHELD


class Links:
    """The venues that are away."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives
        self._down: set[str] = set()

    def restore(self, venues: Iterable[Change]) -> None:
        """As the venues were last known."""
        self._down = {venue.key.id for venue in venues if is_down(venue)}

    def forget(self, venue: str) -> None:
        self._down.discard(venue)

    def hold(self, rule: Rule, venue: str) -> bool:
        """Whether the rule's time stands still for that venue."""
        return venue in self._down and hangs_on_link(rule)

    def stops(self, change: Change) -> bool:
        """Whether time stands still for that entity."""
        return change.venue in self._down and change.kind not in _UNHELD

    def turns(self, venue: Change) -> bool:
        """Whether the link goes down or comes up with this change."""
        return is_down(venue) != (venue.key.id in self._down)

    def turned(self, venue: Change, now: Instant, end: End) -> Iterator[Transition]:
        """The link has turned: the timers of what hangs on it stop, or go on. `end` ends what isn't to be held."""
        name, down = venue.key.id, is_down(venue)
        (self._down.add if down else self._down.discard)(name)
        for life in self._lives:
            if life.entity.venue != name or not hangs_on_link(life.rule):
                continue
            if isinstance(life, Instance):
                if down and life.rule.on_gap == "resolve" and life.state != "inactive":
                    yield from end(life, now, "venue lost")
                    continue
                if life.state not in ("pending", "recovering"):
                    continue
            elif not isinstance(life, Awaiting):
                continue
            (life.freeze if down else life.thaw)(now)
            self._lives.keep(life)
            yield transition(life, Step(trace="venue away" if down else "venue back"), now)
