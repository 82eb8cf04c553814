"""What is asked over TCP, by raw sockets: nobody gets more than is meant for all, and nobody keeps others waiting."""

import socket
import struct
from collections import Counter
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from hypercorn.events import Closed, RawData, Updated

from support.daemon_parts import Lines
from support.page_world import ANNA, BEN, METRICS, Page, Sockets, answered, get, on_sockets, post
from tocsin.config.listening import Address, address_of
from tocsin.control import guards, http1, serving
from tocsin.control.guards import MOST_BODY, FewAtOnce, Guarded, Share
from tocsin.control.serving import TcpPort
from tocsin.page import assets
from tocsin.page.admission import Admission
from tocsin.page.app import PEOPLE, STRANGERS
from tocsin.pipeline.acts import By

NAMES = {"hosts": ["tocsin.example.org"]}
BEARER = {"Authorization": f"Bearer {METRICS}"}
ANNAS = {"Authorization": f"Bearer {ANNA}"}
LONG = b"x" * (MOST_BODY + 1)
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
OURS = {"Sec_Fetch_Site": "same-origin"}
CHANGES = [
    "/login", "/logout", "/a/x/ack", "/a/x/unack", "/silences/x/end", "/actions/hedge/pause", "/actions/hedge/resume",
    "/channels/phone/test", "/api/alerts/x/ack", "/api/alerts/x/unack", "/api/silences/x/end", "/api/actions/hedge/pause",
    "/api/actions/hedge/resume", "/api/channels/phone/test", "/api/retry", "/api/forget",
]  # fmt: skip


def chunked(path: str, *chunks: bytes, **more: str) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return get(path, method="POST", body=body, Transfer_Encoding="chunked", **more)


