"""SIGHUP and `tocsin reload`: what was changed is changed, what wasn't notices nothing, and no event is lost."""

import json
import signal

import pytest
import trio

from support import mission
from support.mission import POSITION, cancel, connected, profit, settle
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real

RED = {"id": "red", "watch": "position", "when": "profit < -50"}
CANCELED = {"id": "canceled", "watch": "order.canceled"}
_MOST_UNTOLD = 50
OTHER = "be06c5da-35d4-4ca1-8865-000000000000"


@pytest.fixture
def hook():
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def venues(exchange):
    return mission.venues(exchange)


def sockets(exchange) -> dict[str, list[int]]:
    """The very connections of each venue."""
    return {venue.type: [id(client) for client in venue.clients] for venue in exchange.all()}


def told(hook: HttpReceiver) -> list[str]:
    return [request.json["title"] for request in hook.requests]


def resolved(folder) -> list[tuple[str, str]]:
    """(entity, reason) of what was resolved, in order."""
    return folder.rows(
        "SELECT entity, json_extract(data, '$.reason') FROM alerts WHERE state = 'resolved' ORDER BY resolved_at"
    )


async def reloaded(daemon, times: int) -> None:
    await daemon.until(
        lambda: len(daemon.folder.events("daemon.reloaded")) == times, f"the config is reloaded {times} times"
    )


async def test_rules(folder, exchange, hook, venues):
    folder.write(venues=venues, channels={"hook": hook.channel}, rules=[RED, CANCELED])
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        before = sockets(exchange)
        profit(exchange, -60, "created")
        profit(exchange, -80, "created", OTHER)
        await daemon.until_all_sent(2)

        # Another title and another rule: what fires goes on firing, and nobody is told anew.
        settled = {"id": "settled", "watch": "contract.settlement_completed_success"}
        folder.write(rules=[RED | {"title": "{{ symbol }} is deep in the red"}, CANCELED, settled])
        daemon.signal(signal.SIGHUP)
        await reloaded(daemon, 1)
        settle(exchange, "contract-1")
        await daemon.until_all_sent(3)

        # Another threshold: one position is still below it.
        folder.write(rules=[RED | {"when": "profit < -70"}, CANCELED, settled])
        done = await folder.command("reload")
        assert done.returncode == 0, done
        assert "rule red changed" in done.stdout
        assert f"  resolved: red for {POSITION} (rule changed)\n" in done.stdout
        await daemon.until_all_sent(4)
        assert resolved(folder) == [(POSITION, "rule changed")]

        # The rule is gone: so is its alert.
        folder.write(rules=[CANCELED])
        done = await folder.command("reload", "--json")
        assert done.returncode == 0
        assert "rule red removed" in done.stdout
        await daemon.until_all_sent(5)
        assert resolved(folder) == [(POSITION, "rule changed"), (OTHER, "rule removed")]

        profit(exchange, -90)
        cancel(exchange, 132991)
        await daemon.until_all_sent(6)
        assert sockets(exchange) == before
        assert len(exchange.topone.token_requests) == 1
    assert folder.rows("SELECT count(*) FROM deliveries") == [(6,)]
    assert sum(" canceled: " in title for title in told(hook)) == 1


async def test_a_broken_config(folder, exchange, hook, venues):
    folder.write(
        venues=venues,
        channels={"hook": hook.channel},
        rules=[RED, CANCELED, {"id": "failed", "watch": "daemon.reload_failed"}],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        before = sockets(exchange)
        folder.write(rules=[RED | {"when": "proft < -50"}, CANCELED | {"notify": "nobody"}])
        done = await folder.command("reload")
        assert done.returncode == 1
        assert "proft" in done.stdout
        assert "did you mean `profit`?" in done.stdout
        assert "nobody" in done.stdout
        assert "not reloaded; the old configuration goes on" in done.stdout
        (told,) = json.loads((await folder.command("status", "--json")).stdout)["attention"]
        assert told.startswith("the config was refused at ")
        assert "the one before goes on: " in told
        assert "proft" in told
        await daemon.until_all_sent(1)

        folder.config.write_text("venues: [")
        daemon.signal(signal.SIGHUP)
        await daemon.until_all_sent(2)

        profit(exchange, -60, "created")
        cancel(exchange, 132991)
        await daemon.until_all_sent(4)
        assert sockets(exchange) == before
        assert [event for _, event, _, _ in folder.events("daemon.reload_failed", "daemon.reloaded")] == [
            "daemon.reload_failed"
        ] * 2


async def test_a_changed_venue_and_a_changed_channel(folder, exchange, hook, venues):
    rules = [RED, CANCELED, {"id": "connection", "watch": ["venue.disconnected", "venue.auth_failed"]}]
    folder.write(venues=venues, channels={"hook": hook.channel}, rules=rules)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        before = sockets(exchange)
        del venues["power"]
        venues |= {"fx": venues["fx"] | {"silent_after": "2h"}, "pix": exchange.piexgo.settings()}
        with HttpReceiver() as elsewhere:
            folder.write(venues=venues, channels={"hook": elsewhere.url})
            done = await folder.command("reload")
            assert done.returncode == 0, done
            for said in (
                "venue power removed",
                "venue fx changed",
                "venue pix added",
                "channel hook changed",
            ):
                assert said in done.stdout
            assert "spot" not in done.stdout
            await connected(daemon, "pix")
            await daemon.until(
                lambda: exchange.yourfintech.clients and not exchange.glocalflex.clients, "others are changed"
            )
            now = sockets(exchange)
            assert now["topone"] == before["topone"]
            assert len(exchange.topone.token_requests) == 1
            await daemon.until(
                lambda: sockets(exchange)["yourfintech"] not in ([], before["yourfintech"]), "fx is held anew"
            )
            profit(exchange, -60, "created")
            cancel(exchange, 132991)
            await daemon.until_all_sent(2)
            assert len(told(elsewhere)) == 2
        assert told(hook) == []
        status = await folder.command("status")
        assert status.returncode == 0
        assert "power" not in status.stdout
        assert "pix" in status.stdout


async def test_no_event_is_lost(folder, exchange, hook, venues):
    """Orders are canceled all the while, and the config is reloaded again and again, with other words and channels."""
    folder.write(venues=venues, channels={"hook": hook.channel}, rules=[CANCELED])
    canceled: list[int] = []
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "spot")

        async def trade() -> None:
            while True:
                if (
                    len(canceled) - len(hook.requests) < _MOST_UNTOLD
                ):  # on a busy machine telling takes its time
                    cancel(exchange, 5000 + len(canceled))
                    canceled.append(5000 + len(canceled))
                await trio.sleep(0.01)

        async with trio.open_nursery() as trading:
            trading.start_soon(trade)
            for turn in range(1, 6):
                at = len(canceled)
                folder.write(
                    channels={"hook": hook.channel | {"urls": [f"{hook.url}?+turn={turn}"]}},
                    rules=[CANCELED | {"title": f"turn {turn}: {{{{ id }}}}"}],
                )
                daemon.signal(signal.SIGHUP)
                await reloaded(daemon, turn)
                await daemon.until(lambda at=at: len(hook.requests) > at + 5, "they go on being told")
            trading.cancel_scope.cancel()
        await daemon.until_all_sent(len(canceled))
    assert sorted(int(entity) for _, _, entity, _ in folder.events("order.canceled")) == canceled
    assert sorted(request.json["message"].split("order ")[1].split(",")[0] for request in hook.requests) == [
        str(number) for number in canceled
    ]
    assert {title.split(":")[0] for title in told(hook)} >= {"🟠 canceled", "🟠 turn 5"}
