"""How long one URL of a channel is left alone after a failure, and each message until its next try."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tocsin.delivery.model import Outcome
from tocsin.events import iso

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0  # seconds
LONGEST_EDIT_RETRY = 60.0  # seconds
PERMANENT_RETRY = 600.0  # seconds; a refusal is tried again that slowly: tokens get renewed, chats made


def backoff(tries: int, jitter: float) -> float:
    """Seconds to wait after that many failures: 1, doubling to five minutes, times `jitter` (0 to 1)."""
    longest = min(FIRST_RETRY * 2.0 ** min(tries - 1, 16), LONGEST_RETRY)
    return max(longest * jitter, 0.1)


def next_try(row: Mapping[str, Any], now: datetime, rest: float = 0.0) -> str | None:
    """When a message that waits (a row of `Reader.deliveries`) is tried next (ISO 8601): never in the past. `rest`: for how many seconds its
    service is left alone (`Backoff.left`). None where that isn't known, or nothing keeps it.
    """
    if row["status"] != "pending":
        return None
    own = str(row["next_at"]) if row["attempts"] else ""
    held = row["digest"] is not None or row["reason"]
    at = max(own, iso(now + timedelta(seconds=rest)) if rest > 0 and not held else "")
    return at if at > iso(now) else None


class Backoff:
    """`steady` gives steady seconds, `jitter` 0.0 to 1.0."""

    def __init__(self, steady: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._steady, self._jitter = steady, jitter
        self._failures = 0  # in a row
        self._held_until = float("-inf")
        self._due_at = float("-inf")

    @property
    def is_failing(self) -> bool:
        """Whether the service took none of the messages since one failed."""
        return self._failures > 0

    @property
    def left(self) -> float:
        """Seconds until the service may be asked again: it gets its rest, whatever else is due. Zero or less: now."""
        return self._held_until - self._steady()

    @property
    def all_due(self) -> bool:
        """Whether each message that failed can be tried again by now; a gate may hold some of them."""
        return self._steady() >= self._due_at

    def taken(self) -> None:
        """A message was delivered."""
        self._failures, self._held_until, self._due_at = 0, float("-inf"), float("-inf")

    def failed(self, tries: int, outcome: Outcome) -> timedelta:
        """A message failed for the `tries`-th time: how long until its next try."""
        delay = PERMANENT_RETRY if outcome.permanent else backoff(tries, self._jitter())
        at_least = outcome.retry_after or 0.0
        if not outcome.permanent:
            self._failures += 1
            rest = delay if self._failures == tries else backoff(self._failures, self._jitter())
            now = self._steady()
            self._held_until = now + max(rest, at_least)
            self._due_at = max(self._due_at, now + max(delay, at_least))
        return timedelta(seconds=max(delay, at_least))

    def edited(self, tries: int, outcome: Outcome) -> timedelta:
        """What came of an edit's `tries`-th try: how long until its next one, if it failed. The service counts edits and messages together."""
        if outcome.retry_after is not None:
            self._held_until = max(self._held_until, self._steady() + outcome.retry_after)
        delay = min(backoff(tries, self._jitter()), LONGEST_EDIT_RETRY)
        return timedelta(seconds=max(delay, outcome.retry_after or 0.0))
