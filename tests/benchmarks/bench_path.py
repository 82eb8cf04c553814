"""A message's way: decode, entities, engine with 1,000 rules; over a socket; and to the send, with a commit between."""

import json
import sqlite3
import statistics
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial

import pytest
import trio
import trio_websocket

from support.fake_venue import Lines
from support.in_process import Noting, Quiet
from support.looking import VIEWERS, Viewers, free_address
from support.stream import messages
from support.wants import rules, rules_text, symbols, wants
from tocsin.app import components
from tocsin.app.interpreter import tune
from tocsin.app.serve import serve
from tocsin.clock import SystemClock
from tocsin.config.load import load_settings
from tocsin.control.client import SOCKET
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Instant, from_iso
from tocsin.feed import CredentialStore, VenueFeed, run_venue
from tocsin.secrets import Masker, Secret
from tocsin.venues.registry import adapter

pytestmark = pytest.mark.real

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
COUNT = 4000
VENUE = adapter("yourfintech")
RATE, CALM, SECONDS = 1000, 300, 8  # messages a second, and for how long


@pytest.fixture(scope="module")
def written():
    return messages(COUNT, symbols(1000))


@pytest.fixture(scope="module")
def asked():
    return rules(wants(1000))


def bench_orjson(measure, written):
    orjson = pytest.importorskip("orjson")

    def run():  # keeps nothing, as the path doesn't: else it is the garbage collector that is measured
        for message in written:
            orjson.loads(message)

    measure("orjson", run, COUNT)


def bench_decode(measure, written):
    def run():
        for message in written:
            VENUE.decode(message, NOW.wall)

    measure("decode", run, COUNT)


class Path:
    """A feed's sink that goes on into entities and engine at once, and counts."""

    def __init__(self, asked):
        self.entities = Entities()
        self.engine = Engine(asked, self.entities, lambda: "id")
        self.seen = 0
        self.all = trio.Event()

    async def put(self, received):
        changes = self.entities.take(received.venue, received.observed, received.at, received.raw)
        self.engine.process(changes, received.at)
        self.seen += sum(change.kind == "position" for change in changes)
        if self.seen >= COUNT:
            self.all.set()


def bench_path(measure, written, asked):
    def run(path):
        for message in written:
            observed = VENUE.decode(message, NOW.wall).items
            path.engine.process(path.entities.take("fx", observed, NOW, message), NOW)

    measure("path", run, COUNT, setup=lambda: ((Path(asked),), {}))


@pytest.mark.parametrize("positions", [10, 1000])
def bench_account(measure, positions):
    """Messages of positions whose account has so many: equity and margin follow each."""
    told = [
        VENUE.decode(message, NOW.wall).items for message in messages(COUNT + 1000, 1, positions=positions)
    ]
    opened, moved = told[:1001], told[1001:]

    def taken(entities, messages):
        return sum(len(entities.apply("fx", each, NOW, None)) for items in messages for each in items)

    def known():
        taken(entities := Entities(), opened)
        return (entities,), {}

    def run(entities):
        assert taken(entities, moved) == 2 * COUNT  # the position and the account

    measure(f"account/{positions}", run, COUNT, setup=known)


# ------------------------------------------------------------------------------------------------------------ a socket

# The frames are ready before anybody comes, so that it is the receiver that is measured.
_SERVER = """
import sys, trio, wsproto
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage
from support.stream import messages
from support.wants import symbols
count, kind, rate = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# 47 and 500 positions: each is loud now and then
written = messages(count, symbols(1000), loud=47 if rate else 0)
welcome = '{"message_type":{"server_message":{"auth_result":{"result":"success"}}}}'

def frames(texts):
    open_already = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    return [open_already.send(TextMessage(data=text)) for text in texts]

async def hear(stream, socket, what):
    while True:
        socket.receive_data(await stream.receive_some())
        for event in socket.events():
            if isinstance(event, what):
                return event

async def serve(stream):
    socket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    await hear(stream, socket, Request)
    await stream.send_all(socket.send(AcceptConnection()))
    if kind == "venue":
        await hear(stream, socket, TextMessage)
        await stream.send_all(frames([welcome])[0])
    begun = trio.current_time()
    if rate:
        for number, frame in enumerate(ready):
            await trio.sleep_until(begun + number / rate)
            await stream.send_all(frame)
    else:
        await stream.send_all(b"".join(ready))
    print("all sent", flush=True)
    closing = await hear(stream, socket, CloseConnection)
    await stream.send_all(socket.send(closing.response()))

async def peer(stream):
    try:
        await serve(stream)
    except trio.BrokenResourceError:
        pass

async def main():
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, peer, listeners)
        print(listeners[0].socket.getsockname()[1], flush=True)

ready = frames(written)
trio.run(main)
"""


@contextmanager
def sending(kind, count=COUNT, rate=0):
    """A server, in a process of its own, that sends the stream to whoever comes; gives its port, and what it says
    (a line when all is sent).
    """
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(count), kind, str(rate)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    try:
        yield int(server.stdout.readline()), server.stdout
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def bench_bare_socket(measure):
    """A receive loop on trio-websocket that does nothing with the messages."""

    async def receive(port):
        with trio.fail_after(60):
            async with trio_websocket.open_websocket_url(f"ws://127.0.0.1:{port}/") as socket:
                for _ in range(COUNT):
                    await socket.get_message()

    with sending("bare") as (port, _):
        measure("bare socket", lambda: trio.run(receive, port), COUNT, rounds=5)


