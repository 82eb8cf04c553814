import pytest

from tocsin.alerts.plain import flat, plain, shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BTC/USD", "BTC/USD"),
        ("two\r\nlines\tand\x00\x1b[31m", "two lines and [31m"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("sell\u202eyub\u2066x\u200e", "sellyubx"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("naïve 漢字 🔔 नि", "naïve 漢字 🔔 नि"),
        ("  padded  ", "padded"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_flat_is_one_line_of_what_can_be_seen(text, shown):
    assert flat(text) == shown


@pytest.mark.parametrize("text", ["@channel", "hi @here!", "(@everyone)", "@all, look"])
def test_no_mention_is_left(text):
    assert "@\u2060" in plain(text)
    assert plain(text).replace("\u2060", "") == text


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/x",
        "see HTTP://evil.example",
        "www.evil.example",
        "t.me/evil",
        "mailto:a@evil.example",
    ],
)
def test_no_link_is_left(text):
    assert "\u2060" in plain(text)
    assert plain(text).replace("\u2060", "") == text
    assert "evil.example" not in plain(text)
    assert "t.me/" not in plain(text)


@pytest.mark.parametrize(
    "text", ["me@example.org", "-0.49939999999990503", "EUR.USD", "9020b4e5", "a/b", "10:02:00"]
)
def test_what_is_harmless_stays_as_the_venue_wrote_it(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\nb\r\nc\u2028d", "a␤b␤c␤d"),
        ("a\tb\x00c\x7fd\re", "a␉b␀c␡d␍e"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert plain(text) == shown
    assert plain(plain(text)) == shown


def test_on_a_terminal_a_link_can_be_copied_and_nothing_is_obeyed():
    said = plain("wss://ws.nearby.example/v1: @here\x1b[31m")
    assert "\u2060" in said
    assert shown(said) == "wss://ws.nearby.example/v1: @here␛[31m"
    assert shown("see https://a.example/x\r\n\x07\u202eb") == "see https://a.example/x␤␇b"
