"""What is said on a connection that stands: requests and answers, odd messages, silence, crashes, full queues."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trio

from support.fake_venue import HASTY, QUICK, FakeAdapter, feeding
from support.fault_server import BINARY, PING, PONG, FaultServer, Peer, frame, serving
from tocsin.events import Occurrence, Venue
from tocsin.feed import Timings
from tocsin.venues.base import Ping, Request

pytestmark = pytest.mark.real

ORDERS = Request(name="orders", text='{"sub": "orders"}')
BALANCE = Request(name="balance", text='{"sub": "balance"}')
TICKS = Request(name="ticks", text='{"sub": "ticks"}', market_data=True)


def ws(server: FaultServer) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


def saying(*messages, then=None):
    """A script: accept, answer every request with `ack`, say these, go on politely."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        for message in messages:
            await peer.send(message)
        await (then(peer) if then else peer.serve_politely())

    return script


async def answer_requests(peer: Peer, refused: dict[str, list] | None = None, mute: tuple = ()) -> None:
    while True:
        name = json.loads(await peer.message()).get("sub")
        if name in (refused or {}):
            await peer.send({"refuse": [name, *refused[name]]})
        elif name not in mute:
            await peer.send({"ack": name})
            await peer.send({"order": name})


async def test_a_refused_stream_is_told_and_the_others_go_on(tmp_path):
    async def script(peer):
        await peer.accept()
        await answer_requests(peer, {"balance": ["no such market"]})

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((ORDERS, BALANCE)), ws(server))
        await feed.told.heard("refused", "connected")
        assert feed.told.state("refused").reason == "balance: no such market"
        assert feed.told.ids() == ["orders"]
        assert feed.told.observations()[-1].state.status == "connected"


async def test_a_stream_without_an_answer_is_refused(tmp_path):
    async def script(peer):
        await peer.accept()
        await answer_requests(peer, mute=("balance",))

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((ORDERS, BALANCE)), ws(server), timings=HASTY)
        await feed.told.heard("refused", "connected")
        assert feed.told.state("refused").reason == "balance: no answer within 0.15 s"


async def test_a_venue_that_refuses_every_stream_is_refused_and_asked_again_later(tmp_path):
    async def script(peer):
        await peer.accept()
        await answer_requests(peer, {"orders": ["closed today"]} if peer.number < 2 else None)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((ORDERS,)), ws(server))
        await feed.told.heard("refused", "connected")
        statuses = [o.state.status for o in feed.told.observations() if isinstance(o.state.status, str)]
        assert statuses == ["connecting", "refused", "refused", "connected"]


async def test_a_refusal_stays_told_over_reconnects(tmp_path):
    async def script(peer):
        await peer.accept()
        with trio.move_on_after(0.1):
            await answer_requests(peer, {"balance": ["no"]})

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((ORDERS, BALANCE)), ws(server))
        await server.had(5)
        assert feed.told.events().count("refused") == 1


async def test_a_late_refusal_of_the_credentials_is_auth_failed_and_slow(tmp_path):
    times, third = [], trio.Event()

    async def script(peer):
        times.append(trio.current_time())
        if len(times) == 3:
            third.set()
        await peer.accept()
        if len(times) < 3:
            await peer.send({"refuse": ["", "bad key", "auth_failed"]})
        await peer.serve_politely()

    timings = Timings(**{**_as_dict(QUICK), "auth_retry": 0.5})
    async with serving(script) as server, feeding(tmp_path) as feed:
        adapter = FakeAdapter((Request(name="auth", text="{}", required=True),))
        await feed.venue(adapter, ws(server), timings=timings)
        await third.wait()
        assert feed.told.events() == ["auth_failed"]
        assert feed.told.state("auth_failed").status == "auth_failed"
        assert "bad key" in feed.told.state("auth_failed").reason
        assert times[2] - times[1] >= 0.45


async def test_a_connection_that_stood_and_is_refused_is_one_no_more(tmp_path):
    """Though the credentials were good when it was opened: a key that is revoked."""

    async def script(peer):
        await peer.accept()
        if peer.number == 0:
            await peer.send({"order": "o"})
            await revoked.wait()
        if peer.number <= 1:
            await peer.send({"refuse": ["", "the key is revoked", "auth_failed"]})
        await peer.serve_politely()

    revoked = trio.Event()
    async with serving(script) as server, feeding(tmp_path) as feed:
        adapter = FakeAdapter((Request(name="auth", text="{}", answered=False),))
        await feed.venue(adapter, ws(server))
        await feed.told.heard("connected")
        revoked.set()
        await feed.told.heard("connected", "auth_failed", "connected")
        assert feed.told.state("auth_failed").status == "auth_failed"


