"""Health is one thing: whether something passes through all of us and is committed."""

from typing import Any

import trio
import trio.testing

from support.daemon_parts import Lines
from support.outboxes import TrioClock
from tocsin.app.progress_probe import ProgressProbe
from tocsin.events import Instant
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch


class Pipeline:
    def __init__(self) -> None:
        self.refused_since: float | None = None
        self.hangs = False

    async def call(self, command: Any) -> None:
        assert isinstance(command(), Batch)
        await trio.lowlevel.checkpoint()
        if self.hangs:
            await trio.sleep_forever()


class Disk:
    def __init__(self) -> None:
        self.seen: list[Instant] = []
        self.refuses = False
        self.troubles: list[str] = []

    async def alive(self, now: Instant) -> None:
        await trio.lowlevel.checkpoint()
        if self.refuses:
            raise StoreUnavailable("the disk is full", full=True)
        self.seen.append(now)

    def take_troubles(self) -> list[str]:
        found, self.troubles = self.troubles, []
        return found


class Systemd:
    def __init__(self, watchdog: float | None = None) -> None:
        self.watchdog_seconds = watchdog
        self.beats = 0

    def send(self, **state: str) -> None:
        assert state == {"WATCHDOG": "1"}
        self.beats += 1


class Log(Lines):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    async def tell(self, trouble: str) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(trouble)


def make(watchdog: float | None = None) -> tuple[ProgressProbe, Pipeline, Disk, Systemd, Log]:
    pipeline, disk, systemd, log = Pipeline(), Disk(), Systemd(watchdog), Log()
    probe = ProgressProbe(pipeline, disk, TrioClock(), systemd, log, tell=log.tell)  # type: ignore[arg-type]  # stand-ins
    return probe, pipeline, disk, systemd, log


async def test_it_beats_and_is_well(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    probe, _, disk, systemd, _ = make()
    nursery.start_soon(probe.run)
    await trio.sleep(60.5)
    assert systemd.beats == len(disk.seen) == 13
    assert probe.wrong() == []
    nursery.cancel_scope.cancel()


async def test_it_beats_three_times_in_the_watchdogs_patience(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, _, _, systemd, _ = make(watchdog=6.0)
    nursery.start_soon(probe.run)
    await trio.sleep(5.9)
    assert systemd.beats == 3
    nursery.cancel_scope.cancel()


async def test_a_pipeline_that_hangs_feeds_no_watchdog(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, pipeline, _, systemd, _ = make()
    nursery.start_soon(probe.run)
    await trio.sleep(12)
    pipeline.hangs = True
    beats = systemd.beats
    await trio.sleep(60)
    assert systemd.beats == beats
    assert probe.wrong() == ["no progress for 62 s"]
    nursery.cancel_scope.cancel()


async def test_a_disk_that_refuses_is_told_and_mended(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, pipeline, disk, systemd, log = make()
    nursery.start_soon(probe.run)
    await trio.sleep(1)
    disk.refuses = True
    pipeline.refused_since = probe._clock.now().steady
    await trio.sleep(30)
    assert systemd.beats == 7, "a new process would have the same disk, and not what this one holds in memory"
    assert probe.wrong() == ["no progress for 31 s", "nothing could be committed for 30 s"]
    assert "error: the database takes nothing" in log.lines
    disk.refuses, pipeline.refused_since = False, None
    await trio.sleep(6)
    assert probe.wrong() == []
    nursery.cancel_scope.cancel()


async def test_what_is_wrong_with_the_database_is_told_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, _, disk, _, log = make()
    nursery.start_soon(probe.run)
    await trio.sleep(1)
    disk.troubles.append("tocsin.db was removed")
    await trio.sleep(60)
    assert log.told == ["tocsin.db was removed"]
