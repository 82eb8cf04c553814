"""The daemon's parts: a crash of one is told, and it begins anew; the others don't notice."""

import trio
import trio.testing

from support.daemon_parts import Lines
from tocsin.app.task_supervisor import TaskSupervisor


class Told:
    def __init__(self) -> None:
        self.crashes: list[tuple[float, str, str]] = []

    async def __call__(self, name: str, reason: str) -> None:
        self.crashes.append((round(trio.current_time() - self.began, 1), name, reason))

    began = 0.0


async def begin(nursery: trio.Nursery) -> tuple[TaskSupervisor, Told, Lines]:
    told, log = Told(), Lines()
    told.began = trio.current_time()
    return TaskSupervisor(nursery, log, told), told, log


async def test_a_crashing_part_starts_again_with_back_off(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    parts, told, log = await begin(nursery)
    beats: list[float] = []

    async def broken() -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(trio.sleep, 100)
            raise ValueError("no such field")

    async def sound() -> None:
        while True:
            beats.append(trio.current_time())
            await trio.sleep(1)

    parts.start("venue fx", broken)
    parts.start("venue px", sound)
    await trio.sleep(70)
    assert [at for at, _, _ in told.crashes] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0]
    assert {(name, reason) for _, name, reason in told.crashes} == {("venue fx", "ValueError: no such field")}
    assert len(beats) >= 70
    assert log.lines[0] == "exception: part crashed, starting it again"
    await parts.stop("venue fx")
    assert parts.names == ("venue px",)
    crashes = len(told.crashes)
    await trio.sleep(200)
    assert len(told.crashes) == crashes
    await parts.stop("venue px")


async def test_a_part_that_ends_by_itself_is_started_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    parts, told, _ = await begin(nursery)

    async def short() -> None:
        await trio.sleep(2)

    parts.start("probe", short)
    await trio.sleep(4)
    assert told.crashes == [(2.0, "probe", "it ended by itself")]
    await parts.stop("probe")


async def test_who_lived_long_begins_again_soon(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    parts, told, _ = await begin(nursery)
    lives = iter([1.0, 1.0, 1.0, 100.0, 1.0])

    async def mortal() -> None:
        await trio.sleep(next(lives, 1000.0))
        raise OSError("gone")

    parts.start("x", mortal)
    await trio.sleep(130)
    times = [at for at, _, _ in told.crashes]
    assert times == [1.0, 3.0, 6.0, 110.0, 112.0]
    await parts.stop("x")


async def test_stopping_waits_until_all_have_ended(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    parts, told, _ = await begin(nursery)
    ended: list[str] = []

    def slow(name: str):  # a part that takes two seconds to end
        async def part() -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(2)
                ended.append(name)

        return part

    for name in "abc":
        parts.start(name, slow(name))
    await trio.testing.wait_all_tasks_blocked()
    before = trio.current_time()
    await parts.stop("a", "b", "unknown")
    assert sorted(ended) == ["a", "b"]
    assert trio.current_time() - before == 2
    assert "c" in parts
    assert "a" not in parts
    assert told.crashes == []
    await parts.stop("c")