def _as_dict(timings: Timings) -> dict:
    return {name: getattr(timings, name) for name in Timings.__slots__}


async def test_a_fault_of_theirs_is_tried_again(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.message()
        if peer.number == 0:
            await peer.send({"refuse": ["auth", "busy", "retry"]})
        await peer.send({"ack": "auth"})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((Request(name="auth", text="{}", required=True),)), ws(server))
        await feed.told.heard("disconnected", "connected")
        assert feed.told.state("disconnected").reason == "auth: busy"


async def test_what_must_be_answered_first_is(tmp_path):
    auth = Request(name="auth", text='{"sub": "auth"}', required=True)
    order = []

    async def script(peer):
        await peer.accept()
        for _ in range(2):
            order.append(json.loads(await peer.message())["sub"])
            await trio.sleep(0.02)
            order.append("answered")
            await peer.send({"ack": json.loads('"auth"' if len(order) == 2 else '"orders"')})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((auth, ORDERS)), ws(server))
        await feed.told.heard("connected")
    assert order == ["auth", "answered", "orders", "answered"]


async def test_a_ping_of_the_application_is_answered(tmp_path):
    answers = []

    async def script(peer):
        await peer.accept()
        await peer.send({"ping": 7})
        answers.append(await peer.message())
        await peer.send({"order": "after"})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: told.ids() == ["after"])
    assert answers == ['{"pong": 7}']


async def test_one_bad_message_is_told_and_the_stream_goes_on(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.send("oops {not JSON")
        await peer.send({"novelty": 1})
        await peer.raw(frame(BINARY, b"\xff\xfe"))
        await peer.raw(frame(BINARY, b'{"order": "binary"}'))
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: told.ids() and len(told.events()) == 3)
        assert sorted(feed.told.events()) == ["connected", "malformed", "unrecognized"]
        odd = [
            item
            for item in feed.told.observations()
            if item.event in ("venue.malformed", "venue.unrecognized")
        ]
        assert all(isinstance(item, Occurrence) for item in odd)  # why the connection is as it is stays known
        raw = {o.event: r.raw for r in feed.told.received for o in r.observed if o.event}
        assert raw["venue.malformed"] == "oops {not JSON"
        assert raw["venue.unrecognized"] == '{"novelty": 1}'
        assert feed.told.ids() == ["binary"]
        assert server.connections == 1


async def test_a_flood_of_malformed_messages_is_told_with_a_count(tmp_path):
    async with (
        serving(saying(*["junk"] * 500, {"order": "after"})) as server,
        feeding(tmp_path) as feed,
    ):
        await feed.venue(FakeAdapter(), ws(server))
        began = trio.current_time()

        def reasons() -> list[str]:
            return [o.state.reason for o in feed.told.observations() if o.event == "venue.malformed"]

        def counted() -> int:
            """`not JSON (and 3 more since the last one told)` tells of four, `3 more messages like it` of three."""
            more = sum(int("".join(filter(str.isdigit, reason)) or 0) for reason in reasons())
            return more + sum(reason.startswith("not JSON") for reason in reasons())

        await feed.told.until(lambda told: told.ids() and counted() == 500)
        assert reasons()[0] == "not JSON"
        spans = (trio.current_time() - began) / QUICK.flood
        assert len(reasons()) <= 2 + 2 * spans  # the first of a span, and its count
        assert server.connections == 1


async def test_several_messages_in_one_frame_are_taken_apart(tmp_path):
    text = '{"order": "1"}\r\n{"order": "2"}\r\n\r\n{\r\n  "order": "3"\r\n}\r\n'
    async with serving(saying(text)) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: len(told.ids()) == 3)
        assert feed.told.ids() == ["1", "2", "3"]
        assert [r.raw for r in feed.told.received if r.raw][:2] == ['{"order": "1"}', '{"order": "2"}']
        assert "malformed" not in feed.told.events()


