"""What is asked over TCP, by raw sockets: nobody gets more than is meant for all, and nobody keeps others waiting."""

import socket
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from support.daemon_parts import Lines
from support.measured import measured
from support.stored import opened
from tocsin.control import serving
from tocsin.control.guards import MOST_AT_ONCE, FewAtOnce, Guarded, names_of
from tocsin.control.server import make_public_app
from tocsin.control.serving import Address, address_of, serve_tcp
from tocsin.secrets import Secret
from tocsin.store.store import DATABASE

TOKEN = "a-token-of-twenty-characters"
OWN = ("127.0.0.1", 8080)


class FakeDaemon:
    """As much of one as is asked of it here."""

    ready, wrong = True, ()

    def measures(self):
        return measured()

    def health(self):
        return [*self.wrong]


class World:
    """An app on a port of its own, which is called 8080 by whoever asks."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; status 0 where the connection is closed without an answer."""
        stream = await self.connect()
        async with stream:
            await stream.send_all(request)
            return await answered(stream, whole=not request.startswith(b"HEAD"))


async def answered(stream: trio.SocketStream, *, whole: bool = True) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while chunk := await stream.receive_some():
        data += chunk
        head, ended, body = data.partition(b"\r\n\r\n")
        if ended:
            first, *lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            if not whole or len(body) >= int(headers.get("content-length", 0)):
                return int(first.split()[1]), headers, body
    return 0, {}, data


def get(path: str, *, host: str = "127.0.0.1:8080", method: str = "GET", **more: str) -> bytes:
    headers = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


@asynccontextmanager
async def listening(tmp_path, *, metrics: str | None = TOKEN, daemon: Any = None, app: Any = None):
    opened(tmp_path).close()
    names = names_of(Address(*OWN), ["tocsin.example.org"])
    app = app or make_public_app(
        daemon or FakeDaemon(),
        tmp_path / DATABASE,
        Lines(),
        metrics=Secret(metrics) if metrics else None,
        names=names,
    )

    async def trouble(reason: str) -> None:
        raise AssertionError(reason)

    async def serve(task_status) -> None:
        await serve_tcp(app, Address("127.0.0.1", 0), trouble=trouble, task_status=task_status)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            yield World(await nursery.start(serve))
            nursery.cancel_scope.cancel()


BEARER = {"Authorization": f"Bearer {TOKEN}"}
ASKED = {
    "health": (get("/healthz"), 200),
    "health by localhost": (get("/healthz", host="LocalHost:8080"), 200),
    "health by a further name": (get("/healthz", host="tocsin.example.org"), 200),
    "health by a further name and a port": (get("/healthz", host="tocsin.example.org:8443"), 200),
    "readiness": (get("/readyz"), 200),
    "HEAD": (get("/healthz", method="HEAD"), 200),
    "metrics": (get("/metrics", **BEARER), 200),
    "metrics without a token": (get("/metrics"), 401),
    "metrics with a wrong token": (get("/metrics", Authorization="Bearer a-token-of-twenty-characterz"), 401),
    "metrics with the token as a password": (get("/metrics", Authorization=f"Basic {TOKEN}"), 401),
    "another's name": (get("/healthz", host="evil.example.org"), 421),
    "another's name that ends in ours": (get("/healthz", host="evil-tocsin.example.org"), 421),
    "our address on another port": (get("/healthz", host="127.0.0.1:80"), 421),
    "our address without its port": (get("/healthz", host="127.0.0.1"), 421),
    "a name before ours": (get("/healthz", host="evil@127.0.0.1:8080"), 421),
    "a name before a further one": (get("/healthz", host="evil@tocsin.example.org"), 421),
    "letters that are none": (b"GET /healthz HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", 421),
    "no name": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two names": (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nHost: evil.example.org\r\n\r\n", 400),
    "another's name is refused before its path is looked at": (get("/nothing", host="evil.example.org"), 421),
    "what is on the socket only": (get("/api/status"), 404),
    "a change": (get("/api/reload", method="POST", Content_Length="0"), 404),
    "POST": (get("/healthz", method="POST", Content_Length="0"), 405),
    "a long query": (get("/healthz?" + "a" * 5000), 414),
    "a long path": (get("/healthz/" + "a" * 5000), 414),
    "a large body": (get("/healthz", Content_Length="1000000"), 413),
    "a long head": (get("/healthz", X_Much="a" * 20000), 431),
}  # fmt: skip


@pytest.mark.real
async def test_who_gets_what(tmp_path):
    async with listening(tmp_path) as world:
        found = {name: (await world.ask(request))[0] for name, (request, _) in ASKED.items()}
    assert found == {name: status for name, (_, status) in ASKED.items()}


