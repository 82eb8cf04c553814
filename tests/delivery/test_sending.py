"""Apprise's own plugins against stand-ins: what arrives on the wire, and what is said of each answer."""

import logging
import threading

import pytest
import trio

from support.receivers import SLACK, TELEGRAM, Drop, Hang, Late, Reply, slack_text, telegram_text
from tocsin.delivery.apprise_sender import make_sender
from tocsin.delivery.model import Message
from tocsin.delivery.services import validate_url
from tocsin.secrets import Masker, Secret

SLACK_URL = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk"
SLACK_BOT_URL = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"
TELEGRAM_URL = "tgram://123456789:abcdefg_hijklmnop/12315544/"
SECRETS = (
    "TIiajkdnlazkcOXrIdevi7FQ",
    "abcdefg_hijklmnop",
    "hunter2secret",
    "4ddbc191d40ee098cbaae6f3523ada2d",
)
MARKUP = "<!channel> <a href='http://e.com'>x</a> [x](y) *b* _i_ `c` &amp; ~s~"


def message(title="firing: profit -60 < -50", body="on fx\nline two", **changes) -> Message:
    values = {"severity": "warning", "delivery_id": "d1"} | changes
    return Message(title=title, body=body, **values)


async def send(url: str, *messages: Message, deadline=10.0):
    sender = make_sender(Secret(url), name="desk", deadline=deadline)
    with trio.fail_after(20):
        outcomes = [await sender.send(each) for each in messages or (message(),)]
    for outcome in outcomes:
        assert not any(secret in outcome.answer for secret in SECRETS), outcome.answer
    return outcomes[-1]


async def test_slack_takes_it(services):
    outcome = await send(SLACK_URL)
    assert (outcome.sent, outcome.answer) == (True, "Slack: 200 ok")
    (request,) = services.requests
    assert request.host == SLACK
    assert slack_text(request) == "firing: profit -60 < -50\non fx\nline two"
    assert "github.com" not in request.body.decode()  # no picture from elsewhere


async def test_telegram_takes_it(services):
    outcome = await send(TELEGRAM_URL)
    assert outcome.sent
    assert outcome.answer.startswith("Telegram: 200")
    (request,) = services.requests
    assert request.json["chat_id"] == 12315544
    assert telegram_text(request).split() == [
        "firing:",
        "profit",
        "-60",
        "<",
        "-50",
        "on",
        "fx",
        "line",
        "two",
    ]


async def test_mail_is_taken(mail):
    outcome = await send(mail.url())
    assert (outcome.sent, outcome.answer) == (True, "E-Mail: 250 2.0.0 Ok: queued as 4XYZ")
    (got,) = mail.wait_for(1)
    assert got["Subject"] == "firing: profit -60 < -50"
    assert got["X-Tocsin-Delivery"] == "d1"
    assert got.get_content_type() == "text/plain"
    assert got.get_content().split() == ["on", "fx", "line", "two"]


async def test_json_carries_the_delivery_id(receiver):
    await send(receiver.url, message(), message())
    first, second = receiver.wait_for(2)
    assert first.headers["x-tocsin-delivery"] == second.headers["x-tocsin-delivery"] == "d1"
    assert first.json["title"] == "firing: profit -60 < -50"


@pytest.mark.parametrize(
    ("severity", "resolved", "shown"),
    [
        ("info", False, "info"),
        ("warning", False, "warning"),
        ("critical", False, "failure"),
        ("critical", True, "success"),
    ],
)
async def test_how_bad_it_is_reaches_services_that_colour(receiver, severity, resolved, shown):
    await send(receiver.url, message(severity=severity, resolved=resolved))
    assert receiver.wait_for(1)[0].json["type"] == shown


class TestHostileText:
    """Symbols and comments come from the venue; to a service they are letters."""

    async def test_slack(self, services):
        await send(SLACK_URL, message(title=MARKUP, body=MARKUP))
        (request,) = services.requests
        (attachment,) = request.json["attachments"]
        assert request.json["mrkdwn"] is False
        for text in (attachment["title"], attachment["text"]):
            assert "<" not in text
            assert ">" not in text
        assert slack_text(request) == f"{MARKUP}\n{MARKUP}"

    async def test_telegram(self, services):
        await send(TELEGRAM_URL, message(title=MARKUP, body=MARKUP))
        (request,) = services.requests
        assert request.json["parse_mode"] == "HTML"
        assert request.json["text"].replace("<b>", "").replace("</b>", "").count("<") == 0
        assert telegram_text(request).split() == (f"{MARKUP} {MARKUP}").split()
        assert request.json["disable_web_page_preview"] is True

    async def test_mail(self, mail):
        await send(
            mail.url(), message(title=f"{MARKUP}\r\nBcc: thief@example.com", body=f"{MARKUP}\n.\nQUIT")
        )
        (got,) = mail.wait_for(1)
        assert got["Bcc"] is None
        assert "Bcc: thief@example.com" in got["Subject"]
        assert got.get_content().splitlines() == [MARKUP, ".", "QUIT"]
        assert got["To"].addresses[0].addr_spec == "me@example.org"


