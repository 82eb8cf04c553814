"""What an HTTP answer means for a sign-in: refused only where the service itself says so; and when to ask again.

Seen in seansullivan44/Wealthsimple-Trade-Python 14 (a CDN's 403), MarkGalloway/wealthsimple-trade 14, SparkPost/2web2ui
PR 412 and opencloud-eu/desktop 1031 (logged out by maintenance).
"""

from datetime import UTC, datetime

import pytest

from support.signin import answer
from tocsin.venues import web
from tocsin.venues.base import SignInFailed, SignInRefused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = b"<html><head><title>Access denied</title></head><body>Error 1020 Ray ID: 62e0d849</body></html>"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("response", "judgement"),
    [
        ({"body": {"error": "invalid_token"}}, "refused"),
        ({"body": {"message": "Not authorized"}, "content_type": "application/json"}, "refused"),
        ({"body": {"message": "no"}, "content_type": "text/html"}, "refused"),
        ({"body": b""}, "refused"),
        ({"body": PAGE}, "failed"),
        ({"body": b"\r\n  " + PAGE, "content_type": "text/plain"}, "failed"),
        ({"body": b"", "content_type": "text/html; charset=UTF-8"}, "failed"),
        ({"body": {"message": "slow down"}, "retry_after": "30"}, "failed"),
        ({"body": {"message": "slow down", "retry_after_ms": 1500}}, "failed"),
    ],
)
def test_only_the_service_itself_refuses(status, response, judgement):
    parts = dict(response)
    said = answer(parts.pop("body"), status, **parts)
    assert web.classify(said) == judgement
    error = SignInRefused if judgement == "refused" else SignInFailed
    assert isinstance(web.fault("token", said, "run: tocsin login {venue}"), error)


def test_a_text_for_people_with_403_is_what_stands_before_the_service():
    assert web.classify(answer(b"error code: 1020", 403)) == "failed"
    assert web.classify(answer(b"bad token", 401)) == "refused"


@pytest.mark.parametrize(
    "body", [b"<!-- 1020 -->" + PAGE, b"\xef\xbb\xbf" + PAGE, b"<?xml version='1.0'?><Error/>"]
)
def test_whatever_a_page_begins_with_it_is_one(body):
    assert web.classify(answer(body, 401)) == "failed"


def test_a_venue_is_asked_again_when_it_says_so():
    assert web.retry_after(answer(b"", 429, retry_after="Thu, 01 Jan 2026 00:01:00 GMT"), NOW) == 60
    assert web.retry_after(answer({"parameters": {"retry_after": 35}}, 429, retry_after="nan"), NOW) == 35
