"""What can still be read of a damaged database, put into a new one: what isn't sent yet first, what only tells of the past last.

SQLite stops at the first page that makes no sense. So each table is read in ranges of its rows: where a range can't be
read, its halves are tried, down to the single row. What can't be read so is lost; what can, but isn't what the new table
takes, too. There is a limit of time: a start doesn't wait for years of history.
"""

import shutil
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct
from sqlite_utils import Database

from tocsin.store.migrations import all_steps, migrate_to

# In the order in which they are missed; what is named in neither comes in between.
_FIRST = ("deliveries", "instances", "held", "silences", "alerts", "meta", "entities")
_LAST = ("acts", "sessions", "samples", "actions", "equity", "trails", "events")
_CALLED = {"alerts": "alerts", "deliveries": "messages"}  # those that are numbered without gaps
_WITHIN = 2.5  # seconds for all
_CHUNK = 500  # rows in one look
# SQLite's own words on a damaged schema may quote what is no text.
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_MISSES = 5_000  # looks in a row that found nothing: there is nothing more
_MOST_ROWS = 1 << 24
_PAGE = 4096
_LARGEST_PATCHED = 1 << 30  # bytes; beyond, a copy takes too long


class Carried(Struct, frozen=True):
    """How many rows of each table are in the new database, and of which tables some are known to be lost.

    `gaps`: how many numbers of rows are missing among those carried over, of tables whose rows are numbered without gaps.
    """

    rows: dict[str, int]
    unsent: int
    torn: tuple[str, ...]
    gaps: dict[str, int]

    def __str__(self) -> str:
        alerts, messages = self.rows.get("alerts", 0), self.rows.get("deliveries", 0)
        said = [f"{alerts} alerts and {messages} messages ({self.unsent} of them unsent) are carried over"]
        if any(self.gaps.values()):
            lost = " and ".join(f"{count} {_CALLED[table]}" for table, count in self.gaps.items() if count)
            said.append(f"{lost} between them are lost")
        if self.torn:
            said.append(f"rows are lost of: {', '.join(self.torn)}")
        return "; ".join(said)


def carry_over(damaged: Path, into: Database) -> Carried:
    """Fill an empty new database with what can be read of the damaged one, at the version of that one. Blocks for seconds.

    Raises sqlite3.Error only where the new one can't be written.
    """
    deadline = time.monotonic() + _WITHIN
    new = into.conn
    with _opened(damaged) as source:
        migrate_to(into, _steps(source))
        counts, torn = {}, []
        made = [name for name in into.table_names() if not name.startswith(("_", "sqlite_"))]
        for table in sorted(made, key=_importance):
            now = time.monotonic()  # one table doesn't take the time of all others
            counts[table], whole = _copy(table, source, new, now + (deadline - now) / 2)
            if not whole:
                torn.append(table)
    gaps = {table: _gaps(new, table) if table in torn else 0 for table in _CALLED}
    (unsent,) = new.execute("SELECT count(*) FROM deliveries WHERE status = 'pending'").fetchone()
    return Carried(counts, unsent, tuple(torn), gaps)


def _importance(table: str) -> int:
    if table in _FIRST:
        return _FIRST.index(table) - len(_FIRST)
    return _LAST.index(table) + 1 if table in _LAST else 0


def _gaps(new: sqlite3.Connection, table: str) -> int:
    (gaps,) = new.execute(f"SELECT max(rowid) - min(rowid) + 1 - count(*) FROM {table}").fetchone()  # noqa: S608 - ours
    return gaps or 0


