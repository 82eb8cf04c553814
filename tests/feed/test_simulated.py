"""Described venues against the servers that simulate them, which verify what they are sent; the feed alone, without a daemon."""

import json

import pytest
import trio
from trio_websocket import open_websocket_url

from support.fake_venue import feeding
from tocsin.config import yaml as documents
from tocsin.config.descriptions import described, find_description, read_description
from tocsin.simulator.binance_usdm import BinanceUsdm
from tocsin.simulator.bybit import Bybit

pytestmark = pytest.mark.real


@pytest.fixture
async def binance(nursery) -> BinanceUsdm:
    await nursery.start((made := BinanceUsdm()).serve)
    return made


@pytest.fixture
async def bybit(nursery) -> Bybit:
    await nursery.start((made := Bybit()).serve)
    return made


def changed(venue, **given):
    """The config's settings of the venue, with something else given."""
    settings = dict(venue.settings())
    return settings | {"given": settings["given"] | given}


def spelled(name, was, now):
    """A shipped description in which something is spelled otherwise."""
    text = find_description(name, None).read_text()
    assert text.count(was) == 1
    node, _ = documents.load(text.replace(was, now))
    adapter, problems = read_description(node)
    assert problems == []
    return adapter


async def test_a_secret_that_is_wrong_is_refused_where_it_signs_the_login(tmp_path, bybit):
    async with feeding(tmp_path) as feed:
        await feed.configured(described("bybit"), **changed(bybit, secret="another-secret"))
        await feed.told.until(lambda told: told.events())
        state = feed.told.state("auth_failed")
        assert (state.status, state.reason) == (
            "auth_failed",
            "auth: Invalid sign; check venues.v.given.key and venues.v.given.secret",
        )


async def test_a_secret_that_is_wrong_is_told_where_it_signs_what_is_fetched(tmp_path, binance):
    async with feeding(tmp_path) as feed:
        await feed.configured(described("binance-usdm"), **changed(binance, secret="another-secret"))
        await feed.told.until(lambda told: "refused" in told.events())
        assert "Signature for this request is not valid. (-1022)" in feed.told.state("refused").reason


async def test_the_text_that_bybit_wants_to_hear_is_said_and_answered(tmp_path, bybit):
    adapter = spelled("bybit", "every: 20s", "every: 1s")
    async with feeding(tmp_path) as feed:
        await feed.configured(adapter, **bybit.settings(), ping_every=None)
        while not bybit.pings:  # noqa: ASYNC110 - a venue has no event
            await trio.sleep(0.02)
        assert feed.told.events() == ["connected"]


async def test_who_has_not_logged_in_subscribes_to_nothing(bybit):
    with trio.fail_after(30):
        async with open_websocket_url(bybit.settings()["urls"]["ws"]) as socket:
            await socket.send_message(json.dumps({"op": "subscribe", "args": ["order"]}))
            answer = json.loads(await socket.get_message())
            assert (answer["success"], answer["ret_msg"]) == (False, "Request not authorized")
            bybit.place("1")
            await socket.send_message(json.dumps({"op": "ping"}))
            assert json.loads(await socket.get_message())["op"] == "pong"


async def test_a_key_that_expired_is_replaced_by_a_new_one(tmp_path, binance):
    async with feeding(tmp_path) as feed:
        await feed.configured(described("binance-usdm"), **binance.settings())
        await feed.told.heard("connected")
        binance.expire_listen_key()
        await feed.told.heard("connected", "disconnected", "connected")
        assert feed.told.state("disconnected").reason == "the listen key expired"
        binance.place(1)
        await feed.told.until(lambda told: told.ids())
