"""A venue whose adapter says which hosts it may be connected to is held to that before anything is sent.

The names are looked up by the tests' own resolver; all of them lead to a server on loopback.
"""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import trio
import yaml

from support.fake_venue import FakeAdapter, feeding
from support.fault_server import serving
from tocsin.config import yaml as documents
from tocsin.config.descriptions import read_description
from tocsin.events import Account, Observation
from tocsin.feed.transport import HostResolver
from tocsin.venues.base import HttpRequest, Session

pytestmark = pytest.mark.real


@dataclass
class Rule:
    """Only `good.example` and what lies below it; only public addresses, but for the hosts that are `named`."""

    named: tuple[str, ...] = ()

    def refusal(self, url):
        host = urlsplit(url).hostname or ""
        good = host in self.named or host == "good.example" or host.endswith(".good.example")
        return "" if good else f"{host} isn't declared"

    def refusal_of_address(self, host, port, address):
        return "" if host in self.named else f"{host} leads to {address}, which is not public"


@pytest.fixture
def names():
    """All names lead to loopback; which were looked up."""
    asked = []

    def lookup(host, port, *_):
        asked.append(host.decode())
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    return asked, lookup


@pytest.fixture
async def looked_up(names):
    asked, lookup = names
    before = trio.socket.set_custom_hostname_resolver(HostResolver(lookup))
    yield asked
    trio.socket.set_custom_hostname_resolver(before)


async def polite(peer):
    """A server that gives an account by HTTP, and a redirect at /moved."""
    if peer.header("upgrade") is None:
        return await peer.answer("200 OK", b"account-1")
    if peer.path == "/moved":
        return await peer.answer("302 Found", headers="Location: /ws\r\n")
    await peer.accept()
    return await peer.serve_politely()


def asking(host, server):
    """A sign-in, and a snapshot, of one request to that host."""
    request = HttpRequest(method="GET", url=f"http://{host}:{server.port}/it")

    def sign_in(settings, kept, now):
        yield request
        return Session()

    def snapshot(settings, session):
        answer = yield request
        return [Observation(state=Account(id=answer.body.decode()))]

    return sign_in, snapshot


HELD = [
    pytest.param("bad.example", (), "bad.example isn't declared", id="not declared"),
    pytest.param("good.example.bad.example", (), "isn't declared", id="a name that only begins so"),
    pytest.param("127.0.0.1", (), "127.0.0.1 isn't declared", id="an address"),
    pytest.param("good.example", (), "leads to 127.0.0.1, which is not public", id="no public address"),
]


@pytest.mark.parametrize(("host", "named", "why"), HELD)
async def test_no_socket_is_opened_to_another_host(tmp_path, looked_up, host, named, why):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(hosts=Rule(named)), f"ws://{host}:{server.port}/ws")
        await feed.told.heard("disconnected")
        assert why in feed.told.state("disconnected").reason
        assert server.connections == 0


@pytest.mark.parametrize(("host", "named", "why"), HELD)
async def test_no_sign_in_is_sent_to_another_host(tmp_path, looked_up, host, named, why):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        signing, _ = asking(host, server)
        adapter = FakeAdapter(hosts=Rule((*named, "a.example")), signing=signing)
        await feed.venue(adapter, f"ws://a.example:{server.port}/ws")
        await feed.told.heard("disconnected")
        reason = feed.told.state("disconnected").reason
        assert reason.startswith(f"sign-in failed: GET http://{host}:")
        assert why in reason
        assert server.connections == 0


@pytest.mark.parametrize(("host", "named", "why"), HELD)
async def test_no_snapshot_is_asked_of_another_host(tmp_path, looked_up, host, named, why):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        _, fetching = asking(host, server)
        adapter = FakeAdapter(hosts=Rule((*named, "a.example")), fetching=fetching)
        await feed.venue(adapter, f"ws://a.example:{server.port}/ws")
        await feed.told.until(lambda told: "refused" in told.events())
        assert why in feed.told.state("refused").reason
        assert server.connections == 1


