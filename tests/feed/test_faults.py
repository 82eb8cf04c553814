"""What a venue can do to its connection, over real sockets: the feed goes on, and tells it once."""

import os
import ssl
import struct
import time
from itertools import pairwise

import pytest
import trio
import trustme

from support.fake_venue import HASTY, FakeAdapter, feeding
from support.fault_server import CLOSE, PING, PONG, TEXT, FaultServer, Peer, frame, proxied, serving
from tocsin.venues.base import Request

pytestmark = pytest.mark.real


async def good(peer: Peer) -> None:
    """A venue as it should be."""
    await peer.accept()
    await peer.send({"order": f"o{peer.number}"})
    await peer.serve_politely()


def ws(server: FaultServer) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


async def test_a_good_venue_is_connected_and_heard(tmp_path):
    async with serving(good) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: told.ids() and told.events())
        assert feed.told.events() == ["connected"]
        assert feed.told.state("connected").status == "connected"
        first = feed.told.observations()[0]
        assert (first.event, first.state.status) == (None, "connecting")
        (message,) = [r for r in feed.told.received if r.raw]
        assert message.raw == '{"order": "o0"}'
        assert abs(message.at.wall.timestamp() - time.time()) < 60
    assert server.open == 0


async def reject_with_body(peer: Peer) -> None:
    await peer.answer("403 Forbidden", b"Origin not allowed", length=False)


async def reject_and_hold(peer: Peer) -> None:
    await peer.answer("403 Forbidden", b"Origin not allowed")
    await trio.sleep_forever()


async def reject_without_the_promised_body(peer: Peer) -> None:
    await peer.raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 500\r\n\r\nOrigin not allowed")
    await trio.sleep_forever()


async def reject_for_ever(peer: Peer) -> None:
    await peer.raw(b"HTTP/1.1 403 Forbidden\r\n\r\nOrigin not allowed")
    while True:
        await peer.raw(b"x" * 65536)


async def mute(peer: Peer) -> None:
    await trio.sleep_forever()


async def close_at_once(peer: Peer) -> None:
    pass


async def speak_garbage(peer: Peer) -> None:
    await peer.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def wrong_key(peer: Peer) -> None:
    await peer.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (reject_with_body, "HTTP 403: Origin not allowed"),
        (reject_and_hold, "HTTP 403: Origin not allowed"),
        (reject_without_the_promised_body, "HTTP 403: Origin not allowed"),
        (reject_for_ever, "HTTP 403: Origin not allowed"),
        (mute, "no answer to the WebSocket handshake within 0.2 s"),
        (close_at_once, "ended the connection without a word"),
        (speak_garbage, "handshake failed"),
        (wrong_key, "handshake failed"),
    ],
)
async def test_a_failing_handshake_is_told_once_and_tried_again(tmp_path, fault, words):
    async def script(peer):
        await (fault if peer.number < 3 else good)(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        waits = fault in (mute, reject_without_the_promised_body)
        await feed.venue(FakeAdapter(), ws(server), connect_timeout="200ms" if waits else "30s")
        await feed.told.heard("disconnected", "connected")
        assert words in feed.told.state("disconnected").reason
        told = [(str(o.state.status), int(o.state.attempts)) for o in feed.told.observations()]
        assert told == [
            ("connecting", 0),
            ("disconnected", 1),
            ("disconnected", 2),
            ("disconnected", 3),
            ("connected", 0),
        ]
    assert server.open == 0


async def test_nobody_listening_is_told_with_the_systems_words(tmp_path):
    async with serving(good) as server:
        url = ws(server)
    async with feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), url)
        await feed.told.until(lambda told: len(told.observations()) > 4)
        assert feed.told.events() == ["disconnected"]
        assert "Connection refused" in feed.told.state("disconnected").reason


async def break_utf8(peer: Peer) -> None:
    await peer.raw(frame(TEXT, b"\xff\xfe{}"))
    await peer.serve_politely()


async def send_bad_frame(peer: Peer) -> None:
    await peer.raw(b"\xf3\x05hello")
    await peer.serve_politely()


