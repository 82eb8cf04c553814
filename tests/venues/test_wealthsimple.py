"""Wealthsimple: tokens, tickets and the password's way in; what its messages mean."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from support.decoding import fixture
from support.signin import answer, drive, requests
from tocsin.events import iso
from tocsin.secrets import Secret
from tocsin.venues.base import HttpRequest, Keep, Session, SignInFailed, SignInRefused
from tocsin.venues.registry import adapter
from tocsin.venues.wealthsimple.adapter import ADAPTER, WealthsimpleSettings
from tocsin.venues.wealthsimple.auth import OneTimePassword, OneTimePasswordNeeded

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN_URL = "https://api.production.wealthsimple.com/v1/oauth/v2/token"
TICKET_URL = "https://trade-service.wealthsimple.com/websocket-ticket"
TICKET = answer(fixture("wealthsimple", "ticket.json").encode())
UNAUTHORIZED = answer({"message": "Not authorized"}, 401)
# As the venue's page on authentication has it.
REFUSED = {
    "error": "invalid_grant",
    "error_description": "The provided authorization grant is invalid, expired, revoked, does not match the redirection"
    " URI used in the authorization request, or was issued to another client.",
}


def settings(**options):
    return WealthsimpleSettings(type="wealthsimple", **options)


REFRESHING = {"refresh_token": "configured-refresh", "client_id": "client-1"}


def granted(number: int, expires_in: int = 3600):
    return answer(
        {
            "access_token": f"access-{number}",
            "token_type": "Bearer",
            "expires_in": expires_in,
            "refresh_token": f"refresh-{number}",
            "scope": "invest.read trade.read",
            "created_at": 1111111111,
        }
    )


def sign_in(*answers, kept=None, now=NOW, **options):
    """The requests made, what is kept in the end, and the session."""
    steps, session = drive(ADAPTER.sign_in(settings(**options), kept or {}, now), *answers)
    keeps = [step.values for step in steps if isinstance(step, Keep)]
    return requests(steps), (keeps[-1] if keeps else kept), session


def test_it_is_registered_and_polled():
    assert adapter("wealthsimple") is ADAPTER
    assert ADAPTER.polled
    assert settings().poll == timedelta(seconds=60)
    assert ADAPTER.snapshot(settings(), Session(), NOW, None) is None


# ------------------------------------------------------------------------------------------------ tickets and sockets


def test_a_configured_access_token_buys_a_ticket():
    (asked,), kept, session = sign_in(TICKET, access_token="access-0")
    assert (asked.method, asked.url, asked.content) == ("POST", TICKET_URL, b"")
    assert asked.headers == {
        "Authorization": "Bearer access-0",
        "x-ws-profile": "trade",
        "x-ws-api-version": "12",
    }
    assert session == Session(token="access-0", values={"ticket": "f8..55"})
    assert kept is None


def test_the_ticket_is_in_the_url_and_where_the_feed_masks_it():
    session = Session(token="a", values={"ticket": "f8/+=55"})
    (only,) = ADAPTER.endpoints(settings(), session)
    assert only.url == "wss://trade-service.wealthsimple.com/websocket?ticket=f8%2F%2B%3D55&version=2"
    assert only.opening == ()
    assert only.origin is None


def test_every_connection_takes_a_ticket_of_its_own_but_no_new_token():
    first, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    assert [request.url for request in first] == [TOKEN_URL, TICKET_URL]
    (second,), unchanged, session = sign_in(
        answer({"ticket": "another"}), kept=kept, now=NOW + timedelta(seconds=60), **REFRESHING
    )
    assert second.headers["Authorization"] == "Bearer access-1"
    assert session.values["ticket"] == "another"
    assert unchanged == kept


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (UNAUTHORIZED, SignInRefused, "ticket: HTTP 401: Not authorized"),
        (answer(b"", 403), SignInRefused, "ticket: HTTP 403"),
        (answer(b"<html>Error 1020</html>", 403), SignInFailed, "ticket: HTTP 403$"),
        (answer(b"<html>Error 1020</html>", 401), SignInFailed, "ticket: HTTP 401$"),
        (answer(b"", 500), SignInFailed, "ticket: HTTP 500"),
        (answer(b"nope", 404), SignInFailed, "ticket: HTTP 404: nope"),
        (answer({}), SignInFailed, "ticket: an answer without a ticket"),
        (answer({"ticket": 7}), SignInFailed, "ticket: an odd answer"),
    ],
)
def test_no_ticket(response, error, said):
    with pytest.raises(error, match="^" + said):
        sign_in(response, access_token="access-0")


def test_a_refused_ticket_names_the_remedy_and_retry_after_is_obeyed():
    with pytest.raises(SignInRefused) as refused:
        sign_in(UNAUTHORIZED, access_token="access-0")
    assert refused.value.remedy_for("broker") == "run: tocsin login broker"
    with pytest.raises(SignInFailed) as failed:
        sign_in(answer(b"", 429, retry_after="90"), access_token="access-0")
    assert failed.value.retry_after == 90.0


# ------------------------------------------------------------------------------------------------------------- tokens


def test_a_refresh_token_is_replaced_and_kept_before_anything_else():
    steps, session = drive(ADAPTER.sign_in(settings(**REFRESHING), {}, NOW), granted(1), TICKET)
    refresh, keep, ticket = steps
    assert (refresh.method, refresh.url) == ("POST", TOKEN_URL)
    assert refresh.json == {
        "grant_type": "refresh_token",
        "refresh_token": "configured-refresh",
        "client_id": "client-1",
    }
    expires_at = NOW + timedelta(hours=1)
    expected = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_at": iso(expires_at)}
    assert keep.values.items() > expected.items()
    assert "configured-refresh" not in str(keep)
    assert ticket.headers["Authorization"] == "Bearer access-1"
    # A minute early; and every secret is where the feed masks it.
    assert session.renew_at == expires_at - timedelta(seconds=60)
    assert session.token == "access-1"
    assert session.values == {"ticket": "f8..55", "refresh_token": "refresh-1"}


def test_the_kept_token_wins_over_the_configured_one_that_it_came_from():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    later = NOW + timedelta(hours=1)
    (refresh, _), kept, _ = sign_in(granted(2), TICKET, kept=kept, now=later, **REFRESHING)
    assert refresh.json["refresh_token"] == "refresh-1"
    (refresh, _), _, _ = sign_in(granted(3), TICKET, kept=kept, now=later + timedelta(hours=1), **REFRESHING)
    assert refresh.json["refresh_token"] == "refresh-2"


def test_another_configured_token_wins_over_the_kept_one():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    (refresh, _), kept, _ = sign_in(
        granted(5), TICKET, kept=kept, refresh_token="configured-anew", client_id="client-1"
    )
    assert refresh.json["refresh_token"] == "configured-anew"
    (only,), _, _ = sign_in(TICKET, kept=kept, refresh_token="configured-anew", client_id="client-1")
    assert only.headers["Authorization"] == "Bearer access-5"


def test_a_configured_access_token_wins_over_what_was_kept_before_it():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    (only,), _, _ = sign_in(TICKET, kept=kept, access_token="access-new")
    assert only.headers["Authorization"] == "Bearer access-new"


def test_a_kept_token_outlives_the_configured_one_and_remembers_where_it_came_from():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    later = NOW + timedelta(hours=1)
    (refresh, _), kept, _ = sign_in(granted(2), TICKET, kept=kept, now=later, client_id="client-1")
    assert refresh.json["refresh_token"] == "refresh-1"
    (only,), _, _ = sign_in(TICKET, kept=kept, now=later, **REFRESHING)
    assert only.headers["Authorization"] == "Bearer access-2"


@pytest.mark.parametrize(("seconds", "asked"), [(3539, 1), (3540, 2)])
def test_a_token_is_renewed_a_minute_before_it_expires(seconds, asked):
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    answers = [granted(2), TICKET][-asked:]
    made, _, _ = sign_in(*answers, kept=kept, now=NOW + timedelta(seconds=seconds), **REFRESHING)
    assert len(made) == asked


def test_a_401_on_the_ticket_renews_the_token_once():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    made, kept, session = sign_in(UNAUTHORIZED, granted(2), TICKET, kept=kept, **REFRESHING)
    assert [request.url for request in made] == [TICKET_URL, TOKEN_URL, TICKET_URL]
    assert session.token == kept["access_token"] == "access-2"
    with pytest.raises(SignInRefused, match="ticket: HTTP 401"):
        sign_in(UNAUTHORIZED, granted(3), UNAUTHORIZED, kept=kept, **REFRESHING)


def test_a_page_in_the_ticket_s_place_spends_no_token():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    with pytest.raises(SignInFailed, match="ticket: HTTP 401"):
        sign_in(answer(b"<html>Error 1020</html>", 401), kept=kept, **REFRESHING)


def test_a_401_on_a_fresh_token_is_final():
    with pytest.raises(SignInRefused, match="ticket: HTTP 401"):
        sign_in(granted(1), UNAUTHORIZED, **REFRESHING)


def test_without_the_kept_token_which_was_refused_at_the_door_there_is_a_new_one():
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    del kept["access_token"]  # as the feed does
    made, _, _ = sign_in(granted(2), TICKET, kept=kept, **REFRESHING)
    assert made[0].json["refresh_token"] == "refresh-1"


def test_an_answer_without_a_refresh_token_keeps_the_one_in_use():
    _, kept, _ = sign_in(answer({"access_token": "a", "expires_in": 3600}), TICKET, **REFRESHING)
    assert kept["refresh_token"] == "configured-refresh"


@pytest.mark.parametrize("expires_at", ["", "soon"])
def test_a_kept_token_of_unknown_age_is_renewed(expires_at):
    _, kept, _ = sign_in(granted(1), TICKET, **REFRESHING)
    made, _, _ = sign_in(granted(2), TICKET, kept={**kept, "expires_at": expires_at}, **REFRESHING)
    assert len(made) == 2


def test_without_any_token_the_command_to_run_is_named():
    with pytest.raises(SignInRefused, match="no usable token") as caught:
        sign_in()
    assert caught.value.remedy_for("broker") == "run: tocsin login broker"


def test_a_login_needs_the_client_id_too():
    kept = {"refresh_token": "r", "came_from": ""}
    with pytest.raises(SignInRefused, match="client_id is missing") as caught:
        sign_in(kept=kept)
    assert "client_id" in caught.value.remedy


@pytest.mark.parametrize("status", [400, 401])
def test_a_dead_refresh_token_is_told_with_the_venues_words_and_the_command(status):
    with pytest.raises(SignInRefused) as caught:
        sign_in(answer(REFUSED, status), **REFRESHING)
    said = str(caught.value)
    assert said.startswith(f"refresh: HTTP {status}: invalid_grant: The provided authorization grant")
    assert len(said) < 250
    assert caught.value.remedy_for("broker") == "run: tocsin login broker"
    assert "configured-refresh" not in said


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (answer(b"", 502, retry_after="5"), "refresh: HTTP 502"),
        (answer({"error": "temporarily_unavailable"}, 400), "refresh: HTTP 400: temporarily_unavailable"),
        (answer(b"<html>hello</html>"), "refresh: an odd answer"),
        (answer({"expires_in": 3600}), "refresh: an answer without access_token"),
    ],
)
def test_a_refresh_that_fails_is_tried_again(response, said):
    with pytest.raises(SignInFailed, match="^" + said):
        sign_in(response, **REFRESHING)


def test_a_life_beyond_all_times_is_cut():
    _, kept, _ = sign_in(granted(1, expires_in=10**30), TICKET, **REFRESHING)
    assert kept["expires_at"] == iso(NOW + timedelta(days=365))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"access_token": "a", "refresh_token": "r", "client_id": "c"},
            "either access_token or refresh_token",
        ),
        ({"refresh_token": "r-secret"}, "refresh_token needs the client_id"),
        ({"poll": "0s"}, "longer than nothing"),
    ],
)
def test_wrong_options_are_told(options, said):
    with pytest.raises(ValidationError, match=said) as caught:
        settings(**options)
    assert "r-secret" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------- by hand

OTP = {
    "x_wealthsimple_otp_required": "true",
    "x_wealthsimple_otp": "required; method=app",
    "x_wealthsimple_otp_authenticated_claim": "jwt.claim.1",
}


def log_in(*answers, one_time=None, **options):
    steps = ADAPTER.log_in(
        settings(client_id="client-1", **options), "me@x.example", Secret("hunter2"), NOW, one_time
    )
    return drive(steps, *answers)


def test_a_password_gives_tokens_that_are_kept():
    (asked, keep), session = log_in(granted(1))
    assert (asked.method, asked.url, asked.headers) == ("POST", TOKEN_URL, {})
    assert asked.json == {
        "grant_type": "password",
        "username": "me@x.example",
        "password": "hunter2",
        "skip_provision": True,
        "scope": "invest.read trade.read",
        "client_id": "client-1",
    }
    assert keep.values["refresh_token"] == "refresh-1"
    assert "hunter2" not in str(keep)
    assert session.values == {"refresh_token": "refresh-1"}


def test_a_login_is_what_the_daemon_then_uses():
    (_, keep), _ = log_in(granted(1))
    (only,), _, _ = sign_in(TICKET, kept=keep.values, client_id="client-1")
    assert only.headers["Authorization"] == "Bearer access-1"


def test_a_login_wins_over_what_was_configured_when_it_was_made():
    (_, keep), _ = log_in(granted(1), refresh_token="configured-refresh")
    (only,), _, _ = sign_in(TICKET, kept=keep.values, **REFRESHING)
    assert only.headers["Authorization"] == "Bearer access-1"


@pytest.mark.parametrize("status", [400, 401])
def test_a_one_time_password_is_asked_for_and_sent_with_its_claim(status):
    with pytest.raises(OneTimePasswordNeeded) as needed:
        log_in(answer(REFUSED, status, **OTP))
    assert needed.value.method == "app"
    assert "jwt.claim.1" not in repr(needed.value)
    assert str(needed.value) == "a one-time password is needed"

    one_time = OneTimePassword(Secret(" 123456 "), needed.value.claim)
    (asked, _), _ = log_in(granted(1), one_time=one_time)
    assert asked.headers == {
        "x-wealthsimple-otp": "123456;remember=true",
        "x-wealthsimple-otp-authenticated-claim": "jwt.claim.1",
    }
    assert asked.json["grant_type"] == "password"


def test_a_wrong_one_time_password_is_asked_for_again():
    with pytest.raises(OneTimePasswordNeeded, match="was not accepted") as needed:
        log_in(answer(REFUSED, 401, **OTP), one_time=OneTimePassword(Secret("1"), Secret("jwt.claim.0")))
    assert needed.value.claim == Secret("jwt.claim.1")


def test_without_the_headers_it_is_a_wrong_password():
    with pytest.raises(SignInRefused, match="login: HTTP 401: invalid_grant") as caught:
        log_in(answer(REFUSED, 401))
    assert not isinstance(caught.value, OneTimePasswordNeeded)
    assert "password" in caught.value.remedy


@pytest.mark.parametrize("code", ["12;34", "1\r\nx: y", "", "١٢٣"])
def test_a_one_time_password_can_bring_nothing_else_into_the_headers(code):
    with pytest.raises(SignInRefused, match="no one-time password"):
        log_in(one_time=OneTimePassword(Secret(code), Secret("c")))


def test_a_login_without_client_id_is_told():
    with pytest.raises(SignInRefused, match="client_id is missing"):
        drive(ADAPTER.log_in(settings(), "me", Secret("hunter2"), NOW))


def test_secrets_are_not_shown_by_what_holds_them():
    shown = repr(settings(**REFRESHING)) + repr(settings(**REFRESHING).credentials)
    assert "configured-refresh" not in shown
    assert "client-1" not in shown
    assert isinstance(next(ADAPTER.sign_in(settings(**REFRESHING), {}, NOW)), HttpRequest)