async def test_what_the_rule_lets_pass_is_connected_to(tmp_path, looked_up):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        signing, fetching = asking("b.good.example", server)
        rule = Rule(("127.0.0.1", "b.good.example"))
        await feed.venue(
            FakeAdapter(hosts=rule, signing=signing, fetching=fetching), f"ws://127.0.0.1:{server.port}/ws"
        )
        await feed.told.until(lambda told: told.ids("account"))
        assert set(looked_up) == {"b.good.example"}


async def test_no_redirect_is_followed(tmp_path, looked_up):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        adapter = FakeAdapter(hosts=Rule(("127.0.0.1",)), follow_redirect=True)
        await feed.venue(adapter, f"ws://127.0.0.1:{server.port}/moved")
        await feed.told.heard("disconnected")
        assert "HTTP 302" in feed.told.state("disconnected").reason


async def test_without_a_rule_any_host_may_be_connected_to(tmp_path, looked_up):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"ws://any.example:{server.port}/ws")
        await feed.told.heard("connected")


# ------------------------------------------------------------------------------------------- a description from a stranger


def described(**more):
    """A description that may connect to `good.example` alone, unless the config names another host."""
    keys = {
        "summary": "an exchange",
        "tried": "documents",
        "hosts": ["good.example"],
        "times": "ms",
        "given": {"key": {}},
        "urls": {"ws": "wss://good.example/ws", "rest": "https://good.example"},
        "sockets": {"main": {"url": "{{ws}}", "headers": {"X-Key": "{{key}}"}}},
        "things": {"order": {"fields": {"id": "i"}}},
        "messages": [{"each": "o[]", "gives": "order"}],
    }
    node, _ = documents.load(yaml.safe_dump({**keys, **more}))
    adapter, problems = read_description(node)
    assert problems == []
    return adapter


def signing_in():
    """Its keys for a sign-in at the address that the config calls `rest`, whose answer names the socket's host."""
    step = {"post": "{{rest}}/it", "headers": {"X-Key": "{{key}}"}, "take": {"where": "host"}}
    return {
        "sign_in": {"steps": [step]},
        "sockets": {"main": {"url": "wss://{{where}}/ws", "headers": {"X-Key": "{{key}}"}}},
    }


async def test_a_described_venue_whose_name_leads_into_our_network_is_sent_nothing(tmp_path, looked_up):
    async with serving(polite) as server, feeding(tmp_path) as feed:
        await feed.configured(
            described(urls={"ws": f"wss://good.example:{server.port}/ws"}),
            type="json", describe="x", given={"key": "the-key"},
        )  # fmt: skip
        await feed.told.heard("disconnected")
        reason = feed.told.state("disconnected").reason
        assert reason == "not connected to: good.example leads to 127.0.0.1, which is no public address"
        assert (looked_up, server.connections) == (["good.example"], 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (("200 OK", b'{"host": "evil.example"}', ""), "the host that was put together is none of the hosts that the description declares"),
        (("200 OK", b'{"host": "10.0.0.7"}', ""), "is an address, or a name on this machine or network"),
        (("200 OK", b'{"host": "good.example@evil.example"}', ""), "a name or password stands before the host"),
        (("302 Found", b"", "Location: http://evil.example/it\r\n"), "HTTP 302"),
    ],
)  # fmt: skip
async def test_what_a_sign_in_answers_sends_the_key_nowhere_else(tmp_path, looked_up, answer, why):
    asked = []

    async def script(peer):
        asked.append((peer.path, peer.header("x-key")))
        status, body, headers = answer
        await peer.answer(status, body, headers=headers)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.configured(
            described(**signing_in()), type="json", describe="x", given={"key": "the-key"},
            urls={"rest": f"http://127.0.0.1:{server.port}"},
        )  # fmt: skip
        await feed.told.until(lambda told: told.events())
        reason = next(o.state.reason for o in feed.told.observations() if o.event)
        assert re.search(why, reason), reason
        assert set(asked) == {("/it", "the-key")}
        assert "evil.example" not in looked_up