async def send_five_mebibytes(peer: Peer) -> None:
    await peer.send({"order": "before"})
    await peer.raw(frame(TEXT, b'{"order": "' + b"x" * (5 << 20) + b'"}'))
    await peer.serve_politely()


async def reset(peer: Peer) -> None:
    await peer.reset()


async def half_close(peer: Peer) -> None:
    await peer.stream.send_eof()
    await peer.serve_politely()


async def end_within_a_frame(peer: Peer) -> None:
    await peer.raw(frame(TEXT, b'{"order": "never"}')[:9])


async def say_goodbye(peer: Peer) -> None:
    await peer.close(1001)
    await peer.serve_politely()


async def never_pong(peer: Peer) -> None:
    await trio.sleep_forever()


async def never_read(peer: Peer) -> None:
    while True:
        await peer.raw(frame(PING, os.urandom(100)))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (break_utf8, "the WebSocket protocol was broken: 1007"),
        (send_bad_frame, "the WebSocket protocol was broken: 1002"),
        (send_five_mebibytes, "larger than max_message_size (4194304 bytes)"),
        (reset, "Connection reset by peer"),
        (half_close, "without a word"),
        (end_within_a_frame, "without a word"),
        (say_goodbye, "closed by the venue: 1001 GOING_AWAY"),
        (never_pong, "a ping was not answered for 0.2 s"),
    ],
)
async def test_a_dying_connection_is_told_once_and_made_anew(tmp_path, fault, words):
    async def script(peer):
        if peer.number:
            await good(peer)
            return
        await peer.accept()
        await peer.send({"order": "first"})
        await fault(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), ping_every="200ms")
        await feed.told.heard("connected", "disconnected", "connected")
        state = feed.told.state("disconnected")
        assert words in state.reason
        assert (state.status, state.attempts) == ("disconnected", 0)
        assert feed.told.ids()[0] == "first"
        if fault is send_five_mebibytes:
            assert feed.told.ids()[1] == "before"
    assert server.open == 0


@pytest.mark.parametrize(
    ("begin", "one", "words"),
    [
        (b"", frame(PING, b"12345678"), "it sends frames that bring nothing"),
        (b"", frame(PONG), "it sends frames that bring nothing"),
        (frame(TEXT, b"{", fin=False), frame(0, fin=False), "it sends frames that bring nothing"),
        (frame(TEXT, b"{", fin=False), frame(0, b" ", fin=False), "in more than 10,000 fragments"),
    ],
)
async def test_a_peer_that_costs_and_brings_nothing_is_left_with_1008(tmp_path, begin, one, words):
    closed = []

    async def script(peer):
        if peer.number:
            await good(peer)
            return
        await peer.accept()
        await peer.send({"order": "before"})
        await peer.raw(begin + one * 12_000)
        while (found := await peer.frame())[0] != CLOSE:
            pass
        closed.append(struct.unpack("!H", found[1][:2])[0])

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.heard("connected", "disconnected", "connected")
        reason = feed.told.state("disconnected").reason
        assert words in reason
        assert "closed (1008)" in reason
        assert feed.told.ids()[0] == "before"
    assert closed == [1008]


async def test_what_came_before_a_message_too_large_is_not_lost(tmp_path):
    messages = b"".join(frame(TEXT, b'{"order": "%d"}' % n) for n in range(200))

    async def script(peer):
        await peer.accept()
        await peer.raw(messages + frame(TEXT, b"x" * 3000))
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), max_message_size=2000)
        await feed.told.until(lambda told: "disconnected" in told.events())
        assert feed.told.ids()[:200] == [str(n) for n in range(200)]


async def test_a_server_that_pings_after_our_close_ends_nothing(tmp_path):
    """The package underneath raises in its reader then, and would cancel whoever opened the connection."""

    async def script(peer):
        await peer.accept()
        await peer.send({"order": "o"})
        while (await peer.frame())[0] != CLOSE:
            pass
        await peer.raw(frame(PING, b"still there?") + frame(PING, b"hello?"))
        await peer.frame()  # raises when the client is gone

    async with serving(script) as server, feeding(tmp_path) as feed:
        outside = feed.nursery
        async with trio.open_nursery() as nursery:
            feed.nursery = nursery
            await feed.venue(FakeAdapter(), ws(server))
            await feed.told.heard("connected")
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 3
        assert not outside.cancel_scope.cancel_called
        await server.all_gone()


