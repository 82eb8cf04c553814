"""People act on the daemon that runs: silence, acknowledge, take back. At once, kept over kill -9, and told wherever alerts are."""

import json

import pytest
import trio

from support.disk import locked
from support.mission import POSITION, connected, profit
from support.receivers import HttpReceiver, Reply

pytestmark = pytest.mark.real

RULES = [
    {"id": "red", "watch": "position", "when": "profit < -0.5", "repeat": "1s", "severity": "critical"},
    {"id": "deep", "watch": "position", "when": "profit < -5"},
]


@pytest.fixture
def desk():
    with HttpReceiver() as desk:
        yield desk


def titles(desk: HttpReceiver) -> list[str]:
    return [request.json["title"] for request in list(desk.requests)]


async def test_silence_and_acknowledge(folder, exchange, desk):
    names = {"accounts": {"9020b4e5-dade-46da-9469-7a58fa25fd56": "Main"}}
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        channels={"desk": desk.url},
        rules=RULES,
        names=names,
        tz="Europe/Prague",
    )
    lonely = await folder.command("silence", "venue=fx", "--for", "1h")
    assert lonely.returncode == 1
    assert "no Tocsin daemon is running here" in lonely.stderr
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await daemon.until(lambda: len(titles(desk)) >= 2, "it is told, and reminded of")

        tried = await folder.command("silence", "rule=red", "account=Main", "--for", "1h", "--dry-run")
        assert "would hold 1 alert of those that fire now:\n    red  " in tried.stdout
        vain = await folder.command("silence", "rule=rde", "--for", "1h")
        assert vain.returncode == 2
        assert "no rule is called rde; did you mean red?" in vain.stderr
        assert (await folder.command("silences")).stdout == "nothing is silenced\n"

        made = json.loads(
            (await folder.command("silence", "rule=deep account=Main", "--for", "1h", "--why", "maintenance", "--json")).stdout
        )  # fmt: skip
        assert (made["silenced"], made["holds"]) == (True, [])
        profit(exchange, -6)
        await daemon.until(lambda: folder.rows("SELECT 1 FROM held"), "the silence holds it")
        silences = (await folder.command("silences")).stdout
        assert silences.startswith("rule=deep account=Main  until ")
        assert ": maintenance; held 1 message\n" in silences

        ((red,),) = folder.rows("SELECT id FROM alerts WHERE rule = 'red'")
        wrong = await folder.command("ack", "red")
        assert wrong.returncode == 1
        assert f"knows no alert red; did you mean:\n  {red}  firing  red  " in wrong.stderr
        acked = await folder.command("ack", red[:20], "--why", "on it")
        assert acked.returncode == 0, acked.stderr
        assert acked.stdout.startswith("acknowledged: red  ")
        before = len(titles(desk))
        assert (await folder.command("ack", red)).stdout.startswith("acknowledged before, at ")
        assert (await folder.command("ack", red, "--undo")).stdout.startswith("no longer acknowledged: red")
        await daemon.until(lambda: len(titles(desk)) > before, "it is reminded of again")
        assert (await folder.command("ack", red, "--undo")).returncode == 1
        assert (await folder.command("ack", red, "--for", "1s")).returncode == 0
        before = len(titles(desk))
        over = "for a time, which is over"
        await daemon.until(
            lambda: any(over in request.json["message"] for request in list(desk.requests)),
            "its time is over",
        )
        acked = await folder.command("ack", red, "--for", "1h", "--why", "on it")
        assert acked.returncode == 0, acked.stderr
        before = len(titles(desk))

        alerts = (await folder.command("alerts")).stdout
        assert f"  id {red}, acknowledged " in alerts
        assert ", not told yet: rule=deep account=Main, until " in alerts
        assert (
            "2 firing (1 acknowledged, 1 silenced), 1 message held back"
            in (await folder.command("status")).stdout
        )
        explained = (await folder.command("explain", "red")).stdout
        assert "acknowledged: by " in explained
        assert ", until " in alerts
        acts = folder.rows("SELECT via, does, target, why FROM acts ORDER BY id")
        assert acts == [
            ("cli", "silence", made["silence"]["id"], "maintenance"),
            ("cli", "ack", red, "on it"),
            ("cli", "unack", red, ""),
            ("cli", "ack", red, ""),
            ("cli", "ack", red, "on it"),
        ]

        await daemon.restart()
        await connected(daemon, "fx")
        profit(exchange, -7)
        await trio.sleep(1.5)  # longer than a reminder waits
        late = [title for title in titles(desk)[before:] if "-7" in title or title.startswith("still")]
        assert late == []
        ended = await folder.command("unsilence", made["silence"]["id"][:12])
        assert ended.returncode == 0, ended.stderr
        await daemon.until(
            lambda: any("profit < -5" in each for each in titles(desk)), "what it held is told"
        )
        profit(exchange, 1)
        await daemon.until(
            lambda: sum("resolved" in each for each in titles(desk)) == 2, "both ends are told"
        )
        forgotten = await folder.command("forget", "fx", "position", POSITION, "--why", "gone")
        assert forgotten.returncode == 0, forgotten.stderr
        ((does, target, why),) = folder.rows("SELECT does, target, why FROM acts ORDER BY id DESC LIMIT 1")
        assert (does, why, POSITION in target) == ("forget", "gone", True)


