"""What is kept of alerts' numbers: from half an hour before one fires until its end, at most some 720 points however long it lasts.

A point each 5 s; later each 360th part of the time that has passed, and at 720 points every second of them goes.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.app.trail import at_of, cut
from tocsin.control.snapshot import Point
from tocsin.store.model import Batch, TrailRow

MOST = 720  # points of an alert
_BEFORE = 240  # points of the time before it
_SHORTEST, _PART = timedelta(seconds=5), 360  # between two points: the part of the time that has passed


@dataclass(slots=True)
class _Kept:
    """Of one alert how much is kept, and from when to when. `over`: what comes until the next look is the last."""

    of: tuple[str, str]
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    over: bool = False


class AlertTrails:
    """`points` gives the latest points of a rule's instance."""

    def __init__(self, points: Callable[[tuple[str, str]], Sequence[Point]]) -> None:
        self._points = points
        self._kept: dict[str, _Kept] = {}
        self._rows: list[TrailRow] = []

    def restore(self, alert: str, of: tuple[str, str], points: Sequence[Point]) -> None:
        """It fires, and the last run kept these."""
        ends = (points[0].at, points[-1].at) if points else (None, None)
        self._kept[alert] = _Kept(of, len(points), *ends)

    def told(self, alert: str, of: tuple[str, str], point: Point | None, *, over: bool) -> None:
        """It was told to fire, or to be over; with the number that it had then."""
        kept = self._kept.setdefault(alert, _Kept(of))
        if kept.first is None:
            self._add(
                alert,
                kept,
                cut([each for each in self._points(of) if point is None or each.at < point.at], _BEFORE),
            )
        if point is not None:
            self._add(alert, kept, [point])
        kept.over = over

    def write_into(self, batch: Batch) -> Iterator[None]:
        """What is to be kept since the last time, alert by alert: whoever goes through this may rest between two."""
        for alert, kept in [*self._kept.items()]:
            self._add(alert, kept, self._due(kept))
            if kept.over:
                del self._kept[alert]
            if kept.count >= MOST:
                batch.sparser.append(alert)
                kept.count -= kept.count // 2
            yield
        batch.trails += self._rows
        self._rows = []

    def _due(self, kept: _Kept) -> Iterable[Point]:
        """What is new, as thin as its age asks for."""
        points, last, first = self._points(kept.of), kept.last, kept.first
        for point in points[bisect_right(points, last, key=at_of) :] if last is not None else points:
            if last is None or first is None or point.at - last >= max(_SHORTEST, (point.at - first) / _PART):
                last, first = point.at, first or point.at
                yield point

    def _add(self, alert: str, kept: _Kept, points: Iterable[Point]) -> None:
        for point in points:
            self._rows.append(TrailRow(alert, point.at, point.value))
            kept.first, kept.last, kept.count = kept.first or point.at, point.at, kept.count + 1
