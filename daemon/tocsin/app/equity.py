"""What each account was worth in the last 48 hours: its equity, else its balance, a point a minute."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from tocsin.control.snapshot import Point
from tocsin.events import Change
from tocsin.store.model import EquityRow
from tocsin.store.retention import EQUITY_KEPT

EVERY = 60.0  # seconds
_MOST = int(EQUITY_KEPT.total_seconds() / EVERY)


class Equity:
    """Of all accounts, by venue and id."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], deque[Point]] = {}
        self._has_equity: set[tuple[str, str]] = set()  # their balance isn't taken for what they are worth

    def restore(self, rows: Iterable[EquityRow]) -> None:
        """What the last run kept, in the order of time."""
        for row in rows:
            self._note((row.venue, row.account), Point(row.at, row.value))

    def note(self, accounts: Iterable[Change], away: Collection[str], now: datetime) -> list[EquityRow]:
        """As they stand now, but for those of venues that are away; what of that is to be kept."""
        rows = []
        for change in accounts:
            of = (change.venue, change.key.id)
            value = self._worth(of, change)
            if value is not None and change.venue not in away:
                self._note(of, Point(now, value))
                rows.append(EquityRow(*of, now, value))
        return rows

    def of(self, venue: str, account: str) -> Sequence[Point]:
        """The oldest first."""
        return tuple(self._points.get((venue, account), ()))

    def _worth(self, of: tuple[str, str], change: Change) -> Decimal | None:
        equity, balance = getattr(change.state, "equity", None), getattr(change.state, "balance", None)
        if isinstance(equity, Decimal):
            self._has_equity.add(of)
            return equity
        return balance if isinstance(balance, Decimal) and of not in self._has_equity else None

    def _note(self, of: tuple[str, str], point: Point) -> None:
        points = self._points.setdefault(of, deque(maxlen=_MOST))
        while points and points[-1].at >= point.at:  # the clock was set back
            points.pop()
        points.append(point)
        while points[0].at < point.at - EQUITY_KEPT:
            points.popleft()
