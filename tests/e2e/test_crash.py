"""`kill -9` at the worst moments, and restart: what was told isn't told again, and what wasn't is."""

from collections import Counter

import pytest
import trio

from support.daemon import PATIENCE
from support.mission import (
    CANCELED,
    IN_THE_RED,
    OUT_OF_IT,
    RULES,
    WHOLE,
    cancel,
    connected,
    headline,
    headlines,
    profit,
    settle,
    venues,
)
from support.receivers import SLACK, TELEGRAM, Hang, HttpReceiver, Reply
from tocsin.simulator import topone, wealthsimple

pytestmark = pytest.mark.real


@pytest.fixture
def hook():
    """A receiver that is shown the id of each delivery."""
    with HttpReceiver() as receiver:
        yield receiver


async def test_committed_but_not_sent(folder, people, exchange):
    people.refuse()
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.51, "created")
        cancel(exchange, 132991)
        settle(exchange, "contract-1")
        await daemon.until(
            lambda: len(folder.unsent()) == 6 and len({row[0] for row in folder.unsent() if row[3]}) == 3,
            "six deliveries wait, and each channel was tried",
        )
        daemon.kill()
        people.accept()
        await daemon.start()
        await daemon.until_all_sent(6)
        await connected(daemon, "fx")
        profit(exchange, -0.39)
        await daemon.until_all_sent(9)
    assert headlines(people.told()) == WHOLE


async def test_between_the_firing_and_its_end(folder, people, exchange):
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.51, "created")
        cancel(exchange, 132991)
        settle(exchange, "contract-1")
        await daemon.until_all_sent(6)
        await daemon.restart()
        await connected(daemon, "fx", "spot", "power")
        # The venue says the same again, as venues do after a reconnect: nothing happened.
        profit(exchange, -0.51)
        cancel(exchange, 132991)
        settle(exchange, "contract-1")
        await daemon.restart()
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.39)
        await daemon.until_all_sent(9)
        await daemon.restart()
    assert headlines(people.told()) == WHOLE
    (resolved,) = (text for text in people.told()["desk"] if headline(text) == OUT_OF_IT)
    assert "worst -0.51, at start -0.51" in resolved
    assert len(exchange.topone.token_requests) == 1  # one more within a minute would lock us out for an hour


async def test_between_the_send_and_its_record(folder, people, exchange, hook):
    people.services.always(SLACK, Hang())
    hook.always("localhost", Hang())
    rules = [{**RULES[0], "notify": ["desk", "phone", "mail", "hook"]}]
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        channels=people.channels(folder) | {"hook": hook.url},
        rules=rules,
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await daemon.until(
            lambda: (
                {row[0] for row in folder.unsent()} == {"desk", "hook"}
                and people.count()["desk"] == 1
                and len(hook.requests) == 1
            ),
            "Slack and the hook have it without having said so",
        )
        daemon.kill()
        people.services.always(SLACK, Reply(200, "ok"))
        hook.always("localhost", Reply(200, "{}"))
        await daemon.start()
        await daemon.until_all_sent(4)
    assert headlines(people.told()) == {
        "desk": [IN_THE_RED, IN_THE_RED],
        "phone": [IN_THE_RED],
        "mail": [IN_THE_RED],
    }
    first, second = hook.requests
    (delivery,) = folder.rows("SELECT id FROM deliveries WHERE channel = 'hook'")
    assert first.headers["x-tocsin-delivery"] == second.headers["x-tocsin-delivery"] == delivery[0]
    assert folder.rows("SELECT count(*), max(attempts) FROM deliveries") == [(4, 1)]


