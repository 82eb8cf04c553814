"""How numbers and times look on the page."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup

from tocsin.alerts.wording import Names, Style
from tocsin.page import words

NOW = datetime(2026, 7, 1, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("digits", "looks"),
    [
        (None, "–"),
        ("", "–"),
        ("0", "0"),
        ("1234", "1234"),
        ("-1234.50", "-1234.50"),
        ("12345", '<span class="g">12</span>345'),
        ("-6801234.2200", '-<span class="g">6</span><span class="g">801</span>234.2200'),
        ("1E+30", "1E+30"),
        ("-9.999999997489795e-05", "-0.0001"),
        ("1E-400", "1E-400"),
        ("<b>1</b>", "<b>1</b>"),
    ],
)
def test_digits_are_the_venues_own_and_only_markup_sets_them_apart(digits, looks):
    made = words.grouped(digits)
    assert str(made) == looks
    if digits:
        assert Markup(made).striptags() == digits or not isinstance(made, Markup)


def test_what_is_no_number_is_no_markup():
    assert not isinstance(words.grouped("<script>"), Markup)


@pytest.mark.parametrize(
    ("value", "sign", "tone"),
    [("5", "+5", "up"), ("-5", "-5", "down"), ("0.00", "0.00", ""), (None, "–", ""), ("n/a", "n/a", "")],
)
def test_a_sign_says_which_way(value, sign, tone):
    assert words.signed(value) == sign
    assert words.tone(value) == tone


@pytest.mark.parametrize(
    ("of", "whole", "says"),
    [
        (("p1", "BTCUSD", "a1"), False, "Bitcoin"),
        (("p1", "ETHUSD", "a1"), False, "ETHUSD"),
        (("a1", None, "a1"), False, "Main"),
        (("9020b4e5-1234", None, "a1"), False, "9020b4e5…"),
        (("Main, BTCUSD and more", None, "a1"), True, "Main, BTCUSD and more"),
        (("", None, None), False, ""),
    ],
)
def test_what_it_is_about_is_called_as_people_do(of, whole, says):
    style = Style(names=Names(accounts={"a1": "Main"}, symbols={"BTCUSD": "Bitcoin"}))
    assert words.subject(*of, style, whole=whole) == says


def test_times_are_those_of_people():
    filters = words.times(ZoneInfo("Europe/Prague"), NOW.astimezone(ZoneInfo("Europe/Prague")).date())
    today, before = filters["clock"](NOW), filters["clock"](NOW - timedelta(days=5))
    assert 'datetime="2026-07-01T15:00:00+00:00"' in today
    assert ">17:00:00<" in today
    assert ">26 Jun, 17:00<" in before
    assert ">4 min ago<" in filters["age"](NOW - timedelta(minutes=4, seconds=3), NOW)
    assert ">0 s ago<" in filters["age"](NOW + timedelta(milliseconds=300), NOW)
    assert "in 2 h" in filters["until"](NOW + timedelta(hours=2), NOW)
    assert filters["clock"](None) == "–"
