"""Our own senders against servers that remember: what arrives byte for byte, what a person reads, what is edited."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import yaml
from msgspec import structs

from support.chats import SLACK_API, ChatServers, to_the_eye
from support.messages import digest_of, message_of, told, whole_lines_and_all_counted, words
from support.receivers import TELEGRAM, Drop, Hang, Reply
from tocsin.delivery.model import Button, Message
from tocsin.delivery.sample import try_out
from tocsin.delivery.senders import make_sender, remark_on, validate_url
from tocsin.secrets import Secret

pytestmark = pytest.mark.real

TELEGRAM_URL = "tgram://123456789:abcdefg_hijklmnop/12315544"
SLACK_URL = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#desk"
URLS = {"telegram": TELEGRAM_URL, "slack": SLACK_URL}
CASES = yaml.safe_load(Path(__file__).with_name("chats.yaml").read_text())
FIRING = Message(title="🔴 a", body="b", severity="critical", delivery_id="d0")


@pytest.fixture
def servers(tmp_path, monkeypatch):
    with ChatServers(tmp_path) as stand_in:
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def made(url: str = TELEGRAM_URL, **more: Any):
    return make_sender(Secret(url), name="phone", **more)


def chats_of(servers: ChatServers, service: str):
    return servers.telegram if service == "telegram" else servers.slack


@pytest.mark.parametrize("case", [c for c in CASES if "body" in c], ids=lambda case: case["name"])
async def test_what_is_sent_byte_for_byte(servers, case):
    url = URLS[case["service"]]
    sender, message = made(url), message_of(case["message"], url)
    does = case.get("does", "send")
    handle = None if does == "send" else (await sender.send(FIRING)).handle
    outcome = await (sender.edit(handle, message) if does == "edit" else sender.send(message, handle))
    assert outcome.sent
    request = servers.requests[-1]
    assert request.path.endswith(f"/{case['method']}")
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert json.dumps(request.json, sort_keys=True) == json.dumps(case["body"], sort_keys=True)
    shown = list(chats_of(servers, case["service"]).messages.values())[-1]
    below = message.links if case["service"] == "telegram" else ()  # on Slack they are buttons
    assert to_the_eye(shown.text) == "\n".join([message.title, message.body, *below])
    assert shown.bold == case.get("bold", shown.bold)
    assert shown.notification == case.get("notification", shown.notification)


@pytest.mark.parametrize("case", [c for c in CASES if "hostile" in c], ids=lambda case: case["name"])
@pytest.mark.parametrize("acked_by", ["", "Anna"], ids=["firing", "ack"])
async def test_a_symbol_is_text_to_the_eye(servers, case, acked_by):
    """In title and body, by our words and by a template's."""
    symbol, reads = case["hostile"]["symbol"], case["hostile"]["reads"]
    fields = {"id": "p1", "symbol": symbol, "profit": "-60"}
    for template in (None, "{{ symbol }}"):
        message = told(symbol=symbol, fields=fields, message=template, title=template, acked_by=acked_by)
        await made(URLS[case["service"]]).send(message)
    for shown in chats_of(servers, case["service"]).messages.values():
        assert to_the_eye(shown.text).count(reads) >= 2
        assert shown.found == ()
        assert reads in to_the_eye(shown.bold or shown.notification)


@pytest.mark.parametrize("case", [c for c in CASES if "hostile" in c], ids=lambda case: case["name"])
async def test_so_it_is_in_a_digest(servers, case):
    service, symbol, reads = case["service"], case["hostile"]["symbol"], case["hostile"]["reads"]
    rows = [{"alert": f"a{n}", "symbol": symbol} for n in range(3)]
    await made(URLS[service]).send(digest_of(rows, URLS[service]))
    (shown,) = chats_of(servers, service).messages.values()
    assert words(service, shown).splitlines() == [
        "🟠 3 alerts in 30 s: 3 × position-in-the-red",
        *[f"🟠 -60 USD {reads} long: profit -60 < -50 · fx"] * 3,
    ]
    assert shown.found == ()


LIMITS = {"telegram": 4096, "slack": 250 + 1 + 3000}  # UTF-16 units, title and body


