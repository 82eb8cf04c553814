"""Many alerts at once, in the real daemon: what arrives at the service, what the rows and the commands say of it."""

import pytest

from support.mission import cancel, connected
from support.receivers import TELEGRAM, telegram_text

pytestmark = pytest.mark.real

RULES = [{"id": "order-canceled", "watch": "order.canceled", "title": "{{ id }} is gone"}]


async def test_what_comes_within_the_time_is_one_message(folder, people, exchange):
    phone = people.channels(folder)["phone"]
    folder.write(
        venues={"spot": exchange.topone.settings()},
        channels={"phone": {"urls": [phone], "digest": "15s"}},
        rules=RULES,
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "spot")
        for number in range(5):
            cancel(exchange, 7000 + number)
        said = await folder.command_until(lambda told: told.count("held by digest") == 5, "deliveries")
        assert "held by digest: the channel gathers for 15s" in said.stdout
        explained = await folder.command("explain", "order-canceled", "7000")
        assert "digest: the channel gathers for 15s" in explained.stdout
        await daemon.until_all_sent(6)
        listed = await folder.command("deliveries", "--all")
    (request,) = [each for each in people.services.requests if each.host == TELEGRAM]
    title, *lines = telegram_text(request).splitlines()
    assert title == "🟠 5 alerts in 15 s: 5 × order-canceled"
    assert [line.split()[0] for line in lines if line] == ["🟠"] * 5
    (digest,) = folder.rows("SELECT id, status, title FROM deliveries WHERE state_told = 'digest'")
    assert digest[1:] == ("sent", title)
    parts = folder.rows("SELECT digest, reason, status FROM deliveries WHERE state_told = 'firing'")
    assert parts == [(digest[0], "digest", "sent")] * 5
    assert listed.stdout.count(f"in digest {digest[0]} (digest)") == 5


async def test_a_storm_is_told_as_an_event_and_its_digests_count(folder, people, exchange):
    channels = people.channels(folder)
    folder.write(
        venues={"spot": exchange.topone.settings()},
        channels={"phone": {"urls": [channels["phone"]], "storm": "10/min"}, "mail": channels["mail"]},
        rules=[
            {**RULES[0], "notify": "phone"},
            {"id": "storms", "watch": "daemon.storm", "notify": "mail"},
        ],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "spot")
        for number in range(60):
            cancel(exchange, 7000 + number)
        await daemon.until(lambda: people.count()["mail"] == 1, "the storm is told")
        await daemon.until(lambda: any("storm: " in text for text in people.told()["phone"]), "a digest came")
        await daemon.until(
            lambda: (
                folder.rows("SELECT count(*) FROM deliveries WHERE state_told = 'digest' AND status = 'sent'")
                == [(1,)]
            ),
            "the digest is recorded",
        )
        mail = "SELECT 1 FROM deliveries WHERE channel = 'mail' AND status = 'sent'"
        await daemon.until(lambda: folder.rows(mail), "the mail is recorded")
        # What is in the storm outlasts a kill: no second storm, no digest before its time.
        daemon.kill()
        await daemon.start()
        await connected(daemon, "spot")
        cancel(exchange, 7999)
        said = await folder.command_until(lambda told: "held by storm" in told, "deliveries")
        assert "a storm on the channel: over 10 alerts in a minute" in said.stdout
    assert people.count()["mail"] == 1
