"""A moment as the daemon lives it: the wall-clock to show and store, a steady clock to measure with."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple


class Instant(NamedTuple):
    """`wall` is UTC and may jump when the machine's clock is set; `steady` is seconds that only ever go on.

    Within a run, durations (`for`, cooldowns) are measured on `steady`; across runs only `wall` means anything.
    """

    wall: datetime
    steady: float

    def later(self, seconds: float) -> "Instant":
        return Instant(self.wall + timedelta(seconds=seconds), self.steady + seconds)


def iso(time: datetime) -> str:
    """UTC as ISO 8601 with microseconds and `Z`: sorts as text, reads as time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The inverse of `iso`; also reads any ISO 8601 text, one without a zone as UTC. ValueError on others."""
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
