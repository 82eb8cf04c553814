"""A refresh token is good once: whatever else of an answer is odd, the new one in it is kept.

Seen in meltano/sdk 295, sergiodxa/remix-auth-oauth2 PR 116 and oomol-lab/open-connector PR 266: answers without expires_in.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.signin import answer
from tocsin.venues.base import HttpRequest, Keep, SignInFailed, SignInRefused
from tocsin.venues.glocalflex.adapter import ADAPTER as GLOCALFLEX
from tocsin.venues.glocalflex.adapter import GlocalflexSettings
from tocsin.venues.wealthsimple.adapter import ADAPTER as WEALTHSIMPLE
from tocsin.venues.wealthsimple.adapter import WealthsimpleSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GRANT = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 3600, "token_type": "Bearer"}


def wealthsimple(kept):
    settings = WealthsimpleSettings(type="wealthsimple", client_id="client-1", refresh_token="configured-0")
    return WEALTHSIMPLE.sign_in(settings, kept, NOW)


def glocalflex(kept):
    settings = GlocalflexSettings(type="glocalflex", username="anna", password="pw-secret")
    return GLOCALFLEX.sign_in(settings, kept, NOW)


VENUES = [wealthsimple, glocalflex]


def run(steps, *answers):
    """What was asked and kept, in order, and the session or the error that it came to."""
    taken, left, said = [], list(answers), None
    try:
        while True:
            step = steps.send(said)
            taken.append(step)
            said = left.pop(0) if isinstance(step, HttpRequest) else None
    except StopIteration as done:
        return taken, done.value
    except (SignInFailed, SignInRefused, IndexError) as error:
        return taken, error


def kept_by(venue):
    """What the venue's first sign-in leaves: a refresh token that is spent by the next."""
    taken, _ = run(venue({}), answer({**GRANT, "refresh_token": "refresh-1"}), answer({"ticket": "t"}))
    return [step.values for step in taken if isinstance(step, Keep)][-1] | {"access_token": ""}


def without(*names):
    return {name: value for name, value in GRANT.items() if name not in names}


ODD = {
    "no expires_in": answer(without("expires_in")),
    "expires_in null": answer({**GRANT, "expires_in": None}),
    "expires_in in words": answer({**GRANT, "expires_in": "an hour"}),
    "expires_in a list": answer({**GRANT, "expires_in": [3600]}),
    "expires_in beyond all numbers": answer(json.dumps(GRANT).replace("3600", "1e9999").encode()),
    "expires_in NaN": answer(json.dumps(GRANT).replace("3600", "NaN").encode()),
    "no access_token": answer(without("access_token")),
    "access_token a number": answer({**GRANT, "access_token": 7}),
    "a server error": answer(GRANT, 500),
    "cut off": answer(json.dumps({"refresh_token": "refresh-2", "scope": "read"}).encode()[:-8]),
    "a byte order mark": answer(b"\xef\xbb\xbf" + json.dumps(GRANT).encode()),
}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_new_refresh_token_is_kept_and_used_next(venue, odd):
    taken, _ = run(venue(kept_by(venue)), odd)
    assert taken[0].spends
    kept = [step.values for step in taken if isinstance(step, Keep)][-1]
    assert kept["refresh_token"] == "refresh-2"
    (again, *_), _ = run(venue(kept | {"access_token": ""}))
    assert (again.json or again.form)["refresh_token"] == "refresh-2"


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("expires_in", [None, "soon", [], True])
def test_a_token_of_unknown_life_is_used_for_an_hour(venue, expires_in):
    _, session = run(
        venue(kept_by(venue)), answer({**GRANT, "expires_in": expires_in}), answer({"ticket": "t"})
    )
    assert session.token == "access-2"
    assert session.renew_at == NOW + timedelta(minutes=59)


@pytest.mark.parametrize("venue", VENUES)
def test_an_answer_that_replaces_nothing_keeps_what_there_is(venue):
    before = kept_by(venue)
    taken, _ = run(venue(before), answer({"error": "temporarily_unavailable"}, 503))
    assert not [step for step in taken if isinstance(step, Keep)]