async def test_clocks_that_differ_are_told_once_a_connection(tmp_path):
    old = datetime(2020, 1, 1, tzinfo=UTC).timestamp()

    async def script(peer):
        await peer.accept()
        for _ in range(3):
            await peer.send({"at": old})
        await peer.send({"order": "o"})
        if peer.number == 0:
            await trio.sleep(0.5)
        else:
            await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(
            lambda told: told.events().count("clock_skew") == 2 and told.ids().count("o") == 2
        )
        assert sorted(feed.told.events()) == [
            "clock_skew",
            "clock_skew",
            "connected",
            "connected",
            "disconnected",
        ]
        assert "behind ours" in feed.told.state("clock_skew").reason


@pytest.mark.parametrize(
    ("what", "year", "told"),
    [
        ("at", 2040, True), ("changed", 2040, True), ("changed", 2020, False),
        ("told_when_changed", 2040, True), ("told_when_changed", 2020, False),
    ],
)  # fmt: skip
async def test_a_stamp_ahead_of_now_is_told_whatever_it_is_of(tmp_path, what, year, told):
    """When an order last changed may be long ago, but not in the future."""
    stamp = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    async with serving(saying({what: stamp}, {"order": "o"})) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda heard: heard.ids().count("o") and "connected" in heard.events())
        if told:
            await feed.told.until(lambda heard: "clock_skew" in heard.events())
            assert "ahead of ours" in feed.told.state("clock_skew").reason
        else:
            assert "clock_skew" not in feed.told.events()


async def test_each_socket_that_is_opened_begins_a_connection_before_its_messages(tmp_path):
    async def script(peer):
        await peer.accept()
        await peer.send({"order": str(peer.number)})
        if peer.number:
            await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: len(told.ids()) == 2)
        began = feed.told.began
        assert len(began) == 2
        told = [[item.state.id for item in received.observed] for received in feed.told.received]
        assert began[0] <= told.index(["0"]) < began[1] <= told.index(["1"])


async def test_market_data_that_stops_is_silent_and_resumes(tmp_path):
    speak = trio.Event()

    async def script(peer):
        await peer.accept()
        await peer.message()
        await peer.send({"ack": "ticks"})
        await peer.send({"tick": "A"})
        async with trio.open_nursery() as nursery:

            async def other_data():
                while True:
                    await peer.send({"hello": 1})
                    await trio.sleep(0.02)

            nursery.start_soon(other_data)
            await speak.wait()
            await peer.send({"tick": "B"})
            while True:
                await peer.send({"tick": "C"})
                await trio.sleep(0.02)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((TICKS,)), ws(server), timings=HASTY)
        await feed.told.heard("connected", "silent")
        state = feed.told.state("silent")
        assert (state.status, state.silent_streams) == ("silent", "ticks")
        assert state.reason.startswith("ticks: no data for ")
        speak.set()
        await feed.told.heard("connected", "silent", "resumed")
        assert feed.told.state("resumed").status == "connected"


async def test_a_silent_stream_that_is_refused_is_silent_no_more_and_may_be_so_again(tmp_path):
    refuse, again = trio.Event(), trio.Event()

    async def script(peer):
        await peer.accept()
        for name in ("orders", "ticks"):
            await peer.message()
            await peer.send({"ack": name})
        await refuse.wait()
        await peer.send({"refuse": ["ticks", "no such market"]})
        await again.wait()
        await peer.send({"ack": "ticks"})
        await peer.serve_politely()

    def is_up(told):
        return told.events()[-1] == "refused" and told.observations()[-1].state.status == "connected"

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((ORDERS, TICKS)), ws(server), timings=HASTY)
        await feed.told.heard("connected", "silent")
        refuse.set()
        await feed.told.heard("connected", "silent", "refused")
        await feed.told.until(is_up)
        again.set()
        await feed.told.heard("connected", "silent", "refused", "silent")


async def test_a_calm_link_without_market_data_is_not_silent(tmp_path):
    """It lasts for several times as long as market data may be silent, and answers pings."""
    pinged = trio.Event()

    async def script(peer):
        await peer.accept()
        for _ in range(8):
            opcode, payload = await peer.frame()
            assert opcode == PING
            await peer.raw(frame(PONG, payload))
        pinged.set()
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), ping_every="60ms")
        await pinged.wait()
        assert feed.told.events() == ["connected"]


