"""`tocsin explain` beside a running daemon: what it remembers is in its books at once."""

import json

from support.mission import POSITION, cancel, connected, profit, venues

RULES = [
    {"id": "falls", "watch": "position", "when": "change(profit, 1h) < -1 or drawdown(profit) > 10"},
    {"id": "together", "watch": "position", "per": ["account"], "when": "sum(profit) < -0.5"},
    {"id": "many", "watch": "order.canceled", "when": "count(10m) >= 3"},
    {"id": "lonely", "watch": "order.canceled", "unless": {"watch": "order.filled", "within": "1h"}},
]


async def test_what_a_running_daemon_remembers(folder, people, exchange):
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)

    async def explained(rule: str) -> dict:
        said = await folder.command("explain", rule, "--json")
        assert said.returncode == 0, said.stderr
        (only,) = json.loads(said.stdout)["explained"]
        return {
            "id": only["id"],
            "state": only["state"].split(" since")[0],
            "parts": [(part["of"], part["holds"], part["saw"]) for part in only["parts"]],
        }

    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, 0.8, "created")
        profit(exchange, -0.6)
        for order in (1, 2):
            cancel(exchange, order)
        await daemon.until(lambda: len(folder.events("order.canceled")) == 2, "both orders are canceled")
        await daemon.until_all_sent(2 * 3)
        assert await explained("falls") == {
            "id": POSITION,
            "state": "firing",
            "parts": [("when", True, "drawdown(profit) 175 > 10")],
        }
        account = (await explained("together"))["id"]
        assert await explained("together") == {
            "id": account,
            "state": "firing",
            "parts": [("when", True, "sum(profit) -0.6 < -0.5")],
        }
        assert (await explained("many"))["parts"] == [("when", False, "count(10m) 2 < 3")]
        told = await folder.command("explain", "lonely")
        assert told.stdout.count("unless order.filled within 1h: unknown, none so far; told at 20") == 2
