"""Apprise's own plugins against stand-ins: what arrives on the wire, and what is said of each answer."""

import gc
import logging
import re
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from urllib.parse import parse_qsl

import msgspec
import pytest
import trio
from msgspec import structs

from support import endless
from support.chats import discord_reads
from support.receivers import SLACK, TELEGRAM, Drop, Hang, Reply, Services, slack_text, telegram_text
from tocsin.delivery.model import Message
from tocsin.delivery.senders import make_sender, validate_url
from tocsin.secrets import Masker, Secret

pytestmark = pytest.mark.real

SLACK_URL = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk"
SLACK_BOT_URL = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"
TELEGRAM_URL = "tgram://123456789:abcdefg_hijklmnop/12315544/"
DISCORD_URL = "discord://123456789012345678/abcdefg_hijklmnop_abcdefg"
NTFY_URL = "ntfys://ntfy.sh/boss"
GOTIFY_URL = "gotifys://gotify.example.org/abcdefghijklmno"
PUSHOVER_URL = "pover://abcdefghijklmnopqrstuvwxyz1234@abcdefghijklmnopqrstuvwxyz5678"
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


def _shake_hands(listener, tls):
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        tls.wrap_socket(connection, server_side=True).close()


async def send(url: str, *messages: Message, deadline=60.0):
    """Waits for as long as a busy machine may take; nothing here is about how fast it is."""
    sender = make_sender(Secret(url), name="desk", deadline=deadline)
    with trio.fail_after(deadline + 60):
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


@pytest.mark.parametrize(("id_", "header"), [("d4\ufffd00", "d4%EF%BF%BD00"), ("d\n1 %", "d%0A1%20%25")])
async def test_an_id_that_a_disk_has_damaged_keeps_nothing_from_being_sent(receiver, id_, header):
    assert (await send(receiver.url, structs.replace(message(), delivery_id=id_))).sent
    (got,) = receiver.requests
    assert got.headers["x-tocsin-delivery"] == header


@pytest.mark.parametrize("overflow", ["", "?overflow=split"])
async def test_the_venue_s_own_page_and_the_alert_s_are_the_last_lines(receiver, overflow):
    links = {"link": "https://trade.example.com/a?b=1", "page": "https://example.org/a/4f1c"}
    await send(f"{receiver.url}{overflow}", msgspec.structs.replace(message(), **links))
    (got,) = receiver.wait_for(1)
    assert got.json["message"].splitlines()[-2:] == [*links.values()]


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


@pytest.mark.parametrize(
    ("url", "where", "loud"),
    [
        (NTFY_URL, "x-priority", {"critical": "5", "warning": "4", "info": "3", "resolved": "2"}),
        (f"{NTFY_URL}?priority=max", "x-priority", dict.fromkeys(("critical", "info", "resolved"), "max")),
        (PUSHOVER_URL, "priority", {"critical": "1", "warning": "0", "info": "-1", "resolved": "-1"}),
        (GOTIFY_URL, "priority", {"critical": 8, "warning": 5, "info": 2, "resolved": 2}),
    ],
)
async def test_how_bad_it_is_decides_how_loud_the_phone_is(services, url, where, loud):
    """What the URL itself says goes first."""
    services.always("ntfy.sh", Reply(200, '{"id":"1"}'))
    for how in loud:
        over = how == "resolved"
        await send(url, message(severity="critical" if over else how, resolved=over, delivery_id=how))
    said = [
        request.headers.get(where)
        or (request.json if request.body[:1] == b"{" else dict(parse_qsl(request.body.decode()))).get(where)
        for request in services.requests
    ]
    assert said == list(loud.values())


async def test_what_ntfy_is_told_of_one_alert_is_one_message_there(services):
    services.always("ntfy.sh", Reply(200, '{"id":"1"}'))
    for alert in ("0195a", "an odd/one", ""):
        await send(NTFY_URL, message(alert=alert, delivery_id=alert))
    assert [request.headers.get("x-sequence-id") for request in services.requests] == [
        "0195a",
        "an-odd-one",
        None,
    ]