async def test_a_venue_hears_the_text_that_it_wants_to_besides_pings_or_instead(tmp_path):
    async def script(peer):
        await peer.accept()
        assert [(await peer.frame())[1] for _ in range(3)] == [b"hello?"] * 3  # and no PING
        await peer.send({"order": "o"})
        await peer.serve_politely()

    adapter = FakeAdapter(ping=Ping("hello?", 0.05))
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(adapter, ws(server), ping_every="10h")
        await feed.told.until(lambda told: told.ids())
        assert feed.told.events() == ["connected"]


async def test_without_pings_of_the_protocol_the_venues_own_find_a_dead_link(tmp_path):
    async def script(peer):
        await peer.accept()
        while (await peer.frame())[1] == b"hello?":
            if peer.number == 1:
                await peer.send({"hello": "you"})

    adapter = FakeAdapter(ping=Ping("hello?", 0.1))
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(adapter, ws(server), ping_every=None)
        await feed.told.heard("connected", "disconnected", "connected")
        assert feed.told.state("disconnected").reason == "a ping was not answered for 0.1 s"
        with trio.move_on_after(0.4):
            await feed.told.until(lambda told: len(told.events()) > 3)
        assert server.connections == 2


async def test_silent_after_without_market_data_is_of_the_whole_connection(tmp_path):
    async with serving(saying({"order": "o"})) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), silent_after="100ms")
        await feed.told.heard("connected", "silent")


async def test_a_full_queue_of_ours_is_neither_silence_nor_a_dead_link(tmp_path):
    async def ticking(peer):
        await peer.message()
        await peer.send({"ack": "ticks"})
        async with trio.open_nursery() as nursery:

            async def tick():
                while True:
                    await peer.send({"tick": "A"})
                    await trio.sleep(0.01)

            nursery.start_soon(tick)
            await peer.serve_politely()
            nursery.cancel_scope.cancel()

    async with serving(saying(then=ticking)) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter((TICKS,)), ws(server), ping_every="100ms")
        await feed.venue(FakeAdapter((TICKS,)), ws(server), name="other")
        await feed.told.until(lambda told: told.events() and told.events("other"))
        feed.told.full.add("v")
        with trio.move_on_after(0.6):
            await feed.told.until(lambda told: False)
        before = len(feed.told.ids("ticker", "other"))
        await feed.told.until(lambda told: len(told.ids("ticker", "other")) > before + 5)
        feed.told.full.clear()
        feed.told.change()
        seen = len(feed.told.ids("ticker"))
        await feed.told.until(lambda told: len(told.ids("ticker")) > seen + 20)
        assert feed.told.events() == ["connected"]
        assert server.connections == 2


async def test_a_crash_in_one_venues_decoder_leaves_the_other_alone(tmp_path):
    async def crashing(peer):
        await peer.accept()
        await peer.send({"order": "o"})
        await peer.send({"crash": "secret-word"})
        await peer.serve_politely()

    async with (
        serving(crashing) as bad,
        serving(saying({"order": "fine"})) as good,
        feeding(tmp_path) as feed,
    ):
        feed.masker.add("secret-word")
        await feed.venue(FakeAdapter(), ws(bad), name="bad")
        await feed.venue(FakeAdapter(), ws(good), name="good")
        await bad.had(4)
        assert feed.told.events("bad")[:2] in (["connected", "disconnected"], ["disconnected"])
        assert feed.told.events("bad").count("disconnected") == 1
        assert feed.told.state("disconnected", "bad").reason == "internal error: KeyError: '***'"
        await feed.told.until(lambda told: told.events("good"))
        assert feed.told.events("good") == ["connected"]
        assert good.connections == 1
        assert "Traceback" in feed.log.of("internal error")[0]["traceback"]
        assert "secret-word" not in feed.log.text()
    assert bad.open == good.open == 0


async def test_a_crash_outside_the_decoder_is_contained_too(tmp_path):
    def crash(settings, kept, now):
        raise ZeroDivisionError
        yield

    async with feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=crash), "ws://127.0.0.1:1/")
        await feed.told.until(lambda told: len(told.observations()) > 3)
        assert feed.told.events() == ["disconnected"]
        assert feed.told.state("disconnected").reason == "internal error: ZeroDivisionError:"


