"""Behind a reverse proxy with TLS that takes the path below which the page lies away, or leaves it."""

import re
import ssl
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import trustme

from support.page_world import ANNA, Page, on_sockets
from support.proxy import forward

pytestmark = pytest.mark.real

NAME = "tocsin.test"
PUBLIC = {"public_url": f"https://{NAME}/tocsin/", "proxy": ["127.0.0.1"]}


@asynccontextmanager
async def behind_tls(page: Page, *, strips: bool, host: str | None = None):
    """A browser that finds the proxy under its name, and what it takes to ask that by oneself."""
    authority = trustme.CA()
    served, trusted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(NAME).configure_cert(served)
    authority.configure_trust(trusted)
    async with on_sockets(page.app) as world, trio.open_nursery() as nursery:
        serve = partial(forward, backend=world.address, strips=strips, host=host)
        (listener,) = await nursery.start(
            partial(trio.serve_ssl_over_tcp, serve, 0, served, host="127.0.0.1", https_compatible=True)
        )
        _, port = listener.transport_listener.socket.getsockname()

        # What is asked for is a page of that name, wherever that is.
        transport = _Renamed(trusted, port)
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{NAME}") as browser:
            yield browser, (trusted, port)
        nursery.cancel_scope.cancel()


class _Renamed(httpx.AsyncHTTPTransport):
    """Connects to a port of this machine, whatever the name."""

    def __init__(self, trusted: ssl.SSLContext, port: int) -> None:
        super().__init__(verify=trusted)
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await super().handle_async_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1", port=self._port),
                headers=request.headers,  # the name is in `Host`
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": NAME},
            )
        )


async def begun(trusted: ssl.SSLContext, port: int, path: str, cookies: httpx.Cookies) -> str:
    """What a stream says first, while it goes on."""
    (cookie,) = cookies.items()
    said = b""
    plain = await trio.open_tcp_stream("127.0.0.1", port)
    way = trio.SSLStream(plain, trusted, server_hostname=NAME, https_compatible=True)
    with trio.fail_after(10):
        async with way:
            head = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nCookie: {'='.join(cookie)}\r\n\r\n"
            await way.send_all(head.encode())
            while b"event: hello" not in said:
                said += await way.receive_some()
    return said.decode()


@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("host", [None, "127.0.0.1:8080"], ids=["passes Host on", "has a Host of its own"])
async def test_from_the_sign_in_to_the_stream(tmp_path, strips, host):
    page = Page(tmp_path, **PUBLIC)
    async with behind_tls(page, strips=strips, host=host) as (browser, way):
        asked = await browser.get("/tocsin/")
        assert (asked.status_code, asked.headers["location"]) == (303, "/tocsin/login?next=/")
        form = await browser.get(asked.headers["location"])
        (action,) = re.findall(r'<form [^>]*action="([^"]*)"', form.text)
        (style,) = re.findall(r'href="([^"]*/app\.css)"', form.text)
        assert (await browser.get(style)).status_code == 200
        origin = {"Origin": f"https://{NAME}"}
        signed_in = await browser.post(action, data={"token": ANNA, "next": "/"}, headers=origin)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/tocsin/")
        assert signed_in.headers["set-cookie"].startswith("__Host-tocsin-tocsin=")
        assert "; Secure" in signed_in.headers["set-cookie"]
        overview = await browser.get("/tocsin/")
        assert (overview.status_code, "signed in as anna" in overview.text) == (200, True)
        foreign = await browser.post("/tocsin/logout", headers={"Origin": "https://evil.test"})
        assert foreign.status_code == 403
        said = await begun(*way, "/tocsin/live", browser.cookies)
        assert "x-accel-buffering: no" in said
        assert "event: hello" in said
        assert (await browser.post("/tocsin/logout", headers=origin)).status_code == 200
        assert (await browser.get("/tocsin/")).status_code == 303
    assert {fields["address"] for fields in page.log.fields if "address" in fields} == {"198.51.100.7"}
