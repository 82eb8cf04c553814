"""Webhooks as actions, against servers that answer all sorts of things."""

from datetime import UTC, datetime

import pytest
import trio

from support.fault_server import serving
from tocsin.actions.model import ActionSettings
from tocsin.actions.webhook import post, signature
from tocsin.secrets import Secret

pytestmark = pytest.mark.real
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def posted(script, **settings):
    async with serving(script) as server:
        with trio.fail_after(20):
            action = ActionSettings(webhook=Secret(f"http://127.0.0.1:{server.port}/hook?k=1"), **settings)
            return await post(action, "r1", b'{"a": 1}', NOW)


def answering(status, body=b"", headers=""):
    async def script(peer):
        await peer.read_body()
        await peer.answer(status, body, headers=headers)

    return script


async def torn(peer):
    await peer.read_body()
    await peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def gone(peer):
    await peer.read_body()


async def mute(peer):
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("script", "ok", "result", "again", "reason"),
    [
        (answering("200 OK", b"taken"), True, "200", False, ""),
        (answering("204 No Content"), True, "204", False, ""),
        (answering("200 OK", b"x" * (5 << 20)), True, "200", False, ""),
        (answering("200 OK", b"?", headers="Content-Encoding: br\r\n"), True, "200", False, ""),
        (torn, True, "200", False, ""),
        (
            answering("302 Found", headers="Location: http://127.0.0.1:1/\r\n"),
            False,
            "302",
            False,
            "302: redirects aren't followed",
        ),
        (answering("300 Multiple Choices"), False, "300", False, "300: redirects aren't followed"),
        (answering("400 Bad Request", b"no such\naccount"), False, "400", False, "400: no such account"),
        (
            answering("400 Bad Request", b"\xff?" + b"x" * 300),
            False,
            "400",
            False,
            f"400: \N{REPLACEMENT CHARACTER}?{'x' * 198}",
        ),
        (answering("401 Unauthorized"), False, "401", False, "401: no words"),
        (answering("408 Request Timeout"), False, "408", True, "408: no words"),
        (answering("425 Too Early"), False, "425", True, "425: no words"),
        (answering("429 Too Many Requests"), False, "429", True, "429: no words"),
        (answering("499 Client Closed Request"), False, "499", False, "499: no words"),
        (answering("500 Internal Server Error"), False, "500", True, "500: no words"),
        (answering("503 Service Unavailable"), False, "503", True, "503: no words"),
        (gone, False, "no answer", True, "disconnected"),
        (mute, False, "no answer", True, "no answer within 0.2 s"),
    ],
)
async def test_what_comes_of_it(script, ok, result, again, reason):
    got = await posted(script, **({"timeout": "200ms"} if script is mute else {}))
    assert (got.ok, got.result, got.again) == (ok, result, again)
    assert got.reason == reason or (result == "no answer" and reason in got.reason)
    assert "k=1" not in got.reason


async def test_what_is_sent():
    seen = []

    async def script(peer):
        names = ("content-type", "idempotency-key", "x-tocsin-timestamp", "x-tocsin-signature")
        seen.append((peer.head.partition(" ")[0], await peer.read_body(), *map(peer.header, names)))
        await peer.answer("200 OK", b"x" * 10_000)

    got = await posted(script, secret=Secret("key"))
    signed = signature("key", "1767268800", b'{"a": 1}')
    assert seen == [("POST", b'{"a": 1}', "application/json", "r1", "1767268800", signed)]
    assert got.output == "x" * 4096


async def test_no_proxy_sees_what_is_for_this_machine(monkeypatch):
    async def proxy(peer):
        seen.append(peer.head)
        await peer.answer("200 OK")

    seen = []
    async with serving(proxy) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        got = await posted(answering("204 No Content"))
    assert (got.result, seen) == ("204", [])


def test_a_signature():
    """Worked out by: printf '1767268800.{}' | openssl dgst -sha256 -hmac key."""
    assert (
        signature("key", "1767268800", b"{}")
        == "sha256=b2f88ba35b688b259658d6309df35f77dcc10bb766c45babee99e5bd6416a982"
    )