ASKED = {
    "health": (get("/healthz"), 200),
    "health by localhost": (get("/healthz", host="LocalHost:8080"), 200),
    "health by a further name": (get("/healthz", host="tocsin.example.org"), 200),
    "health by a further name and a port": (get("/healthz", host="tocsin.example.org:8443"), 200),
    "readiness": (get("/readyz"), 200),
    "HEAD": (get("/healthz", method="HEAD"), 200),
    "metrics": (get("/metrics", **BEARER), 200),
    "metrics by somebody": (get("/metrics", **ANNAS), 200),
    "metrics without a token": (get("/metrics"), 401),
    "metrics with a wrong token": (get("/metrics", Authorization="Bearer a-token-of-twenty-characterz"), 401),
    "metrics with the token as a password": (get("/metrics", Authorization=f"Basic {METRICS}"), 401),
    "the token of metrics elsewhere": (get("/api/rules", **BEARER), 401),
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
    "another's name is refused before its token is looked at": (get("/api/rules", host="evil.example.org", **ANNAS), 421),
    "POST of health": (post("/healthz"), 405),
    "a long query": (get("/healthz?" + "a" * 5000), 414),
    "a long path": (get("/healthz/" + "a" * 5000), 414),
    "a large body": (get("/healthz", Content_Length="1000000"), 413),
    "a large body in chunks": (chunked("/login", LONG[:9000], LONG[9000:], **OURS, **FORM), 413),
    "a large body in chunks, to look": (get("/login", body=b"%x\r\n%b\r\n" % (len(LONG), LONG), Transfer_Encoding="chunked"), 413),
    "a body of two lengths": (chunked("/login", b"token=", b"x", Content_Length="7", **OURS, **FORM), 400),
    "a body in chunks": (chunked("/login", b"token=", b"x", **OURS, **FORM), 403),
    "a long head": (get("/healthz", X_Much="a" * 20000), 431),
    "a target with our name": (get("http://127.0.0.1:8080/api/rules", **ANNAS), 200),
    "a target with our name, and no path": (get("HTTP://127.0.0.1:8080"), 303),
    "a target with our name, and a query": (get("http://127.0.0.1:8080?x=y"), 303),
    "a target with our name, whatever Host says": (get("http://127.0.0.1:8080/healthz", host="evil.example.org"), 200),
    "a target with another's name": (get("http://evil.example.org/healthz"), 421),
    "a target with a name before ours": (get("http://evil@127.0.0.1:8080/healthz"), 421),
    "a target without a name": (get("http:///healthz"), 421),
    "a target with our name, whose path is escaped": (get("http://127.0.0.1:8080/%68ealthz"), 200),
    "a target with another's name, escaped": (get("http://127.0.0.1:8080%2f.evil.example.org/healthz"), 421),
    "the overview": (get("/"), 303),
    "what isn't there": (get("/nothing"), 303),
    "a screen's data": (get("/api/overview"), 401),
    "data": (get("/api/rules"), 401),
    "data, to somebody": (get("/api/rules", **ANNAS), 200),
    "what isn't there, to somebody": (get("/api/nothing", **ANNAS), 404),
    "what is on the socket only": (post("/api/reload", **ANNAS), 404),
    "a link is for the socket only": (post("/api/page/link?by=ben", **ANNAS), 404),
    "the stream": (get("/live"), 401),
    "the sign-in": (get("/login"), 200),
    "the style": (get(assets.path("app.css")), 200),
    "the style of another version": (get("/static/0123456789ab/app.css"), 404),
    "no file of ours": (get("/static/0123456789ab/../../app.py"), 404),
    "another method": (get("/api/rules", method="PUT", **ANNAS), 405),
    "and another": (get("/login", method="OPTIONS", Origin="https://evil.example.org"), 405),
    "a change by a program": (post("/api/forget?venue=fx&kind=order&id=p", **ANNAS), 200),
    "a change without a token": (post("/api/forget?venue=fx&kind=order&id=p"), 403),
    "a change of ours, by nobody": (post("/api/forget?venue=fx&kind=order&id=p", **OURS), 401),
    "a change of a form of ours, by nobody": (post("/a/x/ack", **OURS), 303),
    "a change from another site": (post("/api/forget?venue=fx&kind=order&id=p", Sec_Fetch_Site="cross-site", **ANNAS), 403),
    "a change from the same site": (post("/api/forget?venue=fx&kind=order&id=p", Sec_Fetch_Site="same-site", **ANNAS), 403),
    "a change typed by hand": (post("/api/forget?venue=fx&kind=order&id=p", Sec_Fetch_Site="none", **ANNAS), 403),
    "a change said to be ours twice": (
        post("/api/forget?venue=fx&kind=order&id=p", Sec_Fetch_Site="same-origin\r\nSec-Fetch-Site: cross-site", **ANNAS), 403,
    ),
    "a change from a foreign page": (post("/api/forget?venue=fx&kind=order&id=p", Origin="https://evil.example.org", **ANNAS), 403),
    "a change from nowhere": (post("/api/forget?venue=fx&kind=order&id=p", Origin="null", **ANNAS), 403),
    "a change from our port's neighbour": (post("/api/forget?venue=fx&kind=order&id=p", Origin="http://127.0.0.1:8081", **ANNAS), 403),
    "a change from our origin": (post("/api/forget?venue=fx&kind=order&id=p", Origin="http://127.0.0.1:8080", **ANNAS), 200),
    "a change from our other name": (post("/api/forget?venue=fx&kind=order&id=p", Origin="http://localhost:8080", **ANNAS), 403),
    "the sign-in from a foreign page": (post("/login", b"token=x", Origin="https://evil.example.org", **FORM), 403),
    "the sign-in without a word": (post("/login", b"token=x", **FORM), 403),
    **{f"GET of {path}": (get(path, **ANNAS), 405) for path in CHANGES if path != "/login"},
}  # fmt: skip


@pytest.mark.real
async def test_who_gets_what(tmp_path):
    page = Page(tmp_path, metrics=METRICS, **NAMES)
    async with on_sockets(page.app) as world:
        found = {}
        for name, (request, _) in ASKED.items():
            found[name] = (await world.ask(request))[0]
            page.access.bearers.was_right("127.0.0.1")  # each by itself: what was wrong before doesn't count
            page.access.logins.was_right("127.0.0.1")
    assert found == {name: status for name, (_, status) in ASKED.items()}
    assert page.host.forgot == [By("anna", "page")] * 2
    assert not page.host.acts.done


@pytest.mark.real
async def test_what_follows_a_body_of_two_lengths_is_no_request(tmp_path):
    """A proxy that goes by the length would hand on somebody's request within another's body."""
    body = b"0\r\n\r\n" + get("/healthz")
    both = get(
        "/login", method="POST", body=body, Transfer_Encoding="chunked", Content_Length="4", **OURS, **FORM
    )
    async with on_sockets(Page(tmp_path).app) as world, await world.connect() as stream:
        await stream.send_all(both)
        said = b""
        while chunk := await stream.receive_some():
            said += chunk
    assert said.count(b"HTTP/1.1") <= 1  # who goes on sending may not see the answer
    assert b" 200 " not in said


