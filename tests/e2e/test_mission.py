"""The main job: what happens at a venue is told to people, each message once, by Slack, Telegram and mail."""

import pytest

from support.mission import (
    IN_THE_RED,
    OUT_OF_IT,
    POSITION,
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

pytestmark = pytest.mark.real


async def test_each_alert_is_told_once_on_each_of_its_channels(folder, people, exchange):
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.0001, "created")
        cancel(exchange, 132991)
        settle(exchange, "contract-1")
        for value in (-0.49, -0.5, -0.51, -0.7827, -0.6):  # equal is not below; deeper is not once more
            profit(exchange, value)
        await daemon.until_all_sent(6)
        assert people.count() == {"desk": 2, "phone": 2, "mail": 2}

        for value in (-0.45, -0.39, -0.2):  # above -0.5 is not over yet: `until` says when
            profit(exchange, value)
        await daemon.until_all_sent(9)

    # The daemon has stopped; what is in its books is all that there ever was.
    assert headlines(people.told()) == WHOLE
    assert folder.rows("SELECT status, attempts, count(*) FROM deliveries GROUP BY 1, 2") == [("sent", 1, 9)]
    assert folder.rows("SELECT rule, state, venue, account IS NULL, entity FROM alerts ORDER BY rule") == [
        ("contract-settled", "event", "power", 1, "contract-1"),
        ("order-canceled", "event", "spot", 1, "132991"),
        ("position-in-the-red", "resolved", "fx", 0, POSITION),
    ]
    for channel, texts in people.told().items():
        titles = [headline(text) for text in texts]
        assert titles.index(IN_THE_RED) < titles.index(OUT_OF_IT), channel
        (resolved,) = (text for text in texts if headline(text) == OUT_OF_IT)
        assert "resolved: profit -0.39 > -0.4" in resolved
        assert "profit -0.39 USD, worst -0.7827, at start -0.51" in resolved
    for mail, title in ((mail, mail["Subject"]) for mail in people.mail.mails):
        sent = folder.rows("SELECT channel FROM deliveries WHERE id = ?", mail["X-Tocsin-Delivery"])
        assert sent == [("mail",)], title
