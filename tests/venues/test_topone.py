"""TopOne: sign-in with its one request a minute, what is said to it, the snapshot by REST, what its messages mean."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from support.decoding import assert_supplied, fixture, meaning
from support.signin import answer, drive, requests
from tocsin.events import Order, Position, iso
from tocsin.venues.base import (
    Decoded,
    HttpRequest,
    Keep,
    Malformed,
    Pause,
    Session,
    SignInFailed,
    SignInRefused,
)
from tocsin.venues.registry import adapter
from tocsin.venues.topone.adapter import ADAPTER, TopOneSettings
from tocsin.venues.topone.auth import token_signature

NOW = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
TOKEN = "topapi:3V1YhD5ulgEx3s6vUWscAyHVF2q5sm6R8tOsjvde1aVK5MQ81HsO0xbVa8011zE35TkaARvUv6"
GRANTED = answer(fixture("topone", "token.json").encode())


def settings(**options):
    if not options.keys() & {"token", "app_id", "app_key"}:
        options |= {"app_id": "app-1", "app_key": "key-secret-1"}
    return TopOneSettings(type="topone", **options)


def kept_after(*answers, kept=None, now=NOW, **options):
    """What is kept after a sign-in, and its session."""
    steps, session = drive(ADAPTER.sign_in(settings(**options), kept or {}, now), *answers)
    return [step.values for step in steps if isinstance(step, Keep)][-1], session


def test_it_is_registered():
    assert adapter("topone") is ADAPTER
    assert not ADAPTER.polled


# --------------------------------------------------------------------------------------------------------- the token


def test_the_signature_is_the_documents():
    text = b"appKey=xxxxxxxx&random=200022&time=1409309229"
    assert token_signature("xxxxxxxx", "200022", "1409309229") == hashlib.sha256(text).hexdigest()


def test_a_token_is_had_by_a_signed_request_whose_time_is_kept_before_it():
    steps, session = drive(ADAPTER.sign_in(settings(), {}, NOW), GRANTED)
    before, request, after = steps
    assert before == Keep({"requested_at": iso(NOW)})
    assert (request.method, request.url) == ("GET", "https://gateway.topone.run/u/v1/api/token")
    query = dict(request.query)
    assert (query["appId"], query["time"]) == ("app-1", str(int(NOW.timestamp())))
    assert query["sig"] == token_signature("key-secret-1", query["random"], query["time"])
    assert query.keys() == {"appId", "random", "time", "sig"}
    assert "key-secret-1" not in str(request)
    assert after.values.items() >= {"token": TOKEN, "token_at": iso(NOW), "requested_at": iso(NOW)}.items()
    assert session == Session(token=TOKEN, renew_at=NOW + timedelta(hours=1))
    assert "key-secret-1" not in str(after)


def test_a_kept_token_younger_than_its_hour_is_used_without_a_request():
    kept, session = kept_after(GRANTED)
    later = NOW + timedelta(minutes=59, seconds=59)
    assert drive(ADAPTER.sign_in(settings(), kept, later)) == ([], session)


def test_after_its_hour_there_is_a_new_one_at_once():
    kept, _ = kept_after(GRANTED)
    steps, session = drive(ADAPTER.sign_in(settings(), kept, NOW + timedelta(hours=1)), GRANTED)
    assert [type(step) for step in steps] == [Keep, HttpRequest, Keep]
    assert session.renew_at == NOW + timedelta(hours=2)


def test_a_crash_between_request_and_answer_leaves_the_rest_of_the_minute_to_wait():
    signing_in = ADAPTER.sign_in(settings(), {}, NOW)
    kept = next(signing_in).values
    assert isinstance(next(signing_in), HttpRequest)
    signing_in.close()  # the crash

    later = NOW + timedelta(seconds=20)
    steps, session = drive(ADAPTER.sign_in(settings(), kept, later), GRANTED)
    pause, before, request, _ = steps
    assert pause == Pause(40.0, "TopOne gives one token a minute")
    # What comes after the wait is dated after it.
    due = NOW + timedelta(minutes=1)
    assert before.values == {"requested_at": iso(due)}
    assert request.query["time"] == str(int(due.timestamp()))
    assert session.renew_at == due + timedelta(hours=1)


def test_no_wait_once_the_minute_is_over():
    steps, _ = drive(
        ADAPTER.sign_in(settings(), {"requested_at": iso(NOW)}, NOW + timedelta(minutes=1)), GRANTED
    )
    assert not any(isinstance(step, Pause) for step in steps)


def test_a_clock_that_was_set_back_costs_a_minute_and_not_a_day():
    kept, _ = kept_after(GRANTED)
    steps, _ = drive(ADAPTER.sign_in(settings(), kept, NOW - timedelta(days=1)), GRANTED)
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [60.0]


@pytest.mark.parametrize(
    "kept", [{"requested_at": "soon"}, {"requested_at": ""}, {"token": TOKEN, "token_at": "x"}]
)
def test_what_was_kept_wrongly_counts_as_nothing(kept):
    steps, session = drive(ADAPTER.sign_in(settings(), kept, NOW), GRANTED)
    assert [type(step) for step in steps] == [Keep, HttpRequest, Keep]
    assert session.token == TOKEN


def test_other_credentials_dont_use_the_kept_token_but_still_wait():
    kept, _ = kept_after(GRANTED)
    steps, _ = drive(ADAPTER.sign_in(settings(app_id="app-2", app_key="k"), kept, NOW), GRANTED)
    assert [type(step) for step in steps] == [Pause, Keep, HttpRequest, Keep]


def test_without_the_kept_token_which_was_refused_at_the_door_there_is_a_new_one():
    kept, _ = kept_after(GRANTED)
    del kept["token"]  # as the feed does
    later = NOW + timedelta(minutes=5)
    assert len(requests(drive(ADAPTER.sign_in(settings(), kept, later), GRANTED)[0])) == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (answer({"code": 10013, "msg": "sig error"}), "token: sig error (code 10013)"),
        (answer({"msg": "no such app"}, 401), "token: HTTP 401: no such app"),
        (answer(b"", 403), "token: HTTP 403"),
    ],
)
def test_a_refusal_has_the_venues_words_and_a_remedy(response, said):
    with pytest.raises(
        SignInRefused, match="^" + said.replace("(", r"\(").replace(")", r"\)") + "$"
    ) as caught:
        drive(ADAPTER.sign_in(settings(), {}, NOW), response)
    assert "app_id" in caught.value.remedy


@pytest.mark.parametrize(
    ("response", "said", "seconds"),
    [
        (answer(b"", 503, retry_after="7"), "token: HTTP 503", 7.0),
        (answer(b"<html>Forbidden</html>", 403), "token: HTTP 403", None),
        (answer(b"Bad Gateway", 502), "token: HTTP 502: Bad Gateway", None),
        (
            answer(
                b"", 503, retry_after="Fri, 02 Jan 2026 03:05:05 GMT", date="Fri, 02 Jan 2026 03:04:05 GMT"
            ),
            "token: HTTP 503",
            60.0,
        ),
        (answer(b"", 503, retry_after="soon"), "token: HTTP 503", None),
        (answer(b"", 429, retry_after="120"), "token: HTTP 429", 120.0),
        # Whoever asked too often is blocked for an hour.
        (answer(b"", 429), "token: HTTP 429", 3600.0),
        (answer(b"oops"), "token: an odd answer", None),
        (answer({"code": 0, "data": {}}), "token: an answer without apiToken", None),
        (answer({"code": 0}), "token: an answer without apiToken", None),
        (answer(b"", 302), "token: HTTP 302", None),
    ],
)
def test_a_fault_is_tried_again(response, said, seconds):
    with pytest.raises(SignInFailed, match="^" + said) as caught:
        drive(ADAPTER.sign_in(settings(), {}, NOW), response)
    assert caught.value.retry_after == seconds


def test_a_refusals_words_are_cut_and_on_one_line():
    with pytest.raises(SignInRefused) as caught:
        drive(ADAPTER.sign_in(settings(), {}, NOW), answer({"code": 1, "msg": "a\n\x1b[31m" + "x" * 10_000}))
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_a_configured_token_asks_nobody():
    assert drive(ADAPTER.sign_in(settings(token="topapi:abc"), {}, NOW)) == ([], Session(token="topapi:abc"))


def test_public_streams_need_no_token():
    public = TopOneSettings(type="topone", streams=["deals_ETH/BTC"])
    assert drive(ADAPTER.sign_in(public, {}, NOW)) == ([], Session())
    assert ADAPTER.snapshot(public, Session(), NOW, None) is None


# -------------------------------------------------------------------------------------------------------- the sockets


def test_the_private_socket_has_the_token_encoded_and_an_empty_origin():
    (private,) = ADAPTER.endpoints(settings(), Session(token="topapi:a+b/c"))
    assert private.url == "wss://gateway.topone.run/ws/user/?token=topapi%3Aa%2Bb%2Fc"
    assert private.origin == ""
    assert [request.name for request in private.opening] == ["sub_orders", "sub_balance"]
    assert all(request.answered and not request.market_data for request in private.opening)


@pytest.mark.parametrize(
    ("stream", "file"), [("orders", "subscribe-orders"), ("balance", "subscribe-balance")]
)
def test_what_is_said_is_what_the_document_says_but_for_the_language(stream, file):
    (private,) = ADAPTER.endpoints(settings(streams=[stream]), Session(token="t"))
    (request,) = private.opening
    # The document's examples end with a no-break space, which is no JSON.
    assert json.loads(request.text) == json.loads(fixture("topone", f"{file}.txt").strip("\xa0 \n")) | {
        "lang": "en-US"
    }


def test_public_streams_have_a_socket_of_their_own():
    wanted = settings(streams=["orders", "deals_ETH/BTC", "depth_TOP/ETH_10x"])
    private, public = ADAPTER.endpoints(wanted, Session(token="t"))
    assert [request.name for request in private.opening] == ["sub_orders"]
    assert (public.name, public.url, public.origin) == ("public", "wss://gateway.topone.run/ws/", "")
    assert [request.name for request in public.opening] == ["sub_deals_ETH/BTC", "sub_depth_TOP/ETH_10x"]
    assert all(request.market_data and request.answered for request in public.opening)
    assert [json.loads(request.text)["id"] for request in public.opening] == ["1", "2"]
    assert "token" not in public.url


def test_public_streams_alone_open_no_private_socket():
    (public,) = ADAPTER.endpoints(TopOneSettings(type="topone", streams=["deals_ETH/BTC"]), Session())
    assert public.name == "public"


def test_the_origin_can_be_left_out():
    (private,) = ADAPTER.endpoints(settings(origin=None), Session(token="t"))
    assert private.origin is None


def test_a_query_that_the_url_has_already_stays():
    (private,) = ADAPTER.endpoints(settings(url="wss://x.example/?a=1"), Session(token="t"))
    assert private.url == "wss://x.example/?a=1&token=t"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"streams": []}, "name at least one stream"),
        ({"streams": ["orders", "deals_ETHBTC"]}, "no stream; write"),
        ({"streams": ["depth_ETH/BTC"]}, "no stream; write"),
        ({"streams": ["depth_ETH/BTC_5x"]}, "no stream; write"),
        ({"markets": ["ETHBTC"]}, "no market; write"),
        ({"app_id": "a"}, "app_id and app_key belong together"),
        ({"token": "t", "app_id": "a", "app_key": "k"}, "either token"),
        ({"token": None}, "need a token"),
    ],
)
def test_wrong_options_are_told(options, said):
    with pytest.raises(ValidationError, match=said):
        settings(**options)


def test_plaintext_to_another_machine_is_found_in_every_url():
    wanted = settings(url="ws://a.example", rest_url="http://b.example", public_url="ws://127.0.0.1:1")
    assert wanted.plaintext_urls() == ["url", "rest_url"]


# ----------------------------------------------------------------------------- what became of an order, by its history

HISTORY = answer(fixture("topone", "rest-history.json").encode())
ENDED = {
    "observation": "order",
    "origin": "snapshot",
    "time": "2018-05-13T11:05:23.637193Z",
    "fields": {
        "id": "26316", "symbol": "TOP/ETH", "side": "buy", "order_type": "limit", "status": "canceled", "venue_status": "3",
        "price": "0.0000101", "amount": "10000", "filled": "0", "cost": "0",
        "created": "2018-05-13T11:05:23.637193Z", "updated": "2018-05-13T11:05:23.637193Z",
    },
    "cleared": ["average"],
}  # fmt: skip


def ask(known, *answers):
    steps, observed = drive(
        ADAPTER.ask(settings(markets=["TOP/ETH", "A/B"]), Session(token="t:1"), known, None, NOW), *answers
    )
    return steps, meaning(Decoded(tuple(observed)))["items"]


def test_an_order_is_found_in_its_markets_history():
    known = Order(
        id="26316", symbol="TOP/ETH", side="buy", created=datetime(2018, 5, 13, 11, 5, 23, tzinfo=UTC)
    )
    (asked,), items = ask(known, HISTORY)
    assert items == [ENDED]
    assert (asked.method, asked.url) == ("GET", "https://gateway.topone.run/t/v1/order/history")
    assert asked.query == {
        "market": "TOP/ETH", "side": "2", "startTime": "1526209523", "endTime": "0", "pageSize": "500", "pageMark": "0",
        "pageCursor": "0",
    }  # fmt: skip
    assert asked.headers == {"Authorization": "t:1"}


def test_the_history_is_read_until_the_order_is_found_or_it_ends():
    asked, items = ask(Order(id="700", symbol="A/B"), page(0, 500, pageMark=9), page(500, 500, pageMark=8))
    assert [(each.query["pageMark"], each.query["pageCursor"]) for each in asked] == [
        ("0", "0"),
        ("9", "499"),
    ]
    assert [item["fields"]["id"] for item in items] == ["700"]
    assert ask(Order(id="7", symbol="A/B"), HISTORY)[1] == []
    assert len(ask(Order(id="x", symbol="A/B"), *[page(0, 500)] * 10)[0]) == 10


@pytest.mark.parametrize(
    "known", [Order(id="1"), Order(id="1", symbol="C/D"), Position(id="1", symbol="A/B")]
)
def test_what_no_snapshot_would_have_isnt_asked_for(known):
    assert ADAPTER.ask(settings(markets=["A/B"]), Session(token="t:1"), known, None, NOW) is None


# ------------------------------------------------------------------------------------------------ the snapshot by REST

ORDERS = answer(fixture("topone", "rest-orders.json").encode())
BALANCES = answer(fixture("topone", "rest-balances.json").encode())
ORDER = {
    "observation": "order",
    "origin": "snapshot",
    "time": "2018-05-13T10:00:33.634213Z",
    "fields": {
        "id": "26211", "symbol": "TOP/ETH", "side": "buy", "order_type": "limit", "status": "open", "price": "0.00001057",
        "amount": "10000", "remaining": "10000", "filled": "0", "cost": "0",
        "created": "2018-05-13T10:00:33.634213Z", "updated": "2018-05-13T10:00:33.634213Z",
    },
    "cleared": ["average"],
}  # fmt: skip
BALANCE = {
    "observation": "balance",
    "origin": "snapshot",
    "fields": {
        "id": "ETH",
        "asset": "ETH",
        "available": "8517.32476151",
        "locked": "0",
        "total": "8517.32476151",
    },
}


def snapshot(*answers, **options):
    steps, observed = drive(ADAPTER.snapshot(settings(**options), Session(token="t:1"), NOW, None), *answers)
    decoded = Decoded(tuple(observed))
    assert_supplied(ADAPTER, decoded)
    return steps, meaning(decoded)["items"]


def test_the_documents_answers_make_the_snapshot():
    asked, items = snapshot(ORDERS, BALANCES, markets=["TOP/ETH"])
    assert items == [{"snapshot begins": ["order", "balance"]}, ORDER, BALANCE, "snapshot ends"]
    orders, balances = asked
    assert (orders.method, orders.url) == ("GET", "https://gateway.topone.run/t/v1/order/query")
    assert orders.query == {"market": "TOP/ETH", "page": "1", "pageSize": "100"}
    assert (balances.method, balances.url) == ("GET", "https://gateway.topone.run/t/v1/balance/query")
    assert balances.query == {"assets": ""}
    assert orders.headers == balances.headers == {"Authorization": "t:1"}  # no Bearer


def test_no_markets_no_orders_in_the_snapshot():
    asked, items = snapshot(BALANCES)
    assert [request.url.rsplit("/", 2)[-2] for request in asked] == ["balance"]
    assert items == [{"snapshot begins": ["balance"]}, BALANCE, "snapshot ends"]


def test_what_isnt_subscribed_isnt_fetched():
    asked, items = snapshot(ORDERS, streams=["orders"], markets=["TOP/ETH"])
    assert len(asked) == 1
    assert items == [{"snapshot begins": ["order"]}, ORDER, "snapshot ends"]
    assert ADAPTER.snapshot(settings(streams=["orders"]), Session(token="t"), NOW, None) is None


def test_part_of_a_listed_order_may_have_traded():
    body = fixture("topone", "rest-orders.json").replace('"dealStock": "0"', '"dealStock": "4000"')
    _, items = snapshot(answer(body.encode()), streams=["orders"], markets=["TOP/ETH"])
    assert items[1]["fields"]["status"] == "partially_filled"
    assert "venue_status" not in items[1]["fields"]


def page(first: int, count: int, **more):
    return answer({"code": 0, "data": {"list": [{"id": first + i} for i in range(count)]} | more})


def test_pages_are_asked_for_until_one_isnt_full():
    asked, items = snapshot(page(0, 100), page(100, 3), streams=["orders"], markets=["A/B"])
    assert [request.query["page"] for request in asked] == ["1", "2"]
    assert len(items) == 105


def test_pages_are_asked_for_until_all_are_there():
    asked, _ = snapshot(page(0, 100, total=100), streams=["orders"], markets=["A/B"])
    assert len(asked) == 1


def test_pages_without_end_are_malformed():
    with pytest.raises(Malformed, match="more than 100 pages"):
        snapshot(*[page(0, 100)] * 100, streams=["orders"], markets=["A/B"])


@pytest.mark.parametrize(
    "data",
    [
        [{"asset": "ETH", "available": "1"}],
        {"records": [{"asset": "ETH", "available": "1"}]},
    ],
)
def test_the_list_is_found_where_it_may_be(data):
    _, items = snapshot(answer({"code": 0, "data": data}))
    assert items[1]["fields"] == {"id": "ETH", "asset": "ETH", "available": "1"}


def test_a_list_that_is_null_is_empty():
    _, items = snapshot(answer({"code": 0, "data": {"list": None}}))
    assert items == [{"snapshot begins": ["balance"]}, "snapshot ends"]


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (answer({"code": 0, "data": {"rows": []}}), Malformed, "an answer without its list"),
        (answer({"code": 0, "data": 7}), Malformed, "Expected `object`"),
        (answer({"code": 0}), Malformed, "an answer without data"),
        (answer(b"<html>"), Malformed, "JSON is malformed"),
        (answer({"code": 1005, "msg": "busy"}), SignInFailed, "balances: busy \\(code 1005\\)"),
        (answer({"code": 1}, 401), SignInRefused, "balances: HTTP 401"),
        (answer(b"", 500), SignInFailed, "balances: HTTP 500"),
    ],
)
def test_answers_that_make_no_snapshot(response, error, said):
    with pytest.raises(error, match=said):
        snapshot(response)