@pytest.mark.real
async def test_a_body_of_a_megabyte_is_not_read(tmp_path):
    async with on_sockets(Page(tmp_path).app) as world:
        for request in (
            post("/login", b"x" * (1 << 20), **OURS, **FORM),
            chunked("/login", *[b"x" * (1 << 16)] * 16, **OURS, **FORM),
        ):
            assert (await world.ask(request))[0] in (413, 0)  # 0: who still sends may not see the answer
        assert (await world.ask(get("/healthz")))[0] == 200


@pytest.mark.real
async def test_a_stream_that_is_sent_too_much_ends_and_is_no_bug(tmp_path):
    """How much doesn't stand in front: it is counted while it comes."""
    page = Page(tmp_path)
    head = get("/live", Transfer_Encoding="chunked", **ANNAS)
    async with on_sockets(page.app) as world, await world.connect() as stream:
        await stream.send_all(head + b"%x\r\n%b\r\n" % (len(LONG), LONG))
        while await stream.receive_some():
            pass
    assert page.log.lines == []


@pytest.mark.real
@pytest.mark.parametrize("path", ["/login", "/help", "/api/rules"])
async def test_who_wants_the_connection_to_end_has_it_ended(tmp_path, path):
    async with on_sockets(Page(tmp_path).app) as world, await world.connect() as stream:
        await stream.send_all(get(path, Connection="close", **ANNAS))
        while await stream.receive_some():
            pass


@pytest.mark.real
@pytest.mark.parametrize(
    ("metrics", "asked", "status"),
    [("open", {}, 200), ("open", BEARER, 200), (None, {}, 401), (None, BEARER, 401)],
)
async def test_metrics_are_for_who_the_config_says(tmp_path, metrics, asked, status):
    async with on_sockets(Page(tmp_path, metrics=metrics).app) as world:
        found, headers, body = await world.ask(get("/metrics", **asked))
        assert found == status
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert (b"tocsin_healthy 1.0" in body) is (status == 200)


@pytest.mark.real
async def test_what_is_wrong_is_told_to_who_is_signed_in(tmp_path):
    page = Page(tmp_path)
    page.host.wrong, page.host.ready = ("no progress for 21 s",), False
    async with on_sockets(page.app) as world:
        status, headers, body = await world.ask(get("/healthz"))
        assert (status, body) == (503, b'{"healthy":false}')
        assert headers["cache-control"] == "no-store"
        assert (await world.ask(get("/healthz", **ANNAS)))[2] == (
            b'{"healthy":false,"wrong":["no progress for 21 s"]}'
        )
        assert (await world.ask(get("/readyz")))[0::2] == (503, b'{"ready":false}')


