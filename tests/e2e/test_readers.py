"""Three read how it is: Prometheus, `tocsin status`, and somebody who writes /status to the bot. All see the same."""

import json
from typing import Any

import httpx
import pytest

from support.chats import ChatServers, to_the_eye
from support.daemon import TELEGRAM_TOKEN, Folder
from support.measured import series
from support.mission import connected, profit

pytestmark = pytest.mark.real

ANNA, CHAT = 12315544, "12315544"
POSITIONS = [f"be06c5da-35d4-4ca1-8865-f9b24b9038a{number}" for number in range(4)]


@pytest.fixture
def servers(tmp_path):
    with ChatServers(tmp_path) as servers:
        yield servers


@pytest.fixture
def folder(tmp_path, servers) -> Folder:
    return Folder(tmp_path / "tocsin", servers.environment)


class Readers:
    def __init__(self, folder: Folder, servers: ChatServers, daemon) -> None:
        self.folder, self.servers, self.daemon = folder, servers, daemon

    async def status(self) -> dict[str, Any]:
        """What it says, but for what is another at each look."""
        said = json.loads((await self.folder.command("status", "--json")).stdout)
        venues = {venue["venue"]: venue["status"] for venue in said["venues"]}
        return {**said, "venues": venues, "now": None}

    async def metrics(self) -> "Series":
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder.path / "run" / "control.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
            return Series(series((await client.get("/metrics")).text))

    async def chat(self) -> list[str]:
        """The lines of the answer."""
        messages = self.servers.telegram.messages
        before = len(messages)
        self.servers.write(ANNA, CHAT, "/status")
        await self.daemon.until(lambda: len(messages) > before, "/status is answered")
        return to_the_eye([*messages.values()][-1].text).splitlines()


class Series(dict[str, float]):
    def of(self, name: str, *words: str) -> float:
        """The sum of those of a metric that have all of these labels."""
        found = [
            value
            for key, value in self.items()
            if key.partition("{")[0] == name and all(each in key for each in words)
        ]
        assert found, (name, words)
        return sum(found)


async def test_three_readers_see_the_same(folder, exchange, servers):
    token = folder.secret("telegram", TELEGRAM_TOKEN)
    folder.write(
        venues={
            "fx": exchange.yourfintech.settings() | {"silent_after": "1h"},
            "away": exchange.topone.settings() | {"url": "ws://127.0.0.1:1/"},
        },
        people={"anna": {"telegram": ANNA}},
        channels={
            "phone": {"urls": [f"tgram://{token}/{CHAT}"], "answers": ["anna"]},
            "slow": {"urls": ["json://127.0.0.1:1"]},
            "slower": {"urls": ["json://127.0.0.1:1"]},
            "gone": {"urls": ["json://127.0.0.1:1"], "expire": "1s"},
        },
        actions={"note": {"command": ["/bin/true"]}},
        rules=[
            {"id": "red", "watch": "position", "when": "profit < -0.5", "notify": ["phone", "slow", "slower", "gone"], "run": ["note"]},
            {"id": "deep", "watch": "position", "when": "profit < -500", "severity": "critical", "notify": "phone"},
            {"id": "off", "watch": "daemon.stopping", "enabled": False},
        ],
    )  # fmt: skip
    async with folder.running(secrets=exchange.secrets) as daemon:
        readers = Readers(folder, servers, daemon)
        await connected(daemon, "fx")
        for position in POSITIONS[:2]:
            profit(exchange, -0.51, "created", position)
        query = "SELECT id FROM alerts WHERE state = 'firing'"
        await daemon.until(lambda: len(folder.rows(query)) == 2, "both fire")
        (alert,) = folder.rows(f"{query} LIMIT 1")[0]
        for command in (("ack", alert), ("silence", "rule=deep", "--for", "1h"), ("pause",)):
            assert (await folder.command(*command)).returncode == 0
        profit(exchange, -501, "created", POSITIONS[2])
        await daemon.until(lambda: len(folder.rows(query)) == 4, "the deep one fires, by both rules")
        await daemon.until(
            lambda: folder.rows("SELECT count(*) FROM deliveries WHERE status = 'dead'") == [(3,)], "given up"
        )
        await daemon.until(lambda: len(servers.telegram.messages) == 3, "the phone is told of three")

        status: dict[str, Any] = {}
        while status != (now := await readers.status()):  # the venue that is away is tried again meanwhile
            status, found, chat = now, await readers.metrics(), await readers.chat()
    assert (status["firing"], status["acknowledged"], status["silences"], status["dead"]) == (4, 1, 1, 3)
    assert status["unsent"] == 6
    assert {
        "healthy": found.of("tocsin_healthy") == 1,
        "rules": found.of("tocsin_rules"),
        "firing": found.of("tocsin_alerts", "firing") + found.of("tocsin_alerts", "recovering"),
        "acknowledged": found.of("tocsin_alerts", "firing") - found.of("tocsin_alerts_unacknowledged"),
        "silences": found.of("tocsin_silences", "active"),
        "unsent": found.of("tocsin_deliveries_waiting"),
        "dead": found.of("tocsin_deliveries_dead_total"),
        "waiting": found.of("tocsin_inbox_waiting"),
        "unwritten": found.of("tocsin_memory_queue_waiting"),
    }.items() <= status.items()
    for venue, state in status["venues"].items():
        assert found.of("tocsin_venue_status", f'venue="{venue}"', f'status="{state}"') == 1
    assert found.of("tocsin_venue_status") == len(status["venues"])
    title, *lines = chat
    assert (title == "Tocsin works") is status["healthy"] is True
    assert lines == [
        *(f"{venue}: {state}" for venue, state in status["venues"].items()),
        *status["attention"],
    ]
    attention = "\n".join(status["attention"])
    for words, so in {
        "1 of 2 venues not connected: away": found.of("tocsin_degraded", 'part="venue"'),
        "all actions are paused by": found.of("tocsin_actions_paused"),
        "channel gone": not found.of("tocsin_channel_up", 'channel="gone"'),
        "channel phone": not found.of("tocsin_channel_up", 'channel="phone"'),
    }.items():
        assert (words in attention) is bool(so), attention
