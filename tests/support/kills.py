"""`kill -9` again and again while alerts fire and end, people act and messages are edited; then what must be true of it all.

One position fires by two rules, one of them critical. Each profit is said once, so a notification that repeats one is a
duplicate. What the venue said last is said again after each start, as venues do.
"""

import json
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import trio

from support.chats import ChatServers
from support.daemon import Daemon, Folder
from support.mission import connected
from support.receivers import HttpReceiver
from tocsin.control.client import SOCKET
from tocsin.simulator import Exchange, yourfintech

TELEGRAM_TOKEN, SLACK_TOKEN = "123456789:abcdefg_hijklmnop", "xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"
POSITIONS = [f"be06c5da-35d4-4ca1-8865-00000000000{number}" for number in range(6)]
RULES: list[dict[str, Any]] = [
    {
        "id": "red",
        "watch": "position",
        "when": "profit < -10",
        "notify": ["phone", "desk", "hook"],
        "repeat": "30s",
    },
    {
        "id": "deep",
        "watch": "position",
        "when": "profit < -50",
        "severity": "critical",
        "notify": ["phone", "hook"],
        "escalate": [{"after": "3s", "notify": ["desk"]}],
    },
]
FIRING, OVER = ("🔴", "🟠"), ("🟢", "⚪")
_LEVELS = (20, -20, -80)  # of which a profit is a fraction less: well, red, deep