@pytest.mark.real
async def test_half_requests_are_closed_and_keep_nobody_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(http1, "_IDLE", 1)
    async with on_sockets(Page(tmp_path).app) as world, trio.open_nursery() as nursery:

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
async def test_who_breaks_off_takes_no_connection(tmp_path, monkeypatch):
    """They are seen to have left at once, not when they might have asked again."""
    monkeypatch.setattr(http1, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(http1, "_IDLE", 60)
    reset = struct.pack("ii", 1, 0)
    async with on_sockets(Page(tmp_path).app) as world:
        for _ in range(6):
            async with await world.connect() as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(get("/login"))
                    await stream.receive_some()
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        while (await world.ask(get("/healthz")))[0] != 200:  # noqa: ASYNC110 - nothing here sees it
            await trio.sleep(0.01)


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

    async with on_sockets(large) as world:
        mute = socket.socket()
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with mute:
            mute.connect(world.address)
            mute.sendall(get("/"))
            with trio.fail_after(15):
                await ended.wait()


@pytest.mark.real
async def test_who_sends_half_a_form_keeps_nobody_out(tmp_path):
    """Neither who sends another, nor who looks; these are asked while the halves wait, which they do for ten seconds."""
    page = Page(tmp_path, metrics=METRICS)
    half = get("/login", method="POST", Content_Length="100", **OURS, **FORM) + b"token="
    form = get("/login", method="POST", Content_Length="6", **OURS, **FORM) + b"token="
    seen, all_seen = Counter[str](), trio.Event()

    async def counted(scope, receive, send) -> None:
        seen[scope["type"]] += 1
        if seen["http"] == PEOPLE.most:
            all_seen.set()
        await page.app(scope, receive, send)

    async with on_sockets(counted) as world, AsyncExitStack() as waiting:
        for _ in range(PEOPLE.most):
            stream = await waiting.enter_async_context(await world.connect())
            await stream.send_all(half)
        await all_seen.wait()
        looked = (get("/api/rules", **ANNAS), get("/metrics", **BEARER), get("/login"))
        found = [(await world.ask(request))[0] for request in (*looked, form)]
    assert found == [200, 200, 200, 403]


@pytest.mark.real
async def test_a_form_that_does_not_come_is_waited_for_no_longer_than_it_may_take(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "QUICK", 0.05)
    begun = get("/login", method="POST", Content_Length="100", **OURS, **FORM) + b"token="
    async with on_sockets(Page(tmp_path).app) as world:
        assert (await world.ask(begun))[0::2] == (408, b"the form didn't come within 0.05 s\n")


async def test_an_answer_that_meets_the_end_of_its_connection_is_no_bug():
    told: list[object] = []

    class Busy:
        async def send_all(self, _data: bytes) -> None:
            raise trio.BusyResourceError("the end is being sent")

    class Protocol:
        async def handle(self, event: object) -> None:
            told.append(event)

    connection = http1._Connection(None, http1._config(), None, {}, Busy())
    connection._protocol = Protocol()
    await connection.protocol_send(RawData(b"HTTP/1.1 503"))
    assert told == [Closed()]


async def test_a_connection_that_broke_off_in_the_middle_of_an_answer_waits_for_no_other_request():
    class Broken:
        async def receive_some(self, _most: int) -> bytes:
            raise trio.BrokenResourceError

    class Protocol:
        async def handle(self, _event: object) -> None:
            pass

    connection = http1._Connection(None, http1._config(), None, {}, Broken())
    connection._protocol = Protocol()
    async with trio.open_nursery() as nursery:
        connection._task_group = SimpleNamespace(_nursery=nursery)
        connection.context = SimpleNamespace(terminated=trio.Event())
        await connection._read_data()
        await connection.protocol_send(Updated(idle=True))  # that the answer is over
        await trio.testing.wait_all_tasks_blocked()
        waiting = len(nursery.child_tasks)
        nursery.cancel_scope.cancel()
    assert waiting == 0


async def test_a_few_requests_of_each_share_at_a_time(autojump_clock):
    statuses: Counter[tuple[str, int]] = Counter()

    async def slow(_scope, _receive, send) -> None:
        await trio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    shares = {"a": Share("a", 3), "b": Share("b", 2)}
    few = FewAtOnce(slow, lambda scope: [shares[scope["of"]]])

    async def ask(of: str) -> None:
        async def send(message) -> None:
            if message["type"] == "http.response.start":
                statuses[of, message["status"]] += 1

        await few({"type": "http", "method": "GET", "path": "/", "headers": [], "of": of}, None, send)

    async with trio.open_nursery() as nursery:
        for of in "aaaabbbb":
            nursery.start_soon(ask, of)
    assert statuses == {("a", 200): 3, ("a", 503): 1, ("b", 200): 2, ("b", 503): 2}
    await ask("b")
    assert statuses["b", 200] == 3


async def test_one_person_has_a_part_of_what_all_have(tmp_path, monkeypatch):
    statuses: Counter[tuple[str, int]] = Counter()
    waits = trio.Event()

    async def slow(*_args) -> None:
        await waits.wait()

    monkeypatch.setattr(Admission, "_begin", slow)
    app = Page(tmp_path).app

    async def ask(who: str, token: str) -> None:
        async def send(message) -> None:
            if message["type"] == "http.response.start":
                statuses[who, message["status"]] += 1

        headers = [(b"host", b"127.0.0.1:8080"), (b"authorization", f"Bearer {token}".encode())]
        await app(
            {
                "type": "http", "method": "GET", "path": "/help", "raw_path": b"/help", "query_string": b"", "headers": headers,
            },
            trio.sleep_forever,
            send,
        )  # fmt: skip

    async with trio.open_nursery() as nursery:
        for _ in range(PEOPLE.most):
            nursery.start_soon(ask, "anna", ANNA)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, "ben", BEN)
        await trio.testing.wait_all_tasks_blocked()
        waits.set()
    assert statuses == {("anna", 200): 16, ("anna", 503): 48, ("ben", 200): 1}


