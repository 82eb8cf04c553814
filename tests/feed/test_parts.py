"""The feed's small parts, each by itself."""

import json
import socket
from itertools import pairwise

import pytest
import trio
import trustme

from support.fake_venue import Lines
from tocsin.errors import ConnectFailed
from tocsin.feed.budget import SLICE, venue_budget
from tocsin.feed.complaints import Complaints, Throttle
from tocsin.feed.context import Backoff, FlapDamping
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.errors import HandshakeRejected, Lost, UnreadableMessage, foremost, text_of
from tocsin.feed.link_status import one_line
from tocsin.feed.transport import HostResolver, parse_target, redirected, use_own_resolver
from tocsin.feed.websocket import WebSocket, split_messages
from tocsin.meters import VenueMeters
from tocsin.secrets import Masker
from tocsin.tls import tls_context
from tocsin.venues.base import Unreadable
from tocsin.venues.decoding import mended


def test_the_backoff_doubles_to_its_bound_with_full_jitter():
    backoff = Backoff(1, 60, lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next() == 1
    assert Backoff(1, 60, lambda: 0.5).next() == 0.5
    assert Backoff(1, 60, lambda: 0.0).next() > 0


def test_the_backoff_waits_at_least_as_long_as_asked():
    assert Backoff(1, 60, lambda: 0.5).next(asked=120) == 120
    assert Backoff(1, 60, lambda: 0.5).next(asked=0) == 0.5


def test_after_short_lives_a_connection_must_prove_itself_longer_and_longer():
    damping, now, asked = FlapDamping(2, 30), 0.0, []
    for _ in range(7):
        asked.append(damping.began(now))
        damping.ended(now + 1)
        damping.ended(now + 5)  # ended already: counted once
    assert asked == [0, 2, 4, 8, 16, 30, 30]
    assert damping.began(100) == 30
    damping.ended(130)
    assert damping.began(131) == 0


class Told:
    """A link that notes what is complained of."""

    def __init__(self):
        self.said, self.meters = [], VenueMeters()

    async def complain(self, event, reason, raw=None):
        self.said.append((trio.current_time(), event, reason, raw))


async def test_a_field_that_cant_be_read_is_told_once_an_hour_with_its_count(autojump_clock):
    del autojump_clock
    told, begun = Told(), trio.current_time()
    complaints = Complaints(told, every=60, parts_every=3600)
    field, row = Unreadable("order.stop", "not a number"), Unreadable("order.list[]", "no id", row=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(complaints.tell_suppressed)
        for minute in range(90):
            for _ in range(10):
                await complaints.unreadable(field, f"raw {minute}")
            if minute < 2:
                await complaints.unreadable(Unreadable("order.price", "x"), "raw")
                await complaints.unreadable(row, "raw")
            await trio.sleep_until(begun + 60 * (minute + 1) - 1)
        await trio.sleep_until(begun + 4 * 3600)
        nursery.cancel_scope.cancel()
    said = [(round((at - begun) / 3600, 2), event, reason) for at, event, reason, _ in told.said]
    assert said[:3] == [
        (0, "unrecognized", "order.stop: not a number"),
        (0, "unrecognized", "order.price: x"),
        (0, "malformed", "order.list[]: no id"),
    ]
    assert told.said[0][3] == "raw 0"
    assert len(said) == 7  # each again with its count after an hour, and the busy one once more after two
    assert {event: reason for _, event, reason in said[3:] if "list" in reason} == {
        "malformed": "order.list[]: 1 more message like it"
    }
    again = [at for at, _, reason in said[3:] if reason.startswith("order.stop")]
    assert len(again) == 2
    assert all(0.98 <= later - earlier <= 1.04 for earlier, later in pairwise([0, *again]))


def test_a_flood_is_told_once_in_a_span_with_a_count():
    throttle = Throttle(60)
    assert [throttle.admit("x", now) for now in (0, 1, 2, 59)] == [0, None, None, None]
    assert throttle.admit("y", 3) == 0
    assert throttle.admit("x", 60) == 3
    assert [throttle.admit("x", now) for now in (61, 62)] == [None, None]
    assert throttle.overdue(100) == []
    assert throttle.overdue(121) == [("x", 2)]
    assert throttle.overdue(300) == []
    assert throttle.admit("x", 301) == 0


def test_a_flood_of_ever_new_kinds_is_a_flood():
    throttle = Throttle(60, kinds=3)
    told = [throttle.admit(str(n), 0) for n in range(10)]
    assert told == [0, 0, 0, 0, *[None] * 6]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ('{"a": 1}', ['{"a": 1}']),
        ('{"a": 1}\r\n', ['{"a": 1}']),
        ('{"a": 1}\r\n{"b": 2}\r\n', ['{"a": 1}', '{"b": 2}']),
        ('{"a": 1} \r\n\r\n [2]', ['{"a": 1}', "[2]"]),
        ('{\r\n"a": {\r\n},\r\n"b": [\r\n{}\r\n]\r\n}', ['{\r\n"a": {\r\n},\r\n"b": [\r\n{}\r\n]\r\n}']),
        ("ping\r\n", ["ping"]),
        ("", [""]),
    ],
)
def test_glued_messages_are_taken_apart_and_pretty_printed_ones_left_whole(text, messages):
    assert list(split_messages(text)) == messages


