"""What is written, in its order, by a disk that refuses or hangs; and for how long anybody waits for it."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

from support.daemon_parts import Lines
from support.outboxes import START, TrioClock, delivery
from support.stored import order
from tocsin.store.errors import Damaged, StoreUnavailable
from tocsin.store.journal import OVERDUE_AFTER, Journal, merge_without_events
from tocsin.store.model import Attempt, Batch


class Disk:
    """Takes what it is given; refuses so many times, or hangs until told otherwise."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.refuses = 0
        self.answers = trio.Event()
        self.answers.set()

    async def commit(self, batch: Batch) -> None:
        await self._take(batch)

    async def record(self, attempts: Sequence[Attempt]) -> list[str]:
        await self._take(attempts)
        return [each.delivery for each in attempts if each.delivery == "nobody's"]

    async def free_reserve(self) -> bool:
        return False

    async def _take(self, what: Any) -> None:
        await self.answers.wait()
        if self.refuses:
            self.refuses -= 1
            raise StoreUnavailable("another process holds the database")
        self.written.append(what)


class Scene:
    def __init__(self) -> None:
        self.disk, self.log = Disk(), Lines()
        self.journal = Journal(self.disk, TrioClock(), self.log)


@pytest.fixture
async def scene(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> Scene:
    made = Scene()
    nursery.start_soon(made.journal.run)
    return made


def batch(*ids: str) -> Batch:
    return Batch(at=START, deliveries=[delivery(id_) for id_ in ids])


def sent(id_: str) -> list[Attempt]:
    return [Attempt(delivery=id_, status="sent", at=START)]


def refusing(disk: Disk) -> None:
    disk.refuses = 10**9


def hanging(disk: Disk) -> None:
    disk.answers = trio.Event()


def well(disk: Disk) -> None:
    disk.refuses = 0
    disk.answers.set()


@pytest.mark.parametrize("trouble", [refusing, hanging])
async def test_nobody_waits_longer_than_five_seconds_and_all_is_written_in_order(
    autojump_clock, scene, trouble
):
    trouble(scene.disk)
    writes = [batch("d1"), sent("d1"), batch("d2"), sent("d2")]
    begun = trio.current_time()
    assert not await scene.journal.written(scene.journal.put(writes[0]))
    assert trio.current_time() - begun == pytest.approx(OVERDUE_AFTER, abs=0.1)
    assert scene.journal.overdue
    for write in writes[1:]:
        assert not await scene.journal.written(scene.journal.put(write))
    assert trio.current_time() - begun == pytest.approx(OVERDUE_AFTER, abs=0.1), "once is enough"
    await trio.sleep(40)
    assert scene.disk.written == []
    assert scene.journal.refused_since == begun
    well(scene.disk)
    await scene.journal.drained()
    assert scene.disk.written == writes
    await trio.testing.wait_all_tasks_blocked()
    assert (scene.journal.overdue, scene.journal.refused_since) == (False, None)
    assert await scene.journal.written(scene.journal.put(batch("d3")))


@pytest.mark.parametrize("trouble", [refusing, hanging])
async def test_what_is_only_looked_up_is_given_up_too(autojump_clock, scene, trouble):
    trouble(scene.disk)
    begun = trio.current_time()
    scene.journal.put(batch("d1"))
    with pytest.raises(StoreUnavailable), scene.journal.unless_overdue():
        await trio.sleep(1000)
    assert trio.current_time() - begun == pytest.approx(OVERDUE_AFTER, abs=0.1)
    with pytest.raises(StoreUnavailable), scene.journal.unless_overdue():
        await trio.sleep(1000)
    assert trio.current_time() - begun == pytest.approx(OVERDUE_AFTER, abs=0.1)
    well(scene.disk)
    await scene.journal.until(overdue=False)
    with scene.journal.unless_overdue():
        await trio.sleep(1000)


async def test_a_short_refusal_is_no_emergency(autojump_clock, scene):
    scene.disk.refuses = 3
    assert await scene.journal.written(scene.journal.put(batch("d1")))
    assert not scene.journal.overdue
    assert scene.log.lines == ["error: cannot commit, trying again"] * 3 + ["info: committing again"]


async def test_a_disk_that_is_only_slow_is_one_emergency(autojump_clock, scene):
    """Each write takes six seconds: nobody is told of it anew with each."""

    async def slow(what):
        await trio.sleep(6)
        scene.disk.written.append(what)

    scene.disk._take = slow
    for n in range(4):
        scene.journal.put(batch(f"d{n}"))
    await trio.sleep(OVERDUE_AFTER + 0.1)
    while len(scene.disk.written) < 4:
        assert scene.journal.overdue
        await trio.sleep(0.5)
    await trio.testing.wait_all_tasks_blocked()
    assert not scene.journal.overdue


async def test_what_others_changed_is_known_whether_anybody_waits_or_not_and_stops_nothing(
    autojump_clock, scene
):
    changed = []
    scene.journal.follower.changed_by_others = lambda: changed.append(True)
    assert await scene.journal.written(scene.journal.put(sent("nobody's")))
    assert len(changed) == 1
    hanging(scene.disk)
    assert not await scene.journal.written(scene.journal.put(batch("d1")))
    assert not await scene.journal.written(scene.journal.put(sent("nobody's")))
    scene.journal.put(sent("d1"))
    well(scene.disk)
    await scene.journal.drained()
    assert (len(scene.disk.written), len(changed)) == (4, 2)


async def test_a_batch_that_is_a_bug_of_ours_ends_the_run(autojump_clock):
    scene = Scene()

    async def broken(_batch):
        raise ZeroDivisionError

    scene.disk.commit = broken
    scene.journal.put(batch("d1"))
    with pytest.raises(BaseExceptionGroup) as raised:
        await scene.journal.run()
    assert raised.value.split(ZeroDivisionError)[0] is not None


async def test_in_a_very_long_emergency_events_are_lost_but_no_alert(autojump_clock, scene, monkeypatch):
    monkeypatch.setattr("tocsin.store.journal._MOST_UNWRITTEN", 2)
    hanging(scene.disk)
    changes = [order(f"o{n}") for n in range(5)]
    for n, change in enumerate(changes):
        written = Batch(at=START, entities=[change], events=[change], deliveries=[delivery(f"d{n}")])
        scene.journal.put(written)
        scene.journal.put(sent(f"d{n}"))
    well(scene.disk)
    await scene.journal.drained()
    batches = [each for each in scene.disk.written if isinstance(each, Batch)]
    assert [each.id for one in batches for each in one.deliveries] == [f"d{n}" for n in range(5)]
    assert {change.key.id for one in batches for change in one.entities} == {f"o{n}" for n in range(5)}
    known: set[str] = set()
    for write in scene.disk.written:
        if isinstance(write, Batch):
            known |= {each.id for each in write.deliveries}
        else:
            assert {each.delivery for each in write} <= known, "nothing is sent before it is there"


async def test_a_damaged_database_is_made_anew_and_what_was_refused_is_written(autojump_clock, scene):
    made_anew = []

    async def damaged(_what):
        raise Damaged("the database is damaged")

    async def rebuild(reason, _waiting):
        made_anew.append(reason)
        del scene.disk._take

    scene.disk._take, scene.disk.rebuild = damaged, rebuild
    assert await scene.journal.written(scene.journal.put(batch("d1")))
    assert (made_anew, len(scene.disk.written)) == (["the database is damaged"], 1)


async def test_what_is_known_to_wait_and_was_written_goes_into_the_new_one(autojump_clock, scene):
    carried = []

    async def damaged(_what):
        raise Damaged("the database is damaged")

    async def rebuild(_reason, waiting):
        carried.extend(each.id for each in waiting)
        del scene.disk._take

    scene.journal.follower.known_waiting = lambda: [delivery("written"), delivery("coming")]
    scene.disk._take, scene.disk.rebuild = damaged, rebuild
    assert await scene.journal.written(scene.journal.put(batch("coming")))
    assert carried == ["written"]


async def test_the_reserve_is_given_back_where_a_new_database_finds_no_room(autojump_clock, scene):
    freed = []

    async def damaged(_what):
        raise Damaged("the database is damaged")

    async def rebuild(_reason, _waiting):
        raise StoreUnavailable("the disk is full", full=True)

    async def free_reserve():
        freed.append(True)
        return True

    scene.disk._take, scene.disk.rebuild, scene.disk.free_reserve = damaged, rebuild, free_reserve
    scene.journal.put(batch("d1"))
    await trio.sleep(1)
    assert freed


@pytest.mark.parametrize("already", [False, True])
@pytest.mark.parametrize(("events", "said"), [((), False), ((), True), ((order(),), False)])
def test_a_batch_whose_events_are_left_out_says_so(already, events, said):
    into, more = Batch(at=START, prices_left_out=already), Batch(at=START, prices_left_out=said)
    more.events += events
    merge_without_events(into, more)
    assert into.prices_left_out is (already or said or bool(events))


async def test_what_was_written_is_counted_by_what_it_changed(scene):
    disk, journal = scene.disk, scene.journal
    await journal.written(journal.put(batch("d1")))
    await journal.written(journal.put(sent("d1")))
    await journal.written(journal.put(Batch(at=START, notes={"a": "1"})))
    assert journal.changes == {"deliveries": 2}
    hanging(disk)
    await journal.written(journal.put(batch("d2")))
    assert journal.changes == {"deliveries": 2}  # not before it is on disk