def bench_socket(measure, asked, tmp_path):
    """The feed as in production, into entities and engine."""

    async def receive(port, path):
        url = f"ws://127.0.0.1:{port}/"
        settings = VENUE.settings(type="yourfintech", url=url, secret_key=Secret("k"))
        feed = partial(
            run_venue, VenueFeed("fx", VENUE, settings), sink=path, clock=SystemClock(), masker=Masker(),
            credentials=CredentialStore(tmp_path / "kept", Lines()), log=Lines(),
        )  # fmt: skip
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(feed)
                await path.all.wait()
                nursery.cancel_scope.cancel()

    with sending("venue") as (port, _):
        measure(
            "socket", partial(trio.run, receive, port), COUNT, rounds=5, setup=lambda: ((Path(asked),), {})
        )


# ------------------------------------------------------------------------------------------------------------- latency


def unsent(path):
    """How many deliveries wait."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM deliveries WHERE status != 'sent'").fetchone()[0]


@pytest.mark.parametrize("rate", [RATE, CALM])
def bench_latency(figures, tmp_path, monkeypatch, rate):
    """The whole daemon but for the last step: from the frame's arrival to the start of the send."""
    figures[f"latency/{rate}"] = statistics.median(latencies(tmp_path, monkeypatch, rate=rate))


def bench_latency_while_asked(figures, tmp_path, monkeypatch):
    """The same at the calmer rate while somebody asks for `/healthz` a thousand times a second, or as often as it is answered."""
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKING, str(tmp_path / SOCKET), str(ASKED)], stdout=subprocess.PIPE, text=True
    )
    with asking:
        try:
            took = latencies(tmp_path, monkeypatch, rate=CALM)
        finally:
            asking.terminate()
        asked, seconds = map(float, asking.communicate(timeout=10)[0].split())
    figures["latency, asked"] = statistics.median(took)
    figures["asked"] = asked / seconds


@pytest.mark.parametrize("rate", [RATE, CALM])
def bench_latency_while_looked_at(figures, tmp_path, monkeypatch, rate):
    """The same while twenty people look at the overview, beside nobody looking: at a rate that takes all of a slow core, and at one that
    leaves some of it.
    """
    alone = latencies(tmp_path / "alone", monkeypatch, rate=rate)
    address = free_address()
    with Viewers(address) as viewers:
        listen = {"listen": {"address": address}, "people": Viewers.people}
        took = latencies(tmp_path / "seen", monkeypatch, rate=rate, **listen)
        seen = viewers.over()
    figures[f"looked at/{rate}"] = statistics.median(took) - statistics.median(alone)
    assert seen["200"] == seen["fetched"] >= VIEWERS, seen


ASKED = 1000  # times a second
ASKING = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
path, rate = sys.argv[1], int(sys.argv[2])
request, asked, begun = b"GET /healthz HTTP/1.1\\r\\nHost: tocsin\\r\\n\\r\\n", 0, None
try:
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            begun = begun or time.monotonic()
            while True:
                time.sleep(max(0.0, begun + asked / rate - time.monotonic()))
                connection.sendall(request)
                answer = b""
                while b"}" not in answer:
                    if not (more := connection.recv(65536)):
                        raise OSError
                    answer += more
                asked += 1
        except OSError:
            connection.close()
            time.sleep(0.001)
finally:
    print(asked, time.monotonic() - (begun or time.monotonic() - 1))
"""


def latencies(tmp_path, monkeypatch, rate=RATE, **more):
    """Of each alert the seconds from its frame's arrival to the start of its send."""
    sender = Noting()
    monkeypatch.setattr(components, "make_sender", lambda *_args, **_options: sender)
    monkeypatch.setenv("FX_KEY", "k")
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "rules.yaml").write_text(rules_text(wants(1000)))
    state = tmp_path / "state"

    async def run(port, said):
        tune()
        config = {
            "venues": {"fx": {"type": "yourfintech", "url": f"ws://127.0.0.1:{port}/", "secret_key": "${env:FX_KEY}"}},
            "channels": {"phone": {"urls": ["json://127.0.0.1:9/"], "storm": "off"}}, "rules": ["rules.yaml"], "state_dir": "state", **more,
        }  # fmt: skip
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        settings = load_settings(tmp_path / "config.yaml", validate_url=None)
        with trio.fail_after(180):
            async with trio.open_nursery() as nursery:
                daemon = await nursery.start(
                    partial(serve, settings, lambda: settings, log=Quiet(), runtime=tmp_path)
                )
                assert await trio.to_thread.run_sync(said.readline) == "all sent\n"
                while daemon.status()["waiting"] or unsent(state / "tocsin.db"):  # noqa: ASYNC110 - no event of it
                    await trio.sleep(0.2)
                daemon.stop()

    with sending("venue", rate * SECONDS, rate) as (port, said):
        trio.run(run, port, said)
    with closing(sqlite3.connect(state / "tocsin.db")) as db:
        arrived = dict(db.execute("SELECT id, created_at FROM deliveries"))
    took = [(at - from_iso(arrived[name])).total_seconds() for name, at in sender.started.items()]
    assert len(took) > rate * SECONDS / 100, f"{len(took)} sent of {len(arrived)}"
    return took
