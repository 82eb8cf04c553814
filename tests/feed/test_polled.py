"""A venue that gives a snapshot and closes: cycles, missed ones, and what they make of the snapshots."""

from dataclasses import replace

import pytest
import trio

from support.fake_venue import QUICK, FakeAdapter, feeding
from support.fault_server import FaultServer, Peer, serving
from tocsin.events import Observation, SnapshotBegins, SnapshotEnds
from tocsin.venues.base import Session, SignInRefused

pytestmark = pytest.mark.real


def ws(server: FaultServer) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


async def give_snapshot(peer: Peer) -> None:
    await peer.accept()
    await finish_snapshot(peer)


async def finish_snapshot(peer: Peer) -> None:
    await peer.send({"hello": 1})
    await peer.send({"account": "a1"})
    await peer.send({"order": "o1"})
    await peer.close(1000)
    await peer.serve_politely()


def shape(told) -> list[str]:
    """The snapshots as they arrived."""
    words = []
    for received in told.received:
        for item in received.observed:
            match item:
                case SnapshotBegins():
                    words.append(f"begins {'live' if item.live else 'after a gap'}")
                case SnapshotEnds():
                    words.append("ends")
                case Observation(state=state) if state.kind != "venue":
                    words.append(state.kind)
                case Observation(event=str(event)):
                    words.append(event)
    return words


FIRST = ["begins after a gap", "account", "order", "ends", "venue.connected"]
NEXT = ["begins live", "account", "order", "ends"]


async def test_each_complete_cycle_is_a_snapshot_and_connected_is_told_once(tmp_path):
    async with serving(give_snapshot) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(polled=True), ws(server), silent_after="30s")
        await server.had(4)
        assert shape(feed.told)[:13] == FIRST + NEXT + NEXT
        begins = next(r.observed[0] for r in feed.told.received if isinstance(r.observed[0], SnapshotBegins))
        assert begins.kinds == ("account", "order")
    assert server.open == 0


async def close_before_any_account(peer):
    await peer.accept()
    await peer.close(1000)
    await peer.serve_politely()


async def break_off(peer):
    await peer.accept()
    await peer.send({"account": "a1"})


async def never_end(peer):
    await peer.accept()
    await peer.send({"account": "a1"})
    await peer.serve_politely()


async def test_a_cycle_missed_in_any_way_is_an_outage_and_the_next_snapshot_comes_after_a_gap(tmp_path):
    faults = [close_before_any_account, break_off, never_end]

    async def script(peer):
        await (faults[peer.number - 1] if 1 <= peer.number <= len(faults) else give_snapshot)(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(
            FakeAdapter(polled=True), ws(server), silent_after="30s", timings=replace(QUICK, cycle=1.0)
        )
        await feed.told.heard("connected", "disconnected", "connected")
        assert "before any account" in feed.told.state("disconnected").reason
        reasons = [o.state.reason for o in feed.told.observations() if o.event is None][1:]
        assert "without a word" in reasons[0]
        assert "not complete within 1 s" in reasons[1]
        assert shape(feed.told) == [
            *FIRST,
            *("begins live", "venue.disconnected"),
            *("begins after a gap", "account"),
            *("begins after a gap", "account"),
            *FIRST,
        ]


async def test_silence_counts_from_the_last_complete_cycle(tmp_path):
    """A cycle that hangs for longer than three polls, but not so long that it has failed."""
    silent = trio.Event()

    async def script(peer):
        if peer.number == 1:
            await peer.accept()
            await silent.wait()
        await (give_snapshot if peer.number != 1 else finish_snapshot)(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(polled=True), ws(server), poll="300ms")
        await feed.told.heard("connected", "silent")
        silent.set()
        await feed.told.heard("connected", "silent", "resumed")
        assert feed.told.state("silent").reason.startswith("cycle: no data for ")


async def test_a_cycle_that_is_refused_is_no_connection_any_more(tmp_path):
    async def script(peer):
        if peer.number != 1:
            return await give_snapshot(peer)
        return await peer.answer("401 Unauthorized", b'{"error": "bad ticket"}')

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(polled=True), ws(server), silent_after="30s")
        await feed.told.heard("connected", "auth_failed", "connected")
        state = feed.told.state("auth_failed")
        assert (state.status, state.attempts) == ("auth_failed", 0)  # the first after it was up, as any loss


async def test_a_sign_in_that_is_refused_between_two_cycles_is_no_connection_any_more(tmp_path):
    calls = []

    def signing(settings, kept, now):
        calls.append(now)
        if len(calls) == 2:
            raise SignInRefused("no such user")
        return Session()
        yield

    async with serving(give_snapshot) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(polled=True, signing=signing), ws(server), silent_after="30s")
        await feed.told.heard("connected", "auth_failed", "connected")
        assert feed.told.state("auth_failed").status == "auth_failed"


async def test_each_cycle_signs_in(tmp_path):
    calls = []

    def signing(settings, kept, now):
        calls.append(now)
        return Session(token=f"ticket-{len(calls)}")
        yield

    paths = []

    async def script(peer):
        paths.append(peer.path)
        await give_snapshot(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(polled=True, signing=signing), ws(server), silent_after="30s")
        await server.had(4)
    assert paths[:3] == [f"/ws?token=ticket-{n}" for n in (1, 2, 3)]
