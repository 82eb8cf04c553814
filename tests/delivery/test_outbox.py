"""A disk that refuses or hangs keeps no alert from anybody: out of memory, marked, once, and recorded when it can be."""

import pytest
import trio
import trio.testing

from support.channel_world import channel_task
from support.daemon_parts import Lines
from support.outboxes import FAILED, SENT, START, MemoryOutbox, ScriptedSender, TrioClock, delivery, handed_id
from tocsin.alerts.wording import Style
from tocsin.delivery.coalesce import Coalesced
from tocsin.delivery.model import Channel, ChannelSettings
from tocsin.delivery.outbox import NOTE, DurableOutbox
from tocsin.delivery.timing import Wakes
from tocsin.pipeline.deliveries import beat_delivery
from tocsin.secrets import Secret
from tocsin.store.errors import Damaged
from tocsin.store.journal import Journal
from tocsin.store.model import Attempt, Batch, Gathered


class Disk:
    """What the journal writes to: the store that the channels read, unless it hangs."""

    def __init__(self, store):
        self._store = store
        self.answers = trio.Event()
        self.answers.set()
        self.damaged = False

    async def commit(self, batch):
        await self.answers.wait()
        if self.damaged:
            raise Damaged("the database is damaged")
        self._store.add(*batch.deliveries)

    async def record(self, attempts):
        await self.answers.wait()
        return await self._store.record(attempts)

    async def rebuild(self, _reason, waiting):
        self.damaged = False
        self._store.add(*waiting)

    async def free_reserve(self):
        return False


class Scene:
    """One channel, its sender, a disk that can be made to hang, and the outbox between them."""

    def __init__(self, *script, **more):
        self.store, self.wakes, self.clock = MemoryOutbox(), Wakes(), TrioClock()
        self.disk = Disk(self.store)
        self.journal = Journal(self.disk, self.clock, Lines())
        self.handed = []
        self.outbox = DurableOutbox(
            self.store,
            self.journal,
            self.wakes.ring,
            Lines(),
            handed=lambda alert, channel: self.handed.append((alert, channel)),
        )
        self.sender = ScriptedSender(*script, **more)

    async def fall_ill(self):
        """The disk hangs, also for those who read, until the journal is overdue."""
        self.disk.answers = trio.Event()
        for name in ("due", "next_due", "waiting", "not_escalated", "history"):
            setattr(self.store, name, self._hang)
        self.journal.put(Batch(at=START))
        await self.journal.until(overdue=True)
        self.wakes.ring()

    async def recover(self):
        for name in ("due", "next_due", "waiting", "not_escalated", "history"):
            delattr(self.store, name)
        self.disk.answers.set()
        await self.journal.until(overdue=False)
        self.wakes.ring()

    def commit(self, *deliveries):
        """As the pipeline does, but for waiting."""
        entry = self.journal.put(Batch(at=START, deliveries=list(deliveries)))
        self.wakes.ring({each.channel for each in deliveries})
        return entry

    def stored(self, *deliveries):
        """Committed before, and known."""
        committed = trio.Event()
        committed.set()
        self.outbox.expect(deliveries, committed)
        self.store.add(*deliveries)

    @staticmethod
    async def _hang(*_):
        await trio.sleep_forever()

    async def run(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.journal.run)
            nursery.start_soon(self._run_channel)

    async def _run_channel(self):
        settings = ChannelSettings(urls=(Secret("json://127.0.0.1/"),))
        channel = Channel(name="desk", target=0, settings=settings, style=Style())

        wake = self.wakes.of("desk")
        await channel_task(channel, self.sender, self.outbox, wake, clock=self.clock).run()


async def test_it_goes_out_marked_and_is_recorded_afterwards(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.run)
    await scene.fall_ill()
    scene.commit(delivery("d1"))
    await trio.sleep(60)
    assert scene.sender.ids() == ["d1"]
    assert NOTE in scene.sender.told[0][1].body
    assert scene.store.rows == {}
    await scene.recover()
    assert scene.store.statuses() == {"d1": "sent"}
    await trio.sleep(300)
    assert scene.sender.ids() == ["d1"]


async def test_ten_a_second_and_more_go_out(autojump_clock, nursery):
    scene = Scene(takes=0.02)
    nursery.start_soon(scene.run)
    await scene.fall_ill()
    begun = trio.current_time()
    for n in range(200):
        scene.commit(delivery(f"d{n}", alert=f"a{n}"))
        await trio.sleep(0.05)
    await trio.sleep(0.1)
    assert scene.sender.ids() == [f"d{n}" for n in range(200)]
    assert max(at - begun - 0.05 * n for n, (at, _) in enumerate(scene.sender.told)) < 0.5
    await scene.recover()
    assert set(scene.store.statuses().values()) == {"sent"}
    assert len(scene.sender.tries) == 200