@pytest.mark.parametrize(
    ("url", "host", "reply", "answer", "permanent"),
    [
        (SLACK_URL, SLACK, Reply(404, "channel_not_found"), "Slack: 404 channel_not_found", True),
        (SLACK_URL, SLACK, Reply(403, "invalid_token"), "Slack: 403 invalid_token", True),
        (SLACK_URL, SLACK, Reply(500, "<h1>Oops</h1>"), "Slack: 500 Oops", False),
        (SLACK_URL, SLACK, Reply(302, "", {"Location": "https://slack.com/moved"}), "Slack: 302 Status 302", True),
        (SLACK_BOT_URL, "slack.com", Reply(200, '{"ok":false,"error":"not_in_channel"}'), "Slack: 200 not_in_channel", True),
        (SLACK_BOT_URL, "slack.com", Reply(200, '{"ok":false,"error":"internal_error"}'), "Slack: 200 internal_error", False),
        (TELEGRAM_URL, TELEGRAM, Reply(401, '{"ok":false,"description":"Unauthorized"}'), "Telegram: 401 Unauthorized", True),
        (
            TELEGRAM_URL, TELEGRAM, Reply(400, '{"ok":false,"description":"Bad Request: chat not found"}'),
            "Telegram: 400 Bad Request: chat not found", True,
        ),
        (TELEGRAM_URL, TELEGRAM, Reply(502, ""), "Telegram: 502 Status 502", False),
    ],
)  # fmt: skip
async def test_the_service_s_own_words(  # noqa: PLR0917 - the columns of the table above
    services, url, host, reply, answer, permanent
):
    services.always(host, reply)
    outcome = await send(url)
    assert not outcome.sent
    assert (outcome.answer, outcome.permanent) == (answer, permanent)
    assert len(services.requests) == 1  # no retries or redirects of Apprise's own


@pytest.mark.parametrize(
    ("url", "host", "reply"),
    [
        (SLACK_URL, SLACK, Reply(429, "rate_limited", {"Retry-After": "17"})),
        (TELEGRAM_URL, TELEGRAM, Reply(429, '{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":17}}')),
    ],
)  # fmt: skip
async def test_too_fast_says_when_to_come_again(services, url, host, reply):
    services.always(host, reply)
    outcome = await send(url)
    assert (outcome.sent, outcome.permanent, outcome.retry_after) == (False, False, 17.0)


async def test_a_service_that_hangs_takes_no_longer_than_the_deadline(services):
    services.always(SLACK, Hang())
    outcome = await send(SLACK_URL, deadline=0.3)
    assert (outcome.sent, outcome.answer) == (False, "desk: no answer within 0.3 s")
    assert not outcome.permanent


async def test_while_one_send_hangs_the_next_fails_and_another_channel_works(services):
    services.always(SLACK, Hang())
    slow = make_sender(Secret(SLACK_URL), name="slow", deadline=0.2)
    with trio.fail_after(20):
        assert not (await slow.send(message())).sent
        assert not (await slow.send(message())).sent  # no second thread for it
        assert (await send(TELEGRAM_URL)).sent
    assert [request.host for request in services.requests] == [SLACK, TELEGRAM]


async def given_up(sender, services, given: Message, late: Late) -> None:
    """A send that nobody waits for any more when the service answers it."""
    services.script(SLACK, late)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send, given)
        await trio.to_thread.run_sync(services.wait_for, 1)
        nursery.cancel_scope.cancel()
    late.until.set()


async def test_what_was_taken_after_it_was_given_up_is_not_sent_again(services):
    sender = make_sender(Secret(SLACK_URL), name="desk", deadline=10.0)
    await given_up(sender, services, message(), Late(Reply(200, "ok"), threading.Event()))
    outcome = await sender.send(message(body="on fx, late by 40 s"))
    assert (outcome.sent, outcome.answer) == (True, "Slack: 200 ok, after it was given up")
    assert len(services.requests) == 1
    assert (await sender.send(message())).answer == "Slack: 200 ok"  # it is taken back once
    assert len(services.requests) == 2


async def test_what_was_refused_after_it_was_given_up_is_sent_again(services):
    sender = make_sender(Secret(SLACK_URL), name="desk", deadline=10.0)
    await given_up(sender, services, message(), Late(Reply(500, "oops"), threading.Event()))
    assert (await sender.send(message())).answer == "Slack: 200 ok"
    assert len(services.requests) == 2


async def test_a_late_answer_speaks_for_its_own_message_only(services):
    sender = make_sender(Secret(SLACK_URL), name="desk", deadline=10.0)
    await given_up(sender, services, message(), Late(Reply(200, "ok"), threading.Event()))
    assert (await sender.send(message(delivery_id="d2"))).answer == "Slack: 200 ok"
    assert len(services.requests) == 2
    assert (await sender.send(message())).answer == "Slack: 200 ok, after it was given up"
    assert len(services.requests) == 2


