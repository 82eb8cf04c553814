"""What arrives at the services that Apprise speaks to, byte for byte, and what a person then reads there."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from support.chats import discord_reads, to_the_eye
from support.outboxes import context
from support.receivers import Reply
from tocsin.alerts.wording import Style
from tocsin.delivery.model import Message
from tocsin.delivery.render import render
from tocsin.delivery.senders import make_sender
from tocsin.secrets import Secret

pytestmark = pytest.mark.real

CASES = yaml.safe_load(Path(__file__).with_name("services.yaml").read_text())
DISCORD, NTFY = "discord://123456789012345678/abcdefg_hijklmnop_abcdefg", "ntfys://ntfy.sh/boss"
OWN_WORDS = ("version",)
SYMBOL = "<!channel> [click](http://x) \n\x1b[31m {{7*7}} $(id) ||x|| **b** @a #t $C /c :smile:"
READS = "<!channel> [click](http://x) ␤␛[31m {{7*7}} $(id) ||x|| **b** @a #t $C /c :smile:"
LIMITS = {"discord": 2000, "ntfy": 4096}  # characters of all; bytes of the body


@pytest.fixture
def sent(services, receiver, mail):
    """Send a message by a service; what arrived: the request, or the mail."""
    services.always("discord.com", Reply(204, ""))
    services.always("ntfy.sh", Reply(200, '{"id":"1"}'))

    async def send(service: str, message: Message):
        url = {"discord": DISCORD, "ntfy": NTFY, "json": receiver.url, "mail": mail.url()}[service]
        assert (await make_sender(Secret(url), name="desk").send(message)).sent
        if service == "mail":
            return mail.wait_for(1)[0]
        return (receiver if service == "json" else services).requests[-1]

    return send


def words(service: str, got) -> str:
    """All that a person reads."""
    match service:
        case "discord":
            return discord_reads(got.json["content"])
        case "mail":
            return f"{got['Subject']}\n{got.get_content()}".replace("\u2060", "")
    return to_the_eye(f"{got.json['title']}\n{got.json['message']}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_what_arrives_byte_for_byte(sent, case):
    message = msgspec.convert({"delivery_id": "d1", **case["message"]}, Message)
    got = await sent(case["service"], message)
    headers = got if case["service"] == "mail" else got.headers
    assert {name: headers.get(name) for name in case.get("headers", {})} == case.get("headers", {})
    if case["service"] == "mail":
        assert got.get_content().splitlines() == case["text"].splitlines()
        return
    body = {name: value for name, value in got.json.items() if name not in OWN_WORDS}
    assert json.dumps(body, sort_keys=True) == json.dumps(case["body"], sort_keys=True)


@pytest.mark.parametrize("service", ["discord", "ntfy", "json", "mail"])
async def test_a_hostile_symbol_is_text_to_the_eye(sent, service):
    told = context(
        symbol=SYMBOL, fields={"id": "p1", "symbol": SYMBOL, "profit": "-60"}, message="{{ symbol }}"
    )
    got = await sent(service, render(told, Style(), delivery_id="d1"))
    assert words(service, got).count(READS) == 2


@pytest.mark.parametrize("service", ["discord", "ntfy"])
async def test_of_three_times_the_limit_the_template_s_text_is_cut(sent, service):
    told = context(message="*" * 3 * LIMITS[service])
    got = await sent(service, render(told, Style(), delivery_id="d1"))
    size = len(got.json["content"]) if service == "discord" else len(got.json["message"].encode())
    assert size <= LIMITS[service]
    lines = words(service, got).splitlines()
    assert lines[:2] == ["🟠 -60 USD BTCUSD long: profit -60 < -50 · fx", "firing: profit -60 < -50 · fx"]
    assert lines[-1].endswith("characters in all)")
