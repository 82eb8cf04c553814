"""When each entity is to be judged again by each rule on time: worked out when it is judged, so that what can't turn yet
costs nothing.
"""

from collections.abc import Iterable

from tocsin.engine.rule import Rule
from tocsin.engine.timers import Timers
from tocsin.events import Change, Instant, Key

_ROUNDING = 1e-6  # seconds: a sum of floats may fall this short of the time that a timer was set to


class Turns:
    """Of rules on entities; a group is looked at each second."""

    def __init__(self) -> None:
        self._timers = Timers()
        self._of: dict[str, tuple[str, Key]] = {}  # whom a timer wakes: rule and entity

    def note(self, rule: Rule, key: str, change: Change, now: Instant) -> None:
        """The entity was judged, by the key of its instance: when the passing of time may next matter."""
        owner = f"{rule.id}\0{key}"
        after = None
        if not change.ended:
            turns = (condition.turn(change, now.wall) for condition in rule.conditions if condition.turn)
            after = min((turn for turn in turns if turn is not None), default=None)
        if after is None:
            self._timers.set(owner, None)
            self._of.pop(owner, None)
        else:
            self._timers.set(owner, now.steady + after.total_seconds())
            self._of[owner] = (rule.id, change.key)

    def due(self, now: Instant) -> Iterable[tuple[str, Key]]:
        """The rules and entities whose time has come, each once; what is not noted anew is left alone from then on."""
        found = []
        while (owner := self._timers.pop_due(now.steady + _ROUNDING)) is not None:
            found.append(self._of.pop(owner))
        return found

    def next(self) -> float | None:
        """The steady time of the first of them."""
        return self._timers.next()
