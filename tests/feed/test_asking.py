"""What became of orders while a venue was away: those that a full snapshot no longer has are asked for by their ids.

Against a real server; the pipeline is played by `Told`, and what it holds unconfirmed by a list.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import trio

from support.fake_venue import QUICK, FakeAdapter, feeding
from support.fault_server import FaultServer, serving
from tocsin.events import Change, Key, Observation, Order, SnapshotBegins, SnapshotEnds, Unanswered
from tocsin.feed import Timings
from tocsin.venues.base import HttpRequest, SignInFailed

pytestmark = pytest.mark.real

TIMINGS = replace(QUICK, ask_every=0.0)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def unconfirmed(id_, kind="order", account=""):
    state = Order(id=id_, symbol="ETH/BTC", status="open")
    return Change(
        key=Key("v", kind, account, id_), events=(), state=state, previous=None, origin="live",
        time=NOW, received=NOW, known_since=NOW, unconfirmed_since=NOW,
    )  # fmt: skip


class Venue:
    """A venue whose snapshot has no orders; `answers`: of each id the HTTP status and body."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    async def __call__(self, peer):
        if peer.path.startswith("/order/"):
            id_ = peer.path.rpartition("/")[2]
            self.asked.append(id_)
            status, body = self.answers.get(id_, ("200 OK", [{"id": id_, "status": "canceled"}]))
            return await peer.answer(status, json.dumps(body).encode())
        await peer.accept()
        await peer.serve_politely()
        return None


def adapter_of(server: FaultServer, **more):
    def fetching(settings, session):
        return [SnapshotBegins(kinds=("order",)), SnapshotEnds()]
        yield

    def asking(order):
        answer = yield HttpRequest(method="GET", url=f"http://127.0.0.1:{server.port}/order/{order.id}")
        if answer.status != 200:
            raise SignInFailed(f"HTTP {answer.status}", retry_after=0.01)
        if answer.body == b'"crash"':
            raise KeyError("oops")
        return [
            SnapshotBegins(kinds=("order",)),
            *(Observation(state=Order(**each)) for each in json.loads(answer.body)),
            SnapshotEnds(),
        ]

    def asked(known):
        return None if known.id.startswith("unknown") else asking(known)

    return FakeAdapter(**{"fetching": fetching, "asking": asked} | more)


def told_of(feed):
    """What was told of orders: id, status and origin; of what wasn't answered the reason."""
    items = [item for received in feed.told.received for item in received.observed]
    return [
        (item.id, item.reason) if isinstance(item, Unanswered) else (item.state.id, item.state.status, item.origin)
        for item in items
        if isinstance(item, Unanswered) or (isinstance(item, Observation) and item.state.kind == "order")
    ]  # fmt: skip


async def hold(feed, server, adapter, waiting, timings=TIMINGS):
    url = f"ws://127.0.0.1:{server.port}/ws"
    await feed.venue(adapter, url, timings=timings, unconfirmed=lambda: waiting)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("200 OK", [{"id": "1", "status": "canceled"}]), ("1", "canceled", "snapshot")),
        (("200 OK", [{"id": "1", "status": "open"}]), ("1", "open", "snapshot")),
        (("200 OK", []), ("1", "asked for: the venue knows nothing of it")),
        (("500 Oh", []), ("1", "asked for: HTTP 500")),
        (("200 OK", "crash"), ("1", "asked for: internal error; the log has it")),
    ],
)
async def test_an_order_that_a_snapshot_no_longer_has_is_asked_for(tmp_path, answer, said):
    venue = Venue({"1": answer})
    async with serving(venue) as server, feeding(tmp_path) as feed:
        # Of positions there was no snapshot.
        waiting = [unconfirmed("p", kind="position"), unconfirmed("1"), unconfirmed("2", account="a")]
        await hold(feed, server, adapter_of(server), waiting)
        await feed.told.until(lambda _: len(told_of(feed)) == 2)
        assert told_of(feed) == [said, ("2", "canceled", "snapshot")]
        assert venue.asked == ["1", "2"]
        assert feed.told.observations(kind="order")[-1].account == "a"
        assert feed.told.events() == ["connected"]


async def test_an_answer_of_another_order_is_none(tmp_path):
    venue = Venue({"1": ("200 OK", [{"id": "7", "status": "open"}])})
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await hold(feed, server, adapter_of(server), [unconfirmed("1")])
        await feed.told.until(lambda _: told_of(feed))
        assert told_of(feed) == [("1", "asked for: the venue knows nothing of it")]


async def test_at_most_fifty_are_asked_for(tmp_path):
    """Of what can be: the venue has no request for `unknown` ones."""
    venue = Venue({})
    waiting = [unconfirmed(f"{'unknown' if number < 60 else 'o'}-{number}") for number in range(113)]
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await hold(feed, server, adapter_of(server), waiting)
        await feed.told.until(lambda _: len(told_of(feed)) == 50)
        with trio.move_on_after(0.1):
            await feed.told.until(lambda _: len(told_of(feed)) > 50)
        assert venue.asked == [f"o-{number}" for number in range(60, 110)]
        assert feed.log.of("no more is asked for") == [{"venue": "v", "asked": 50}]


async def test_they_are_asked_for_one_after_the_other_at_a_pace(tmp_path):
    venue = Venue({})
    async with serving(venue) as server, feeding(tmp_path) as feed:
        timings = replace(TIMINGS, ask_every=0.05)
        await hold(feed, server, adapter_of(server), [unconfirmed(id_) for id_ in "123"], timings)
        await feed.told.until(lambda _: len(told_of(feed)) == 3)
    orders = [each for each in feed.told.received if isinstance(each.observed[0], Observation)]
    times = [each.at.steady for each in orders if each.observed[0].state.kind == "order"]
    assert len(times) == 3
    assert all(later - earlier >= 0.045 for earlier, later in pairwise(times))
    assert Timings().ask_every == 0.2


@pytest.mark.parametrize(
    "adapter",
    [
        pytest.param({"asking": None}, id="the venue can't be asked"),
        pytest.param({"fetching": None}, id="there is no snapshot that could have them"),
    ],
)
async def test_what_nobody_can_say_stays_unconfirmed(tmp_path, adapter):
    venue = Venue({})
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await hold(feed, server, adapter_of(server, **adapter), [unconfirmed("1")])
        await feed.told.until(lambda told: told.events())
        with trio.move_on_after(0.1):
            await feed.told.until(lambda _: told_of(feed))
        assert venue.asked == []


async def test_a_snapshot_that_comes_by_the_socket_is_as_good(tmp_path):
    venue = Venue({})

    async def script(peer):
        if not peer.path.startswith("/order/"):
            await peer.accept()
            await peer.send({"whole": "order"})
            return await peer.serve_politely()
        return await venue(peer)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await hold(feed, server, adapter_of(server, fetching=None), [unconfirmed("1")])
        await feed.told.until(lambda _: told_of(feed))
        assert told_of(feed) == [("1", "canceled", "snapshot")]
