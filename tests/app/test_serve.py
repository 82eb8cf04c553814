"""The daemon in this process, on a state that an earlier run left: what doesn't fit the config any more is told."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from support.daemon_parts import Lines
from support.stored import T0, commit, delivery, opened, order
from tocsin.app.daemon import Daemon
from tocsin.app.serve import serve
from tocsin.config.load import load_settings
from tocsin.config.settings import Settings
from tocsin.events import Instant
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import InstanceRow

pytestmark = pytest.mark.real

CONFIG = """
state_dir: state
channels: {mail: "json://127.0.0.1:9/"}
rules:
  - {id: bad, watch: daemon.degraded, notify: mail}
  - {id: open, watch: order, when: status == "open", notify: mail}
"""


def folder(tmp_path: Path) -> Callable[[], Settings]:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return lambda: load_settings(tmp_path / "config.yaml", environ={}, validate_url=None)


def firing() -> dict[str, object]:
    asks = {"watch": ["order"], "where": None, "when": 'status == "open"', "until": None}
    return {
        "fingerprint": "", "severity": "warning", "notify": ["mail"], "value_of": None, "asks": asks,
        "entity": ["fx", "order", "acc", "o1"], "state": "firing", "alert_id": "a1", "passed": 0.0, "since_steady": None,
        "started_at": "2026-03-01T10:00:00Z", "fired_at": "2026-03-01T10:00:00Z", "remind_at": None, "acked": False,
        "over": False, "value": None, "value_at_start": None, "worst": None, "told": ["mail"],
    }  # fmt: skip


def rows(state: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{state / 'tocsin.db'}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


async def running(load: Callable[[], Settings], log: Lines, state: Path, seen: Callable[[], bool]) -> None:
    """Runs the daemon until something is seen in its database, then stops it."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            daemon: Daemon = await nursery.start(
                lambda task_status: serve(load(), load, log=log, runtime=state, task_status=task_status)
            )
            while not seen():  # noqa: ASYNC110 - the database is only to be looked at
                await trio.sleep(0.02)
            daemon.stop()
            await daemon.stopped.wait()
            nursery.cancel_scope.cancel()


async def test_what_waits_for_a_channel_that_is_gone_is_told(tmp_path: Path) -> None:
    load, log, state = folder(tmp_path), Lines(), tmp_path / "state"
    store = opened(state)
    stranded = [
        delivery("d1", channel="old"),
        delivery("d2", channel="old"),
        delivery("d3", channel="mail", target=3),
    ]
    commit(store, deliveries=stranded)
    store.close()
    said = (
        "SELECT data ->> 'subject', data ->> 'reason' FROM events WHERE event = 'daemon.degraded' ORDER BY 1"
    )
    await running(load, log, state, lambda: len(rows(state, said)) == 2)
    assert rows(state, said) == [
        (
            "mail",
            "1 message(s) wait for channel mail, which has fewer URLs than before: they are not sent until it is back",
        ),
        (
            "old",
            "2 message(s) wait for channel old, which is not configured: they are not sent until it is back",
        ),
    ]
    assert log.lines.count("error: messages wait for a channel that is gone") == 2


async def test_rows_that_cant_be_read_are_told_and_left_out(tmp_path: Path) -> None:
    load, log, state = folder(tmp_path), Lines(), tmp_path / "state"
    store = opened(state)
    commit(store, instances=[InstanceRow(rule="open", instance='["fx"]', record={"of another": "version"})])
    store.close()
    said = "SELECT data ->> 'reason' FROM events WHERE event = 'daemon.degraded'"
    await running(load, log, state, lambda: bool(rows(state, said)))
    assert rows(state, said)[0][0].startswith(
        '1 kept row(s) can\'t be read and are left out: instance ["fx"] of rule open'
    )
    assert rows(state, "SELECT * FROM instances WHERE instance = '[\"fx\"]'") == []
    assert "of another" in (state / "unreadable.jsonl").read_text()
    started = "SELECT count(*) FROM events WHERE event = 'daemon.started'"
    await running(load, log, state, lambda: rows(state, started) == [(2,)])
    assert len(rows(state, said)) == 1, "told once"


async def test_alerts_of_a_venue_that_is_no_longer_configured_end(tmp_path: Path) -> None:
    load, log, state = folder(tmp_path), Lines(), tmp_path / "state"
    store = opened(state)
    commit(
        store, entities=[order(when=T0)], instances=[InstanceRow(rule="open", instance="x", record=firing())]
    )
    store.close()
    told = "SELECT state_told, channel, context ->> 'reason' FROM deliveries WHERE alert = 'a1'"
    await running(load, log, state, lambda: bool(rows(state, told)))
    assert rows(state, told) == [("resolved", "mail", "venue removed")]
    assert rows(state, "SELECT * FROM instances") == []


async def test_what_a_removed_venue_left_is_forgotten_and_fires_nothing(tmp_path: Path) -> None:
    load, log, state = folder(tmp_path), Lines(), tmp_path / "state"
    store = opened(state)
    commit(store, entities=[order(when=T0)])  # it makes rule `open` true
    store.close()
    started = "SELECT count(*) FROM events WHERE event = 'daemon.started'"
    for times in (1, 2):
        await running(load, log, state, lambda times=times: rows(state, started) == [(times,)])
        assert rows(state, "SELECT rule, state FROM alerts") == []
        assert rows(state, "SELECT venue FROM entities") == []


async def test_a_disk_that_takes_nothing_is_no_reason_to_end_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alive(_database: Database, _now: Instant) -> None:
        raise StoreUnavailable("the disk is full", full=True)

    monkeypatch.setattr(Database, "alive", alive)
    load, log, state = folder(tmp_path), Lines(), tmp_path / "state"
    await running(load, log, state, lambda: "error: the database takes nothing" in log.lines)
    assert rows(state, "SELECT 1 FROM events")
