"""Yourfintech: what is said to it, and what its messages mean."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from pydantic import ValidationError

from support.decoding import RECEIVED, fixture
from tocsin.entities import Entities
from tocsin.events import Instant, Key
from tocsin.venues.base import Endpoint, Malformed, Session
from tocsin.venues.registry import adapter
from tocsin.venues.yourfintech.adapter import ADAPTER, YourfintechSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def settings(**options):
    return YourfintechSettings(
        **{"type": "yourfintech", "url": "wss://fx.example/socket", "secret_key": "k-secret-1"} | options
    )


def session() -> Session:
    signing_in = ADAPTER.sign_in(settings(), {}, NOW)
    with pytest.raises(StopIteration) as done:
        next(signing_in)
    return done.value.value


def endpoint(**options) -> Endpoint:
    (only,) = ADAPTER.endpoints(settings(**options), session())
    return only


def test_it_is_registered():
    assert adapter("yourfintech") is ADAPTER


def test_the_first_message_is_the_auth_request_and_its_answer_is_required():
    (auth,) = endpoint().opening
    said = json.loads(auth.text)
    assert said.pop("message_id").count("-") == 4
    assert said == {"message_type": {"client_message": {"auth_request": {"secret_key": "k-secret-1"}}}}
    assert (auth.name, auth.answered, auth.required, auth.market_data) == ("auth", True, True, False)


def test_prices_that_nobody_subscribed_to_make_no_silence():
    assert not endpoint().market_data


def test_each_sign_in_has_a_message_id_of_its_own():
    first, again = session(), session()
    later = ADAPTER.sign_in(settings(), {}, NOW.replace(hour=4))
    with pytest.raises(StopIteration) as done:
        next(later)
    assert first == again
    assert done.value.value.values != first.values


@pytest.mark.parametrize(
    "url", ["wss://fx.example/s", "ws://127.0.0.1:9/s", "tls://fx.example:7001", "tcp://127.0.0.1:7001"]
)
def test_the_url_says_how_to_connect(url):
    assert endpoint(url=url).url == url


def test_headers_and_origin_are_the_user_s():
    made = endpoint(headers={"X-A": "1"}, origin="")
    assert (made.headers, made.origin) == ({"X-A": "1"}, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "https://fx.example"}, "must be wss://host/path, or tls://host:port"),
        ({"url": "tls://fx.example"}, "the port is missing: tls://host:port"),
        ({"url": "tls://fx.example:x"}, "not a URL"),
        ({"url": "tls://"}, "must be wss://host/path"),
        ({"secret_key": ""}, "must be a text, such as"),
        ({"secret_keys": "k-secret-2"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_are_refused(options, message):
    with pytest.raises(ValidationError) as caught:
        settings(**options)
    assert message in str(caught.value)
    assert "k-secret" not in str(caught.value)


def test_there_is_no_default_url():
    with pytest.raises(ValidationError, match="url"):
        YourfintechSettings(type="yourfintech", secret_key="k-secret-1")


def test_the_key_is_not_shown():
    assert "k-secret" not in repr(settings()) + str(settings()) + settings().model_dump_json()


def test_there_is_no_snapshot():
    assert ADAPTER.snapshot(settings(), session(), NOW, None) is None


def test_the_same_message_id_twice_is_two_messages():
    created = fixture("yourfintech", "position_created.json")
    updated = fixture("yourfintech", "position_updated.json")
    assert json.loads(created)["message_id"] == json.loads(updated)["message_id"]
    events = [ADAPTER.decode(message, RECEIVED).items[0].event for message in (created, updated, updated)]
    assert events == ["position.opened", "position.updated", "position.updated"]


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("Trading", "trading"),
        ("BalanceCorrection", "correction"),
        ("Withdrawal", "withdrawal"),
        ("Deposit", "deposit"),
        ("Commission", "commission"),
        ("Transfer", "transfer"),
    ],
)
def test_every_documented_operation_has_its_event(word, cause):
    message = fixture("yourfintech", "account_update.json").replace('"Trading"', f'"{word}"')
    _, balance = ADAPTER.decode(message, RECEIVED).items
    assert (balance.event, balance.state.cause) == (f"balance.{cause}", cause)


def test_a_ping_can_not_make_us_send_much():
    with pytest.raises(Malformed, match="too long"):
        ADAPTER.decode(json.dumps({"message_type": "Ping", "message_id": "x" * 1000}), RECEIVED)


def test_nesting_without_end_is_malformed():
    deep = (
        '{"message_type":{"server_message":{"position":{"created":' + "[" * 100_000 + "]" * 100_000 + "}}}}"
    )
    with pytest.raises(Malformed):
        ADAPTER.decode(deep, RECEIVED)


def test_a_position_stays_at_its_last_real_price_while_the_quote_is_all_zeros():
    """achannarasappa/ticker 95 (0.00 after hours), robinhood-unofficial/pyrh 143 (bid and ask all zeros)."""
    entities, seconds = Entities(), count()

    def say(**server_message):
        text = json.dumps({"message_id": "1", "message_type": {"server_message": server_message}})
        at = Instant(RECEIVED, 0.0).later(next(seconds))
        return [
            change
            for item in ADAPTER.decode(text, at.wall).items
            for change in entities.apply("fx", item, at, text)
        ]

    say(account_event={"account_added": {"id": "a1", "currency": "USD", "balance": 100, "leverage": 1}})
    position = {"id": "p1", "account_id": "a1", "asset_pair": "OIL", "side": "Buy", "asset_open_price": 70}
    say(position={"created": position | {"lots_amount": 1, "lots_size": 1, "profit_price": 1, "profit": 0}})
    say(bid_ask={"id": "OIL", "bid": 71, "ask": 72})
    before = entities.get(Key("fx", "position", "a1", "p1"))
    changes = say(bid_ask={"id": "OIL", "bid": 0, "ask": 0})
    say(position={"updated": {"id": "p1", "account_id": "a1", "asset_close_price": 0}})

    assert [change.kind for change in changes] == ["ticker"]
    ticker = changes[0].state
    assert (ticker.bid, ticker.ask, ticker.price, ticker.spread) == (None, None, None, None)
    after = entities.get(Key("fx", "position", "a1", "p1"))
    assert (after.state.mark_price, after.state.profit) == (71, 1)
    assert (after.time, after.received) == (before.time, before.received)
    assert entities.get(Key("fx", "account", "a1", "a1")).state.equity == 101
