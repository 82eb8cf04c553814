"""What a running daemon says of itself: the same numbers to whoever asks."""

import socket
import sqlite3
from contextlib import closing

import httpx
import pytest
import trio

from support.measured import watched
from tocsin.control import measures
from tocsin.store.errors import StoreUnavailable

pytestmark = pytest.mark.real

CONFIG = """
state_dir: state
venues: {fx: {type: yourfintech, url: "ws://127.0.0.1:9/", secret_key: none-at-all}}
channels: {mail: "json://127.0.0.1:9/", desk: "json://127.0.0.1:9/"}
rules:
  - {id: up, watch: daemon.reloaded, severity: critical, notify: mail}
  - {id: open, watch: order, when: status == "open", notify: mail}
"""


async def test_the_readers_show_the_same_numbers(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        await seen.daemon.reload()
        fired = 'tocsin_alerts_fired_total{rule="up",severity="critical"}'
        found = await seen.series()
        while not found[fired] or not found['tocsin_deliveries_waiting{channel="mail"}']:
            found = await seen.series()
        status = (await seen.get("/api/status")).json()
        assert status["healthy"] is bool(found["tocsin_healthy"]) is True
        assert (
            status["unsent"]
            == sum(v for n, v in found.items() if n.startswith("tocsin_deliveries_waiting"))
            == 1
        )
        assert status["rules"] == sum(v for n, v in found.items() if n.startswith("tocsin_rules")) == 2
        assert status["firing"] == sum(v for n, v in found.items() if n.startswith("tocsin_alerts{")) == 0
        (venue,) = status["venues"]
        assert found[f'tocsin_venue_status{{status="{venue["status"]}",venue="fx"}}'] == 1
        assert sum(v for n, v in found.items() if n.startswith("tocsin_venue_status")) == 1
        assert found["tocsin_scrape_incomplete"] == 0
        assert found['tocsin_notifications_total{channel="mail",told="firing"}'] == 1


async def test_what_is_so_thing_by_thing_has_the_same_numbers(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        snapshot = seen.daemon.snapshot()
        assert [venue.name for venue in snapshot.measures.venues] == ["fx"]
        assert [*snapshot.away] == ["fx"], "nothing listens there"
        assert not snapshot.alerts
        assert seen.daemon.snapshot() is snapshot, "one for all that look at about the same time"
        await seen.daemon.reload()
        assert seen.daemon.snapshot().measures.reloaded_at > snapshot.measures.reloaded_at, "but a reload's"


async def test_labels_go_with_the_config(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        before = await seen.series()
        assert any('channel="desk"' in name for name in before)
        (tmp_path / "config.yaml").write_text(CONFIG.replace(', desk: "json://127.0.0.1:9/"', ""))
        await seen.daemon.reload()
        after = await seen.series()
        assert not any('channel="desk"' in name for name in after)
        assert after["tocsin_config_reload_success"] == 1
        assert (
            after["tocsin_config_reload_timestamp_seconds"] > before["tocsin_config_reload_timestamp_seconds"]
        )
        (tmp_path / "config.yaml").write_text("nonsense: true")
        await seen.daemon.reload()
        refused = await seen.series()
        assert refused["tocsin_config_reload_success"] == 0
        assert (
            refused["tocsin_config_reload_timestamp_seconds"]
            == after["tocsin_config_reload_timestamp_seconds"]
        )


async def test_what_is_counted_goes_with_the_config(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        await seen.daemon.reload()
        await seen.until(lambda: bool(seen.daemon.measures().counted.pipeline.fired["up", "critical"]))
        counted = seen.daemon.measures().counted.pipeline
        assert counted.notifications["mail", "firing"] == 1
        without = CONFIG.replace('mail: "json://127.0.0.1:9/", ', "").replace(", notify: mail", "")
        (tmp_path / "config.yaml").write_text(
            without.replace("{id: up, watch: daemon.reloaded", "{id: above, watch: daemon.stopping")
        )
        await seen.daemon.reload()
        counted = seen.daemon.measures().counted.pipeline
        assert not counted.fired
        assert not any(channel == "mail" for channel, _ in counted.notifications)


async def test_a_beat_passes_all_of_it_and_leaves_nothing(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        begun = seen.daemon.measures().progress_at
        await seen.until(lambda: seen.daemon.measures().progress_at > begun)
        assert (await seen.series())["tocsin_store_commit_seconds_count"] > 0
    with closing(sqlite3.connect(tmp_path / "state" / "tocsin.db")) as db:
        assert db.execute("SELECT count(*) FROM deliveries").fetchone() == (0,)
        assert db.execute("SELECT DISTINCT event FROM events WHERE venue = 'tocsin'").fetchall() == [
            ("daemon.started",), ("daemon.stopping",),
        ]  # fmt: skip
        assert db.execute("SELECT count(*) FROM entities WHERE venue = 'tocsin'").fetchone() == (0,)


async def test_over_tcp_where_the_config_says_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = f"\nlisten: {{address: '127.0.0.1:{port}', metrics: open}}\n"

    async def ask(path: str) -> int | None:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code
            except httpx.TransportError:
                return None

    async with watched(tmp_path, CONFIG) as seen:
        assert await ask("/healthz") is None
        (tmp_path / "config.yaml").write_text(CONFIG + listen)
        assert "listen changed" in (await seen.daemon.reload())["changes"]
        while await ask("/healthz") is None:  # noqa: ASYNC110 - a port has no event
            await trio.sleep(0.01)
        assert [await ask(path) for path in ("/healthz", "/metrics", "/api/status")] == [200, 200, 401]
        (tmp_path / "config.yaml").write_text(CONFIG)
        await seen.daemon.reload()
        assert await ask("/healthz") is None


async def test_a_port_that_is_taken_is_told_and_all_else_works(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"\nlisten: {{address: '127.0.0.1:{other.getsockname()[1]}'}}\n"
        async with watched(tmp_path, CONFIG + listen) as seen:
            await seen.until(lambda: "error: nobody can listen there" in seen.log.lines)
            assert (await seen.get("/healthz")).status_code == 200


async def test_health_and_readiness(tmp_path):
    async with watched(tmp_path, CONFIG) as seen:
        for path, body in (("/healthz", {"healthy": True, "wrong": []}), ("/readyz", {"ready": True})):
            answer = await seen.get(path)
            assert (answer.status_code, answer.json()) == (200, body)
            assert answer.headers["cache-control"] == "no-store"


async def test_a_database_that_cannot_be_read_keeps_nobody_from_what_memory_knows(tmp_path, monkeypatch):
    def unread(_path):
        raise StoreUnavailable("the disk doesn't answer")

    async with watched(tmp_path, CONFIG) as seen:
        monkeypatch.setattr(measures, "stored", unread)
        status = (await seen.get("/api/status")).json()
        assert (status["healthy"], status["firing"], status["unsent"], status["dead"]) == (
            True,
            0,
            None,
            None,
        )
        found = await seen.series()
        assert found["tocsin_scrape_incomplete"] == 1
        assert not any(name.startswith("tocsin_deliveries_waiting") for name in found)
