"""When a report is due: by the wall-clock of its zone, once for each time, however the clock is set and the daemon was away."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tocsin.calendars import Schedule
from tocsin.reports.model import Progress, Report, begun, due, next_due, since

PRAGUE = "Europe/Prague"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def report(*at, tz=PRAGUE):
    return Report(id="evening", schedule=Schedule.parse(at, tz), tz=ZoneInfo(tz), notify=("mail",))


# 2026-03-29 02:00 CET -> 03:00 CEST; 2026-10-25 03:00 CEST -> 02:00 CET. 2026-01-02 is a Friday.
FOLLOWING = {
    "a usual day": (["18:00"], "2026-01-02T16:59:59", ["2026-01-02T17:00", "2026-01-03T17:00"]),
    "days": (["mon-fri 18:00"], "2026-01-02T16:00", ["2026-01-02T17:00", "2026-01-05T17:00", "2026-01-06T17:00"]),
    "days over the week's end": (["sat-mon 18:00"], "2026-01-02T16:00", ["2026-01-03T17:00", "2026-01-04T17:00", "2026-01-05T17:00", "2026-01-10T17:00"]),
    "several": (["09:00", "fri 18:00"], "2026-01-02T07:00", ["2026-01-02T08:00", "2026-01-02T17:00", "2026-01-03T08:00"]),
    "the same twice": (["18:00", "mon-sun 18:00"], "2026-01-02T07:00", ["2026-01-02T17:00", "2026-01-03T17:00"]),
    "in summer an hour earlier": (["18:00"], "2026-03-28T07:00", ["2026-03-28T17:00", "2026-03-29T16:00"]),
    "a time that doesn't exist": (["02:30"], "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
    "a time that exists twice": (["02:30"], "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    "a zone that skips a day": (["12:00"], "2011-12-29T12:00", ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"]),
}  # fmt: skip


@pytest.mark.parametrize(("at", "now", "times"), FOLLOWING.values(), ids=FOLLOWING)
def test_each_time_comes_once(at, now, times):
    schedule = Schedule.parse(at, "Pacific/Apia" if "2011" in now else PRAGUE)
    found, now = [], utc(now)
    for _ in times:
        found.append(now := schedule.following(now))
        assert schedule.latest(now) == now
    assert found == [utc(time) for time in times]


@pytest.mark.parametrize("text", ["", "18", "24:00", "18:60", "mon-fri", "mon-fre 18:00", "18:00 mon", "mon 18:00-19:00", "Mon 18:00", " 18:00"])  # fmt: skip
def test_what_is_no_time_of_day(text):
    with pytest.raises(ValueError, match=r"write it like 18:00, mon-fri 18:00|no such day"):
        Schedule.parse([text], PRAGUE)


TOLD = "2026-01-02T17:00:00.2"
DUE = {
    # what was seen, now, what is due, what comes next
    "nothing before its time": (TOLD, "2026-01-05T16:59:59", None, "2026-01-05T17:00"),
    "at its time": (TOLD, "2026-01-05T17:00:00", "2026-01-05T17:00", "2026-01-06T17:00"),
    "once": ("2026-01-05T17:00:00", "2026-01-05T17:00:01", None, "2026-01-06T17:00"),
    "missed by hours": (TOLD, "2026-01-05T22:10", "2026-01-05T17:00", "2026-01-06T17:00"),
    "missed over days: the last": (TOLD, "2026-01-08T09:00", "2026-01-07T17:00", "2026-01-08T17:00"),
    "a clock that is set back over it": (TOLD, "2026-01-02T16:50", None, "2026-01-05T17:00"),
}


@pytest.mark.parametrize(("seen", "now", "is_due", "following"), DUE.values(), ids=DUE)
def test_what_is_due(seen, now, is_due, following):
    evening = report("mon-fri 18:00")
    progress = Progress(seen=utc(seen), schedule=str(evening.schedule), told=utc(seen))
    now = utc(now)
    assert due(evening, progress, now) == (is_due and utc(is_due))
    assert next_due(evening, progress, now) == utc(following)


def test_one_that_is_new_or_has_other_times_missed_nothing():
    now = utc("2026-01-05T20:00")
    before, after = report("mon-fri 18:00"), report("mon-fri 19:00")
    first = begun(before, None, now)
    assert due(before, first, now) is None
    assert begun(before, first, now + timedelta(days=2)) == first  # it goes on after a restart
    kept = Progress(seen=utc(TOLD), schedule=str(before.schedule), told=utc(TOLD))
    assert begun(after, kept, now) == Progress(seen=now, schedule=str(after.schedule), told=utc(TOLD))
    assert str(report("fri,mon 18:00").schedule) == str(report("mon 18:00", "fri 18:00").schedule)


@pytest.mark.parametrize(
    ("told", "at", "begins"),
    [
        (None, "2026-01-05T17:00", "2026-01-02T17:00"),  # on Monday also what happened at the week's end
        (None, "2026-01-05T22:00", "2026-01-02T17:00"),
        ("2026-01-05T22:00", "2026-01-06T17:00", "2026-01-05T22:00"),  # since the late one
        ("2025-12-01T17:00", "2026-01-05T17:00", "2025-12-01T17:00"),  # away for a month
        ("2027-01-01T17:00", "2026-01-05T17:00", "2026-01-02T17:00"),  # by a clock that was wrong
    ],
)
def test_it_tells_what_happened_since_the_last_one(told, at, begins):
    evening = report("mon-fri 18:00")
    progress = Progress(seen=utc(TOLD), schedule=str(evening.schedule), told=told and utc(told))
    assert since(evening, progress, utc(at)) == utc(begins)
