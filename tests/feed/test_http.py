"""HTTP requests as adapters describe them, against servers that misbehave."""

import gc
import gzip
import ssl
import zlib
from contextlib import suppress

import pytest
import trio
import trustme

from support.fault_server import GONE, reset_on_close, serving
from tocsin.http import Http, HttpFailed
from tocsin.venues.base import HttpRequest

pytestmark = pytest.mark.real


async def ask(server, scheme="http", *, ca=None, within=10.0, **parts):
    with trio.fail_after(20):
        request = HttpRequest(method="POST", url=f"{scheme}://127.0.0.1:{server.port}/x?k=secret", **parts)
        return await Http(ca, within)(request)


@pytest.mark.parametrize(
    ("parts", "body", "kind"),
    [
        ({"form": {"a": "1&2"}}, b"a=1%262", "application/x-www-form-urlencoded"),
        ({"json": {"a": None}}, b'{"a":null}', "application/json"),
        ({"content": b""}, b"", None),
    ],
)
async def test_bodies_are_sent_as_described(parts, body, kind):
    async def script(peer):
        seen.append((await peer.read_body(), peer.header("content-type"), peer.header("x-own")))
        await peer.answer("418 Teapot", b"short", headers="X-Note: Yes\r\n")

    seen = []
    async with serving(script) as server:
        answer = await ask(server, headers={"X-Own": "1"}, **parts)
    assert (answer.status, answer.body, answer.headers["x-note"]) == (418, b"short", "Yes")
    assert seen == [(body, kind, "1")]


async def endless(peer):
    await peer.raw(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.raw(b"x" * 65536)


async def dripping_head(peer):
    while True:
        await peer.raw(b"H")
        await trio.sleep(0.01)


async def gone(peer):
    pass


async def torn(peer):
    await peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def packed(peer):
    await peer.answer("200 OK", b"\x1f\x8b", headers="Content-Encoding: gzip\r\n")


async def packed_bomb(peer):
    await peer.answer("200 OK", gzip.compress(b"0" * (5 << 20)), headers="Content-Encoding: gzip\r\n")


async def packed_oddly(peer):
    await peer.answer("200 OK", b"?", headers="Content-Encoding: br\r\n")


async def drips_for_ever(peer):
    await peer.raw(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(*GONE):
        while True:
            await peer.raw(b"x")
            await trio.sleep(0.01)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (endless, "larger than 4194304 bytes"),
        (dripping_head, "no answer within 0.2 s"),
        (gone, "disconnected"),
        (torn, "peer closed connection"),
        (packed, "compressed answer that is torn"),
        (packed_bomb, "larger than 4194304 bytes"),
        (packed_oddly, "compressed as 'br'"),
        (drips_for_ever, "no answer within"),
    ],
)
async def test_a_bad_answer_is_a_failure_that_shows_no_query(fault, words):
    async with serving(fault) as server:
        with pytest.raises(HttpFailed, match=words) as failed:
            await ask(server, within=0.2 if fault in (dripping_head, drips_for_ever) else 10.0)
        assert "secret" not in str(failed.value)
        await server.all_gone()  # the connection is shut, too


@pytest.mark.parametrize(("how", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_an_answer_that_was_compressed_unasked_is_read(how, pack):
    """A new refresh token comes once, and some caches compress whatever one asks for."""

    async def script(peer):
        await peer.answer("200 OK", pack(b'{"refresh_token": "R1"}'), headers=f"Content-Encoding: {how}\r\n")

    async with serving(script) as server:
        assert (await ask(server)).body == b'{"refresh_token": "R1"}'


async def test_a_redirect_is_an_answer_like_any_other():
    async def script(peer):
        await peer.answer("302 Found", headers="Location: http://127.0.0.1:1/\r\n")

    async with serving(script) as server:
        assert (await ask(server)).status == 302


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https"])
async def test_https_is_verified(scheme, tmp_path):
    async def script(peer):
        await peer.answer("200 OK", b"hello")

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(script, tls=context) as server:
        with pytest.raises(HttpFailed, match="certificate is not trusted"):
            await ask(server, scheme)
        assert (await ask(server, scheme, ca=str(tmp_path / "ca.pem"))).body == b"hello"
        with pytest.raises(HttpFailed, match=r"tls_ca: .* can't be read as a CA file"):
            await ask(server, scheme, ca=str(tmp_path / "missing.pem"))


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
async def test_a_certificate_of_another_name_is_refused(scheme, tmp_path):
    async def script(peer):
        await peer.answer("200 OK", b"hello")

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("exchange.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(script, tls=context) as server:
        with pytest.raises(HttpFailed, match="certificate"):
            await ask(server, scheme, ca=str(tmp_path / "ca.pem"))


async def test_an_answer_that_has_begun_is_read_though_the_task_is_cancelled():
    """It may hold a refresh token that exists nowhere else."""
    begun, answers = trio.Event(), []

    async def script(peer):
        await peer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12")
        begun.set()
        await trio.sleep(0.1)
        await peer.raw(b"345")

    async with serving(script) as server:

        async def task():
            answers.append(await ask(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            await begun.wait()
            await trio.sleep(0.03)
            nursery.cancel_scope.cancel()
    assert [answer.body for answer in answers] == [b"12345"]


@pytest.mark.parametrize("end", ["cancelled", "refused"])
async def test_a_body_that_isnt_sent_to_its_end_leaves_nothing_behind(end):
    """No warning from the garbage collector: one would come in whatever else runs by then."""
    asked = trio.Event()

    async def script(peer):
        asked.set()  # the rest of the body isn't read
        if end == "refused":
            reset_on_close(peer.stream)
        else:
            await trio.sleep_forever()

    async with serving(script) as server, trio.open_nursery() as nursery:

        async def task():
            with suppress(HttpFailed):
                await ask(server, content=b"x" * (32 << 20))
            nursery.cancel_scope.cancel()

        nursery.start_soon(task)
        await asked.wait()
        if end == "cancelled":
            nursery.cancel_scope.cancel()
    gc.collect()
