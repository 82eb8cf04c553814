"""Trying credentials by hand: whether the venue takes them is known once it was asked where it is asked."""

from dataclasses import replace

import pytest
import trio

from support.fake_venue import QUICK, FakeAdapter, FakeSettings, Lines
from support.fault_server import Peer, serving
from tocsin.clock import SystemClock
from tocsin.feed import CredentialStore, VenueFeed
from tocsin.feed.trial import NotSignedIn, try_credentials
from tocsin.secrets import Masker, Secret
from tocsin.venues.base import Request

pytestmark = pytest.mark.real

AUTH = Request(name="auth", text='{"auth": 1}', required=True)
UNANSWERED = Request(name="own", text='{"sub": "own"}', answered=False)


async def tried(tmp_path, adapter, url: str, *, answer: float = 5, refuses_within: float = 5) -> bool:
    with trio.fail_after(10):
        return await try_credentials(
            VenueFeed("v", adapter, FakeSettings(url=url, secret_key=Secret("wrong-key"))),
            clock=SystemClock(),
            masker=Masker(),
            credentials=CredentialStore(tmp_path, Lines()),
            log=Lines(),
            say=lambda why: None,
            timings=replace(QUICK, answer=answer),
            refuses_within=refuses_within,
        )


def after(*messages):
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.message()
        for message in messages:
            await peer.send(message)
        await peer.serve_politely()

    return script


async def closed_door(peer: Peer) -> None:
    await peer.answer("401 Unauthorized", b'{"error": "invalid_token"}')


REFUSED = {"refuse": ["auth", "unauthorized", "auth_failed"]}


@pytest.mark.parametrize(
    ("script", "request_", "words"),
    [
        (after(REFUSED), AUTH, "auth: unauthorized; check venues.v.secret_key"),
        (after({"refuse": ["own", "bad signature", "auth_failed"]}), UNANSWERED, "own: bad signature; check"),
        (after({"refuse": ["own", "no such topic"]}), UNANSWERED, "own: no such topic"),
        (closed_door, AUTH, "HTTP 401"),
    ],
)
async def test_a_key_that_the_venue_refuses_in_the_socket_is_not_signed_in(tmp_path, script, request_, words):
    async with serving(script) as server:
        with pytest.raises(NotSignedIn, match=words):
            await tried(tmp_path, FakeAdapter((request_,)), f"ws://127.0.0.1:{server.port}/")
    assert server.open == 0


async def test_a_venue_that_says_nothing_is_not_signed_in(tmp_path):
    async with serving(after()) as server:
        with pytest.raises(NotSignedIn, match="no answer to auth"):
            await tried(tmp_path, FakeAdapter((AUTH,)), f"ws://127.0.0.1:{server.port}/", answer=0.1)


async def test_nobody_there_is_not_signed_in(tmp_path):
    async with serving(after()) as server:
        url = f"ws://127.0.0.1:{server.port}/"
    with pytest.raises(NotSignedIn, match="Connection refused"):
        await tried(tmp_path, FakeAdapter((AUTH,)), url)


@pytest.mark.parametrize(
    ("messages", "request_", "confirmed"),
    [
        (({"ack": "auth"}, {"order": "o"}), AUTH, True),
        (({"order": "o"},), UNANSWERED, True),
        ((), UNANSWERED, False),
        (({"tick": "public"},), UNANSWERED, False),
    ],
)
async def test_a_key_that_is_taken(tmp_path, messages, request_, confirmed):
    async with serving(after(*messages)) as server:
        adapter = FakeAdapter((request_,))
        url, waits = f"ws://127.0.0.1:{server.port}/", 5 if confirmed else 0.1
        assert await tried(tmp_path, adapter, url, refuses_within=waits) is confirmed