@pytest.mark.real
@pytest.mark.parametrize(
    ("metrics", "asked", "status"), [("open", {}, 200), (None, {}, 401), (None, BEARER, 401)]
)
async def test_metrics_are_for_who_the_config_says(tmp_path, metrics, asked, status):
    async with listening(tmp_path, metrics=metrics) as world:
        found, headers, body = await world.ask(get("/metrics", **asked))
        assert found == status
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert (b"tocsin_healthy 1.0" in body) is (status == 200)


@pytest.mark.real
async def test_what_is_wrong_is_told_on_the_socket_only(tmp_path):
    daemon = FakeDaemon()
    daemon.wrong, daemon.ready = ("no progress for 21 s",), False
    async with listening(tmp_path, daemon=daemon) as world:
        status, headers, body = await world.ask(get("/healthz"))
        assert (status, body) == (503, b'{"healthy":false}')
        assert headers["cache-control"] == "no-store"
        assert (await world.ask(get("/readyz")))[0::2] == (503, b'{"ready":false}')


@pytest.mark.real
async def test_half_requests_are_closed_and_keep_nobody_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_IDLE", 1)
    async with listening(tmp_path) as world, trio.open_nursery() as nursery:

        async def half() -> None:
            async with await world.connect() as stream:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nHo")
                assert (await answered(stream))[0] in (0, 400, 408)

        for _ in range(200):
            nursery.start_soon(half)
        began = trio.current_time()
        assert (await world.ask(get("/healthz")))[0] == 200
        assert trio.current_time() - began < 5


@pytest.mark.real
async def test_who_asks_and_does_not_read_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_UNREAD", 500)
    ended = trio.Event()

    async def large(scope, _receive, send) -> None:
        assert scope["type"] == "http"  # Hypercorn asks for a lifespan first
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(64):
                await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})
        finally:
            ended.set()

    async with listening(tmp_path, app=large) as world:
        mute = socket.socket()
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with mute:
            mute.connect(world.address)
            mute.sendall(get("/"))
            with trio.fail_after(15):
                await ended.wait()


async def test_a_few_requests_at_a_time(autojump_clock):
    statuses: list[int] = []

    async def slow(_scope, _receive, send) -> None:
        await trio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8080")],
    }  # fmt: skip
    few = FewAtOnce(slow)
    async with trio.open_nursery() as nursery:
        for _ in range(MOST_AT_ONCE + 3):
            nursery.start_soon(few, scope, None, send)
    assert sorted(statuses) == [200] * MOST_AT_ONCE + [503] * 3
    await few(scope, None, send)
    assert statuses[-1] == 200


async def test_health_that_waits_its_turn_keeps_nobody_out(tmp_path, autojump_clock):
    """Neither who asks for something else, nor who asks for health behind so many."""
    statuses: list[int] = []

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    app = make_public_app(
        FakeDaemon(), tmp_path / DATABASE, Lines(), metrics=None, names=names_of(Address(*OWN), ())
    )
    async with trio.open_nursery() as nursery:
        for path in [*["/healthz"] * 2 * MOST_AT_ONCE, "/metrics"]:
            scope = {
                "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                "headers": [(b"host", b"127.0.0.1:8080")],
            }  # fmt: skip
            nursery.start_soon(app, scope, receive, send)
    assert Counter(statuses) == {200: 2 * MOST_AT_ONCE, 401: 1}


async def test_what_takes_too_long_is_given_up(autojump_clock):
    async def never(_scope, _receive, _send) -> None:
        await trio.sleep_forever()

    scope = {"type": "http", "raw_path": b"/", "query_string": b"", "headers": [(b"host", b"[::1]:80")]}
    await FewAtOnce(never)(scope, None, None)
    assert trio.current_time() >= 10


@pytest.mark.real
async def test_a_port_that_is_taken_is_told_once_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_AGAIN", 0.02)
    told: list[str] = []

    async def trouble(reason: str) -> None:
        told.append(reason)

    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address(*other.getsockname())

        async def serve(task_status=trio.TASK_STATUS_IGNORED) -> None:
            await serve_tcp(Guarded(None, frozenset()), address, trouble=trouble, task_status=task_status)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                while not told:  # noqa: ASYNC110 - a list has no event
                    await trio.sleep(0.01)
                await trio.sleep(0.1)
                assert told == [f"{address}: Address already in use"]
                other.close()
                world = World(address)
                while True:
                    try:
                        status, *_ = await world.ask(get("/healthz"))
                    except OSError:
                        await trio.sleep(0.02)
                    else:
                        break
                assert status == 421
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), ("localhost:1", ("127.0.0.1", 1))],
)
def test_addresses(text, address):
    assert address_of(text) == address