@pytest.mark.parametrize("severity", ["warning", "critical"])
@pytest.mark.parametrize("service", URLS)
async def test_of_a_digest_of_three_times_the_limit_whole_lines_are_left_and_the_rest_counted(
    servers, service, severity
):
    rows = [
        {"alert": f"a{n}", "symbol": f"{n}{'#a' * 100}", "severity": severity, "rule": f"rule-{n % 9}"}
        for n in range(3 * LIMITS[service] // 200)
    ]
    await made(URLS[service]).send(digest_of(rows, URLS[service]))
    (shown,) = chats_of(servers, service).messages.values()
    assert len(shown.text.encode("utf-16-le")) // 2 <= LIMITS[service]
    whole_lines_and_all_counted(words(service, shown), len(rows), severity)


@pytest.mark.parametrize("acked_by", ["", "Anna"], ids=["firing", "ack"])
@pytest.mark.parametrize("service", URLS)
async def test_only_the_template_s_text_is_cut_and_it_is_said(servers, service, acked_by):
    await made(URLS[service]).send(told(message="🔔" * 3 * 4096, acked_by=acked_by))
    (shown,) = chats_of(servers, service).messages.values()
    lines = shown.text.splitlines()
    assert len(shown.text.encode("utf-16-le")) // 2 <= LIMITS[service]
    ack = f"acknowledged by {acked_by}: " if acked_by else ""
    assert lines[0] == f"🟠 {ack}-60 USD BTCUSD long: profit -60 < -50 · fx"
    assert lines[1] == f"{ack or 'firing: '}profit -60 < -50 · fx"
    assert lines[-1].endswith("characters in all)")


async def test_the_link_is_not_cut(servers):
    message = structs.replace(told(message="long " * 4096), link="https://trade.example.com/a")
    await made().send(message)
    (shown,) = servers.telegram.messages.values()
    assert len(shown.text.encode("utf-16-le")) // 2 <= 4096
    assert shown.text.splitlines()[-1] == "https://trade.example.com/a"
    assert shown.found == (("url", "https://trade.example.com/a"),)


async def test_links_of_a_rule_s_author_stay_links(servers):
    await made().send(structs.replace(FIRING, body="see https://wiki.example.com/red?x=1 or order.canceled"))
    (shown,) = servers.telegram.messages.values()
    assert shown.found == (("url", "https://wiki.example.com/red?x=1"),)


@pytest.mark.parametrize(
    "url",
    [f"{TELEGRAM_URL}?silent=yes", f"{TELEGRAM_URL}:7?silent=yes", f"{TELEGRAM_URL}?thread=7&silent=on"],
)
async def test_options_of_the_url(servers, url):
    assert (await made(url).send(FIRING)).sent
    said = servers.requests[0].json
    assert said["disable_notification"] is True
    assert said.get("message_thread_id") == (None if url.count("7") == 1 else 7)


# ---------------------------------------------------------------------------------------------------------------- edits


@pytest.mark.parametrize(
    ("service", "host", "reply", "sent", "gone", "permanent"),
    [
        ("telegram", TELEGRAM, Reply(400, '{"ok":false,"description":"Bad Request: message is not modified: specified new"}'), True, False, False),
        ("telegram", TELEGRAM, Reply(400, '{"ok":false,"description":"Bad Request: message to edit not found"}'), False, True, True),
        ("telegram", TELEGRAM, Reply(400, '{"ok":false,"description":"Bad Request: message can\'t be edited"}'), False, True, True),
        ("telegram", TELEGRAM, Reply(403, '{"ok":false,"description":"Forbidden: bot was kicked"}'), False, False, True),
        ("telegram", TELEGRAM, Reply(429, '{"ok":false,"description":"Too Many Requests"}'), False, False, False),
        ("slack", SLACK_API, Reply(200, '{"ok":false,"error":"message_not_found"}'), False, True, True),
        ("slack", SLACK_API, Reply(200, '{"ok":false,"error":"cant_update_message"}'), False, True, True),
        ("slack", SLACK_API, Reply(200, '{"ok":false,"error":"ratelimited"}'), False, False, False),
    ],
)  # fmt: skip
async def test_what_comes_of_an_edit(servers, service, host, reply, sent, gone, permanent):  # noqa: PLR0917 - the columns
    sender = made(URLS[service])
    handle = (await sender.send(FIRING)).handle
    servers.always(host, reply)
    servers.script(host, reply)
    outcome = await sender.edit(handle, FIRING)
    assert (outcome.sent, outcome.gone, outcome.permanent) == (sent, gone, permanent)


async def test_the_same_edit_again_is_no_failure(servers):
    sender = made()
    handle = (await sender.send(FIRING)).handle
    assert (await sender.edit(handle, FIRING)).sent


async def test_a_handle_outlasts_json_and_the_sender(servers):
    handle = (await made(f"{TELEGRAM_URL}/222").send(FIRING)).handle
    kept = msgspec.json.decode(msgspec.json.encode(handle), type=dict[str, tuple[str, str]])
    assert kept == {"12315544": ("12315544", "101"), "222": ("222", "102")}
    later = structs.replace(FIRING, title="🟢 was", resolved=True)
    assert (await made(f"{TELEGRAM_URL}/222").edit(kept, later)).sent
    assert [shown.text.splitlines()[0] for shown in servers.telegram.messages.values()] == [
        "🟢 was",
        "🟢 was",
    ]


async def test_without_a_message_s_id_there_is_no_handle(servers):
    servers.script(TELEGRAM, Reply(200, '{"ok":true,"result":{}}'))
    assert (await made().send(FIRING)).handle is None


async def test_in_a_group_that_moved_nothing_is_replied_to(servers):
    sender = made("tgram://123456789:abcdefg_hijklmnop/-42")
    handle = (await sender.send(FIRING)).handle
    servers.script(
        TELEGRAM,
        Reply(400, '{"ok":false,"description":"upgraded","parameters":{"migrate_to_chat_id":-1005}}'),
    )
    moved = await sender.send(structs.replace(FIRING, delivery_id="d2"), handle)
    assert (moved.sent, moved.moved, moved.handle) == (True, {"-42": "-1005"}, {"-42": ("-1005", "102")})
    assert "reply_parameters" not in servers.requests[-1].json
    assert (await sender.send(structs.replace(FIRING, delivery_id="d3"), handle)).sent
    assert "reply_parameters" not in servers.requests[-1].json


# ------------------------------------------------------------------------------------------------------------- failures

REFUSED = "Bad Request: chat not found"
PORTAL = "<!DOCTYPE html><html><head><title>Guest wifi</title></head><body>Please sign in</body></html>"


@pytest.mark.parametrize(
    ("host", "answer", "told", "permanent", "wait"),
    [
        (TELEGRAM, Reply(200, PORTAL), "Telegram: 200 not Telegram's own answer: Guest wifi Please sign in", False, None),
        (TELEGRAM, Reply(200, '{"ok":false,"description":"hm"}'), "Telegram: 200 hm", False, None),
        (TELEGRAM, Reply(429, '{"ok":false}', {"Retry-After": "7"}), "Telegram: 429", False, 7.0),
        (TELEGRAM, Reply(429, '{"ok":false,"parameters":{"retry_after":9}}'), "Telegram: 429", False, 9.0),
        (TELEGRAM, Reply(302, "", {"Location": "https://api.telegram.org/x"}), "Telegram: 302 Found", True, None),
        (TELEGRAM, Reply(400, f'{{"ok":false,"description":"{REFUSED}"}}'), f"Telegram: 400 {REFUSED}", True, None),
        (TELEGRAM, Reply(401, '{"ok":false,"description":"Unauthorized"}'), "Telegram: 401 Unauthorized", True, None),
        (TELEGRAM, Reply(403, '{"ok":false,"description":"Forbidden: bot was blocked by the user"}'), "Telegram: 403 Forbidden: bot was blocked by the user", True, None),
        (TELEGRAM, Reply(403, PORTAL), "Telegram: 403 not Telegram's own answer", False, None),
        (TELEGRAM, Reply(409, '{"ok":false,"description":"Conflict"}'), "Telegram: 409 Conflict", False, None),
        (TELEGRAM, Reply(502, ""), "Telegram: 502 Bad Gateway", False, None),
        (TELEGRAM, Drop(), "Telegram: Server disconnected", False, None),
        (TELEGRAM, Hang(), "phone: no answer within 0.5 s", False, None),
        (SLACK_API, Reply(200, PORTAL), "Slack: 200 not Slack's own answer", False, None),
        (SLACK_API, Reply(200, '{"ok":false,"error":"invalid_auth"}'), "Slack: 200 invalid_auth", True, None),
        (SLACK_API, Reply(200, '{"ok":false,"error":"channel_not_found"}'), "Slack: 200 channel_not_found", True, None),
        (SLACK_API, Reply(200, '{"ok":false,"error":"internal_error"}'), "Slack: 200 internal_error", False, None),
        (SLACK_API, Reply(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "30"}), "Slack: 429 ratelimited", False, 30.0),
        (SLACK_API, Drop(), "Slack: Server disconnected", False, None),
        (SLACK_API, Hang(), "phone: no answer within 0.5 s", False, None),
    ],
)  # fmt: skip
async def test_what_a_failure_means(servers, host, answer, told, permanent, wait):  # noqa: PLR0917 - the columns
    servers.script(host, answer)
    url = TELEGRAM_URL if host == TELEGRAM else SLACK_URL
    outcome = await made(url, deadline=0.5 if isinstance(answer, Hang) else 30.0).send(FIRING)
    assert (outcome.sent, outcome.permanent, outcome.retry_after) == (False, permanent, wait)
    assert outcome.answer.startswith(told)
    assert len(servers.requests) == 1