async def test_what_is_done_while_the_database_takes_nothing_holds_and_says_that_it_is_not_kept(
    folder, exchange, desk
):
    folder.write(
        venues={"fx": exchange.yourfintech.settings()}, channels={"desk": desk.url}, rules=[RULES[1]]
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")
        profit(exchange, -6, "created")
        await daemon.until(lambda: titles(desk), "it is told")
        ((alert,),) = folder.rows("SELECT id FROM alerts")
        with locked(folder):
            acked = await folder.command("ack", alert)
            assert "note: done, but not on the disk yet" in acked.stderr, acked.stderr
            assert (await folder.command("ack", alert)).stdout.startswith("acknowledged before, at ")
            assert ", acknowledged " in (await folder.command("alerts")).stdout
            made = json.loads((await folder.command("silence", "rule=deep", "--for", "1h", "--json")).stdout)
            assert (made["silenced"], made["kept"]) == (True, False)
            assert (await folder.command("silences")).stdout.startswith("rule=deep  until ")
            ended = await folder.command("unsilence", made["silence"]["id"])
            assert (ended.returncode, "not on the disk yet" in ended.stderr) == (0, True)
            assert (await folder.command("silences")).stdout == "nothing is silenced\n"
        acts = "SELECT does FROM acts ORDER BY id"
        await daemon.until(
            lambda: folder.rows(acts) == [("ack",), ("silence",), ("unsilence",)], "it is kept at last"
        )
        assert (await folder.command("ack", alert)).stderr == ""


async def test_who_is_escalated_to_over_a_kill_hears_of_the_acknowledgement_and_the_end(
    folder, exchange, desk
):
    with HttpReceiver() as boss:
        rule = {**RULES[1], "notify": ["desk"], "escalate": [{"after": "3s", "notify": ["boss"]}]}
        folder.write(
            venues={"fx": exchange.yourfintech.settings()},
            channels={"desk": desk.url, "boss": boss.url},
            rules=[rule],
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "fx")
            profit(exchange, -6, "created")
            await daemon.until(lambda: titles(desk), "it is told")
            await daemon.restart()
            await daemon.until(lambda: titles(boss), "the boss is told")
            assert "not acknowledged for 3 s: " in titles(boss)[0]
            ((alert,),) = folder.rows("SELECT id FROM alerts")
            assert (await folder.command("ack", alert)).returncode == 0
            await daemon.until(lambda: len(titles(boss)) == 2, "the boss hears who has it")
            assert "acknowledged by " in titles(boss)[1]
            await connected(daemon, "fx")
            profit(exchange, 1)
            both = (desk, boss)
            await daemon.until(
                lambda: all(any("resolved" in each for each in titles(who)) for who in both),
                "both hear of it",
            )
        assert folder.rows("SELECT key FROM meta WHERE key LIKE '%followed%'") == []


async def test_who_is_escalated_to_and_knows_of_it_as_a_fallback_is_told_no_second_time(
    folder, exchange, desk
):
    with HttpReceiver() as boss:
        desk.always("localhost", Reply(403, "no"))
        rule = {**RULES[1], "notify": ["desk"], "escalate": [{"after": "3s", "notify": ["boss"]}]}
        folder.write(
            venues={"fx": exchange.yourfintech.settings()},
            channels={"desk": {"urls": [desk.url], "fallback": "boss"}, "boss": boss.url},
            rules=[rule],
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "fx")
            profit(exchange, -6, "created")
            await daemon.until(lambda: len(titles(boss)) == 2, "the boss is told twice")
            profit(exchange, 1)
            await daemon.until(lambda: len(titles(boss)) == 3, "the boss hears of the end")
        told = "SELECT state_told FROM deliveries WHERE channel = 'boss' ORDER BY sequence"
        assert folder.rows(told) == [("firing",), ("reminder",), ("resolved",)]
