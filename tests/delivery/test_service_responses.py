import pytest

from tocsin.delivery.service_responses import said


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
