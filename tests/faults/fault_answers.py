"""Services that answer without end: the daemon reads a bound of it, shuts the connection, and the others are told."""

from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from support.daemon import Folder
from support.endless import HTTP, MAIL, Endless, url
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real
_SEND_DEADLINE = 30.0  # seconds
_WATCHED = 75.0  # seconds: two sends that run into the deadline, and the minute after which a failure is told


async def fault_answers_without_end(tmp_path, figure):
    folder = Folder(tmp_path, {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
    with HttpReceiver() as healthy, ExitStack() as stack:
        servers = {name: stack.enter_context(Endless(talk)) for name, talk in {**HTTP, **MAIL}.items()}
        folder.write(
            channels={"ok": healthy.url} | {name: url(name, server.port) for name, server in servers.items()},
            rules=[
                {"id": "begun", "watch": "daemon.started", "notify": ["ok"]},
                {"id": "reloaded", "watch": "daemon.reloaded", "notify": ["ok", *servers]},
                {
                    "id": "failed",
                    "watch": "daemon.delivery_failed",
                    "notify": ["ok"],
                    "message": "{{ subject }}",
                },
            ],
        )
        async with folder.running() as daemon:
            await daemon.until(lambda: healthy.requests, "the healthy service is told")
            before = _memory(daemon.pid)
            assert (await folder.command("reload")).returncode == 0
            most = 0.0
            with trio.move_on_after(_WATCHED):
                while True:
                    most = max(most, _memory(daemon.pid) - before)
                    await trio.sleep(0.1)
            figure("memory gained by answers without end", most, unit="MB", aim=12)
            attempts = dict(folder.rows("SELECT channel, attempts FROM deliveries WHERE channel <> 'ok'"))
            assert set(attempts) == set(servers)
            for name, server in servers.items():
                assert attempts[name] >= 1, f"{name}: the first send never ended"
                assert server.begun - server.ended <= 1, f"{name}: a connection was left open"
            told = [request.json["message"] for request in healthy.requests]
            failing = {
                name for name in servers if any(text.startswith(name) or f"\n{name}" in text for text in told)
            }
            refused = dict(folder.rows("SELECT channel, status FROM deliveries WHERE status = 'pending'"))
            assert failing == set(refused), "each service that doesn't take it is told, and no other"


def _memory(pid: int) -> float:
    """MB that are resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} is gone")
