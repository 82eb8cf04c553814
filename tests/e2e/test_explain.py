"""`tocsin explain` and `tocsin rules` beside a running daemon, and without one: what it remembers is in its books at once."""

import json

import pytest

from support.mission import POSITION, cancel, connected, profit, venues

pytestmark = pytest.mark.real

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


async def test_how_often_each_rule_fired(folder, people, exchange):
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.6, "created")
        await daemon.until_all_sent(3)
        told = await folder.command("rules")
        assert (told.returncode, told.stderr) == (0, "")
        (line,) = (line for line in told.stdout.splitlines() if "together" in line)
        assert line.split()[:7] == ["together", "position", "warning", "1", "firing", "fired", "1"]
        assert told.stdout.count("never fired") == 3, told.stdout
        unknown = await folder.command("explain", "togehter")
        assert unknown.returncode == 2
        assert "no rule is called togehter; did you mean together? (asked the daemon at " in unknown.stderr

    told = await folder.command("rules", "--json")
    assert told.stderr.startswith("note: no Tocsin daemon is running here")
    rules = {
        rule["rule"]: (rule["enabled"], rule["fired"], rule["firing"]) for rule in json.loads(told.stdout)
    }
    assert rules == {
        "falls": (True, 0, 0),
        "together": (True, 1, 1),
        "many": (True, 0, 0),
        "lonely": (True, 0, 0),
    }
