"""CRLF-framed messages over TCP and TLS."""

import ssl

import pytest
import trio
import trustme

from support.fake_venue import HASTY, FakeAdapter, feeding
from support.fault_server import proxied, serving
from tocsin.feed.budget import venue_budget
from tocsin.feed.errors import Lost, UnreadableMessage
from tocsin.feed.lines import LineConnection

pytestmark = pytest.mark.real


async def read_lines(*chunks: bytes, longest: int = 20) -> list[str]:
    """What a connection makes of these chunks, then of the end."""
    ours, theirs = trio.testing.memory_stream_pair()
    connection = LineConnection(
        ours, longest=longest, send_within=1, close_within=1, loop_budget=venue_budget(trio.current_time())
    )
    found = []

    async def send() -> None:
        for chunk in chunks:
            await theirs.send_all(chunk)
            await trio.testing.wait_all_tasks_blocked()  # until it was read, alone
        await theirs.send_eof()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while not (found and found[-1].startswith("lost")):
                try:
                    found.append(await connection.receive())
                except UnreadableMessage as unreadable:
                    found.append(f"unreadable: {unreadable}")
                except Lost as lost:
                    found.append(f"lost: {lost}, {'clean' if lost.clean else 'torn'}")
    return found


GOODBYE = "lost: closed by the venue, clean"
TOO_LONG = "unreadable: a message of {} bytes, larger than max_message_size (20), was left out"


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([b"one\r\ntwo\r\n"], ["one", "two", GOODBYE]),
        ([b"o", b"ne\r", b"\ntw", b"o\r\n"], ["one", "two", GOODBYE]),
        ([b"\r\n\r\none\r\n"], ["one", GOODBYE]),
        ([b"a\nb\rc\r\n"], ["a\nb\rc", GOODBYE]),
        ([b"\xc3\xa9\r\n\xff\r\nx\r\n"], ["é", "unreadable: a message that is not UTF-8", "x", GOODBYE]),
        ([b'{"a":"\xf0\x9f"}\r\n [\xff\r\n'], ['{"a":"\\udfff"}', " [\\udfff", GOODBYE]),
        ([b"half"], ["lost: closed by the venue in the middle of a message, torn"]),
        ([b"x" * 20 + b"\r\nafter\r\n"], ["x" * 20, "after", GOODBYE]),
        ([b"x" * 21 + b"\r\nafter\r\n"], [TOO_LONG.format(21), "after", GOODBYE]),
        ([b"x" * 15, b"x" * 15, b"x" * 15 + b"\r", b"\nafter\r\n"], [TOO_LONG.format(45), "after", GOODBYE]),
        ([b"x" * 50], ["lost: closed by the venue in the middle of a message, torn"]),
    ],
)
async def test_lines_are_put_together_and_those_too_long_are_skipped(chunks, found):
    assert await read_lines(*chunks) == found


@pytest.mark.parametrize("lines", [b"\r\n" * 3000, b"\r\n\r\n\r\nx\r\n" * 3000])
async def test_empty_lines_are_borne_as_far_as_data_pay_for_them(lines):
    found = await read_lines(lines)
    if b"x" in lines:
        assert found == [*["x"] * 3000, GOODBYE]
    else:
        assert found == ["lost: it sends lines that bring nothing, over 2,000 at once: closed, torn"]


async def one_byte_at_a_time():
    text = b"x" * 25 + b"\r\n" + b"ok\r\n"
    return await read_lines(*(text[i : i + 1] for i in range(len(text))))


async def test_single_bytes_make_the_same_lines():
    assert await one_byte_at_a_time() == [TOO_LONG.format(25), "ok", GOODBYE]


async def talk(peer):
    """Lines, and what the client says in between."""
    await peer.raw(b'{"order": "1"}\r\n{"ping": 5}\r\n')
    answer = await peer.stream.receive_some()
    assert answer == b'{"pong": 5}\r\n', answer
    await peer.raw(b"x" * 3000 + b"\r\n" + b'{"order": "2"}\r\n')
    while await peer.stream.receive_some():  # until the client is gone
        pass


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_a_venue_of_lines(tmp_path, scheme):
    authority, context = trustme.CA(), None
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    if scheme == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    async with serving(talk, tls=context, bare=True) as server, feeding(tmp_path) as feed:
        await feed.venue(
            FakeAdapter(),
            f"{scheme}://127.0.0.1:{server.port}",
            max_message_size=2000,
            tls_ca=str(tmp_path / "ca.pem"),
        )
        await feed.told.until(lambda told: len(told.ids()) == 2 and len(told.events()) == 2)
        assert sorted(feed.told.events()) == ["connected", "malformed"]
        assert "3000 bytes" in feed.told.state("malformed").reason
        assert feed.told.ids() == ["1", "2"]
        assert server.connections == 1
    assert server.open == 0


async def test_a_reset_and_an_end_are_outages(tmp_path):
    async def script(peer):
        await peer.raw(b'{"order": "%d"}\r\n' % peer.number)
        if peer.number:
            await peer.stream.receive_some()

    async with serving(script, bare=True) as server, proxied(server.port) as proxy, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"tcp://127.0.0.1:{proxy.port}")
        await feed.told.heard("connected", "disconnected", "connected")
        assert "closed by the venue" in feed.told.state("disconnected").reason
        proxy.mode = "reset"
        await feed.told.until(lambda told: told.events().count("disconnected") == 2)
        assert "reset by peer" in feed.told.observations()[-1].state.reason


async def test_a_peer_that_takes_nothing_is_left(tmp_path):
    async def script(peer):
        with trio.move_on_after(3):
            while True:
                await peer.raw(b'{"ping": "%s"}\r\n' % (b"x" * 2000))

    async with serving(script, bare=True) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), f"tcp://127.0.0.1:{server.port}", timings=HASTY)
        await feed.told.until(lambda told: "disconnected" in told.events())
        assert "took nothing from us for 0.2 s" in feed.told.state("disconnected").reason
