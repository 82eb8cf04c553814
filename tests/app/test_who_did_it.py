"""What people do stands in the log with who did it, asked on the socket and over TCP; what nobody does isn't done."""

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.measured import Watched, watched
from support.mission import POSITION, profit
from tocsin.simulator import Exchange

pytestmark = pytest.mark.real

ANNA = "annas-token-of-twenty-characters"

ON_THE_SOCKET = {
    "/api/page/link?": "made a link to the page",
    "/api/page/sign-out?": "sessions of the page were ended",
}
DONE = {
    "/api/retry?venue=fx": "tried again on request",
    "/api/channels/phone/test?urls=URLS": "tried a channel",
    f"/api/forget?venue=fx&kind=position&id={POSITION}&why=gone": "forgotten on request",
}


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


def config(exchange: Exchange) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return json.dumps({
        "state_dir": "state",
        "venues": {"fx": exchange.yourfintech.settings()},
        "channels": {"phone": "json://127.0.0.1:9/"},
        "people": {"anna": {"token": ANNA}},
        "listen": {"address": f"127.0.0.1:{port}"},
    })  # fmt: skip


def asker(seen: Watched, folder: Path, *, over_tcp: bool) -> httpx.AsyncClient:
    if over_tcp:
        address = json.loads((folder / "config.yaml").read_text())["listen"]["address"]
        return httpx.AsyncClient(
            base_url=f"http://{address}", headers={"Authorization": f"Bearer {ANNA}"}, timeout=20
        )
    transport = httpx.AsyncHTTPTransport(uds=str(seen.state / "control.sock"))
    return httpx.AsyncClient(transport=transport, base_url="http://tocsin", timeout=20)


def noted(seen: Watched, event: str) -> list[dict[str, Any]]:
    found = zip(seen.log.lines, seen.log.fields, strict=True)
    return [fields for line, fields in found if line == f"info: {event}"]


@pytest.mark.parametrize(
    ("path", "event", "over_tcp"),
    [
        *((path, event, False) for path, event in (DONE | ON_THE_SOCKET).items()),
        *((path, event, True) for path, event in DONE.items()),
    ],
)
async def test_who_did_it_is_in_the_log(tmp_path, exchange, path, event, over_tcp):
    async with watched(tmp_path, config(exchange)) as seen:
        await seen.until(lambda: seen.daemon.measures().venues[0].status == "connected")
        profit(exchange, -3.0)
        await seen.until(lambda: seen.daemon.measures().venues[0].entities["position"] > 0)
        path = path.replace("URLS", str(seen.daemon.urls_hash("phone")))
        async with asker(seen, tmp_path, over_tcp=over_tcp) as client:
            if not over_tcp:
                answer = await client.post(path)
                assert answer.status_code == 400
                assert answer.json() == {"error": "asked without `by`: who does that?"}
                assert noted(seen, event) == []
            await client.post(f"{path}&by=ben")
        (fields,) = noted(seen, event)
        assert fields["by"] == ("anna" if over_tcp else "ben")
        if "link" not in path:
            assert fields["via"] == ("page" if over_tcp else "cli")
