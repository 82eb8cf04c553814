"""Telling the same complaint rarely: the first at once, then at most one in a while, with a count of the others."""

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Told:
    since: float
    told: int = 1
    held: int = 0


class Flood:
    """Decides what to tell. Times are in seconds, of any steady clock.

    Up to `burst` of a kind are told in one span of `every` seconds; the others are counted. At most `kinds` kinds are
    told apart; the ones beyond share one count.
    """

    def __init__(self, every: float, *, burst: int = 1, kinds: int = 100) -> None:
        self._every, self._burst, self._kinds = every, burst, kinds
        self._spans: dict[Hashable, _Told] = {}

    def admit(self, kind: Hashable, now: float) -> int | None:
        """How many were held back since the last one told, if this one may be told now; else None: it was counted."""
        if kind not in self._spans and len(self._spans) >= self._kinds:
            kind = None
        span = self._spans.get(kind)
        if span is None:
            self._spans[kind] = _Told(now)
            return 0
        if now - span.since >= self._every:
            held = span.held
            self._spans[kind] = _Told(now)
            return held
        if span.told < self._burst:
            span.told += 1
            return 0
        span.held += 1
        return None

    def overdue(self, now: float) -> list[tuple[Hashable, int]]:
        """What was held back in spans that are over, to be told now; spans without any are forgotten."""
        over = [(kind, span.held) for kind, span in self._spans.items() if now - span.since >= self._every]
        for kind, held in over:
            if held:
                self._spans[kind] = _Told(now, self._burst)
            else:
                del self._spans[kind]
        return [(kind, held) for kind, held in over if held]
