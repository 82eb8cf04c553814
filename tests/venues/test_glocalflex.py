"""GLocalFlex: how it signs in, what it connects to, and what its messages mean."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from support.decoding import RECEIVED
from tocsin.venues.base import HttpRequest, HttpResponse, Keep, Session, SignInFailed, SignInRefused
from tocsin.venues.glocalflex.adapter import ADAPTER, GlocalflexSettings
from tocsin.venues.registry import adapter

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN_URL = "https://glocalflexmarket.com/auth/oauth/v2/token"
LOGIN = {"username": "anna", "password": "pw-secret-1"}
GRANT = {"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 300}


def settings(**options):
    return GlocalflexSettings(**{"type": "glocalflex"} | (options if "token" in options else LOGIN | options))


def answer(status=200, body=None, headers=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=headers or {}, body=content)


def sign_in(*answers, kept=None, **options):
    """The requests made and values kept, and the session, when the venue gives these answers."""
    steps, said, waiting = [], None, list(answers)
    signing_in = ADAPTER.sign_in(settings(**options), kept or {}, NOW)
    while True:
        try:
            step = signing_in.send(said)
        except StopIteration as done:
            assert not waiting, "not all answers were asked for"
            return steps, done.value
        steps.append(step)
        said = waiting.pop(0) if isinstance(step, HttpRequest) else None


def kept_after(*answers, **options):
    steps, _ = sign_in(*answers, **options)
    return next(step.values for step in steps if isinstance(step, Keep))


def test_it_is_registered():
    assert adapter("glocalflex") is ADAPTER


# ---------------------------------------------------------------------------------------------------- sign-in


def test_a_given_token_is_used_as_it_is_again_and_again():
    for _ in range(2):
        steps, session = sign_in(token="given-token")
        assert (steps, session.token, session.renew_at) == ([], "given-token", None)


def test_a_password_gets_a_token_and_the_refresh_token_is_kept():
    (request, keep), session = sign_in(answer(body=GRANT))
    assert request == HttpRequest(
        method="POST",
        url=TOKEN_URL,
        form={
            "grant_type": "password",
            "client_id": "glocalflexmarket_public_api",
            "username": "anna",
            "password": "pw-secret-1",
        },
    )
    assert keep.values["refresh_token"] == "rt-1"
    assert session == Session(token="at-1", renew_at=NOW + timedelta(seconds=240))


def test_a_kept_refresh_token_gets_a_token_without_the_password():
    kept = kept_after(answer(body=GRANT))
    again = {"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 300}
    (request, keep), session = sign_in(answer(body=again), kept=kept)
    assert request.form == {
        "grant_type": "refresh_token",
        "client_id": "glocalflexmarket_public_api",
        "refresh_token": "rt-1",
    }
    assert keep.values == {**kept, "refresh_token": "rt-2"}
    assert session.token == "at-2"


@pytest.mark.parametrize(
    "body", [{"access_token": "at-2"}, {"access_token": "at-2", "refresh_token": "rt-1"}]
)
def test_a_refresh_token_that_stays_the_same_is_not_kept_anew(body):
    steps, session = sign_in(answer(body=body), kept=kept_after(answer(body=GRANT)))
    assert len(steps) == 1
    assert session == Session(token="at-2", renew_at=NOW + timedelta(minutes=59))


@pytest.mark.parametrize(
    "refusal", [answer(400, {"error": "invalid_grant"}), answer(401, b""), answer(400, b"no json")]
)
def test_a_refresh_token_that_is_no_longer_good_leads_to_a_new_login(refusal):
    kept = kept_after(answer(body=GRANT))
    steps, session = sign_in(refusal, answer(body=GRANT), kept=kept)
    assert [step.form["grant_type"] for step in steps[:2]] == ["refresh_token", "password"]
    assert session.token == "at-1"


@pytest.mark.parametrize(
    "other",
    [{"username": "bert"}, {"client_id": "mine"}, {"url": "wss://test.glocalflexmarket.com/api/v1/ws"}],
)
def test_a_refresh_token_of_another_user_or_host_is_not_used(other):
    steps, _ = sign_in(answer(body=GRANT), kept=kept_after(answer(body=GRANT)), **other)
    assert steps[0].form["grant_type"] == "password"


def test_what_is_kept_names_no_user():
    assert "anna" not in json.dumps(kept_after(answer(body=GRANT)))


def test_a_login_without_a_refresh_token_keeps_nothing():
    steps, session = sign_in(answer(body={"access_token": "at-1", "expires_in": "300"}))
    assert len(steps) == 1
    assert session.renew_at == NOW + timedelta(seconds=240)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3540),
        (100, 50),
        (60, 30),
        (5, 10),
        (0, 10),
        (-7, 10),
        (10**30, 365 * 86400 - 60),
        (90.5, 45.25),
        *((odd, 3540) for odd in ("soon", None, True, [], "")),  # at most an hour
    ],
)
def test_a_token_is_renewed_a_minute_before_it_ends_but_never_in_a_hot_loop(expires_in, seconds):
    _, session = sign_in(answer(body=GRANT | {"expires_in": expires_in}))
    assert session.renew_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (answer(401, {"error": "invalid_grant", "error_description": "Bad\ncredentials"}), "Bad credentials"),
        (answer(400, {"error": "invalid_grant"}), "invalid_grant"),
        (answer(403, b""), "HTTP 403"),
        (answer(401, {"error_description": "x" * 5000}), "xxx"),
    ],
)
def test_a_refused_login_says_so_in_the_venue_s_words_with_a_remedy(response, words):
    with pytest.raises(SignInRefused) as caught:
        sign_in(response)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
    assert "username" in caught.value.remedy
    assert "pw-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "response",
    [
        answer(500, b"<html>oops</html>"),
        answer(503, {"error": "maintenance"}),
        answer(200, b"<html>hello</html>"),
        answer(200, {"refresh_token": "rt"}),
        answer(200, {"access_token": ""}),
        answer(200, {"access_token": 5}),
        answer(403, b"<html>Access denied</html>"),
        answer(401, b"", {"content-type": "text/html"}),
        answer(302, b""),
        answer(404, b""),
    ],
)
def test_an_odd_answer_is_a_failure_to_be_tried_again(response):
    with pytest.raises(SignInFailed):
        sign_in(response)


def test_too_many_requests_are_tried_again_when_the_venue_says():
    with pytest.raises(SignInFailed) as caught:
        sign_in(answer(429, b"", {"retry-after": "120"}))
    assert caught.value.retry_after == 120


@pytest.mark.parametrize("status", [500, 429])
def test_a_fault_while_renewing_keeps_the_refresh_token_and_does_not_send_the_password(status):
    with pytest.raises(SignInFailed):
        sign_in(answer(status, b""), kept=kept_after(answer(body=GRANT)))


def test_tokens_come_from_the_host_of_the_sockets_unless_said_otherwise():
    steps, _ = sign_in(answer(body=GRANT), url="wss://test.glocalflexmarket.com/api/v1/ws")
    assert steps[0].url == "https://test.glocalflexmarket.com/auth/oauth/v2/token"
    steps, _ = sign_in(answer(body=GRANT), url="ws://127.0.0.1:8001/ws")
    assert steps[0].url == "http://127.0.0.1:8001/auth/oauth/v2/token"
    steps, _ = sign_in(answer(body=GRANT), token_url="https://id.example/token")
    assert steps[0].url == "https://id.example/token"


# ---------------------------------------------------------------------------------------------------- sockets


def endpoints(**options):
    return ADAPTER.endpoints(settings(**options), Session(token="at-1"))


def test_the_default_is_the_trade_socket():
    (only,) = endpoints()
    assert (only.name, only.url) == ("trade", "wss://glocalflexmarket.com/api/v1/ws/trade")
    assert only.headers == {"Authorization": "Bearer at-1"}
    assert (only.opening, only.market_data, only.follow_redirect, only.origin) == ((), False, True, None)


def test_one_socket_a_stream_each_with_the_token():
    made = endpoints(
        streams=["orderbook", "trade", "ticker", "trade"],
        path_suffix="/",
        url="wss://flex.example/ws/",
        headers={"X-A": "1"},
        origin="",
    )
    assert [(one.name, one.url, one.market_data) for one in made] == [
        ("orderbook", "wss://flex.example/ws/orderbook/", True),
        ("trade", "wss://flex.example/ws/trade/", False),
        ("ticker", "wss://flex.example/ws/ticker/", True),
    ]
    assert all(one.headers == {"X-A": "1", "Authorization": "Bearer at-1"} for one in made)
    assert all(one.origin == "" for one in made)


def test_there_is_no_snapshot():
    assert ADAPTER.snapshot(settings(), Session(token="at-1"), NOW, None) is None


# --------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"username": None}, "give either token, or username and password"),
        ({"password": None}, "give either token, or username and password"),
        ({"token": "at-secret-1", "password": "pw-secret-1"}, "not both"),
        ({"streams": []}, "at least 1 item"),
        ({"streams": ["trades"]}, "'trade', 'ticker' or 'orderbook'"),
        ({"path_suffix": "x"}, "'' or '/'"),
        ({"url": "https://flex.example"}, "must be a URL such as wss://host/path"),
        ({"url": "wss://[::1"}, "not a URL"),
        ({"token_url": "wss://flex.example"}, "must be a URL such as https://host/path"),
        ({"token_url": "flex.example"}, "must be a URL such as https://host/path"),
    ],
)
def test_settings_that_are_refused(options, message):
    with pytest.raises(ValidationError) as caught:
        settings(**options)
    assert message in str(caught.value)
    assert "secret-1" not in str(caught.value)


def test_secrets_are_not_shown():
    shown = [repr(settings()), str(settings(token="at-secret-1")), settings().model_dump_json()]
    assert not any("secret-1" in text for text in shown)


def test_an_unencrypted_url_is_noticed():
    assert settings(url="ws://flex.example/ws", token_url="http://flex.example/t").plaintext_urls() == [
        "url",
        "token_url",
    ]


# --------------------------------------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "pending"),
        ("awaiting_baseline_data", "pending"),
        ("selected_for_baseline_activation", "pending"),
        ("accepted", "open"),
        ("matching_active", "open"),
        ("partial_filled", "partially_filled"),
        ("filled", "filled"),
        ("cancelled", "canceled"),
        ("expired", "expired"),
    ],
)
def test_every_documented_order_status(word, status):
    message = {"type": "order_status_update", "name": word, "data": {"id": "o1"}}
    (order,) = ADAPTER.decode(json.dumps(message), RECEIVED).items
    assert (order.state.status, order.state.venue_status) == (status, word)


@pytest.mark.parametrize(
    "word",
    [
        "verification_initiated",
        "verification_completed_success",
        "settlement_initiated",
        "settlement_completed_success",
        "settlement_completed_failure",
        "verification_Disputed",
    ],
)
@pytest.mark.parametrize("kind", ["order_status_update", "contract_status_update"])
def test_every_contract_status_is_kept_word_for_word(kind, word):
    message = {"type": kind, "name": word, "data": {"id": "c1"}}
    (contract,) = ADAPTER.decode(json.dumps(message), RECEIVED).items
    assert (contract.state.kind, contract.state.status) == ("contract", word)


def test_without_ids_the_same_order_is_known_again_however_its_price_is_spelled():
    def order_id(**data):
        message = {"type": "order_status_update", "name": "accepted", "data": data}
        (order,) = ADAPTER.decode(json.dumps(message), RECEIVED).items
        return order.state.id

    start, end = "2024-05-02T13:15:00.000Z", "2024-05-02T14:15:00.000Z"
    one = order_id(delivery_start=start, delivery_end=end, side="buy", price=0.5)
    assert one == order_id(delivery_start=start[:-1], delivery_end=end, side="BUY", price="0.50", power=7)
    assert one != order_id(delivery_start=start, delivery_end=end, side="sell", price=0.5)
    assert one != order_id(delivery_start=end, delivery_end=end, side="buy", price=0.5)
    assert one != order_id(delivery_start=start, delivery_end=start, side="buy", price=0.5)
    assert one != order_id(delivery_start=start, delivery_end=end, side="buy", price=0.51)