async def test_a_server_that_keeps_the_connection_open_on_close_is_left(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.send({"order": "o"})
        await trio.sleep_forever()

    async with serving(script) as server:
        async with feeding(tmp_path) as feed:
            await feed.venue(FakeAdapter(), ws(server))
            await feed.told.heard("connected")
            began = trio.current_time()
        assert trio.current_time() - began < 2


async def test_a_server_that_resets_again_and_again_is_disconnected_once(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.send({"order": f"o{peer.number}"})
        await trio.sleep(0.02)
        await peer.reset()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await server.had(12)
        assert feed.told.events() == ["connected", "disconnected"]
        assert len(feed.told.ids()) >= 11  # what it says in between is heard all the same
        server.script = good
        await feed.told.heard("connected", "disconnected", "connected")


async def test_never_a_hot_loop(tmp_path):
    """Full jitter may say "now"; tries are apart all the same."""

    async def script(peer):
        times.append(trio.current_time())
        await peer.reset()

    times = []
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await server.had(8)
    assert all(later - earlier > 0.0004 for earlier, later in pairwise(times))


async def test_retry_after_is_obeyed(tmp_path):
    async def script(peer):
        times.append(trio.current_time())
        if peer.number:
            await good(peer)
            return
        await peer.answer("503 Service Unavailable", headers="Retry-After: 1\r\n")

    times = []
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.heard("disconnected", "connected")
    assert times[1] - times[0] >= 1


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["wss", "tls"])
async def test_an_untrusted_certificate_is_told_as_one(tmp_path, tls, scheme):
    async with serving(good, tls=tls) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"{scheme}://127.0.0.1:{server.port}/ws")
        await feed.told.heard("disconnected")
        reason = feed.told.state("disconnected").reason
        assert "certificate is not trusted" in reason
        assert "tls_ca" in reason


async def test_a_certificate_of_the_given_authority_is_trusted(tmp_path, tls, authority):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(good, tls=tls) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"wss://127.0.0.1:{server.port}/ws", tls_ca=str(tmp_path / "ca.pem"))
        await feed.told.until(lambda told: told.ids() and told.events())
        assert feed.told.events() == ["connected"]


async def test_a_certificate_file_that_is_none_is_told(tmp_path, tls):
    (tmp_path / "ca.pem").write_text("not a certificate")
    async with serving(good, tls=tls) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"wss://127.0.0.1:{server.port}/ws", tls_ca=str(tmp_path / "ca.pem"))
        await feed.told.heard("disconnected")
        assert "tls_ca" in feed.told.state("disconnected").reason


async def test_a_black_hole_is_noticed_by_its_missing_pong(tmp_path):
    async with serving(good) as server, proxied(server.port) as proxy, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"ws://127.0.0.1:{proxy.port}/", ping_every="100ms")
        await feed.told.heard("connected")
        proxy.mode = "blackhole"
        await feed.told.heard("connected", "disconnected")
        assert "ping was not answered" in feed.told.state("disconnected").reason
        proxy.mode = "pass"
        await feed.told.heard("connected", "disconnected", "connected")


async def test_a_reset_on_the_way_and_refused_connections_are_one_outage(tmp_path):
    async with serving(good) as server, proxied(server.port) as proxy, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"ws://127.0.0.1:{proxy.port}/")
        await feed.told.heard("connected")
        proxy.mode = "reset"
        await feed.told.heard("connected", "disconnected")
        proxy.mode = "refuse"
        seen = proxy.connections
        await feed.told.until(lambda told: proxy.connections > seen + 3)
        assert feed.told.events() == ["connected", "disconnected"]
        proxy.mode = "pass"
        await feed.told.heard("connected", "disconnected", "connected")


