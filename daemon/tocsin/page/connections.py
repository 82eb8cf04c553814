"""The connections to venues over a time, from the events that are stored of them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from tocsin.events import from_iso

LinkState: TypeAlias = Literal["connected", "silent", "away", "off"]
STATES: Mapping[str, LinkState] = {
    "venue.connected": "connected", "venue.resumed": "connected", "venue.silent": "silent", "venue.disconnected": "away",
    "venue.auth_failed": "away", "venue.refused": "away",
}  # fmt: skip
"""What the link is from such an event on. `off`: Tocsin didn't run."""
# Before it is told that Tocsin has started venues may be connected; and the time that it takes to connect is Tocsin's own.
_AROUND_START = timedelta(seconds=10)


class Span(NamedTuple):
    """From when to when (UTC) a link was in one state, and why."""

    begun: datetime
    ended: datetime
    state: LinkState
    reason: str = ""


def spans_of(
    events: Iterable[Mapping[str, Any]],
    before: str | None,
    stops: Iterable[tuple[datetime, datetime]],
    begun: datetime,
    ended: datetime,
) -> list[Span]:
    """One venue's link from `begun` to `ended`, without holes. `events` are its rows of the store, `before` is the last one's name before
    that time (None: there was none), `stops` from when to when Tocsin didn't run.
    """
    points = [(from_iso(row["received_at"]), STATES[row["event"]], _reason(row)) for row in events]
    known = [at for at, _, _ in points]
    for stopped, started in stops:
        points.append((stopped, "off", ""))
        if not any(abs(at - started) <= _AROUND_START for at in known):
            points.append((started, "away", "connecting"))
    points.sort(key=lambda point: point[0])
    state, reason = (STATES[before] if before is not None else "off"), ""
    return _joined([(begun, state, reason), *((max(at, begun), *rest) for at, *rest in points)], ended)


def _joined(points: Sequence[tuple[Any, ...]], ended: datetime) -> list[Span]:
    """Without what lasted no time, and what goes on the same."""
    found: list[Span] = []
    ends = [*(at for at, _, _ in points[1:]), ended]
    for (at, state, reason), end in zip(points, ends, strict=True):
        if end <= at:
            continue
        if found and found[-1].state == state:
            found[-1] = found[-1]._replace(ended=end)
        else:
            found.append(Span(at, end, state, reason))
    return found


def _reason(row: Mapping[str, Any]) -> str:
    data = row["data"]
    return str(data.get("reason") or "") if isinstance(data, Mapping) else ""