@pytest.mark.parametrize("gathers", [{}, {"digest": "300ms"}], ids=["each by itself", "digests"])
async def test_in_the_middle_of_traffic(folder, exchange, hook, gathers):
    kills = (40, 75, 90)  # alerts in the books when it is killed
    folder.write(
        venues={"spot": exchange.topone.settings()},
        channels={"hook": hook.channel | gathers},
        rules=[{"id": "order-canceled", "watch": "order.canceled"}],
    )
    eras: list[list[int]] = []  # what was canceled in each life of the daemon
    async with folder.running(secrets=exchange.secrets) as daemon:

        def alerts(since: int = 0) -> int:
            query = "SELECT count(*) FROM alerts WHERE CAST(entity AS INTEGER) >= ?"
            return folder.rows(query, since)[0][0]

        async def trade(era: int) -> None:
            while True:
                number = 1000 * (era + 1) + len(eras[era])
                text = topone.order(number, 3, price="0.08132", amount="1.389")
                if exchange.topone.push(text, "sub_orders"):
                    eras[era].append(number)
                await trio.sleep(0.005)

        for era, kill_at in enumerate(kills):
            eras.append([])
            await connected(daemon, "spot")
            async with trio.open_nursery() as trading:
                trading.start_soon(trade, era)
                await daemon.until(
                    lambda at=kill_at, since=1000 * (era + 1): alerts() >= at and alerts(since) > 5,
                    f"{kill_at} alerts are in the books, some of them of this life",
                )
                daemon.kill()
                trading.cancel_scope.cancel()
            with trio.fail_after(PATIENCE):
                while exchange.topone.clients:  # noqa: ASYNC110 - until the venue has noticed
                    await trio.sleep(0.01)
            await daemon.start()
        await daemon.until_all_sent(alerts())

    canceled = [int(entity) for _, _, entity, _ in folder.events("order.canceled")]
    assert len(set(canceled)) == len(canceled)
    for era in eras:  # what was on its way into the books is lost with the process: the end, never a hole
        kept = [number for number in era if number in set(canceled)]
        assert kept == era[: len(kept)]
        assert len(kept) > 5
    told = folder.rows(
        "SELECT a.entity, coalesce(d.digest, d.id), d.status FROM alerts a LEFT JOIN deliveries d ON d.alert = a.id"
    )
    assert sorted(int(entity) for entity, _, _ in told) == sorted(canceled)
    assert {status for _, _, status in told} == {"sent"}
    arrived = Counter(request.headers["x-tocsin-delivery"] for request in hook.requests)
    assert arrived.keys() == {delivery for _, delivery, _ in told}
    assert (len(arrived) < len(told)) is bool(gathers)
    assert sum(arrived.values()) - len(arrived) <= len(
        kills
    )  # twice only what a kill caught before it was recorded


async def test_what_happened_while_it_was_dead(folder, people, exchange):
    """The next snapshot shows an order done that was open: it is told, late."""
    broker = exchange.wealthsimple
    broker.accounts = [
        wealthsimple.account("tfsa-abcabc", "1500.25", [wealthsimple.order("order-1", "submitted")])
    ]
    folder.write(
        venues={"broker": broker.settings() | {"poll": "1s"}},
        channels=people.channels(folder),
        rules=[{"id": "order-done", "watch": ["order.filled", "order.open"], "notify": "mail"}],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "broker")
        daemon.kill()
        broker.accounts = [
            wealthsimple.account("tfsa-abcabc", "1309.25", [wealthsimple.order("order-1", "posted")])
        ]
        await daemon.start()
        await daemon.until_all_sent(1)
        await daemon.restart()
        await connected(daemon, "broker")
    assert folder.events("order.filled", "order.open", "order.created") == [
        ("broker", "order.filled", "order-1", "resync")
    ]
    (mail,) = people.told()["mail"]
    assert headline(mail).startswith("🟠 filled: SHOP buy")
    assert "found after a gap: it happened while the connection was away" in mail


async def test_a_service_that_will_have_nothing_of_us(folder, people, exchange):
    """Its fallback gets the message, another channel the news; across a crash too, once each."""
    people.services.always(
        TELEGRAM, Reply(403, '{"ok":false,"description":"Forbidden: bot was blocked by the user"}')
    )
    channels = people.channels(folder)
    folder.write(
        venues={"spot": exchange.topone.settings()},
        channels=channels | {"phone": {"urls": [channels["phone"]], "fallback": "mail"}},
        rules=[
            {"id": "order-canceled", "watch": "order.canceled", "notify": "phone"},
            {"id": "can-t-tell", "watch": "daemon.delivery_failed", "notify": ["phone", "desk"]},
        ],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "spot")
        cancel(exchange, 132991)

        def sent() -> set[str]:
            return {
                channel for (channel,) in folder.rows("SELECT channel FROM deliveries WHERE status = 'sent'")
            }

        await daemon.until(lambda: sent() == {"desk", "mail"}, "others are told")
        await daemon.restart()
        await connected(daemon, "spot")
        await daemon.until(lambda: people.count()["phone"] == 2, "what waits is tried at a start")
    assert people.count() == {"desk": 1, "phone": 2, "mail": 1}
    (news,), (message,) = people.told()["desk"], people.told()["mail"]
    assert "daemon.delivery_failed" in news
    assert "Telegram: 403 Forbidden: bot was blocked by the user" in news
    assert headline(message) == CANCELED