async def test_a_certificate_that_nobody_vouches_for(servers, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    outcome = await made().send(FIRING)
    assert (outcome.sent, outcome.permanent) == (False, False)
    assert "certificate is not trusted" in outcome.answer
    assert "SSL_CERT_FILE" in outcome.answer


async def test_a_proxy_of_an_unknown_kind_is_told(servers, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "gopher://127.0.0.1:1")
    outcome = await made().send(FIRING)
    assert not outcome.sent
    assert "proxy" in outcome.answer


async def test_a_sender_that_is_given_up_leaves_no_thread_and_no_connection(servers):
    servers.script(TELEGRAM, Hang())
    sender = made()
    with trio.fail_after(60):  # the stand-in hangs for as long
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.send, FIRING)
            await trio.to_thread.run_sync(servers.wait_for, 1)
            nursery.cancel_scope.cancel()
    assert (await sender.send(FIRING)).sent


# ---------------------------------------------------------------------------------------------------------- which sender


@pytest.mark.parametrize(
    ("url", "by", "remark"),
    [
        (TELEGRAM_URL, "ChatSender", None),
        ("tgram://bot123456789:abcdefg_hijklmnop/@channel_name/?format=text", "ChatSender", None),
        ("tgram://123456789%3Aabcdefg_hijklmnop/-100123:5/", "ChatSender", None),
        (f"{TELEGRAM_URL}?mdv=v2", "AppriseSender", "mdv="),
        (f"{TELEGRAM_URL}?image=yes&silent=yes", "AppriseSender", "image="),
        (SLACK_URL, "ChatSender", None),
        ("slack://xoxb-1-2-abc/desk/+C12345678", "ChatSender", None),
        ("slack://xoxb-1-2-abc/@anna", "AppriseSender", None),
        (f"{SLACK_URL}?footer=yes", "AppriseSender", "footer="),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#desk", "AppriseSender", None),
        ("json://127.0.0.1/?image=yes", "AppriseSender", None),
    ],
)  # fmt: skip
def test_which_sender_a_url_gets_and_what_is_said_of_it(url, by, remark):
    assert type(made(url)).__name__ == by
    said = remark_on(Secret(url))
    assert (said is None) if remark is None else (remark in said)
    assert validate_url(url) is None


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("tgram://123456789:abcdefg_hijklmnop/", "tgram://TOKEN/CHAT"),
        ("tgram://123456789:abcdefg_hijklmnop", "tgram://TOKEN/CHAT"),
        ("slack://xoxb-1-2-abc", "slack://TOKEN/#CHANNEL"),
    ],
)
def test_a_bot_without_a_chat_would_write_to_whoever_spoke_to_it(url, form):
    assert validate_url(url).endswith(f"write it like {form}")


