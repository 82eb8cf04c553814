"""What was told before and may come once more: venues repeat the latest trades and operations when one connects anew."""

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct, field, structs

from tocsin.events import Trade

_MOST_ROWS = 200  # trades without an id that are compared, of a symbol
_MOST_IDS = 1_000  # ids of trades, of a symbol
MOST_OPERATIONS = 10_000
"""Operations that are remembered, of an account."""

_Row: TypeAlias = Hashable


class Operations:
    """The operations that were told, by venue, account and id. `told`: those of earlier runs, oldest first."""

    def __init__(self, told: Iterable[tuple[str, str, str]] = ()) -> None:
        self._told: dict[tuple[str, str], dict[str, None]] = {}
        self._now: list[tuple[str, str, str]] = []  # by the message that is being taken
        for each in told:
            self._add(*each)

    def was_told(self, venue: str, account: str, id_: str | None) -> bool:
        """Whether an earlier message told it; where none did, the one that is being taken does. None: no operation."""
        if id_ is None:
            return False
        if id_ in self._told.get((venue, account), ()):
            return True
        self._now.append((venue, account, id_))
        return False

    def message_over(self) -> None:
        for each in self._now:
            self._add(*each)
        self._now.clear()

    def drop_venue(self, venue: str) -> None:
        for of in [of for of in self._told if of[0] == venue]:
            del self._told[of]

    def _add(self, venue: str, account: str, id_: str) -> None:
        told = self._told.setdefault((venue, account), {})
        told[id_] = None
        if len(told) > MOST_OPERATIONS:
            del told[next(iter(told))]


class _Tape(Struct, eq=False):
    """The trades of one symbol. `before` are those that the first message of a connection may repeat."""

    rows: deque[_Row] = field(default_factory=lambda: deque(maxlen=_MOST_ROWS))
    ids: dict[str, None] = field(default_factory=dict)
    connection: int = 0
    before: Counter[_Row] | None = None
    now: list[_Row] = field(default_factory=list)  # told by the message that is being taken
    earlier_run: datetime | None = None  # the time of the latest that an earlier run told of


class Trades:
    """The trades that were told. A trade with an id is known by it; of those without, the first message of each
    connection is compared with the latest, each with one: equal trades within one message are several.
    """

    def __init__(self) -> None:
        self._tapes: dict[tuple[str, str], _Tape] = {}
        self._open: list[_Tape] = []

    def restore(self, venue: str, key: str, latest: Trade, time: datetime | None) -> None:
        """The latest trade that an earlier run told of: what the first message has from before it was told too."""
        tape = self._tapes[venue, key] = _Tape(earlier_run=time, connection=-1)
        if isinstance(latest.id, str) and latest.id != key:
            tape.ids[latest.id] = None
        else:
            tape.rows.append(_row(latest, time))

    def was_told(self, venue: str, key: str, observed: Trade, time: datetime | None, connection: int) -> bool:
        """Whether that trade was told before; where it wasn't, it is now. `time` is the venue's."""
        tape = self._tapes.get((venue, key))
        if tape is None:
            tape = self._tapes[venue, key] = _Tape(connection=connection)
        if isinstance(observed.id, str) and observed.id != key:
            if observed.id in tape.ids:
                return True
            tape.ids[observed.id] = None
            if len(tape.ids) > _MOST_IDS:
                del tape.ids[next(iter(tape.ids))]
            return False
        if tape not in self._open:
            self._open.append(tape)
            if tape.connection != connection:
                tape.before, tape.connection = Counter(tape.rows), connection
        row = _row(observed, time)
        if tape.before is not None:
            if tape.before[row] > 0:
                tape.before[row] -= 1
                return True
            if tape.earlier_run is not None and time is not None and time < tape.earlier_run:
                return True
        tape.now.append(row)
        return False

    def message_over(self) -> None:
        for tape in self._open:
            tape.rows.extend(tape.now)
            tape.now.clear()
            tape.before = tape.earlier_run = None
        self._open.clear()

    def drop(self, venue: str, key: str) -> None:
        self._tapes.pop((venue, key), None)

    def drop_venue(self, venue: str) -> None:
        for of in [of for of in self._tapes if of[0] == venue]:
            del self._tapes[of]


def _row(trade: Trade, time: datetime | None) -> _Row:
    return (time, *structs.astuple(trade)[2:])  # of one symbol, however it is spelled