class Kills:
    """One daemon, the servers that it tells, and what the venue said of each position last."""

    def __init__(
        self, folder: Folder, exchange: Exchange, chats: ChatServers, hook: HttpReceiver, seed: int
    ) -> None:
        self.folder, self.exchange, self.chats, self.hook = folder, exchange, chats, hook
        self.random = random.Random(seed)
        self.said = dict.fromkeys(POSITIONS, 20.0)
        self._told = 0
        self.kills = 0
        self.acts = Counter[str]()
        """What was done: `ack 200`, `silences 200`."""
        self.repeated = 0
        """Messages that arrived more than once, as far as their delivery's id tells."""

    def write(self, **more: Any) -> None:
        """The config. `more`: options of the channels."""
        channels = {
            "phone": {"urls": [f"tgram://{self.folder.secret('telegram', TELEGRAM_TOKEN)}/12315544"]},
            "desk": {"urls": [f"slack://{self.folder.secret('slack', SLACK_TOKEN)}/#desk"]},
            "hook": {"urls": [self.hook.url], "digest": "1s"},
        }
        fx = self.exchange.yourfintech.settings() | {"silent_after": "1h"}
        self.folder.write(
            venues={"fx": fx},
            channels={
                name: {"storm": "off"} | options | more.get(name, {}) for name, options in channels.items()
            },
            rules=RULES,
        )

    async def run(self, kills: int) -> None:
        """So many kills at random moments, then peace, and everything that must be true."""
        async with self.folder.running(secrets=self.exchange.secrets) as daemon:
            async with trio.open_nursery() as chaos:
                chaos.start_soon(self._trade)
                chaos.start_soon(self._act)
                await daemon.until(lambda: self.acts, "somebody acts on an alert, before the first kill")
                for _ in range(kills):
                    await trio.sleep(self.random.uniform(0.05, 2.0))
                    daemon.kill()
                    self.kills += 1
                    await daemon.start()
                chaos.cancel_scope.cancel()
            await self._peace(daemon)
        self._check()

    # ------------------------------------------------------------------------------------------------------------ chaos

    async def _trade(self) -> None:
        while True:
            position = self.random.choice(POSITIONS)
            if self.exchange.yourfintech.clients:
                self._say(position, self.random.choice(_LEVELS))
            await trio.sleep(self.random.expovariate(1 / 0.4))

    def _say(self, position: str, level: float) -> None:
        """A profit that was never said before."""
        self._told += 1
        profit = round(level - self._told / 10_000, 4)
        if self.exchange.yourfintech.push(
            yourfintech.position("updated", position, profit=profit, entry=89788.01)
        ):
            self.said[position] = profit

    async def _act(self) -> None:
        """People, who press and type while it dies under their hands."""
        socket = self.folder.path / "run" / SOCKET
        while True:
            await trio.sleep(self.random.expovariate(1 / 0.5))
            alerts = self.folder.rows("SELECT id, entity FROM alerts WHERE state = 'firing'")
            if not alerts:
                continue
            alert, entity = self.random.choice(alerts)
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(transport=transport, timeout=10) as client:
                    if self.random.random() < 0.6:
                        done = await client.post(f"http://tocsin/api/alerts/{alert}/ack", json={"by": "anna"})
                    else:
                        asked = {"by": "ben", "matchers": f"id={entity} rule=red", "for": "5s"}
                        done = await client.post("http://tocsin/api/silences", json=asked)
                    self.acts[f"{done.request.url.path.rpartition('/')[2]} {done.status_code}"] += 1

    async def _peace(self, daemon: Daemon) -> None:
        """Everything is said once more and for the last time, and everything that waits is sent."""
        await connected(daemon, "fx")
        for number, position in enumerate(POSITIONS):
            self._say(position, _LEVELS[number % 3])
        await daemon.until(
            lambda: self._firing() == self._to_fire(), "what fires is what the venue said last"
        )
        await daemon.until(self._all_escalated, "whom nobody has acknowledged, desk knows of")
        await daemon.until(lambda: not self.folder.unsent() and not self._held(), "nothing waits")

    def _firing(self) -> set[tuple[str, str]]:
        return set(self.folder.rows("SELECT rule, entity FROM alerts WHERE state = 'firing'"))

    def _to_fire(self) -> set[tuple[str, str]]:
        limits = {"red": -10, "deep": -50}
        return {
            (rule, id_)
            for rule, limit in limits.items()
            for id_, profit in self.said.items()
            if profit < limit
        }

    def _all_escalated(self) -> bool:
        query = """
            SELECT 1 FROM alerts AS a WHERE rule = 'deep' AND state = 'firing' AND acked_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM deliveries AS d WHERE d.alert = a.id AND d.channel = 'desk'
            )
        """
        return not self.folder.rows(query)

    def _held(self) -> int:
        return int(self.folder.rows("SELECT count(*) FROM held")[0][0])

    # ---------------------------------------------------------------------------------------------------------- judging

    def _check(self) -> None:
        self._nothing_is_lost()
        self._few_duplicates()
        self._each_message_is_true()

    def _nothing_is_lost(self) -> None:
        lost = self.folder.rows(
            "SELECT id, status, error FROM deliveries WHERE status IN ('pending', 'dead') LIMIT 5"
        )
        assert not lost
        recorded = {
            id_
            for (id_,) in self.folder.rows(
                "SELECT coalesce(digest, id) FROM deliveries WHERE channel = 'hook' AND status = 'sent'"
            )
        }
        assert recorded <= self._received().keys(), "what is recorded as sent has arrived"

    def _received(self) -> Counter[str]:
        return Counter(request.headers["x-tocsin-delivery"] for request in list(self.hook.requests))

    def _few_duplicates(self) -> None:
        received = self._received()
        repeated = {id_: count for id_, count in received.items() if count > 1}
        self.repeated = sum(repeated.values()) - len(repeated)
        assert self.repeated <= self.kills, repeated
        for channel, chat in (("phone", self.chats.telegram), ("desk", self.chats.slack)):
            handles = self.folder.rows(
                "SELECT handle FROM deliveries WHERE channel = ? AND handle IS NOT NULL", channel
            )
            recorded = {at for (handle,) in handles for at in _places(handle)}
            assert recorded <= chat.messages.keys()
            assert len(chat.messages) - len(recorded) <= self.kills, (
                "a message that nobody knows of is one that a kill cut off"
            )

    def _each_message_is_true(self) -> None:
        """What is over doesn't look as if it fired, and what fires doesn't look as if it were over."""
        query = """
            SELECT a.state, d.channel, d.handle FROM deliveries AS d JOIN alerts AS a ON a.id = d.alert
            WHERE d.state_told = 'firing' AND d.handle IS NOT NULL
        """
        wrong = []
        for state, channel, handle in self.folder.rows(query):
            chat = self.chats.telegram if channel == "phone" else self.chats.slack
            for at in _places(handle):
                shown = chat.messages[at]
                mark = (shown.bold or shown.notification)[:1]
                if mark not in (FIRING if state == "firing" else OVER):
                    wrong.append((state, channel, shown.text))
        assert not wrong


def _places(handle: str) -> list[tuple[str, str]]:
    return [(chat, id_) for chat, id_ in json.loads(handle).values()]