async def test_mails_of_one_alert_are_one_thread_and_urgent_where_it_is(mail):
    sender = make_sender(Secret(f"{mail.url()}&+References=<mine@example.org>"), name="mail")
    own = make_sender(Secret(mail.url()), name="mail")
    await own.send(message(severity="critical", alert="0195a"))
    await own.send(message(severity="critical", alert="0195a", resolved=True, delivery_id="d2"))
    await sender.send(message(alert="0195a"))
    told = [
        (got["References"], got["Importance"], got["Auto-Submitted"], got["X-Tocsin-Delivery"])
        for got in mail.wait_for(3)
    ]
    assert told == [
        ("<0195a@tocsin>", "high", "auto-generated", "d1"),
        ("<0195a@tocsin>", None, "auto-generated", "d2"),
        ("<mine@example.org>", None, "auto-generated", "d1"),
    ]


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
        assert "parse_mode" not in request.json
        assert telegram_text(request) == f"{MARKUP}\n{MARKUP}"
        assert request.json["link_preview_options"] == {"is_disabled": True}

    @pytest.mark.parametrize(
        "text",
        [
            MARKUP,
            "||x|| **b** __u__ \\\\ <@12> <#1> <t:1:R> :smile: [x](y)",
            "> q",
            "# h",
            "- l",
            "  - l",
            "10:02:11",
            "BTC@everyone1 a@here",
            "7. a",
            "1.5",
        ],
    )
    async def test_discord(self, services, text):
        services.always("discord.com", Reply(204, ""))
        await send(DISCORD_URL, message(title=f"🔴 {text}", body=f"{text}\n{text}"))
        content = services.requests[0].json["content"]
        assert discord_reads(content) == f"🔴 {text}\n{text}\n{text}"
        assert "\\:" not in content

    async def test_discord_s_links_of_a_rule_s_author(self, services):
        services.always("discord.com", Reply(204, ""))
        await send(DISCORD_URL, message(body="see https://wiki.example.com/a_b_c and a_b_c"))
        assert (
            services.requests[0].json["content"].endswith("see https://wiki.example.com/a_b_c and a\\_b\\_c")
        )

    async def test_a_slack_webhook_s_pictures(self, services):
        await send(SLACK_URL, message(title=":smile: at 10:02:11", body=":+1:"))
        (attachment,) = services.requests[0].json["attachments"]
        assert (attachment["title"], attachment["text"]) == (":\u2060smile: at 10:02:11", ":+1:")

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
        (TELEGRAM_URL, TELEGRAM, Reply(502, ""), "Telegram: 502 Bad Gateway", False),
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


PORTAL = "<!-- wifi --><!DOCTYPE html><html><head><title>Guest wifi</title></head><body>Please sign in</body></html>"


@pytest.mark.parametrize(
    ("url", "host", "body", "sent"),
    [
        (TELEGRAM_URL, TELEGRAM, '{"ok":true,"result":{"message_id":7}}', True),
        (TELEGRAM_URL, TELEGRAM, '{"ok":false,"description":"Internal"}', False),
        (TELEGRAM_URL, TELEGRAM, "{}", False),
        (TELEGRAM_URL, TELEGRAM, '{"ok":true', False),  # cut off on the way
        (TELEGRAM_URL, TELEGRAM, "", False),
        (TELEGRAM_URL, TELEGRAM, PORTAL, False),
        (SLACK_URL, SLACK, "ok", True),
        (SLACK_URL, SLACK, PORTAL, False),
        (SLACK_BOT_URL, "slack.com", '{"ok":true,"channel":"C1","ts":"1"}', True),
        (SLACK_BOT_URL, "slack.com", PORTAL, False),
        (DISCORD_URL, "discord.com", '{"id":"1234","type":0}', True),
        (DISCORD_URL, "discord.com", '{"message":"hm"}', False),
        (DISCORD_URL, "discord.com", PORTAL, False),
        (NTFY_URL, "ntfy.sh", '{"id":"sPs71M8A2T","event":"message"}', True),
        (NTFY_URL, "ntfy.sh", "{}", False),
        (NTFY_URL, "ntfy.sh", PORTAL, False),
        (PUSHOVER_URL, "api.pushover.net", '{"status":1,"request":"x"}', True),
        (PUSHOVER_URL, "api.pushover.net", PORTAL, False),
        (PUSHOVER_URL, "api.pushover.net", "\n\n<html><meta http-equiv=refresh></html>", False),
    ],
)  # fmt: skip
async def test_only_the_service_s_own_acceptance_counts_as_sent(services, url, host, body, sent):
    services.always(host, Reply(200, body, {"Content-Type": "text/html"} if body is PORTAL else {}))
    outcome = await send(url)
    assert (outcome.sent, outcome.permanent) == (sent, False)
    if body is PORTAL:
        assert "own answer: Guest wifi Please sign in" in outcome.answer


async def test_discord_takes_it_without_a_word(services):
    services.always("discord.com", Reply(204, ""))
    assert (await send(DISCORD_URL)).sent


async def test_a_proxy_s_page_with_a_refusal_is_no_refusal_of_the_service(services):
    services.always(TELEGRAM, Reply(403, PORTAL))
    outcome = await send(TELEGRAM_URL)
    assert (outcome.sent, outcome.permanent) == (False, False)


