import pytest

from tocsin.delivery.answers import retry_after, said
from tocsin.events.instant import from_iso


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("17", b"", 17.0),
        ("1.5", b"", 1.5),
        ("-3", b"", 0.0),
        ("nan", b"", None),
        ("99999999999", b"", 86400.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", b"", 120.0),
        ("soon", b"", None),
        (None, b'{"parameters": {"retry_after": 35}}', 35.0),
        (None, b'{"retry_after": 0.3}', 0.3),
        (None, b'{"retry_after": "x"}', None),
        (None, b"[1]", None),
        (None, b"not json", None),
        (None, b"[" * 50_000, None),
    ],
)
def test_when_to_come_again(header, body, seconds):
    assert retry_after(header, body, from_iso("2026-01-01T00:00:00Z")) == seconds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"ok": false, "description": "chat not found"}', "chat not found"),
        (b'{"error": {"message": "bad token", "code": 1}}', "bad token"),
        (b'{"errors": ["a", "b"]}', '["a", "b"]'),
        (b'{"odd": 1}', '{"odd": 1}'),
        (b"<html><h1>502</h1>\r\nnginx</html>", "502 nginx"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 5000, "x" * 199 + "…"),
        (b"[" * 50_000, "[" * 199 + "…"),
        (b"", ""),
    ],
)
def test_a_service_s_words(body, words):
    assert said(body) == words
