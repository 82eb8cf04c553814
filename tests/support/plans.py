"""How SQLite goes about what readers ask."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tocsin.store import reader as store_reader
from tocsin.store.store import DATABASE


class Plans:
    """Each query that readers run, as SQLite would go about it, of those that look at alerts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asked: list[str] = []
        opens = store_reader.open_reading

        def traced(path: Any) -> Any:
            db = opens(path)
            db.conn.set_trace_callback(self._asked.append)
            return db

        monkeypatch.setattr(store_reader, "open_reading", traced)

    def forget(self) -> None:
        """What was asked so far."""
        self._asked.clear()

    def of(self, folder: Path) -> dict[str, list[str]]:
        found = {}
        with sqlite3.connect(folder / DATABASE) as db:
            for query in dict.fromkeys(self._asked):
                if query.lstrip().startswith("SELECT") and " alerts" in query:
                    steps = db.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
                    found[query] = [step[3] for step in steps]
        return found