async def test_what_failed_meanwhile_goes_on_from_the_store(autojump_clock, nursery):
    scene = Scene(FAILED, FAILED, always=FAILED)
    nursery.start_soon(scene.run)
    await scene.fall_ill()
    scene.commit(delivery("d1"))
    await trio.sleep(2)
    assert len(scene.sender.tries) >= 2
    await scene.recover()
    row = scene.store.rows["d1"]
    assert (row.status, row.attempts) == ("pending", len(scene.sender.tries))
    assert NOTE not in str(row.context)
    scene.sender.always = SENT
    await trio.sleep(400)
    assert scene.sender.ids() == ["d1"]
    assert NOTE not in scene.sender.told[0][1].body
    assert scene.store.statuses() == {"d1": "sent"}


@pytest.mark.parametrize("known", ["committed in this run", "left by the last run", "only the store knew"])
async def test_what_was_committed_before_goes_too_and_once(autojump_clock, nursery, known):
    """On its way when the disk falls ill, or not yet picked up."""
    scene = Scene(takes=1.0)
    stored = [delivery("on its way", alert="a0"), delivery("not picked up", alert="a1")]
    if known == "committed in this run":
        scene.stored(*stored)
    else:
        scene.store.add(*stored)
        left = scene.store.rows.values() if known == "left by the last run" else ()
        scene.outbox.restore(left, more=not left)
    nursery.start_soon(scene.run)
    await trio.sleep(0.5)
    await scene.fall_ill()
    await trio.sleep(60)
    expected = ["on its way", "not picked up"]
    assert scene.sender.ids() == (expected[:1] if known == "only the store knew" else expected)
    await scene.recover()
    await trio.sleep(60)
    assert scene.sender.ids() == expected
    assert scene.store.statuses() == dict.fromkeys(expected, "sent")


async def test_a_reading_that_is_refused_alone_is_no_emergency(autojump_clock, nursery):
    scene = Scene()
    scene.outbox.restore((), more=True)
    scene.store.unavailable = 3
    nursery.start_soon(scene.run)
    scene.commit(delivery("d1"))
    await trio.sleep(60)
    assert scene.sender.ids() == ["d1"]
    assert NOTE not in scene.sender.told[0][1].body


async def test_a_store_that_is_away_loses_nothing_and_repeats_nothing(autojump_clock, nursery):
    scene = Scene(takes=1.0)
    scene.outbox.restore((), more=True)
    scene.store.add(delivery("d1"), delivery("d2", alert="a2"))
    scene.store.unavailable = 3
    nursery.start_soon(scene.run)
    await trio.sleep(8.5)  # 1 + 2 + 4 s until it is there again, then the first is on its way
    assert len(scene.sender.tries) == 2
    scene.store.unavailable = 4  # away between the second's send and its record
    await trio.sleep(100)
    assert scene.sender.ids() == ["d1", "d2"]
    assert set(scene.store.statuses().values()) == {"sent"}


async def test_nothing_that_is_not_on_disk_is_sent_before_the_emergency(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.run)
    scene.disk.answers = trio.Event()
    scene.commit(delivery("d1"))
    await trio.sleep(4.9)
    assert scene.sender.ids() == []
    await trio.sleep(0.2)
    scene.wakes.ring()
    await trio.sleep(0.1)
    assert scene.sender.ids() == ["d1"]


async def test_never_resolved_before_firing(autojump_clock, nursery):
    """The firing waits for its next try in the store and in memory, the resolution in memory only."""
    scene = Scene(always=FAILED)
    nursery.start_soon(scene.run)
    await scene.journal.written(scene.commit(delivery("fires")))
    await trio.sleep(0.1)
    await scene.fall_ill()
    scene.sender.always = SENT
    scene.commit(delivery("resolved", "resolved", at=5.1))
    await trio.sleep(60)
    titles = [message.title for _, message in scene.sender.told]
    assert len(titles) == 1
    assert "was firing from" in scene.sender.told[0][1].body
    await scene.recover()
    assert scene.store.statuses() == {"fires": "superseded", "resolved": "sent"}