async def test_health_that_waits_its_turn_keeps_nobody_out(tmp_path, autojump_clock):
    """Neither who asks for something else, nor who asks for health behind so many."""
    statuses: list[int] = []

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    app = Page(tmp_path).app
    async with trio.open_nursery() as nursery:
        for path in [*["/healthz"] * 2 * PEOPLE.most, "/metrics"]:
            scope = {
                "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
                "headers": [(b"host", b"127.0.0.1:8080")],
            }  # fmt: skip
            nursery.start_soon(app, scope, trio.sleep_forever, send)
    assert Counter(statuses) == {200: 2 * PEOPLE.most, 401: 1}


@pytest.mark.parametrize("begins", [False, True])
async def test_what_takes_too_long_is_given_up(begins, autojump_clock):
    said: list[int | None] = []

    async def never(_scope, _receive, send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await trio.sleep_forever()

    async def send(message) -> None:
        said.append(message.get("status"))

    scope = {
        "type": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"[::1]:80")],
    }
    await FewAtOnce(never, lambda _scope: [STRANGERS])(scope, None, send)
    assert trio.current_time() == pytest.approx(10)
    assert said == ([200] if begins else [503, None])


@pytest.mark.real
async def test_a_port_that_is_taken_is_told_once_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_AGAIN", 0.02)
    told: list[str] = []

    async def trouble(reason: str) -> None:
        told.append(reason)

    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address(*other.getsockname())

        async def serve(task_status=trio.TASK_STATUS_IGNORED) -> None:
            await TcpPort(address, Lines(), trouble).serve(
                Guarded(None, frozenset()), task_status=task_status
            )

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                while not told:  # noqa: ASYNC110 - a list has no event
                    await trio.sleep(0.01)
                await trio.sleep(0.1)
                assert told == [f"{address}: Address already in use"]
                other.close()
                world = Sockets(address)
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


WEBSOCKET = (
    b"GET /live HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
H2C = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"


@pytest.mark.real
@pytest.mark.parametrize(
    "said",
    [
        WEBSOCKET + b"\r\n" + b"\xff\xff\xff\xff\x00\x01\x02" * 3,
        WEBSOCKET + b"Content-Length: 5\r\n\r\nabcde",
        WEBSOCKET + b"Sec-WebSocket-Protocol: \xff\xfe\r\nSec-WebSocket-Extensions: \xff;;\r\n\r\n",
        H2C + b"HTTP2-Settings: A\r\n\r\n",
        H2C + b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
    ],
)
async def test_what_isnt_http_1_1_ends_its_own_connection_alone(tmp_path, said):
    async with on_sockets(Page(tmp_path).app) as world:
        kept = await trio.open_tcp_stream(*world.address)
        async with kept:
            rude = await trio.open_tcp_stream(*world.address)
            async with rude:
                with suppress(trio.BrokenResourceError):
                    await rude.send_all(said)
                    assert not {b"200", b"101"}.intersection((await rude.receive_some()).split()[1:2])
            await kept.send_all(get("/healthz"))
            assert b" 200 " in await kept.receive_some()
        assert (await world.ask(get("/healthz")))[0] == 200


@pytest.mark.real
async def test_a_port_is_kept_while_what_serves_is_started_again(monkeypatch):
    async def trouble(reason: str) -> None:
        raise AssertionError(reason)

    async def crash(_app, bound, _log, *, task_status) -> None:
        bound.listen()
        served.append(Address(*bound.getsockname()))
        bound.close()
        task_status.started()
        raise RuntimeError

    served: list[Address] = []
    app, port = Guarded(None, frozenset()), TcpPort(Address("127.0.0.1", 0), Lines(), trouble)
    with monkeypatch.context() as patched:
        patched.setattr(serving, "serve_http", crash)
        with pytest.raises(ExceptionGroup):
            await port.serve(app)
    (address,) = served
    with pytest.raises(OSError, match="in use"):
        socket.create_server(address)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            assert await nursery.start(port.serve, app) == address
            assert (await Sockets(address).ask(get("/healthz")))[0] == 421
            nursery.cancel_scope.cancel()
    socket.create_server(address).close()
