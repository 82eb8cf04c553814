"""Alerts start webhooks and commands, in the real daemon: once, signed, recorded, told; and not where a rail is in the way."""

import hmac
import json
from hashlib import sha256

import pytest

from support.mission import connected, profit
from support.receivers import HttpReceiver, Reply
from support.run_kills import RunKills

pytestmark = pytest.mark.real

RED = {"id": "red", "watch": "position", "when": "profit < -0.5", "notify": ["desk"]}


@pytest.fixture
def desk():
    with HttpReceiver() as desk:
        yield desk


@pytest.fixture
def hook():
    with HttpReceiver() as hook:
        yield hook


def runs(folder, *columns: str):
    return folder.rows(f"SELECT {', '.join(columns)} FROM actions ORDER BY created_at, rowid")


async def test_a_webhook_and_a_command(folder, exchange, desk, hook, tmp_path):
    seen = tmp_path / "seen"
    script = tmp_path / "note"
    script.write_text(f'#!/bin/sh\n{{ env; echo "$@"; cat; }} > {seen}\necho noted\necho "and warned" >&2\n')
    script.chmod(0o755)
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        channels={"desk": desk.url},
        actions={
            "hedge": {
                "webhook": f"http://127.0.0.1:{hook.port}/hook",
                "secret": folder.secret("hook", "hook-key-1"),
            },
            "note": {
                "command": [
                    str(script),
                    "--",
                    "{{ symbol }}",
                    "{{ profit }}",
                    folder.secret("key", "key-of-note-1"),
                ]
            },
        },
        rules=[{**RED, "run": {"on_firing": ["hedge", "note"], "on_resolved": ["note"]}}],
    )
    hook.script("localhost", Reply(503, "not now"))
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")
        profit(exchange, -0.25, "created")
        profit(exchange, -0.51)
        await daemon.until(lambda: len(runs(folder, "1")) == 2, "both are started")
        await daemon.until(lambda: {row[0] for row in runs(folder, "status")} == {"ok"}, "both are done")
        environment = seen.read_text()
        profit(exchange, 0.5)
        await daemon.until(
            lambda: [row[0] for row in runs(folder, "status")] == ["ok"] * 3, "its end is done"
        )
        listed = await folder.command("actions")
    first, again = hook.requests
    for request in (first, again):
        stamp = request.headers["x-tocsin-timestamp"]
        signed = hmac.new(b"hook-key-1", f"{stamp}.".encode() + request.body, sha256).hexdigest()
        assert request.headers["x-tocsin-signature"] == f"sha256={signed}"
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"] == first.json["run"]
    assert (first.json["rule"], first.json["state"], first.json["fields"]["profit"]) == (
        "red",
        "firing",
        "-0.51",
    )
    assert runs(folder, "action", "told", "result", "output", "attempts") == [
        ("hedge", "firing", "200", "{}", 2),
        ("note", "firing", "exit 0", "noted\nand warned\n", 1),
        ("note", "resolved", "exit 0", "noted\nand warned\n", 1),
    ]
    symbol = first.json["symbol"]
    assert f"\n-- {symbol} -0.51 key-of-note-1\n" in environment
    recorded = str(runs(folder, "command", "reason", "output"))
    assert "key-of-note-1" not in recorded + listed.stdout
    assert json.loads(environment.splitlines()[-1])["id"] == first.json["id"]
    names = {line.partition("=")[0] for line in environment.splitlines() if "=" in line}
    assert names <= {
        "PATH",
        "LANG",
        "PWD",
        "SHLVL",
        "_",
        *(f"TOCSIN_{each}" for each in ("RUN", "ACTION", "ALERT", "RULE", "STATE")),
    }
    assert "hook-key-1" not in listed.stdout
    assert "hedge  POST http://127.0.0.1" in listed.stdout
    assert "hedge  firing  ok 200, 2 attempts  " in listed.stdout


async def test_pause_dry_run_failure_and_circuit(folder, exchange, desk):
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        channels={"desk": desk.url},
        actions={
            "fails": {"command": ["/bin/sh", "-c", "echo no margin; exit 3"]},
            "shown": {"command": ["/bin/false", "--", "{{ symbol }}"], "dry_run": True},
        },
        rules=[
            {
                "id": "down",
                "watch": "position",
                "when": "profit < -0.5",
                "notify": ["desk"],
                "run": ["fails", "shown"],
            },
            {"id": "failed", "watch": "daemon.action_failed", "notify": ["desk"]},
        ],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")

        async def fall(count: int) -> None:
            profit(exchange, 0.5)
            profit(exchange, -0.51)
            await daemon.until(
                lambda: (
                    len([1 for (s,) in runs(folder, "status") if s not in ("pending", "begun")]) == 2 * count
                ),
                "it is over",
            )

        profit(exchange, 0.25, "created")
        paused = await folder.command("pause", "--why", "maintenance")
        assert paused.stdout.startswith("paused: all actions (the daemon at ")
        assert (
            await folder.command("pause")
        ).stdout == "all actions: paused already; tocsin actions says by whom\n"
        await fall(1)
        wrong = await folder.command("resume", "fail")
        assert (wrong.returncode, "no action is called fail; did you mean `fails`?" in wrong.stderr) == (
            2,
            True,
        )
        daemon.kill()
        await daemon.start()
        await connected(daemon, "fx")
        assert "all actions are paused by " in (await folder.command("actions")).stdout
        alone = await folder.command("resume", "fails")
        assert alone.stdout.startswith("fails: all actions are paused by ")
        assert (await folder.command("resume")).returncode == 0
        for count in range(2, 8):
            await fall(count)
        circuit = await folder.command("actions")
        assert (await folder.command("resume", "fails")).returncode == 0
        await fall(8)
    told = runs(folder, "action", "status", "reason")
    assert told[0][:2] == ("fails", "dropped")
    assert "paused by " in told[0][2]
    fails = [row[1:] for row in told if row[0] == "fails"][1:]
    assert fails[0] == ("failed", "exit 3: no margin")
    assert [status for status, _ in fails] == ["failed"] * 5 + ["dropped", "failed"]
    assert "its circuit is open since " in fails[5][1]
    assert {row[1] for row in told if row[0] == "shown"} == {"dropped", "dry_run"}
    assert "no more runs since " in circuit.stdout
    texts = [request.json["title"] + request.json["message"] for request in desk.requests]
    assert any(
        text.startswith("🟠 fails: failed: exit 3: no margin: -0.51 USD BTCUSD long") for text in texts
    )
    assert any("runs no more, tocsin resume fails: 5 failures in a row" in text for text in texts)


async def test_kills_around_runs(folder, exchange, hook):
    kills = RunKills(folder, exchange, hook, seed=3)
    kills.write()
    await kills.run(4)
    assert kills.outcomes["note", "ok"]