def _copy(
    table: str, source: sqlite3.Connection, new: sqlite3.Connection, deadline: float
) -> tuple[int, bool]:
    """How many rows were copied, and whether that is all of them, as far as one can see."""
    wanted = [name for _, name, *_ in new.execute(f"PRAGMA table_info({table})")]
    if not wanted:
        return 0, True  # the database is of a time before there was such a table
    try:
        there = {name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")}
        columns = [name for name in wanted if name in there]
        if not columns:
            return 0, False
    except _UNREADABLE:
        return 0, False
    names = ", ".join(f'"{name}"' for name in columns)
    put = f"INSERT INTO {table} (rowid, {names}) VALUES (?{', ?' * len(columns)})"  # noqa: S608 - names are ours
    query = f"SELECT rowid, {names} FROM {table}"  # noqa: S608 - same
    reading = _Reading(source, query, table, _by_index(table, new), deadline)
    count = 0
    new.execute("BEGIN")
    try:
        for row in reading:
            try:
                new.execute(put, row)
            except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, UnicodeEncodeError):
                reading.whole = False  # not what such a row can be
            else:
                count += 1
        new.execute("COMMIT")
    except BaseException:
        new.rollback()
        raise
    return count, reading.whole


def _by_index(table: str, new: sqlite3.Connection) -> list[str]:
    """Queries that find rows of a table through each of its indexes, as a database has them that isn't damaged.

    Those of a part of the rows come first, as the schema has them: what is open (unsent, firing), then what was given up.
    """
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    own = [
        (name, f" WHERE{condition}" if condition else "")
        for name, sql in new.execute(indexes, [table])
        for _, _, condition in [sql.partition(" WHERE")]
    ]
    own.sort(key=lambda each: not each[1])
    found = f"SELECT rowid FROM {table} INDEXED BY"  # noqa: S608 - names are ours
    unique = f"sqlite_autoindex_{table}_1"
    return [f'{found} "{name}"{condition}' for name, condition in (*own, (unique, ""))]


class _Reading:
    """All rows of a table that can be read, roughly in order. `whole`: there were no others."""

    def __init__(
        self, source: sqlite3.Connection, query: str, table: str, by_index: list[str], deadline: float
    ) -> None:
        self._source, self._query, self._table, self._deadline = source, query, table, deadline
        self._by_index = by_index
        self.whole = True

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        seen: set[int] = set()
        for query in self._by_index:
            if " WHERE" in query:
                for row in self._fetched(self._named([query]) - seen):
                    seen.add(row[0])
                    yield row
        for row in self._in_order():
            if row[0] not in seen:
                seen.add(row[0])
                yield row
        # An inner page that is hurt may hide a part of the table without an error; the indexes still name its rows.
        hidden = self._named(self._by_index) - seen
        self.whole = self.whole and not hidden
        yield from self._fetched(hidden)

    def _named(self, queries: list[str]) -> set[int]:
        """The rows that these queries name, as far as the indexes can be read."""
        found: set[int] = set()
        for query in queries:
            with suppress(*_UNREADABLE):
                found.update(rowid for (rowid,) in self._source.execute(query) if isinstance(rowid, int))
        return found

    def _fetched(self, rowids: set[int]) -> Iterator[tuple[Any, ...]]:
        wanted = sorted(rowids)
        for first in range(0, len(wanted), _CHUNK):
            yield from self._picked(wanted[first : first + _CHUNK])
            if time.monotonic() > self._deadline:
                self.whole = False
                return

    def _picked(self, rowids: list[int]) -> list[tuple[Any, ...]]:
        """Those rows: all at once, or where one of them can't be read one by one."""
        listed = ", ".join(map(str, rowids))
        try:
            rows = self._source.execute(f"{self._query} NOT INDEXED WHERE rowid IN ({listed})").fetchall()
        except _UNREADABLE:
            return [row for rowid in rowids for row in self._look(rowid, rowid)[0]]
        wanted = set(rowids)
        return [row for row in rows if row[0] in wanted]

    def _in_order(self) -> Iterator[tuple[Any, ...]]:
        first, last = self._end("min"), self._end("max")
        if self.whole and first is None:
            return
        ranges = [(1 if first is None else first, _MOST_ROWS if last is None else last)]
        misses = 0  # in a row
        while ranges:
            if time.monotonic() > self._deadline or misses > _MISSES:
                self.whole = False
                return
            low, high = ranges.pop()
            rows, readable = self._look(low, high)
            yield from rows
            low = rows[-1][0] + 1 if rows else low
            if readable:
                misses = 0
                if len(rows) == _CHUNK:
                    ranges.append((low, high))
                continue
            self.whole = False
            misses = 0 if rows else misses + 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            elif rows and low == high:
                ranges.append((low, high))

    def _look(self, low: int, high: int) -> tuple[list[tuple[Any, ...]], bool]:
        """The first rows of a range, and whether it could be read as far as that."""
        if low == high:  # the one row, with no look at what comes after it, which may be damaged
            query = f"{self._query} NOT INDEXED WHERE rowid = ?1"
        else:
            query = f"{self._query} NOT INDEXED WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid LIMIT {_CHUNK}"
        asked = (low, high)[: 1 + (low < high)]
        rows: list[tuple[Any, ...]] = []
        try:
            for row in self._source.execute(query, asked):
                if not low <= row[0] <= high:
                    return rows, False
                rows.append(row)
                low = row[0] + 1
        except _UNREADABLE:
            return rows, False
        return rows, True

    def _end(self, which: str) -> int | None:
        query = f"SELECT {which}(rowid) FROM {self._table} NOT INDEXED"  # noqa: S608 - names are ours
        try:
            (found,) = self._source.execute(query).fetchone()
        except _UNREADABLE:
            self.whole = False
            return None
        return None if found is None else int(found)