async def test_frames_in_single_bytes_are_put_together(tmp_path):
    async with serving(good) as server, proxied(server.port) as proxy, feeding(tmp_path) as feed:
        proxy.mode = "drip"
        await feed.venue(FakeAdapter(), f"ws://127.0.0.1:{proxy.port}/")
        await feed.told.until(lambda told: told.ids() == ["o0"] and told.events())
        assert feed.told.events() == ["connected"]


async def test_a_fragmented_message_is_one(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.raw(frame(TEXT, b'{"ord', fin=False) + frame(PING, b"p") + frame(0, b'er": "o"}'))
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: told.ids() == ["o"])


async def test_a_redirect_to_the_same_host_is_followed_once(tmp_path):
    async def script(peer):
        paths.append(peer.path)
        if peer.path != "/ws/":
            await peer.answer("307 Temporary Redirect", headers="Location: /ws/\r\n")
            return
        await good(peer)

    paths = []
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(follow_redirect=True), ws(server))
        await feed.told.heard("connected")
    assert paths == ["/ws", "/ws/"]


@pytest.mark.parametrize(
    "location", ["ws://localhost:1/ws/", "http://127.0.0.2/ws/", "//evil.example/", "::"]
)
async def test_a_redirect_elsewhere_is_not(tmp_path, location):
    async def script(peer):
        await peer.answer("302 Found", headers=f"Location: {location}\r\n")

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(follow_redirect=True), ws(server))
        await feed.told.heard("disconnected")
        assert "HTTP 302" in feed.told.state("disconnected").reason


@pytest.mark.parametrize(
    ("origin", "sent"), [(None, None), ("", ""), ("https://here.example", "https://here.example")]
)
async def test_the_origin_header_is_left_out_sent_empty_or_sent(tmp_path, origin, sent):
    async def script(peer):
        seen.append((peer.header("origin"), peer.header("x-own")))
        await good(peer)

    seen = []
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), origin=origin, headers={"X-Own": "1"})
        await feed.told.heard("connected")
    assert seen == [(sent, "1")]


async def test_a_peer_that_takes_nothing_from_us_is_noticed(tmp_path):
    """It floods us with pings and reads no pong, so that our sends get stuck."""

    async def script(peer):
        await peer.accept()
        if peer.number:
            await peer.serve_politely()
            return
        await never_read(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), ping_every="100ms")
        await feed.told.heard("connected", "disconnected", "connected")


async def test_a_cancelled_send_leaves_no_torn_frame_behind():
    """The stream is closed under it: nothing can be sent into half a frame."""
    from tocsin.feed.budget import venue_budget
    from tocsin.feed.errors import Lost
    from tocsin.feed.transport import parse_target
    from tocsin.feed.websocket import Limits, open_websocket

    async def script(peer):
        await peer.accept()
        await trio.sleep_forever()

    limits = Limits(connect=1, close=0.1, ping_every=10, message=1000)
    with trio.fail_after(5):
        async with serving(script) as server:
            target = parse_target(ws(server))
            async with open_websocket(
                target, headers={}, tls=None, limits=limits, loop_budget=venue_budget(trio.current_time())
            ) as connection:
                with trio.move_on_after(0.05) as cut:
                    await connection.send("x" * (50 << 20))
                assert cut.cancelled_caught
                with pytest.raises(Lost):
                    await connection.send("after")
                with pytest.raises(Lost):
                    await connection.receive()


def test_the_close_frame_helper_is_right():
    assert frame(CLOSE, struct.pack("!H", 1000)) == b"\x88\x02\x03\xe8"


async def test_required_answers_come_or_the_connection_failed(tmp_path):
    auth = Request(name="auth", text='{"auth": "key"}', required=True)

    async def script(peer):
        await peer.accept()
        await peer.message()
        if peer.number == 2:
            await peer.send({"ack": "auth"})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(requests=(auth,)), ws(server), timings=HASTY)
        await feed.told.heard("disconnected", "connected")
        assert "no answer to auth" in feed.told.state("disconnected").reason
