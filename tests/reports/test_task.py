"""The task that tells reports: at their time, once, and what was missed at the next start, marked late."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import trio

from support.daemon_parts import Lines
from support.outboxes import START, TrioClock
from tocsin.alerts.wording import Style
from tocsin.calendars import Schedule
from tocsin.delivery.templates import in_place
from tocsin.reports import task
from tocsin.reports.facts import Facts
from tocsin.reports.model import Report
from tocsin.reports.task import Recipient, ReportsTask
from tocsin.store.errors import StoreUnavailable

HOUR, DAY = 3600.0, 86400.0
assert datetime(2026, 1, 1, 10, tzinfo=UTC) == START or START.tzinfo is UTC


def evening(at="18:00", **more):
    return Report(**{"id": "evening", "schedule": Schedule.parse([at], "UTC"), "tz": ZoneInfo("UTC"), "notify": ("mail",), **more})  # fmt: skip


class World:
    """What the task works with, kept when the daemon begins anew: its notes are what was committed."""

    def __init__(self, *reports):
        self.reports = reports or (evening(),)
        self.clock, self.log = TrioClock(), Lines()
        self.clock.wall_jump = -timedelta(seconds=trio.current_time())
        self.notes, self.told, self.spans = {}, [], []
        self.unavailable = 0
        self.settled = True
        self.begin()

    def begin(self):
        """A start of the daemon."""
        self.task = ReportsTask(
            reports=lambda: self.reports, recipients=self.recipients, notes=dict(self.notes), reader=None,
            make=in_place, commit=self.commit, settled=lambda: self.settled, clock=self.clock, log=self.log,
        )  # fmt: skip

    def recipients(self, report):
        for name in report.notify:
            yield Recipient(channel=name, target=0, style=Style(), expire=timedelta(hours=24))

    async def commit(self, command):
        batch = command()
        for key, value in batch.notes.items():
            if value is None:
                self.notes.pop(key)
            else:
                self.notes[key] = value
        for delivery in batch.deliveries:
            at = self.clock.now().wall
            self.told.append((f"{at:%d %H:%M}", delivery.channel, delivery.context["words"]))
        await trio.lowlevel.checkpoint()

    def gather(self, _reader, report, since, at, _kinds):
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable("the disk hangs")
        self.spans.append(f"{since:%d %H:%M} {at:%d %H:%M}")
        return Facts(report=report.id, since=since, at=at, today=at, message="text")

    async def run(self, until):
        """Up to that time by the wall-clock."""
        with trio.move_on_after((at(until) - self.clock.now().wall).total_seconds()):
            await self.task.run()

    async def away(self, until):
        """The daemon doesn't run up to then."""
        await trio.sleep((at(until) - self.clock.now().wall).total_seconds())
        self.begin()


def at(text):
    day, time = text.split()
    return datetime.fromisoformat(f"{START:%Y-%m}-{day}T{time}").replace(tzinfo=UTC)


@pytest.fixture
async def world(monkeypatch, autojump_clock):
    """Begins on the first of the month; the database is asked here and now: in a thread the clock would jump."""
    made = World()

    async def run_sync(call, *, abandon_on_cancel, limiter):
        return call()

    monkeypatch.setattr(task.trio, "to_thread", SimpleNamespace(run_sync=run_sync))
    monkeypatch.setattr(task, "gather", made.gather)
    monkeypatch.setattr(task, "_LONGEST_SLEEP", 40.0)  # of days
    return made


def times(world):
    return [when for when, _, _ in world.told]


async def test_each_day_at_its_time_of_what_happened_since(autojump_clock, world):
    await world.run("03 20:00")
    assert times(world) == ["01 18:00", "02 18:00", "03 18:00"]
    assert world.spans[1:] == ["01 18:00 02 18:00", "02 18:00 03 18:00"]
    assert world.told[0] == ("01 18:00", "mail", "evening: nothing happened since 18:00, nothing open".replace("since 18:00", "since Wed 18:00"))  # fmt: skip


async def test_what_was_missed_is_told_once_at_the_start_and_says_so(autojump_clock, world):
    await world.run("01 19:00")
    await world.away("04 20:15")
    await world.run("04 21:00")
    assert times(world) == ["01 18:00", "04 20:15"]
    assert world.told[1][2].startswith("late 2 h 15 min: evening: ")
    assert world.spans[1] == "01 18:00 04 20:15"
    await world.away("04 21:30")
    await world.run("05 19:00")
    assert times(world) == ["01 18:00", "04 20:15", "05 18:00"]
    assert world.spans[2] == "04 20:15 05 18:00"


async def test_a_moment_of_rest_over_the_time_of_the_first_one_loses_nothing(autojump_clock, world):
    await world.run("01 17:59")
    await world.away("01 18:00")
    await world.run("01 18:01")
    assert times(world) == ["01 18:00"]


async def test_a_start_waits_for_venues_that_connect_and_no_longer_than_half_a_minute(autojump_clock, world):
    await world.run("01 17:50")
    await world.away("01 18:10")
    world.settled = False
    await world.run("01 18:15")
    assert times(world) == ["01 18:10"]
    assert "late 10 min" in world.told[0][2]


@pytest.mark.parametrize(
    ("step", "hours", "told"),
    [
        (-600, 1, ["01 18:00"]),  # back over it: not again
        (-600, 25, ["01 18:00", "02 18:00"]),
        (DAY + 2 * HOUR, 1, ["01 18:00", "02 20:05"]),  # over the next one: at once
    ],
)
async def test_the_clock_is_set_while_it_waits(autojump_clock, world, step, hours, told):
    with trio.move_on_after((at("01 18:05") - world.clock.now().wall).total_seconds() + hours * HOUR):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.task.run)
            await trio.sleep((at("01 18:05") - world.clock.now().wall).total_seconds())
            world.clock.wall_jump += timedelta(seconds=step)
            await trio.sleep_forever()
    assert times(world) == told


async def test_a_clock_that_was_far_ahead_keeps_none_back(autojump_clock, world):
    world.clock.wall_jump += timedelta(days=20)
    await world.run("22 12:00")
    assert times(world) == ["21 18:00"]
    world.clock.wall_jump -= timedelta(days=20)
    world.begin()
    await world.run("03 19:00")
    assert times(world)[1:] == [f"{day:02} 18:00" for day in range(int(times(world)[1][:2]), 4)] != []


async def test_the_database_is_asked_until_it_answers(autojump_clock, world):
    world.unavailable = 3
    await world.run("01 18:05")
    assert [line for line in world.log.lines if "warning" in line] == [
        "warning: a report can't be made now"
    ] * 3
    assert len(world.told) == 1
    assert world.told[0][2].startswith("late 30 s: evening")


async def test_a_reload(autojump_clock, world):
    await world.run("01 12:00")
    world.reports = (evening("12:30", notify=("mail", "desk")), evening("11:00", id="morning"))
    world.task.changed()
    await world.run("01 20:00")
    assert [told[:2] for told in world.told] == [("01 12:30", "mail"), ("01 12:30", "desk")]
    assert list(world.notes) == ["report evening", "report morning"]
    world.reports = world.reports[:1]
    world.task.changed()
    await world.run("01 20:10")
    assert list(world.notes) == ["report evening"]


async def test_a_note_that_can_t_be_read_begins_anew(autojump_clock, world):
    world.notes = {"report evening": "{", "outage desk/0": "{}"}
    world.begin()
    await world.run("01 18:01")
    assert times(world) == ["01 18:00"]