# ----------------------------------------------------------------------------------------------------------- the source


@contextmanager
def _opened(damaged: Path) -> Iterator[sqlite3.Connection]:
    """The damaged database for reading; where its very beginning is lost, a copy with the beginning of a new one."""
    source = _connect(damaged)
    if _lists_tables(source):
        with closing(source):
            yield source
        return
    source.close()
    with TemporaryDirectory(prefix="salvage-", dir=damaged.parent) as folder:
        copy = Path(folder) / "copy.db"
        if damaged.exists() and damaged.stat().st_size <= _LARGEST_PATCHED:
            shutil.copyfile(damaged, copy)
            _give_beginning(copy, Path(folder) / "new.db")
        with closing(_connect(copy) if copy.exists() else sqlite3.connect(":memory:")) as source:
            yield source


def _connect(path: Path) -> sqlite3.Connection:
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    source.text_factory = lambda text: text.decode(errors="replace")
    return source


def _lists_tables(source: sqlite3.Connection) -> bool:
    try:
        names = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except _UNREADABLE:
        return False
    return "deliveries" in names


def _give_beginning(copy: Path, new: Path) -> None:
    """The list of tables stands in the first pages, where it stands in every database that was made as this one was."""
    with closing(Database(sqlite3.connect(new, isolation_level=None), execute_plugins=False)) as made:
        made.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate_to(made, all_steps())
    pages = new.read_bytes()
    with copy.open("r+b") as file:
        for number in _pages_of_schema(pages):
            page = bytearray(pages[(number - 1) * _PAGE : number * _PAGE])
            if number == 1:
                page[28:32] = bytes(4)  # the size in pages: none said, so it is the file's
                page[36:40] = bytes(4)  # free pages: none known
                page[32:36] = bytes(4)
            file.seek((number - 1) * _PAGE)
            file.write(page)


def _pages_of_schema(pages: bytes) -> list[int]:
    """Page 1 and, where it is an inner one (https://www.sqlite.org/fileformat2.html#b_tree_pages), its children."""
    found, header = [1], 100
    if pages[header] == 0x05:
        (cells,) = struct.unpack_from(">H", pages, header + 3)
        found.append(struct.unpack_from(">I", pages, header + 8)[0])
        for cell in range(cells):
            (at,) = struct.unpack_from(">H", pages, header + 12 + 2 * cell)
            found.append(struct.unpack_from(">I", pages, at)[0])
    return found


def _steps(source: sqlite3.Connection) -> tuple[str, ...]:
    """The steps of migration that made the source; all of ours where it doesn't say so in a way that makes sense."""
    steps = all_steps()
    try:
        applied = {
            name
            for (name,) in source.execute(
                "SELECT name FROM _sqlite_migrations WHERE migration_set = 'tocsin'"
            )
        }
    except _UNREADABLE:
        return steps
    known = tuple(step for step in steps if step in applied)
    return known if known and known == steps[: len(known)] else steps