async def test_an_alert_of_which_memory_holds_a_part_only_waits_for_the_store(
    autojump_clock, nursery, monkeypatch
):
    monkeypatch.setattr("tocsin.delivery.pending.MOST_KNOWN", 2)
    scene = Scene(always=FAILED)
    for n in range(4):
        scene.stored(delivery(f"fires-{n}", alert=f"a{n}"))
    nursery.start_soon(scene.run)
    await trio.sleep(0.1)
    await scene.fall_ill()
    scene.sender.always = SENT
    for n in range(4):
        scene.commit(delivery(f"ends-{n}", "resolved", alert=f"a{n}", at=5.1))
    await trio.sleep(60)
    before = set(scene.sender.ids())
    assert before < {f"ends-{n}" for n in range(4)}
    await scene.recover()
    await trio.sleep(60)
    assert sorted(scene.sender.ids()) == [f"ends-{n}" for n in range(4)]
    assert all("was firing from" in message.body for _, message in scene.sender.told)


async def test_waiting_in_an_emergency_is_no_hot_loop(autojump_clock, nursery):
    scene = Scene(always=FAILED)
    nursery.start_soon(scene.run)
    await scene.fall_ill()
    scene.commit(delivery("d1"))
    await trio.sleep(1)
    asked = 0
    real = scene.outbox.due

    async def counted(*given, **more):
        nonlocal asked
        asked += 1
        return await real(*given, **more)

    scene.outbox.due = counted
    await trio.sleep(60)
    assert asked < 60