@pytest.mark.parametrize(("schema", "sent"), [("json", False), ("form", True), ("xml", True)])
async def test_a_page_in_place_of_json(receiver, schema, sent):
    """Receivers of forms and XML are the user's own programs, which may well answer a page."""
    receiver.always("localhost", Reply(200, PORTAL))
    assert (await send(receiver.url.replace("json://", f"{schema}://"))).sent is sent
    receiver.always("localhost", Reply(200, "thanks <b>a lot</b>", {"Content-Type": "text/html"}))
    assert (await send(receiver.url.replace("json://", f"{schema}://"))).sent


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


async def test_a_send_that_is_given_up_is_cut_off_and_holds_up_nothing(services):
    services.script(SLACK, Hang())
    sender = make_sender(Secret(SLACK_URL), name="slow", deadline=9.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send, message())
        await trio.to_thread.run_sync(services.wait_for, 1)  # the stand-in hangs for ten seconds
        nursery.cancel_scope.cancel()
    assert (await sender.send(message())).answer == "Slack: 200 ok"
    assert [request.host for request in services.requests] == [SLACK, SLACK]


@pytest.mark.parametrize("name", [*endless.HTTP, *endless.MAIL])
async def test_an_answer_without_end_is_read_to_a_bound_and_its_connection_shut(name, monkeypatch):
    for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    with endless.Endless((endless.HTTP | endless.MAIL)[name]) as server:
        await send(endless.url(name, server.port), deadline=2.0)
        with trio.fail_after(10):
            while server.ended < server.begun:  # noqa: ASYNC110 - a thread's counter has no event
                await trio.sleep(0.01)
        # What was written went into the buffers of two sockets.
        assert server.sent < 32 << 20


@pytest.mark.parametrize("url", [SLACK_URL, TELEGRAM_URL])
async def test_a_dropped_connection(services, url):
    services.script(SLACK, Drop())
    services.script(TELEGRAM, Drop())
    outcome = await send(url)
    assert not outcome.sent
    assert not outcome.permanent
    assert re.search("closed connection without response|disconnected without sending", outcome.answer)


def test_the_stand_in_leaves_nothing_open_whose_client_goes_before_the_handshake(tmp_path):
    at_once = struct.pack("ii", 1, 0)  # closing resets the connection
    with Services(tmp_path) as services:
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", services.port), timeout=60) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                client.sendall(b"CONNECT slack.com:443 HTTP/1.1\r\n\r\n")
                assert client.recv(4096)
    gc.collect()  # a socket that was left open warns, and warnings are errors


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

    async def test_a_server_without_starttls(self, mail):
        """knadh/listmonk 242, louislam/uptime-kuma 6018: somebody on the way may have stripped it."""
        outcome = await send(mail.url().replace("mailto://", "mailtos://").replace("insecure", "starttls"))
        assert not outcome.sent
        assert "STARTTLS extension not supported by server" in outcome.answer
        assert not mail.mails

    async def test_a_server_that_does_not_speak_tls(self, mail):
        outcome = await send(mail.url().replace("mailto://", "mailtos://").replace("insecure", "ssl"))
        assert (outcome.sent, outcome.permanent) == (False, False)
        assert "SSLError" in outcome.answer
        assert "WRONG_VERSION_NUMBER" in outcome.answer.upper()

    async def test_a_certificate_that_nobody_vouches_for(self, services):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=_shake_hands, args=(listener, services._tls), daemon=True)
            thread.start()
            port = listener.getsockname()[1]
            outcome = await send(
                f"mailtos://bell:hunter2secret@127.0.0.1:{port}?smtp=127.0.0.1&mode=ssl&from=a@b.cz&to=c@d.cz"
            )
            thread.join(10)
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.answer

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


