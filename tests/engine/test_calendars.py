"""Calendars: windows, days, closed days, and the two nights a year on which the clock is set."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.calendars import parse_calendar
from tocsin.calendars import Since

BERLIN = "Europe/Berlin"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


OPEN = [
    # zone, windows, closed, moment (UTC), open?
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-01-05T07:59:59", False),
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-01-05T08:00:00", True),
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-01-05T16:29:59", True),
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-01-05T16:30:00", False),
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-01-10T10:00:00", False),  # a Saturday
    (BERLIN, ["mon-fri 09:00-17:30"], ["2026-12-25"], "2026-12-25T10:00:00", False),
    (BERLIN, ["mon-fri 09:00-17:30"], [], "2026-07-06T07:00:00", True),  # summer: an hour earlier in UTC
    (BERLIN, ["22:00-07:00"], [], "2026-01-05T21:30:00", True),
    (BERLIN, ["22:00-07:00"], [], "2026-01-05T05:59:00", True),
    (BERLIN, ["22:00-07:00"], [], "2026-01-05T06:00:00", False),
    (BERLIN, ["fri 22:00-07:00"], [], "2026-01-10T04:00:00", True),  # Saturday's morning is Friday's window
    (BERLIN, ["fri 22:00-07:00"], [], "2026-01-09T04:00:00", False),
    (BERLIN, ["fri-mon 00:00-24:00"], [], "2026-01-11T12:00:00", True),  # over the week's end
    (BERLIN, ["fri-mon 00:00-24:00"], [], "2026-01-13T12:00:00", False),
    ("UTC", ["sat,sun 10:00-12:00", "mon 08:00-09:00"], [], "2026-01-12T08:30:00", True),
]


@pytest.mark.parametrize(("tz", "windows", "closed", "moment", "is_open"), OPEN)
def test_open(tz, windows, closed, moment, is_open):
    assert parse_calendar(tz, windows, closed).is_open(utc(moment)) is is_open


CHANGES = [
    # 2026-03-29 02:00 CET -> 03:00 CEST; 2026-10-25 03:00 CEST -> 02:00 CET
    ("a usual morning", ["09:00-17:00"], "2026-03-28T03:00:00", "2026-03-28T08:00:00"),
    ("the morning after the spring change", ["09:00-17:00"], "2026-03-28T20:00:00", "2026-03-29T07:00:00"),
    ("the morning after the autumn change", ["09:00-17:00"], "2026-10-24T20:00:00", "2026-10-25T08:00:00"),
    ("opens in the hour that is skipped", ["02:30-05:00"], "2026-03-28T20:00:00", "2026-03-29T01:00:00"),
    ("closes in the hour that is skipped", ["01:00-02:30"], "2026-03-29T00:30:00", "2026-03-29T01:00:00"),
    ("opens in the hour that comes twice", ["02:30-05:00"], "2026-10-24T20:00:00", "2026-10-25T00:30:00"),
    ("and closes when it comes again", ["02:30-05:00"], "2026-10-25T00:30:00", "2026-10-25T01:00:00"),
    ("and opens again", ["02:30-05:00"], "2026-10-25T01:00:00", "2026-10-25T01:30:00"),
]


@pytest.mark.parametrize(("what", "windows", "at", "changes"), CHANGES)
def test_next_change(what, windows, at, changes):
    assert parse_calendar(BERLIN, windows).next_change(utc(at)) == utc(changes), what


def test_always_open_never_changes():
    assert parse_calendar("UTC", ["00:00-24:00"]).next_change(utc("2026-01-01T00:00:00")) is None


@given(
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from([["mon-fri 09:00-17:30"], ["22:00-07:00"], ["sun 01:30-03:30"], ["00:00-24:00"]]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001  made aware below
)
def test_nothing_changes_before_the_next_change(tz, windows, naive):
    calendar, at = parse_calendar(tz, windows), naive.replace(tzinfo=UTC)
    change = calendar.next_change(at)
    until = min(change or at + timedelta(days=3), at + timedelta(days=3))
    state = calendar.is_open(at)
    minutes = int((until - at).total_seconds() // 60)
    assert all(calendar.is_open(at + timedelta(minutes=m)) is state for m in range(0, minutes, 7))
    if change is not None:
        assert calendar.is_open(change) is not state


@pytest.mark.parametrize(
    ("tz", "window"),
    [
        ("Mars/Olympus", "09:00-10:00"),
        ("UTC", "9-10"),
        ("UTC", "mon 10:00-10:00"),
        ("UTC", "25:00-26:00"),
        ("UTC", "xyz 09:00-10:00"),
    ],
)
def test_nonsense_is_refused(tz, window):
    with pytest.raises(ValueError, match=r"write it|never|hours|such day"):
        parse_calendar(tz, [window])


class TestSince:
    """`since("00:00")`: the beginning in whose window a moment lies, and the one after it."""

    @pytest.mark.parametrize(
        ("text", "tz", "at", "latest", "following"),
        [
            ("00:00", "UTC", "2026-01-02T00:00:00", "2026-01-02T00:00:00", "2026-01-03T00:00:00"),
            ("00:00", "UTC", "2026-01-01T23:59:59", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
            ("00:00", "Europe/Prague", "2026-01-01T22:59:59", "2025-12-31T23:00:00", "2026-01-01T23:00:00"),
            ("mon 09:00", "UTC", "2026-01-05T08:59:59", "2025-12-29T09:00:00", "2026-01-05T09:00:00"),
            # 02:30 is skipped on that day in Berlin: the first moment after the hole, 03:00 there.
            ("02:30", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-29T01:00:00", "2026-03-30T00:30:00"),
            # And comes twice on that one: the first.
            ("02:30", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
            # Midnight is skipped in Santiago; Samoa had no 30 December 2011.
            (
                "00:00",
                "America/Santiago",
                "2026-09-06T12:00:00",
                "2026-09-06T04:00:00",
                "2026-09-07T03:00:00",
            ),
            ("12:00", "Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00", "2011-12-30T22:00:00"),
        ],
    )
    def test_begins(self, text, tz, at, latest, following):
        since, at = Since.parse(text, tz), datetime.fromisoformat(at).replace(tzinfo=UTC)
        assert since.latest(at).replace(tzinfo=None).isoformat() == latest
        assert since.following(at).replace(tzinfo=None).isoformat() == following

    @pytest.mark.parametrize(
        "text", ["", "24:00", "0:00", "9", "moo 09:00", "mon", "mon-fri 09:00", "00:00:00"]
    )
    def test_anything_else_is_refused(self, text):
        with pytest.raises(ValueError, match="not a time of day; write it like 00:00, or mon 09:00"):
            Since.parse(text, "UTC")
