"""Health is one thing: whether something passes through all of us and is committed."""

import pytest
import trio
import trio.testing

from support.daemon_parts import Lines
from support.outboxes import TrioClock
from tocsin.app.progress_probe import ProgressProbe
from tocsin.events import Instant
from tocsin.store.errors import StoreUnavailable


class Way:
    """Gives back what was sent, after `takes` seconds; what is `lost` never comes."""

    def __init__(self) -> None:
        self.refused_since: float | None = None
        self.hangs = self.loses = False
        self.takes = 0.0
        self._send, self._receive = trio.open_memory_channel[tuple[float, str]](1000)

    async def send(self, beat: str) -> None:
        await trio.lowlevel.checkpoint()
        if not self.loses:
            self._send.send_nowait((trio.current_time() + self.takes, beat))

    async def arrived(self) -> list[str]:
        if self.hangs:
            await trio.sleep_forever()
        at, beat = await self._receive.receive()
        with trio.CancelScope(shield=True):
            await trio.sleep_until(at)
        return [beat]


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


def make(watchdog: float | None = None) -> tuple[ProgressProbe, Way, Disk, Systemd, Log]:
    way, disk, systemd, log = Way(), Disk(), Systemd(watchdog), Log()
    probe = ProgressProbe(way, disk, TrioClock(), systemd, log, tell=log.tell)  # type: ignore[arg-type]  # stand-ins
    return probe, way, disk, systemd, log


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


async def test_a_way_that_hangs_feeds_no_watchdog(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, way, _, systemd, _ = make()
    nursery.start_soon(probe.run)
    await trio.sleep(12)
    way.hangs = True
    beats = systemd.beats
    await trio.sleep(60)
    assert systemd.beats == beats
    assert probe.wrong() == ["no progress for 62 s"]
    nursery.cancel_scope.cancel()


async def test_a_disk_that_refuses_is_told_and_mended(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, way, disk, systemd, log = make()
    nursery.start_soon(probe.run)
    await trio.sleep(1)
    disk.refuses = True
    way.refused_since = probe._clock.now().steady
    await trio.sleep(30)
    assert systemd.beats == 7, "a new process would have the same disk, and not what this one holds in memory"
    assert probe.wrong() == ["no progress for 31 s", "nothing could be committed for 30 s"]
    assert "error: the database takes nothing" in log.lines
    disk.refuses, way.refused_since = False, None
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


async def test_a_beat_that_is_lost_is_followed_by_the_next(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, way, _, systemd, _ = make()
    nursery.start_soon(probe.run)
    await trio.sleep(1)
    way.loses = True
    await trio.sleep(6)
    way.loses = False
    await trio.sleep(6)
    assert probe.wrong() == []
    assert systemd.beats == 2
    nursery.cancel_scope.cancel()


async def test_what_takes_too_long_to_come_back_is_no_progress(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    probe, way, _, systemd, _ = make()
    nursery.start_soon(probe.run)
    await trio.sleep(1)
    way.takes = 20.0
    await trio.sleep(60)
    assert systemd.beats > 1, "slow, but it lives: a restart would only add to what waits"
    (wrong,) = probe.wrong()
    assert wrong.startswith("no progress for ")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("waits", "wrong"), [(4.0, []), (6.0, ["nothing could be committed for 6 s"])])
async def test_what_waits_for_the_disk_counts_after_five_seconds(
    autojump_clock: trio.testing.MockClock, waits: float, wrong: list[str]
) -> None:
    probe, way, *_ = make()
    way.refused_since = probe.passed_at.steady
    await trio.sleep(waits)
    assert probe.wrong() == wrong