class TestEachRecipient:
    """One URL may name several people: chatmail/core 8640 (a refused recipient drops the message for the rest)."""

    URL = "tgram://123456789:abcdefg_hijklmnop/111/222/"
    BLOCKED = Reply(403, '{"ok":false,"description":"Forbidden: bot was blocked by the user"}')
    OOPS = Reply(500, '{"ok":false,"description":"Oops"}')

    @pytest.mark.parametrize("order", [("OOPS", "BLOCKED"), ("BLOCKED", "OOPS")])
    async def test_what_passes_for_one_is_no_refusal_for_good(self, services, order):
        services.script(TELEGRAM, *(getattr(self, name) for name in order))
        oops, blocked = ("111", "222") if order[0] == "OOPS" else ("222", "111")
        outcome = await send(self.URL)
        assert (outcome.sent, outcome.permanent, outcome.answer) == (
            False,
            False,
            f"Telegram: 500 Oops (to {oops})",
        )
        assert outcome.refused == (f"Telegram: 403 Forbidden: bot was blocked by the user (to {blocked})",)

    async def test_whom_only_a_refusal_is_left_of(self, services):
        services.script(TELEGRAM, self.OOPS, self.BLOCKED, Reply(200, '{"ok":true}'), self.BLOCKED)
        outcome = await send(self.URL, message(), message())
        assert (outcome.sent, outcome.permanent, outcome.refused) == (False, True, ())
        assert [request.json["chat_id"] for request in services.requests] == [111, 222, 111, 222]

    async def test_mail(self, mail):
        mail.refuses["a@example.org"] = deque(["450 4.2.1 mailbox busy"])
        mail.refuses["b@example.org"] = deque(["550 5.1.1 no such user"] * 3)
        url = mail.url().replace("to=me@example.org", "to=a@example.org,b@example.org,c@example.org")
        sender = make_sender(Secret(url), name="mail")
        first = await sender.send(message())
        assert (first.sent, first.permanent, first.answer) == (
            False,
            False,
            "E-Mail: 450 4.2.1 mailbox busy (to a@example.org)",
        )
        assert first.refused == ("E-Mail: 550 5.1.1 no such user (to b@example.org)",)
        second = await sender.send(message())
        assert (second.sent, second.permanent, second.refused) == (False, True, ())
        assert sorted(mail.recipients) == [["a@example.org"], ["c@example.org"]]  # each once

    @pytest.mark.parametrize(("code", "permanent"), [("450 4.2.1 busy", False), ("550 5.1.1 unknown", True)])
    async def test_a_copy_of_a_mail(self, mail, code, permanent):
        """Those who got it with the first try don't get it again."""
        mail.refuses["copy@example.org"] = deque([code])
        sender = make_sender(Secret(f"{mail.url()}&cc=copy@example.org"), name="mail")
        outcome = await sender.send(message())
        assert (outcome.sent, outcome.permanent) == (False, permanent)
        assert outcome.answer == f"E-Mail: {code} (to copy@example.org)"
        assert (await sender.send(message())).sent
        assert mail.recipients == [["me@example.org"], ["copy@example.org"]]


class TestMovedChat:
    """A Telegram group became a supergroup: TwiN/gatus 179, Flexget/Flexget 2771."""

    URL = "tgram://123456789:abcdefg_hijklmnop/-4212345"
    MOVED = Reply(
        400,
        '{"ok":false,"description":"Bad Request: group chat was upgraded to a supergroup chat",'
        '"parameters":{"migrate_to_chat_id":-1009876543210}}',
    )

    async def test_is_followed_and_known_from_then_on(self, services):
        services.script(TELEGRAM, self.MOVED)
        sender = make_sender(Secret(self.URL), name="phone")
        outcome = await sender.send(message())
        assert (outcome.sent, dict(outcome.moved)) == (True, {"-4212345": "-1009876543210"})
        assert "-1009876543210" in outcome.answer
        assert not (await sender.send(message(delivery_id="d2"))).moved
        known = make_sender(Secret(self.URL), name="phone", moved=outcome.moved)
        assert not (await known.send(message(delivery_id="d3"))).moved
        chats = [request.json["chat_id"] for request in services.requests]
        assert chats == [-4212345, -1009876543210, -1009876543210, -1009876543210]

    async def test_what_another_channel_learns_meanwhile_is_that_channel_s(self, services):
        class Common(dict):  # what another sender's thread adds in the midst of our send
            def get(self, *asked):
                self.setdefault(f"-{len(self)}", "-100")
                return super().get(*asked)

        sender = make_sender(Secret(self.URL), name="phone", moved=Common())
        outcome = await sender.send(message())
        assert (outcome.sent, outcome.moved) == (True, {})
        assert "new id" not in outcome.answer
        services.script(TELEGRAM, self.MOVED)
        assert (await sender.send(message(delivery_id="d2"))).moved == {"-4212345": "-1009876543210"}

    async def test_that_refuses_too_is_named(self, services):
        services.always(TELEGRAM, self.MOVED)
        outcome = await send(self.URL)
        assert not outcome.sent
        assert "-1009876543210" in outcome.answer
        assert len(services.requests) == 2


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

    async def test_discord_s_limit_holds_for_what_is_escaped(self, services):
        services.always("discord.com", Reply(204, ""))
        await send(DISCORD_URL, message(title="*" * 1500, body="_" * 6000))
        content = services.requests[0].json["content"]
        assert len(content) <= 2000
        assert len(content) > 1900
        title, body = discord_reads(content).split("\n")
        assert title.endswith("(cut, 1500 characters in all)")
        assert body.endswith("(cut, 6000 characters in all)")

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