class OneFrame:
    """A WebSocket's inside, with one text to give."""

    def __init__(self, text):
        self._text = text

    async def get_message(self):
        await trio.lowlevel.checkpoint()
        return self._text


MANY = 10 * SLICE


def many_in_one_frame(number=MANY, size=1):
    budget = venue_budget(trio.current_time())
    messages = [f'{{"n":{n:0{size}}}}' for n in range(number)]
    return WebSocket(OneFrame("\r\n".join(messages)), None, None, None, budget), budget, messages


@pytest.mark.parametrize(
    ("number", "size", "least"), [(MANY, 1, 10), (10, 100_000, 10)], ids=["many", "large ones"]
)
async def test_what_is_glued_into_one_frame_leaves_others_their_turns(number, size, least):
    socket, _, messages = many_in_one_frame(number, size)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert [await socket.receive() for _ in messages] == messages
        nursery.cancel_scope.cancel()
    assert turns >= least


async def test_a_frame_of_many_messages_takes_no_more_of_the_loop_than_as_many_frames(autojump_clock):
    socket, budget, _ = many_in_one_frame()
    budget.spent(2)  # the burst
    began, each = trio.current_time(), 0.01
    for _ in range(MANY):
        budget.spent(each)
        await socket.receive()
    assert trio.current_time() - began == pytest.approx(2 * MANY * each, rel=0.1), "half of the time"