@pytest.mark.parametrize("url", [SLACK_URL, TELEGRAM_URL])
async def test_a_dropped_connection(services, url):
    services.script(SLACK, Drop())
    services.script(TELEGRAM, Drop())
    outcome = await send(url)
    assert not outcome.sent
    assert not outcome.permanent
    assert "closed connection without response" in outcome.answer


async def test_nobody_listens(receiver):
    url = receiver.url
    receiver.close()
    outcome = await send(url)
    assert not outcome.sent
    assert "Connection refused" in outcome.answer
    assert not outcome.permanent


class TestMailServers:
    async def test_wrong_password(self, mail):
        outcome = await send(mail.url(password="wrongwrong"))
        assert outcome.answer.startswith("E-Mail: 535 5.7.8")
        assert outcome.permanent
        assert "wrongwrong" not in outcome.answer

    @pytest.mark.parametrize(
        ("reply", "permanent"), [("550 5.1.1 no such user", True), ("451 4.3.0 try again later", False)]
    )
    async def test_refused(self, mail, reply, permanent):
        mail.replies.append(reply)
        outcome = await send(mail.url())
        assert (outcome.sent, outcome.answer, outcome.permanent) == (False, f"E-Mail: {reply}", permanent)

    async def test_no_server(self, mail):
        url = mail.url().replace(f":{mail.port}", ":1")
        outcome = await send(url)
        assert "Connection refused" in outcome.answer
        assert not outcome.permanent


async def test_a_secret_that_the_service_echoes_is_masked(services):
    services.always(TELEGRAM, Reply(404, '{"ok":false,"description":"no bot abcdefg_hijklmnop, s3cr3t"}'))
    masker = Masker()
    masker.add("s3cr3t")
    outcome = await make_sender(Secret(TELEGRAM_URL), name="phone", masker=masker).send(message())
    assert outcome.answer == "Telegram: 404 no bot ***, ***"


async def test_tried_again_after_a_part_failed_those_who_have_it_are_not_told_twice(services):
    services.script(TELEGRAM, Reply(200, '{"ok":true}'), Reply(500, ""))
    outcome = await send("tgram://123456789:abcdefg_hijklmnop/111/222/", message(), message())
    assert outcome.sent
    assert [request.json["chat_id"] for request in services.requests] == [111, 222, 222]


class TestLength:
    async def test_telegram_s_limit_holds_for_title_and_body_together(self, services):
        await send(TELEGRAM_URL, message(title="t" * 500, body="🔔" * 5000))
        text = telegram_text(services.requests[0])
        assert len(text.encode("utf-16-le")) // 2 <= 4096
        assert text.endswith("(cut, 5000 characters in all)")

    async def test_a_long_title_says_that_it_was_cut(self, services):
        await send(SLACK_URL, message(title="t" * 500))
        title = services.requests[0].json["attachments"][0]["title"]
        assert len(title) <= 250
        assert title.endswith("(cut, 500 characters in all)")

    async def test_an_empty_body_still_goes(self, services):
        assert (await send(SLACK_URL, message(body=""))).sent


async def test_nothing_secret_is_logged(services, caplog):
    services.always(TELEGRAM, Reply(500, ""))
    sender = make_sender(Secret(TELEGRAM_URL), name="phone")
    await sender.send(message())
    with caplog.at_level(logging.DEBUG):
        for name in ("apprise", "urllib3"):
            logging.getLogger(name).setLevel(logging.DEBUG)  # as a careless configuration might
        await sender.send(message())
        await send(SLACK_URL)
    assert not any(secret in caplog.text for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("slak://T1JJ3T3L2/A1BRTD4JD/verysecret", "slak:// is no service that Apprise knows; did you mean slack://?"),
        ("verysecret", "not an Apprise URL"),
        ("slack://", "but not where to"),
        ("slack://x-verysecret", "An invalid Slack Token was specified"),
        ("tgram://verysecret/1", "without all the parts that Telegram needs"),
        (f"{SLACK_URL}?format=markdown", "remove format="),
        ("json://127.0.0.1/?redirect=yes", "remove redirect="),
        ("json://127.0.0.1/?optional=yes", "remove optional="),
        ("json://[::1/verysecret", "json:// URL without all the parts"),
    ],
)  # fmt: skip
def test_a_url_that_can_t_work_is_refused_before_the_night_that_needs_it(url, said):
    problem = validate_url(Secret(url))
    assert problem is not None
    assert said in problem
    assert "verysecret" not in problem


@pytest.mark.parametrize(
    "url",
    [
        SLACK_URL,
        SLACK_BOT_URL,
        TELEGRAM_URL,
        "mailto://user:pass@example.org?to=me@example.org",
        "json://127.0.0.1/x",
    ],
)
def test_a_url_that_can_work_is_taken(url):
    assert validate_url(url) is None


async def test_a_url_that_apprise_refuses_is_a_permanent_failure():
    outcome = await send("slak://T1JJ3T3L2/A1BRTD4JD/x")
    assert (outcome.sent, outcome.permanent) == (False, True)
    assert "did you mean slack://?" in outcome.answer