async def test_a_venue_of_several_sockets_is_connected_when_all_are(tmp_path):
    let_in = trio.Event()

    async def script(peer):
        if peer.path == "/ws/b" and not let_in.is_set():
            await peer.answer("502 Bad Gateway")
            return
        await peer.accept()
        await peer.send({"order": peer.path})
        if peer.path == "/ws/a":
            a.append(peer)
        await peer.serve_politely()

    a = []
    adapter = FakeAdapter(paths={"a": "/a", "b": "/b", "c": "/c"})
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(adapter, ws(server))
        await feed.told.until(lambda told: len(told.ids()) == 2 and len(told.observations()) > 4)
        assert feed.told.events() == ["disconnected"]
        assert feed.told.state("disconnected").reason.startswith("b: ")
        let_in.set()
        await feed.told.heard("disconnected", "connected")
        assert len(a) == 1  # the others were left as they were
        await a[0].reset()
        await feed.told.heard("disconnected", "connected", "disconnected")
        await feed.told.until(lambda told: told.events()[-1] == "connected")
        assert feed.told.events().count("disconnected") == 2


async def test_raw_messages_are_masked_and_recorded(tmp_path):
    messages = ({"order": "token-123"}, "junk token-123", {"hello": "token-123"}, {"tick": "A"})
    async with serving(saying(*messages)) as server, feeding(tmp_path) as feed:
        feed.masker.add("token-123")
        await feed.venue(FakeAdapter(), ws(server), record=True)
        await feed.told.until(lambda told: told.ids("ticker"))
        text = (tmp_path / "records" / "v.jsonl").read_text()
        assert [(line["message"], line["stream"]) for line in map(json.loads, text.splitlines())] == [
            ('{"order": "***"}', "main"),
            ("junk ***", "main"),
            ('{"hello": "***"}', "main"),
            ('{"tick": "A"}', "ticks"),
        ]
        assert (tmp_path / "records" / "v.jsonl").stat().st_mode & 0o777 == 0o600
        assert "token-123" not in repr([r.raw for r in feed.told.received])
        assert "token-123" not in feed.log.text()


@pytest.mark.parametrize("number", [30])
async def test_unknown_types_are_told_with_their_message_until_they_flood(tmp_path, number):
    async with (
        serving(saying(*[{"novelty": n} for n in range(number)], {"order": "o"})) as server,
        feeding(tmp_path) as feed,
    ):
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.until(lambda told: told.events().count("unrecognized") >= 21)
        told = [r for r in feed.told.received if r.observed[0].event == "venue.unrecognized"]
        assert [r.raw for r in told[:20]] == [json.dumps({"novelty": n}) for n in range(20)]
        assert told[20].observed[0].state.reason == "a message of type novelty: 10 more messages like it"


async def test_cancellation_passes_through_while_the_queue_is_full(tmp_path):
    async with serving(saying({"order": "o"})) as server:
        async with feeding(tmp_path) as feed:
            feed.told.full.add("v")
            await feed.venue(FakeAdapter(), ws(server))
            await trio.sleep(0.05)
            began = trio.current_time()
        assert trio.current_time() - began < 1
        await server.all_gone()


@pytest.mark.parametrize("first", [(), ("ticks", "gone")], ids=["in this run", "in the last one"])
async def test_a_reconnect_ends_no_silence_before_there_is_data(tmp_path, first):
    """A stream that isn't subscribed to any more is silent no more."""
    again, speak = trio.Event(), trio.Event()

    async def script(peer):
        await peer.accept()
        await peer.message()
        await peer.send({"ack": "ticks"})
        if peer.number == 0:
            await again.wait()
            return
        await speak.wait()
        await peer.send({"tick": "A"})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(
            FakeAdapter((TICKS,)),
            ws(server),
            timings=replace(HASTY, market_silence=0.3),
            before=Venue(id="v", silent_streams=", ".join(first) or None),
        )
        if first:
            await feed.told.heard("connected")
            assert feed.told.observations()[-1].state.silent_streams == "ticks"
        else:
            await feed.told.heard("connected", "silent")
        again.set()
        await feed.told.until(lambda told: told.events().count("connected") == 2)
        anew = [o.state for o in feed.told.observations() if o.event == "venue.connected"][1]
        assert (anew.status, anew.silent_streams) == ("connected", "ticks")
        speak.set()
        await feed.told.until(lambda told: told.events()[-1] == "resumed")
        state = feed.told.state("resumed")
        assert (state.status, state.silent_streams, state.reason) == ("connected", None, "ticks: data again")
        await feed.told.until(lambda told: told.observations()[-1].state.reason is None)
