"""What must outlast the run, of histories above all: a sample at a time, and now and then that old ones needn't be kept any more."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from tocsin.engine.model import Sample, SamplesDropped
from tocsin.engine.windows import Extremes, Point, Window, moment

_FADED_AT_ONCE = 256  # samples of a window; each removal from the store takes so many
_SO = Decimal(1)
_EXTREMES_AT_ONCE = 16  # rows that a value's extremes may leave before the store is tidied

Kept: TypeAlias = Sample | SamplesDropped


class SampleLog:
    """`series` says what is followed or counted, `instance` of which entity or group."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._unneeded: dict[tuple[str, str], int] = {}  # rows in the store that could go

    def drain(self) -> list[Kept]:
        """What is to be kept, or not any more, since the last call; in this order."""
        kept, self._kept = self._kept, []
        return kept

    def add(self, series: str, instance: str, points: Iterable[Point]) -> None:
        """What a window says has to be stored."""
        for at, value in points:
            self._put(series, instance, at, value)

    def add_extreme(self, series: str, instance: str, extremes: Extremes, at: int, value: Decimal) -> None:
        """A new extreme: those that it outdoes stay in the store for a while."""
        self._put(series, instance, at, value)
        rows = self._unneeded.get((series, instance), 0) + 1
        if rows >= _EXTREMES_AT_ONCE:
            self.drop(series, instance)
            for then, extreme in extremes:
                self._put(series, instance, then, extreme)
            rows = 0
        self._unneeded[series, instance] = rows

    def left(self, series: str, instance: str, window: Window, gone: int) -> None:
        """So many samples have left the window; they leave the store many at once."""
        if gone <= 0:
            return
        rows = self._unneeded.get((series, instance), 0) + gone
        self._unneeded[series, instance] = rows
        if rows >= _FADED_AT_ONCE:
            self.only(series, instance, window)

    def only(self, series: str, instance: str, window: Window) -> None:
        """The store needs only what the window still holds."""
        self._unneeded.pop((series, instance), None)
        if window.before is not None:
            self._kept.append(SamplesDropped(series, instance, moment(window.before[0])))

    def mark(self, series: str, instance: str, at: datetime) -> None:
        """That something is so of that instance, until it is dropped."""
        self._kept.append(Sample(series, instance, at, _SO))

    def drop(self, series: str, instance: str) -> None:
        """Nothing of that instance is needed any more."""
        self._unneeded.pop((series, instance), None)
        self._kept.append(SamplesDropped(series, instance))

    def drop_all(self, series: Iterable[str]) -> None:
        """Nothing of these series is needed any more."""
        gone = frozenset(series)
        for at in [at for at in self._unneeded if at[0] in gone]:
            del self._unneeded[at]
        self._kept += map(SamplesDropped, sorted(gone))

    def _put(self, series: str, instance: str, at: int, value: Decimal) -> None:
        self._kept.append(Sample(series, instance, moment(at), value))
