"""The database for those who only look: the commands, and the control API. Never writes, never holds it for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from sqlite_utils import Database

from tocsin.store.errors import StoreUnavailable, outside_told
from tocsin.store.migrations import refuse_foreign, refuse_older
from tocsin.store.opening import open_reading

Row: TypeAlias = dict[str, Any]

_decode = msgspec.json.Decoder().decode


class Reader:
    """Each call is one query on a connection of its own, which is closed when it returns.

    Rows are dicts by column name, times and numbers as the database's text, `data` decoded. Every call raises
    StoreUnavailable where there is no database or it can't be read, SchemaRefused where it is another version's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def alerts(self, *, active_only: bool = False, limit: int = 1000) -> list[Row]:
        """Alerts, latest first; with `active_only` those that fire or recover."""
        which = "state IN ('firing', 'recovering')" if active_only else "true"
        return self._rows(f"SELECT * FROM alerts WHERE {which} ORDER BY fired_at DESC, id LIMIT ?", limit)  # noqa: S608 - ours

    def deliveries(self, *, unsent_only: bool = False, limit: int = 1000) -> list[Row]:
        """Deliveries with what they are about, latest first; with `unsent_only` those that wait or were given up."""
        which = "status IN ('pending', 'dead')" if unsent_only else "true"
        return self._rows(f"SELECT * FROM delivery_history WHERE {which} LIMIT ?", limit)  # noqa: S608 - ours

    def counts(self) -> Row:
        """`firing` alerts; deliveries that wait (`unsent`) and those that were given up (`dead`)."""
        return self._rows("""
            SELECT (SELECT count(*) FROM alerts WHERE state IN ('firing', 'recovering')) AS firing,
                (SELECT count(*) FROM deliveries WHERE status = 'pending') AS unsent,
                (SELECT count(*) FROM deliveries WHERE status = 'dead') AS dead
        """)[0]

    def venues(self) -> list[Row]:
        """The connections as they last stood."""
        return self._rows("SELECT * FROM venues ORDER BY venue")

    def rules(self) -> list[Row]:
        """Each rule that ever fired: how often, when last, and how many of its alerts are active."""
        return self._rows("""
            SELECT rule, count(*) AS fired, max(fired_at) AS last_fired_at,
                sum(state IN ('firing', 'recovering')) AS active
            FROM alerts GROUP BY rule ORDER BY rule
        """)

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Row]:
        """What happened, in the order in which it was kept, from behind the event of id `after` on."""
        return self._rows("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def latest_events(self, *, limit: int = 1000) -> list[Row]:
        """What happened, latest first."""
        return self._rows("SELECT * FROM events ORDER BY id DESC LIMIT ?", limit)

    def silences(self) -> list[Row]:
        """Those that weren't taken back, over or not."""
        return self._rows("SELECT * FROM silences WHERE ended_at IS NULL ORDER BY created_at")

    def count_events(self) -> int:
        return int(self._rows("SELECT count(*) AS count FROM events")[0]["count"])

    def entities(self, kind: str) -> list[Row]:
        """Everything of a kind that is known, as it stands."""
        return self._rows("SELECT * FROM entities WHERE kind = ? ORDER BY venue, account, id", kind)

    def instances(self, rule: str) -> list[Row]:
        """A rule's state for each entity (or group), as the engine keeps it."""
        return self._rows("SELECT * FROM instances WHERE rule = ? ORDER BY instance", rule)

    def _rows(self, query: str, *values: int | str) -> list[Row]:
        with self._opened() as db, outside_told():
            cursor = db.execute(query, values)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        for row in rows:
            if "data" in row:
                row["data"] = _decode(row["data"])
        return rows

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        if not self._path.exists():
            raise StoreUnavailable(f"there is no {self._path}; has the daemon run yet?")
        with outside_told():
            db = open_reading(self._path)
        with db:
            with outside_told():
                refuse_foreign(db, self._path)
                refuse_older(db, self._path)
            yield db