async def test_what_is_critical_is_found_page_by_page_and_not_once_handed(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    await scene.fall_ill()
    scene.commit(*(delivery(f"d{n}", alert=f"a{n}", severity="critical") for n in range(5)))
    scene.commit(delivery("calm", alert="a5"))
    handed = Attempt(delivery="d1", status="pending", at=START, error="500", handed_to="mail", next_at=START)
    await scene.outbox.record([handed])
    found, last = [], None
    while page := await scene.outbox.not_escalated("desk", 0, last, 1):
        last = page[-1].id
        found += [each.id for each in page]
    assert found == ["d0", "d2", "d3", "d4"]


async def test_what_another_url_handed_over_before_is_not_handed_over_again(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    handed = delivery(handed_id("a1"), channel="mail")
    await scene.journal.written(scene.commit(delivery("d0"), delivery("d1", target=1)))
    first = Attempt(delivery="d0", status="dead", at=START, also=(handed,))
    await scene.outbox.record([first])
    await scene.outbox.record([Attempt(delivery=handed.id, status="sent", at=START)])
    await scene.fall_ill()
    second = Attempt(delivery="d1", status="dead", at=START, also=(handed,))
    await scene.outbox.record([second])
    assert await scene.outbox.waiting("a1", "mail", 0) == []
    await scene.recover()
    assert scene.store.statuses("mail") == {handed.id: "sent"}
    assert scene.store.statuses() == {"d0": "dead", "d1": "dead"}


async def test_what_was_handed_over_meanwhile_is_known_to_be_and_keeps_no_mark(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    await scene.fall_ill()
    scene.commit(delivery("d1"))
    (marked,) = await scene.outbox.waiting("a1", "desk", 0)
    handed = delivery(handed_id("a1"), channel="mail", context=marked.context)
    await scene.outbox.record([Attempt(delivery="d1", status="pending", at=START, also=(handed,))])
    assert [each.id for each in await scene.outbox.history("a1", "mail")] == [handed.id]
    await scene.recover()
    assert NOTE not in str(scene.store.rows[handed.id].context)


async def test_only_those_are_woken_for_whom_there_is_something(nursery):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    names = ("desk", "phone", "mail")

    def rung() -> tuple[int, ...]:
        return tuple(scene.wakes.of(name).count for name in names)

    scene.store.add(delivery("stored"))
    assert rung() == (0, 0, 0)
    await scene.outbox.record([Attempt(delivery="stored", status="pending", at=START)])
    assert rung() == (0, 0, 0)
    handed = delivery(handed_id("a1"), channel="mail")
    await scene.outbox.record([Attempt(delivery="stored", status="dead", at=START, also=(handed,))])
    assert rung() == (0, 0, 1)


@pytest.mark.parametrize("known", ["committed in this run", "left by the last run"])
async def test_what_a_damaged_database_lost_goes_out_all_the_same(autojump_clock, nursery, known):
    """One is on its way when its row is lost, the others wait."""
    scene = Scene(takes=1.0)
    stored = [delivery(f"d{n}", alert=f"a{n}") for n in range(3)]
    if known == "committed in this run":
        scene.stored(*stored)
    else:
        scene.store.add(*stored)
        scene.outbox.restore(scene.store.rows.values())
    nursery.start_soon(scene.run)
    await trio.sleep(0.5)
    scene.store.rows.clear()
    scene.disk.damaged = True
    await scene.journal.written(scene.commit(delivery("new", alert="a9")))
    await trio.sleep(60)
    assert scene.sender.ids() == ["d0", "d1", "d2", "new"]
    assert set(scene.store.statuses().values()) == {"sent"}


@pytest.mark.parametrize("lost", [{"d1"}, {"d0", "d1"}])
def test_a_parcel_whose_row_is_gone_stands_as_it_was(lost):
    store = MemoryOutbox()
    store.add(delivery("d0"), delivery("d1", "resolved"))
    first, end = store.rows.values()
    fresh = Coalesced(end, (first,)).refreshed([row for row in (first, end) if row.id not in lost])
    assert [each.id for each in fresh.all] == ["d0", "d1"]


async def test_what_is_about_to_be_sent_is_not_what_memory_gives_up(autojump_clock, nursery, monkeypatch):
    monkeypatch.setattr("tocsin.delivery.pending.MOST_KNOWN", 2)
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    scene.store.add(delivery("older", alert="a9"))
    scene.outbox.restore((), more=True)
    scene.stored(delivery("d0", alert="a0"), delivery("d1", alert="a1"))
    assert [each.id for each in await scene.outbox.waiting("a9", "desk", 0)] == ["older"]
    scene.stored(delivery("d2", alert="a2"))
    await scene.fall_ill()
    assert [each.id for each in await scene.outbox.waiting("a9", "desk", 0)] == ["older"]


async def test_a_send_asks_the_store_for_nothing(autojump_clock, nursery):
    scene = Scene(FAILED)
    asked = []

    async def read(*given):
        asked.append(given)
        return []

    for name in ("due", "next_due", "waiting", "not_escalated", "history"):
        setattr(scene.store, name, read)
    nursery.start_soon(scene.run)
    await scene.journal.written(scene.commit(delivery("d1"), delivery("d2", "resolved", at=1.0)))
    scene.wakes.ring()  # as the pipeline does, after the commit
    await trio.sleep(60)
    assert scene.sender.ids() == ["d2"]
    assert asked == []


async def test_who_knows_of_an_alert_as_a_fallback_is_said(autojump_clock, nursery):
    """Of each that a digest carries, too; of an end nobody is, nor where nothing is handed over."""
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    await scene.fall_ill()
    scene.commit(
        *(delivery(f"d{n}", alert=f"a{n}") for n in range(4)), delivery("ends", "resolved", alert="a9")
    )
    digest = delivery("digest", "digest", alert="digest")
    scene.outbox._pending.link(
        Gathered(digest=digest, parts=(("d0", "a0"), ("d1", "a1")), reason="digest"), trio.Event()
    )
    for id_, state in (("digest", "digest"), ("d2", "firing"), ("ends", "resolved")):
        also = (delivery(f"handed {id_}", state, channel="mail"),)
        await scene.outbox.record(
            [Attempt(delivery=id_, status="pending", at=START, handed_to="mail", also=also, next_at=START)]
        )
    await scene.outbox.record([Attempt(delivery="d3", status="pending", at=START, next_at=START)])
    assert scene.handed == [("digest", "mail"), ("a0", "mail"), ("a1", "mail"), ("a2", "mail")]


async def beats(scene, *ids):
    """What comes through of these, within a second of trying."""
    for id_ in ids:
        scene.journal.put(Batch(at=START, beat=beat_delivery(id_, START)))
    found = []
    with trio.move_on_after(1):
        while len(found) < len(ids):
            found += await scene.outbox.take_beats(scene.clock.now().wall)
            await trio.sleep(0.1)
    return found


@pytest.mark.parametrize("store", ["known", "more pending than read", "changed by others"])
async def test_a_beat_comes_through_once_it_is_committed_and_leaves_nothing(autojump_clock, nursery, store):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    if store == "more pending than read":
        scene.outbox.restore((), more=True)
    elif store == "changed by others":
        scene.outbox.changed_by_others()
    assert await beats(scene, "b1", "b2") == ["b1", "b2"]
    assert await scene.outbox.take_beats(scene.clock.now().wall) == []
    assert scene.store.statuses() == {}
    assert list(scene.outbox.known_waiting()) == []
    nursery.cancel_scope.cancel()


async def test_a_beat_waits_for_a_disk_that_hangs_and_comes_through_in_an_emergency(autojump_clock, nursery):
    scene = Scene()
    nursery.start_soon(scene.journal.run)
    scene.disk.answers = trio.Event()
    assert await beats(scene, "b1") == []
    assert [each.id for each in scene.outbox.known_waiting()] == []
    await scene.journal.until(overdue=True)
    assert await scene.outbox.take_beats(scene.clock.now().wall) == ["b1"]
    nursery.cancel_scope.cancel()
