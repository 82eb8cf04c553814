"""Piexgo: what is said to it, and what its messages mean."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from support.decoding import fixture
from support.signin import drive
from tocsin.secrets import Secret
from tocsin.venues.base import Malformed, Session
from tocsin.venues.piexgo.adapter import ADAPTER, PiexgoSettings, signature
from tocsin.venues.registry import adapter

NOW = datetime(2026, 1, 2, tzinfo=UTC)
# The venue's own test vector.
KEY = "f730a934-0631-4b65-a4f9-d8df20600139"
SECRET = "bc13094354d3bef8db1e5912b59af90586a37324"
SIGNATURE = "0/pjGPSKpHNlSwJaRmcIkPG/viwkRW7wkRlY2tCbBRM="


def settings(**options):
    return PiexgoSettings(type="piexgo", **options)


def signed_in(wanted: PiexgoSettings) -> Session:
    steps, session = drive(ADAPTER.sign_in(wanted, {}, NOW))
    assert steps == []
    return session


def endpoint(**options):
    wanted = settings(**options)
    (only,) = ADAPTER.endpoints(wanted, signed_in(wanted))
    return only


def test_it_is_registered():
    assert adapter("piexgo") is ADAPTER
    assert not ADAPTER.polled


def test_the_signature_is_that_of_the_test_vector():
    assert signature(KEY, SECRET) == SIGNATURE


def test_the_signature_is_where_the_feed_masks_it():
    session = signed_in(settings(api_key=Secret(KEY), api_secret=Secret(SECRET)))
    assert session.values == {"signature": SIGNATURE}
    assert session.token is None


def test_one_socket_for_all_streams():
    opened = endpoint(streams=["pinfo", "dealinfo.btc_usdt", "depth.btc_usdt"])
    assert opened.url == "wss://api.piexgo.com/ws"
    assert [request.name for request in opened.opening] == ["pinfo", "dealinfo.btc_usdt", "depth.btc_usdt"]
    # No answer to a subscription is documented: none is awaited.
    assert [request.answered for request in opened.opening] == [False] * 3
    assert [request.market_data for request in opened.opening] == [False, True, True]
    assert not any(request.required for request in opened.opening)


@pytest.mark.parametrize(
    ("stream", "file"),
    [
        ("pinfo", "subscribe-pinfo"),
        ("dealinfo.btc_usdt", "subscribe-dealinfo"),
        ("depth.btc_usdt", "subscribe-depth"),
    ],
)
def test_what_is_said_without_a_key_is_what_the_document_says(stream, file):
    (request,) = endpoint(streams=[stream]).opening
    assert json.loads(request.text) == json.loads(fixture("piexgo", f"{file}.json"))


def test_with_a_key_the_private_topic_alone_is_signed():
    opened = endpoint(api_key=KEY, api_secret=SECRET, streams=["pinfo", "dealinfo.btc_usdt"])
    private, public = (json.loads(request.text) for request in opened.opening)
    assert private == {"op": "subscribe", "topic": "pinfo", "apikey": KEY, "signature": SIGNATURE}
    assert public == {"op": "subscribe", "topic": "dealinfo.btc_usdt"}


def test_symbols_in_topics_are_lower_case_however_they_are_written():
    assert settings(streams=["dealinfo.BTC_USDT", "dealinfo.btc_usdt"]).streams == ("dealinfo.btc_usdt",)


def test_headers_and_origin_are_the_users():
    opened = endpoint(headers={"x-a": "b"}, origin="https://a.example")
    assert (opened.headers, opened.origin) == ({"x-a": "b"}, "https://a.example")
    assert endpoint().origin is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"streams": []}, "name at least one stream"),
        ({"streams": ["pinfo", "kline.btc_usdt"]}, "no stream; write"),
        ({"streams": ["dealinfo."]}, "no stream; write"),
        ({"api_key": KEY}, "api_key and api_secret belong together"),
        ({"api_secret": SECRET}, "api_key and api_secret belong together"),
    ],
)
def test_wrong_options_are_told_without_their_value(options, said):
    with pytest.raises(ValidationError) as caught:
        settings(**options)
    assert said in str(caught.value)
    assert "kline" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nothing_to_fetch_after_a_connect():
    assert ADAPTER.snapshot(settings(), Session(), NOW, None) is None


def test_a_message_nested_too_deeply_is_malformed():
    with pytest.raises(Malformed):
        ADAPTER.decode('{"topic":' + "[" * 100_000, NOW)


def test_a_ping_too_long_to_be_echoed_is_malformed():
    with pytest.raises(Malformed, match="too long"):
        ADAPTER.decode(json.dumps({"ping": "x" * 300}), NOW)