def test_credentials_are_kept_whole_and_private(tmp_path):
    store = CredentialStore(tmp_path / "kept", Lines())
    assert store.load("fx") == {}
    store.save("fx", {"refresh_token": "r1"})
    store.save("fx", {"refresh_token": "r2"})
    store.save("../evil/name", {"a": "b"})
    assert store.load("fx") == {"refresh_token": "r2"}
    assert store.load("../evil/name") == {"a": "b"}
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["..%2Fevil%2Fname.json", "fx.json"]
    assert (tmp_path / "kept" / "fx.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"a": 1}', b"null"])
def test_corrupt_credentials_are_told_and_count_as_none(tmp_path, content):
    log = Lines()
    (tmp_path / "fx.json").write_bytes(content)
    assert CredentialStore(tmp_path, log).load("fx") == {}
    ((level, event, fields),) = log.lines
    assert (level, event, fields["venue"]) == ("warning", "kept credentials can't be read", "fx")


def test_a_crash_while_saving_leaves_the_old_credentials(tmp_path):
    store = CredentialStore(tmp_path, Lines())
    store.save("fx", {"a": "old"})
    (tmp_path / "fx.json.new").write_text('{"a": "ha')  # what a power cut may leave
    assert store.load("fx") == {"a": "old"}
    store.save("fx", {"a": "new"})
    assert json.loads((tmp_path / "fx.json").read_text()) == {"a": "new"}


@pytest.mark.parametrize(
    ("url", "host_header", "resource"),
    [
        ("wss://x.example", "x.example", "/"),
        ("wss://x.example:443/a?b=c#d", "x.example", "/a?b=c"),
        ("ws://x.example:443/a", "x.example:443", "/a"),
        ("ws://[::1]:8080/", "[::1]:8080", "/"),
        ("tls://x.example:9000", "x.example:9000", "/"),
    ],
)
def test_urls(url, host_header, resource):
    target = parse_target(url)
    assert (target.host_header, target.resource) == (host_header, resource)


@pytest.mark.parametrize(
    "url", ["http://x/", "tcp://x", "ws://", "ws://x:99999/?t=secret", "ws://[x/?secret", ""]
)
def test_urls_that_are_none(url):
    with pytest.raises(ConnectFailed) as failed:
        parse_target(url)
    assert "secret" not in str(failed.value)


def test_what_is_shown_of_a_url_holds_no_query():
    assert parse_target("wss://x.example/ws?token=secret").shown == "wss://x.example/ws"


def test_redirects_keep_host_and_scheme():
    base = parse_target("wss://x.example/ws")
    same = [
        redirected(base, location) for location in ("/ws/", "https://x.example/ws/", "wss://x.example/ws/")
    ]
    assert [target.resource for target in same] == ["/ws/"] * 3
    assert all(target.scheme == "wss" for target in same)
    assert redirected(base, "http://x.example/ws/") is None
    assert redirected(base, "https://y.example/ws/") is None
    assert redirected(base, "https://x.example:444/ws/") is None


def test_one_line_is_fit_to_be_shown():
    masker = Masker()
    masker.add("secret-1")
    assert one_line("a\x1b[31m\r\n\tb secret-1\u202e", masker) == "a [31m b ***"
    assert len(one_line("x" * 5000, masker)) == 400


def test_a_rejection_shows_its_status_and_a_bit_of_its_body():
    text = str(HandshakeRejected(403, {}, b"no\r\n  way \xff" + b"x" * 5000))
    assert text.startswith("the handshake was answered with HTTP 403: no way �x")
    assert len(text) < 300


def test_a_bug_comes_before_what_the_outside_did():
    bug, outside = KeyError("bug"), Lost("gone")
    assert foremost(BaseExceptionGroup("", [ExceptionGroup("", [outside]), bug])) is bug
    assert foremost(BaseExceptionGroup("", [outside])) is outside
    with_stop = BaseExceptionGroup("", [outside, KeyboardInterrupt()])
    assert foremost(with_stop) is with_stop


def test_renewed_secrets_are_masked_and_old_ones_forgotten_in_time():
    masker = Masker()
    masker.add("for-ever")
    masker.renew("nobody", [])
    for n in range(20):
        masker.renew("v", [f"ticket-{n:03}/x"])
    assert masker.mask("for-ever ticket-019/x ticket-019%2Fx ticket-012/x") == "*** *** *** ***"
    assert masker.mask("ticket-000/x") == "ticket-000/x"


async def test_names_are_looked_up_few_at_once_for_each_host():
    import threading

    release, asked = threading.Event(), []

    def getaddrinfo(host, *_):
        asked.append(host)
        if host == b"mute.example":
            release.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

    names = HostResolver(getaddrinfo)
    try:
        with trio.fail_after(5):
            for _ in range(4):
                with trio.move_on_after(0.02):
                    await names.getaddrinfo(b"mute.example", 1)
            await names.getaddrinfo(b"good.example", 1)
    finally:
        release.set()
    assert asked.count(b"mute.example") == 2
    assert asked[-1] == b"good.example"


async def test_our_lookups_are_used_unless_others_were_chosen():
    use_own_resolver()
    ours = trio.socket.set_custom_hostname_resolver(None)
    assert isinstance(ours, HostResolver)
    trio.socket.set_custom_hostname_resolver(ours)
    use_own_resolver()
    assert trio.socket.set_custom_hostname_resolver(None) is ours


@pytest.fixture
def ca(tmp_path):
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    return file


def test_connections_that_trust_the_same_share_a_context(ca):
    assert tls_context(str(ca)) is tls_context(str(ca))
    assert tls_context(None) is tls_context(None)
    assert tls_context(str(ca)) is not tls_context(None)
    assert tls_context(None, "http") is not tls_context(
        None
    )  # the client for HTTP changes the one it is given


def test_a_new_file_is_trusted_from_the_next_connection_on(ca):
    before = tls_context(str(ca))
    count = len(before.get_ca_certs())
    trustme.CA().cert_pem.write_to_path(ca, append=True)
    after = tls_context(str(ca))
    assert len(after.get_ca_certs()) == count + 1
    assert len(before.get_ca_certs()) == count


def test_so_is_what_the_system_trusts(ca, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert len(tls_context(None).get_ca_certs()) == 1
    trustme.CA().cert_pem.write_to_path(ca, append=True)
    assert len(tls_context(None).get_ca_certs()) == 2


def test_a_file_that_could_not_be_read_is_looked_at_again(ca):
    other = ca.with_name("other.pem")
    for _ in range(2):
        with pytest.raises(ConnectFailed, match="can't be read as a CA file"):
            tls_context(str(other))
    ca.rename(other)
    assert tls_context(str(other)).get_ca_certs()


@pytest.mark.parametrize("message", [b'{"a":"\xf0\x9f\x98"}', b' ["\xff","\xed\xa0\xbd"]'])
def test_a_piece_of_a_character_in_json_is_what_json_writes_for_one(message):
    text = text_of(message, "a message")
    assert r"\udfff" in text
    assert mended(text)[1] == "half of a character"
    json.loads(mended(text)[0])


def test_what_is_neither_json_nor_utf_8_is_no_message():
    with pytest.raises(UnreadableMessage, match="a binary message that is not UTF-8"):
        text_of(b"\xff\xfe", "a binary message")
