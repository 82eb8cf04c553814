"""The control API, asked as the commands ask it."""

import os
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from support.fake_venue import Lines
from support.measured import measured
from support.stored import commit, opened, order
from tocsin.config.settings import UnknownRule
from tocsin.control.measures import Measures
from tocsin.control.server import make_app, near
from tocsin.control.serving import serve_control
from tocsin.events import Key
from tocsin.pipeline.acts import By
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

pytestmark = pytest.mark.real


class FakeDaemon:
    """Knows one rule, `red`; of `broken` it stumbles."""

    ready = True
    wrong: tuple[str, ...] = ()

    def measures(self) -> Measures:
        return measured()

    def health(self) -> list[str]:
        return [*self.wrong]

    def retry(self, venue: str, _by: By) -> bool:
        return venue == "fx"

    acts: Any = None  # tests of their own ask for these: test_acts.py

    async def forget(self, venue: str, kind: str, id_: str, account: str | None, by: By) -> dict[str, Any]:
        there = [of for of in ("a", "b") if venue == "fx" and id_ == "p" and account in (None, of)]
        return {"forgotten": len(there) == 1, "accounts": there, "alerts": []}

    async def reload(self) -> dict[str, Any]:
        return {"reloaded": True}

    def rules(self) -> list[dict[str, Any]]:
        return [{"rule": "red"}]

    async def preview(self, deliveries: list[dict[str, Any]]) -> None:
        for row in deliveries:
            row.pop("context")

    async def explain(self, rule: str, id_: str | None, limit: int, run_sync: Any) -> dict[str, Any]:
        await run_sync(lambda: None)
        if rule == "broken":
            raise ValueError("a bug of ours")
        if rule != "red":
            raise UnknownRule(f"no rule is called {rule}")
        return {"rule": rule, "id": id_, "limit": limit}


async def get(tmp_path, path: str) -> tuple[int, Any]:
    transport = httpx.ASGITransport(make_app(FakeDaemon(), tmp_path / "tocsin.db", Lines()))
    with trio.fail_after(10):
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
            answer = await client.get(path)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/rules", 200, [{"rule": "red"}]),
        ("/api/explain?rule=red&limit=20", 200, {"rule": "red", "id": None, "limit": 20}),
        ("/api/explain?rule=red&id=p%201&limit=1", 200, {"rule": "red", "id": "p 1", "limit": 1}),
        (f"/api/explain?rule=red&limit={10**30}", 200, {"rule": "red", "id": None, "limit": 100_000}),
        ("/api/explain?rule=read&limit=1", 404, {"error": "no rule is called read"}),
        ("/api/explain?limit=1", 400, {"error": "asked without a rule, or a limit"}),
        ("/api/explain?rule=red", 400, {"error": "asked without a rule, or a limit"}),
        ("/api/explain?rule=red&limit=few", 400, {"error": "asked without a rule, or a limit"}),
    ],
)
async def test_what_is_asked_of_rules(tmp_path, path, status, body):
    assert await get(tmp_path, path) == (status, body)


async def test_a_venue_is_tried_again(tmp_path):
    async with serving(tmp_path / "control.sock") as daemon:
        assert await daemon.ask("POST", "/api/retry?venue=fx&by=anna") == (200, {"retried": True})
        assert await daemon.ask("POST", "/api/retry?venue=no&by=anna") == (404, {"retried": False})


@pytest.mark.parametrize(
    ("asked", "status", "accounts"),
    [
        ("fx&id=p&account=a", 200, ["a"]),
        ("fx&id=p", 409, ["a", "b"]),
        ("fx&id=q", 404, []),
        ("no&id=p", 404, []),
    ],
)
async def test_what_is_forgotten_is_one_thing(tmp_path, asked, status, accounts):
    async with serving(tmp_path / "control.sock") as daemon:
        found = await daemon.ask("POST", f"/api/forget?by=anna&kind=position&venue={asked}")
        assert found == (status, {"forgotten": status == 200, "accounts": accounts, "alerts": []})
        assert (await daemon.ask("POST", "/api/forget?by=anna&venue=fx&kind=order"))[0] == 400


