"""From the store to the services' own protocols: nothing between is a stand-in but the services."""

import pytest
import trio

from support.outboxes import delivery, handed_id
from support.receivers import SLACK, TELEGRAM, WORD_JOINER, Reply, slack_text, telegram_text
from tocsin.alerts.wording import Style
from tocsin.clock import SystemClock
from tocsin.delivery.channel import Channel, ChannelTask
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import make_sender
from tocsin.delivery.timing import Wake
from tocsin.secrets import Secret
from tocsin.store.database import Database
from tocsin.store.model import Batch

pytestmark = pytest.mark.real

SLACK_URL = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk"
TELEGRAM_URL = "tgram://123456789:abcdefg_hijklmnop/12315544/"


@pytest.fixture
async def database(tmp_path):
    made = await Database.open(tmp_path / "state", now=SystemClock().now().wall)
    yield made
    await made.close()


def task(database, name, url, fallback=None):
    settings = ChannelSettings(urls=(Secret(url),))
    channel = Channel(name=name, target=0, settings=settings, style=Style(), fallback=fallback)
    sender = make_sender(Secret(url), name=name)

    async def tell(_occurrence):
        pass

    async def run(wake):
        await ChannelTask(
            channel, sender=sender, outbox=database, clock=SystemClock(), tell=tell, wake=wake
        ).run()

    return run


async def put(database, wake, *new):
    await database.commit(Batch(at=SystemClock().now().wall, deliveries=list(new)))
    wake.ring()


async def until_nothing_waits(database):
    with trio.fail_after(20):
        while await database.pending_targets():  # noqa: ASYNC110 # other threads' doing, which no event tells of
            await trio.sleep(0.01)


async def test_one_alert_on_three_services(services, mail, database):
    wake = Wake()
    urls = {"desk": SLACK_URL, "phone": TELEGRAM_URL, "mail": mail.url()}
    async with trio.open_nursery() as nursery:
        for name, url in urls.items():
            nursery.start_soon(task(database, name, url), wake)
        await put(
            database,
            wake,
            *(delivery(f"d-{name}", channel=name, says={"symbol": "<!channel>\n@here"}) for name in urls),
        )
        await until_nothing_waits(database)
        nursery.cancel_scope.cancel()
    assert sorted(request.host for request in services.requests) == [TELEGRAM, SLACK]
    by_host = {request.host: request for request in services.requests}
    (post,) = mail.wait_for(1)
    expected = [
        "where: fx",
        "firing: profit -60 < -50",
        "position p1, <!channel>␤@here long",
        "currency USD",
    ]
    for text in (slack_text(by_host[SLACK]), telegram_text(by_host[TELEGRAM]), post.get_content()):
        lines = [line.strip() for line in text.replace(WORD_JOINER, "").splitlines()]
        assert [line for line in lines if line in expected] == expected
        assert "&" not in text
    assert "<!channel>" not in by_host[SLACK].body.decode()
    assert post["X-Tocsin-Delivery"] == "d-mail"


async def test_a_bad_token_reaches_the_person_by_mail(services, mail, database):
    services.always(TELEGRAM, Reply(401, '{"ok":false,"description":"Unauthorized"}'))
    wake = Wake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task(database, "phone", TELEGRAM_URL, ("mail", 1)), wake)
        nursery.start_soon(task(database, "mail", mail.url()), wake)
        await put(database, wake, delivery("d1", channel="phone", severity="critical", expire=1e8))
        with trio.fail_after(20):
            while not mail.mails:
                wake.ring()
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    text = mail.mails[0].get_content()
    assert "sent here because phone did not take it: Telegram: 401 Unauthorized" in text
    assert mail.mails[0]["X-Tocsin-Delivery"] == handed_id("a1")
