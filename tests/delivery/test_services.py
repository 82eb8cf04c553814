"""What arrives at the services that Apprise speaks to, byte for byte, and what a person then reads there."""

import json
from pathlib import Path

import pytest
import yaml
from msgspec import structs

from support.messages import READS, SYMBOL, digest_of, message_of, told, whole_lines_and_all_counted, words
from support.receivers import Reply
from tocsin.delivery.model import Message
from tocsin.delivery.senders import make_sender
from tocsin.delivery.services import service_name
from tocsin.secrets import Secret

pytestmark = pytest.mark.real

CASES = yaml.safe_load(Path(__file__).with_name("services.yaml").read_text())
DISCORD, NTFY = "discord://123456789012345678/abcdefg_hijklmnop_abcdefg", "ntfys://ntfy.sh/boss"
OWN_WORDS = ("version",)
URLS = {"discord": DISCORD, "ntfy": NTFY, "json": "json://127.0.0.1/", "mail": "mailto://me@example.org"}
# Characters of all; bytes of the body; characters of the body, by Apprise's own bound.
LIMITS = {"discord": 2000, "ntfy": 4096, "json": 32768, "mail": 32768}


@pytest.fixture
def sent(services, receiver, mail):
    """Send a message by a service; what arrived: the request, or the mail."""
    services.always("discord.com", Reply(204, ""))
    services.always("ntfy.sh", Reply(200, '{"id":"1"}'))

    async def send(service: str, message: Message):
        url = {"json": receiver.url, "mail": mail.url()}.get(service, URLS[service])
        assert (await make_sender(Secret(url), name="desk").send(message)).sent
        if service == "mail":
            return mail.wait_for(1)[0]
        return (receiver if service == "json" else services).requests[-1]

    return send


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_what_arrives_byte_for_byte(sent, case):
    got = await sent(case["service"], message_of(case["message"], URLS[case["service"]]))
    headers = got if case["service"] == "mail" else got.headers
    assert {name: headers.get(name) for name in case.get("headers", {})} == case.get("headers", {})
    if case["service"] == "mail":
        assert got.get_content().splitlines() == case["text"].splitlines()
        return
    body = {name: value for name, value in got.json.items() if name not in OWN_WORDS}
    assert json.dumps(body, sort_keys=True) == json.dumps(case["body"], sort_keys=True)


def size(service: str, got) -> int:
    match service:
        case "discord":
            return len(got.json["content"])
        case "ntfy":
            return len(got.json["message"].encode())
    return len(got.get_content().rstrip().replace("\r", "") if service == "mail" else got.json["message"])


@pytest.mark.parametrize("acked_by", ["", "Anna"], ids=["firing", "ack"])
@pytest.mark.parametrize("service", URLS)
async def test_a_hostile_symbol_is_text_to_the_eye(sent, service, acked_by):
    fields = {"id": "p1", "symbol": SYMBOL, "profit": "-60"}
    got = await sent(service, told(symbol=SYMBOL, fields=fields, message="{{ symbol }}", acked_by=acked_by))
    assert words(service, got).count(READS) == 2


@pytest.mark.parametrize("service", URLS)
async def test_so_it_is_in_a_digest(sent, service):
    rows = [{"alert": f"a{n}", "symbol": SYMBOL} for n in range(3)]
    got = await sent(service, digest_of(rows, URLS[service]))
    lines = words(service, got).splitlines()
    assert lines == [
        "🟠 3 alerts in 30 s: 3 × position-in-the-red",
        *[f"🟠 -60 USD {READS} long: profit -60 < -50 · fx"] * 3,
    ]


@pytest.mark.parametrize("acked_by", ["", "Anna"], ids=["firing", "ack"])
@pytest.mark.parametrize("service", URLS)
async def test_of_three_times_the_limit_the_template_s_text_is_cut(sent, service, acked_by):
    made = told(message="text", acked_by=acked_by)
    got = await sent(service, structs.replace(made, body=made.body + "*" * 3 * LIMITS[service]))
    assert size(service, got) <= LIMITS[service]
    lines = words(service, got).splitlines()
    ack = f"acknowledged by {acked_by}: " if acked_by else ""
    assert lines[:2] == [
        f"🟠 {ack}-60 USD BTCUSD long: profit -60 < -50 · fx",
        f"{ack or 'firing: '}profit -60 < -50 · fx",
    ]
    assert lines[-1].endswith("characters in all)")


@pytest.mark.parametrize("severity", ["warning", "critical"])
@pytest.mark.parametrize("service", URLS)
async def test_of_a_digest_of_three_times_the_limit_whole_lines_are_left_and_the_rest_counted(
    sent, service, severity
):
    rows = [
        {
            "alert": f"a{n}",
            "symbol": f"{n}{'*' * 100}{'é' * 100}",
            "severity": severity,
            "rule": f"rule-{n % 9}",
        }
        for n in range(3 * LIMITS[service] // 200)
    ]
    got = await sent(service, digest_of(rows, URLS[service]))
    assert size(service, got) <= LIMITS[service]
    whole_lines_and_all_counted(words(service, got), len(rows), severity)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("tgram://123:abc/456", "Telegram"),
        ("SLACK://xoxb-1/#desk", "Slack"),
        ("mailtos://anna:secret@example.org", "example.org"),
        ("mailtos://anna:secret@example.org?smtp=smtp.example.org", "smtp.example.org"),
        # What can't be told from a password stays hidden.
        ("mailto://anna:pa/ss@example.org", "mail"),
        ("mailto://secret.word/x@example.org", "mail"),
        ("mailto://[", "mail"),
        ("json://user:secret@example.org/path", "JSON"),
        ("barks://secret.example.org/key", "barks"),
    ],
)
def test_what_a_service_is_called_tells_nothing_secret(url, name):
    assert service_name(Secret(url)) == name