@pytest.mark.parametrize(
    ("venue", "kind", "id_", "found"),
    [
        ("fy", "order", "o1", ["fx order o1"]),
        ("nowhere", "order", "o1", ["fx order o1"]),
        ("fx", "position", "o1", ["fx order o1"]),
        ("fx", "order", "be06c5da…", ["fx order be06c5da-35d4"]),
        ("fx", "order", "BE06", ["fx order be06c5da-35d4"]),
        ("fx", "order", "132919", ["fx order 132991"]),
        ("fx", "order", "unlike-any", []),
    ],
)
def test_what_is_near_to_what_nothing_is_called(tmp_path, venue, kind, id_, found):
    store = opened(tmp_path)
    orders = [order(each, key=Key("fx", "order", "a", each)) for each in ("o1", "132991", "be06c5da-35d4")]
    commit(store, entities=orders)
    store.close()
    assert near(Reader(tmp_path / DATABASE), venue, kind, id_) == found


async def test_a_bug_of_ours_is_logged_with_its_trace_and_said(tmp_path):
    async with serving(tmp_path / "control.sock") as daemon:
        status, body = await daemon.ask("GET", "/api/explain?rule=broken&limit=1")
        assert (status, body) == (500, {"error": "internal error: ValueError; the daemon's log has it"})
        ((level, event, fields),) = daemon.log.lines
        assert (level, event, fields["asked"]) == ("error", "internal error", "/api/explain")
        assert str(fields["exc_info"]) == "a bug of ours"
        assert fields["exc_info"].__traceback__ is not None


class Serving:
    """The API on a real socket, looked after every few milliseconds."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, Lines()
        self.troubles: list[str] = []
        self.troubled = trio.Event()

    async def ask(self, method: str, path: str) -> tuple[int, Any]:
        transport = httpx.AsyncHTTPTransport(uds=str(self.path))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
            answer = await client.request(method, path)
        return answer.status_code, answer.json()

    async def answers(self) -> None:
        """Until it does."""
        while True:
            try:
                assert await self.ask("GET", "/api/rules") == (200, [{"rule": "red"}])
            except httpx.TransportError:
                await trio.sleep(0.01)
            else:
                return

    async def trouble(self, reason: str) -> None:
        self.troubles.append(reason)
        self.troubled.set()

    async def run(self, task_status) -> None:
        app = make_app(FakeDaemon(), self.path.parent / "tocsin.db", self.log)
        await serve_control(
            app,
            self.path,
            0o600,
            log=self.log,
            trouble=self.trouble,
            look_every=0.01,
            task_status=task_status,
        )


@asynccontextmanager
async def serving(path: Path, *, waits: bool = True):
    daemon = Serving(path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            if waits:
                await nursery.start(daemon.run)
            else:
                nursery.start_soon(daemon.run, trio.TASK_STATUS_IGNORED)
            yield daemon
            nursery.cancel_scope.cancel()


async def test_the_socket_is_made_with_its_rights_and_removed_at_the_end(tmp_path):
    async with serving(tmp_path / "control.sock") as daemon:
        assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o600
        await daemon.answers()
    assert list(tmp_path.iterdir()) == []


async def test_a_socket_that_was_removed_is_made_again(tmp_path):
    async with serving(tmp_path / "control.sock") as daemon:
        for _ in range(2):
            daemon.path.unlink()
            await daemon.answers()
            assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o600
        assert daemon.troubles == []


async def test_a_folder_in_its_place_is_told_once_and_left_alone(tmp_path):
    async with serving(tmp_path / "control.sock") as daemon:
        await daemon.answers()
        daemon.path.unlink()
        daemon.path.mkdir()
        await daemon.troubled.wait()
        assert daemon.troubles == [f"{daemon.path}: Address already in use"]
        daemon.path.rmdir()
        await daemon.answers()
        assert len(daemon.troubles) == 1


async def test_a_socket_left_by_a_crash_is_replaced_but_not_one_that_somebody_listens_on(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        async with serving(path, waits=False) as daemon:
            await daemon.troubled.wait()
            assert path.is_socket()
            other.close()
            await daemon.answers()


async def test_a_folder_that_is_gone_is_told_and_the_umask_is_as_before(tmp_path):
    before = os.umask(0o022)
    try:
        async with serving(tmp_path / "gone" / "control.sock", waits=False) as daemon:
            await daemon.troubled.wait()
            assert "No such file or directory" in daemon.troubles[0]
            assert os.umask(0o022) == 0o022
            daemon.path.parent.mkdir()
            await daemon.answers()
    finally:
        os.umask(before)