ONLY_OURS = """
import sys
from tocsin.config.load import load_settings
from tocsin.delivery.senders import make_sender, validate_url
from tocsin.secrets import Secret
for url in sys.argv[1:]:
    assert validate_url(url) is None
    make_sender(Secret(url), name="x")
print(*sorted({"apprise", "requests", "urllib3"} & set(sys.modules)))
"""


def test_apprise_is_not_loaded_where_only_our_own_senders_are_used():
    loaded = subprocess.run(
        [sys.executable, "-c", ONLY_OURS, TELEGRAM_URL, SLACK_URL],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("service", URLS)
@pytest.mark.parametrize("edits", [True, False])
async def test_a_test_message_is_edited_too(servers, service, edits):
    sender, chats = made(URLS[service]), chats_of(servers, service)

    async def send(message, at):
        if at is None:
            return await sender.send(message)
        chats.gone |= set() if edits else set(chats.messages)
        return await sender.edit(at, message)

    async def buttons(alert, delivery, told):
        return ((Button(f"{told} {alert == delivery}", "b1"),),)

    has_some = service == "telegram"
    report = await try_out(FIRING, send, buttons if has_some else None)
    assert report["sent"]
    assert {name: each["sent"] for name, each in report.items() if isinstance(each, dict)} == (
        {"edit": edits, "buttons": edits} if has_some else {"edit": edits}
    )
    (shown,) = chats.messages.values()
    assert shown.text.endswith("can be said here)") is edits
    assert shown.buttons == ((("test True", "b1"),) if has_some and edits else ())


@pytest.mark.parametrize(("service", "other"), [("telegram", "slack"), ("slack", "telegram")])
async def test_a_message_that_went_to_another_service_is_gone(servers, service, other):
    """The channel's URL was changed since."""
    handle = (await made(URLS[other]).send(FIRING)).handle
    before = len(servers.requests)
    outcome = await made(URLS[service]).edit(handle, FIRING)
    assert (outcome.sent, outcome.gone, outcome.permanent) == (False, True, True)
    assert len(servers.requests) == before
