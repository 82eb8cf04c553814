"""From the store to the services' own protocols: nothing between is a stand-in but the services."""

import json
from datetime import timedelta
from io import StringIO

import msgspec
import pytest
import trio

from support.channel_world import channel_task
from support.chats import ChatServers
from support.messages import READS, SYMBOL, words
from support.outboxes import delivery, handed_id
from support.receivers import SLACK, TELEGRAM, WORD_JOINER, Reply, slack_text, telegram_text
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Style
from tocsin.app.logs import make_log
from tocsin.clock import SystemClock
from tocsin.delivery.model import Channel, ChannelSettings
from tocsin.delivery.senders import make_sender
from tocsin.delivery.timing import Wake
from tocsin.secrets import Masker, Secret
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


BOT_URL = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"
DISCORD_URL, NTFY_URL = "discord://123456789012345678/abcdefg_hijklmnop_abcdefg", "ntfys://ntfy.sh/boss"


def task(database, name, url, fallback=None, *, gates=None, log=None):
    settings = ChannelSettings(urls=(Secret(url),))
    channel = Channel(
        name=name,
        target=0,
        settings=settings,
        style=Style(),
        fallback=fallback,
        gates=gates or ChannelGates(),
    )
    sender = make_sender(Secret(url), name=name)

    async def run(wake):
        await channel_task(channel, sender, database, wake, clock=SystemClock(), log=log).run()

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


@pytest.fixture
def chats(tmp_path, monkeypatch):
    with ChatServers(tmp_path) as stand_in:
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        stand_in.always("discord.com", Reply(204, ""))
        stand_in.always("ntfy.sh", Reply(200, '{"id":"1"}'))
        yield stand_in


async def test_a_hostile_symbol_in_a_digest_on_six_services(chats, receiver, mail, database):
    """It is that text to the eye, one line in the log, and the same bytes in the database."""
    wake, log = Wake(), StringIO()
    urls = {
        "telegram": TELEGRAM_URL,
        "slack": BOT_URL,
        "discord": DISCORD_URL,
        "ntfy": NTFY_URL,
        "json": receiver.url,
        "mail": mail.url(),
    }
    gates, logger = ChannelGates(digest=timedelta(seconds=0.3)), make_log(Masker(), stream=log)
    now = SystemClock().now().wall
    async with trio.open_nursery() as nursery:
        for name, url in urls.items():
            nursery.start_soon(task(database, name, url, gates=gates, log=logger), wake)
        new = [delivery(f"{n}-{name}", alert=f"a{n}", channel=name) for name in urls for n in range(2)]
        says = {"symbol": SYMBOL, "at": now, "time": now}
        await put(
            database,
            wake,
            *(
                msgspec.structs.replace(
                    each,
                    created_at=now,
                    expires_at=now + timedelta(days=1),
                    context={**each.context, **says},
                )
                for each in new
            ),
        )
        await until_nothing_waits(database)
        nursery.cancel_scope.cancel()
    by_host = {request.host: request for request in chats.requests}
    arrived = {
        "telegram": next(iter(chats.telegram.messages.values())),
        "slack": next(iter(chats.slack.messages.values())),
        "discord": by_host["discord.com"],
        "ntfy": by_host["ntfy.sh"],
        "json": receiver.requests[-1],
        "mail": mail.wait_for(1)[0],
    }
    line = f"🟠 -60 USD {READS} long: profit -60 < -50 · fx"
    for name, got in arrived.items():
        title, *lines = words(name, got).splitlines()
        assert title.startswith("🟠 2 alerts in ")
        assert lines == [line, line]
    said = [json.loads(each) for each in log.getvalue().splitlines()]
    assert sorted(each["channel"] for each in said if each["event"] == "sent") == sorted(urls)
    for name in urls:
        parts = [row for n in range(2) for row in await database.history(f"a{n}", name)]
        assert [row.context["symbol"] for row in parts] == [SYMBOL, SYMBOL]
        assert {row.status for row in parts} == {"sent"}
