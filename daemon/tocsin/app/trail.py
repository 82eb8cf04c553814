"""The latest points of one number, for a line of it; and whatever else is cut to so many points."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from tocsin.control.snapshot import Point
from tocsin.events import number_text

LASTS = timedelta(minutes=30)
MOST = 360  # points
_SHOWN = 60  # points of a line in a list
_AS_THEY_ARE = 120  # of the latest points, when others are left out
_SAME = timedelta(seconds=15)  # a number that stays has no more points than that


class Trail:
    """At most `MOST` points: when there are more, every second of the older ones goes."""

    __slots__ = ("_last", "_shown", "points")

    def __init__(self, points: Sequence[Point] = ()) -> None:
        self.points = [*points]
        self._last: Point | None = None  # that was seen, whether it is among the points or not
        self._shown: tuple[Point, ...] | None = None

    def add(self, point: Point, since: datetime) -> None:
        """Seen just now; what is from before `since` isn't needed any more."""
        points, last = self.points, self._last
        while points and points[-1].at >= point.at:  # the clock was set back
            points.pop()
        self._last = point
        if points and _alike(points[-1], point):
            if point.at - points[-1].at < _SAME:
                return
            if len(points) > 1 and _alike(points[-2], point):
                points.pop()
        elif points and last is not None and points[-1].at < last.at < point.at:
            points.append(last)  # until then it stayed
        points.append(point)
        if len(points) > 1 and points[1].at <= since:  # of what is older one stays, for the line to begin at
            del points[: bisect_right(points, since, key=at_of) - 1]
        if len(points) > MOST:
            points[:-_AS_THEY_ARE] = points[:-_AS_THEY_ARE:2]
        self._shown = None

    @property
    def shown(self) -> tuple[Point, ...]:
        """The line in a list; the same object while nothing is added."""
        if self._shown is None:
            self._shown = cut(self.points, _SHOWN)
        return self._shown


def at_of(point: Point) -> datetime:
    return point.at


def _alike(one: Point, other: Point) -> bool:
    return number_text(one.value) == number_text(other.value)


def cut(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """So many of them at most, evenly, with the first and the last."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[place * (len(points) - 1) // (most - 1)] for place in range(most))
