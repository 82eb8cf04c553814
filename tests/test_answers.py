"""When to come again, and whose answer it is: alike for venues that are asked and services that are sent to."""

import json
from datetime import UTC, datetime

import pytest

from tocsin.answers import is_page, retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "120"}, b"", 120),
        ({"retry-after": " 3 "}, b"", 3),
        ({"retry-after": "1.5"}, b"", 1.5),
        ({"retry-after": "0"}, b"", 0),
        ({"retry-after-ms": "250"}, b"", 0.25),
        ({"retry-after": "9" * 30}, b"", 86400),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, b"", 60),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, b"", 0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Thu, 01 Jan 2026 00:00:50 GMT"}, b"", 10),
        ({"retry-after": "soon"}, b"", None),
        ({"retry-after": "-5"}, b"", None),
        ({"retry-after": ""}, b"", None),
        ({}, b"", None),
        ({}, b"later", None),
        ({}, {"retry_after": 3}, 3),
        ({}, {"retry_after": "3"}, 3),
        ({}, {"retry_after_ms": 1500}, 1.5),
        ({}, {"retry_after_ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, {"retry_after": 7}, 7),
        ({"retry-after": "2"}, {"retry_after": 7}, 2),
        ({}, {"error": {"code": 429, "retry_after": "4"}}, 4),
        ({}, {"retry_after": -1}, None),
        ({}, {"retry_after": True}, None),
        ({}, {"retry_after": None}, None),
        ({}, b'{"retry_after": 1e999}', None),
        ({}, [3], None),
        ({"retry-after": "nan"}, b"", None),
        ({"retry-after": "nan"}, {"parameters": {"retry_after": 35}}, 35),
        ({"retry-after": "inf"}, {"retry_after": 4}, 4),
        ({"retry-after": "-3"}, {"retry_after": 4}, 4),
        ({"retry-after": "Thu, 01 Jan 2026 00:02:00 -0000"}, b"", 120),
        ({}, {"parameters": {"retry_after": 35}}, 35),
        ({}, {"parameters": {"retry_after_ms": "2500"}}, 2.5),
        ({}, {"retry_after": 0.3, "global": False}, 0.3),
        ({}, {"retry_after": "x"}, None),
        ({}, b'{"retry_after": NaN}', None),
        ({}, b'{"retry_after": ' + b"9" * 5000 + b"}", None),
        ({}, b"[" * 50_000, None),
    ],
)
def test_when_to_come_again(headers, body, seconds):
    said = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert retry_after(headers, said, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "content_type", "page"),
    [
        (b"<html><h1>502</h1></html>", "", True),
        (b"\r\n <!DOCTYPE html>", "", True),
        (b"\xef\xbb\xbf<!-- wifi --> <head>", "text/plain", True),
        (b"Sorry", "text/html; charset=UTF-8", True),
        (b"", "Text/HTML", True),
        (b' {"message": "no"}', "text/html", False),
        (b"ok", "", False),
        (b"<?xml version='1.0'?><PublishResponse/>", "text/xml", False),
        (b"", "", False),
    ],
)
def test_pages_for_people(body, content_type, page):
    assert is_page(body, content_type) == page
