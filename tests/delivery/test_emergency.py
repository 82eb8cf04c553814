"""A disk that refuses keeps no alert from anybody: out of memory, marked, once, and recorded when it can be."""

import pytest
import trio
import trio.testing

from support.outboxes import FAILED, SENT, START, MemoryOutbox, ScriptedSender, TrioClock, delivery, handed_id
from tocsin.alerts.message import Names
from tocsin.delivery.channel import Channel, Wakes
from tocsin.delivery.emergency import NOTE, SteadfastOutbox
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.outbox import run_channel
from tocsin.secrets import Secret
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Attempt

FOR_EVER = 10**9


class Scene:
    """One channel, its sender, a store that can be made to refuse, and the outbox between them."""

    def __init__(self, *script, **more):
        self.store, self.wakes, self.clock = MemoryOutbox(), Wakes(), TrioClock()
        self.outbox = SteadfastOutbox(self.store, self.wakes.ring)
        self.sender = ScriptedSender(*script, **more)

    async def run(self):
        settings = ChannelSettings(urls=(Secret("json://127.0.0.1/"),))
        channel = Channel(name="desk", target=0, settings=settings, names=Names())

        async def tell(_occurrence):
            await trio.lowlevel.checkpoint()

        await run_channel(
            channel,
            sender=self.sender,
            outbox=self.outbox,
            clock=self.clock,
            tell=tell,
            wake=self.wakes.of("desk"),
            jitter=lambda: 1.0,
        )

    async def recover(self, *committed):
        """The disk works again: what was refused is committed, and what became of it recorded."""
        self.store.unavailable = 0
        self.store.add(*committed)
        await self.outbox.settle()


async def test_it_goes_out_marked_and_is_recorded_afterwards(autojump_clock, nursery):
    scene = Scene()
    scene.store.unavailable = FOR_EVER
    nursery.start_soon(scene.run)
    scene.outbox.take_over([delivery("d1")])
    await trio.sleep(60)
    assert scene.sender.ids() == ["d1"]
    assert NOTE in scene.sender.told[0][1].body
    assert scene.store.rows == {}
    await scene.recover(delivery("d1"))
    assert scene.store.statuses() == {"d1": "sent"}
    await trio.sleep(300)
    assert scene.sender.ids() == ["d1"]


async def test_what_failed_meanwhile_goes_on_from_the_store(autojump_clock, nursery):
    scene = Scene(FAILED, FAILED, always=FAILED)
    scene.store.unavailable = FOR_EVER
    nursery.start_soon(scene.run)
    scene.outbox.take_over([delivery("d1")])
    await trio.sleep(2)
    assert len(scene.sender.tries) >= 2
    await scene.recover(delivery("d1"))
    row = scene.store.rows["d1"]
    assert (row.status, row.attempts) == ("pending", len(scene.sender.tries))
    scene.sender.always = SENT
    await trio.sleep(400)
    assert scene.sender.ids() == ["d1"]
    assert scene.store.statuses() == {"d1": "sent"}


async def test_a_stored_one_that_was_sent_meanwhile_is_not_sent_again(autojump_clock, nursery):
    scene = Scene(takes=1.0)
    scene.store.add(delivery("stored", alert="a0"))
    nursery.start_soon(scene.run)
    await trio.sleep(0.5)  # on its way
    real = scene.store.record

    async def refuses(_attempts):
        raise StoreUnavailable("the disk is full", full=True)

    scene.store.record = refuses  # full disks can still be read
    scene.outbox.take_over([delivery("d1", at=0.5)])
    await trio.sleep(120)
    assert scene.sender.ids() == ["stored", "d1"]
    scene.store.record = real
    await scene.recover(delivery("d1", at=0.5))
    await trio.sleep(120)
    assert scene.sender.ids() == ["stored", "d1"]
    assert scene.store.statuses() == {"stored": "sent", "d1": "sent"}


async def test_never_resolved_before_firing(autojump_clock, nursery):
    """The firing waits in the store for its next try, the resolution is only in memory."""
    scene = Scene(FAILED)
    scene.store.add(delivery("fires"))
    nursery.start_soon(scene.run)
    await trio.sleep(0.1)
    scene.outbox.take_over([delivery("resolved", "resolved", at=0.1)])
    await trio.sleep(60)
    titles = [message.title for _, message in scene.sender.told]
    assert len(titles) == 1
    assert "was firing from" in scene.sender.told[0][1].body
    await scene.recover(delivery("resolved", "resolved", at=0.1))
    assert scene.store.statuses() == {"fires": "superseded", "resolved": "sent"}


async def test_settling_too_soon_loses_nothing(autojump_clock):
    scene = Scene()
    scene.store.unavailable = FOR_EVER
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.run)
            scene.outbox.take_over([delivery("d1"), delivery("d2", alert="a2")])
            await trio.sleep_forever()
    assert scene.sender.ids() == ["d1", "d2"]
    with pytest.raises(StoreUnavailable):
        await scene.outbox.settle()
    await scene.recover(delivery("d1"), delivery("d2", alert="a2"))
    assert scene.store.statuses() == {"d1": "sent", "d2": "sent"}


async def test_waiting_in_an_emergency_is_no_hot_loop(autojump_clock, nursery):
    scene = Scene()
    scene.store.unavailable = FOR_EVER
    nursery.start_soon(scene.run)
    scene.outbox.take_over([delivery("d1")])
    await trio.sleep(1)
    before = FOR_EVER - scene.store.unavailable
    await trio.sleep(60)
    assert FOR_EVER - scene.store.unavailable - before < 200


async def test_what_is_critical_is_found_page_by_page_and_not_once_handed(autojump_clock):
    scene = Scene()
    critical = [delivery(f"d{n}", alert=f"a{n}", severity="critical") for n in range(5)]
    scene.store.add(*critical[:3])
    scene.outbox.take_over([*critical[3:], delivery("calm", alert="a5")])
    handed = Attempt(delivery="d1", status="pending", at=START, error="500", handed_to="mail", next_at=START)
    await scene.outbox.record([handed])
    found, last = [], None
    while page := await scene.outbox.unhanded("desk", 0, last, 1):
        last = page[-1].id
        found += [each.id for each in page]
    assert found == ["d0", "d2", "d3", "d4"]


async def test_what_another_url_handed_over_before_is_not_handed_over_again(autojump_clock):
    scene = Scene()
    handed = delivery(handed_id("a1"), channel="mail")
    scene.store.add(delivery("d0"), delivery("d1", target=1))
    first = Attempt(delivery="d0", status="dead", at=START, also=(handed,))
    await scene.outbox.record([first])
    await scene.outbox.record([Attempt(delivery=handed.id, status="sent", at=START)])
    scene.outbox.take_over([delivery("d2", alert="a2")])
    second = Attempt(delivery="d1", status="dead", at=START, also=(handed,))
    await scene.outbox.record([second])
    assert await scene.outbox.waiting("a1", "mail", 0) == []
    await scene.recover(delivery("d2", alert="a2"))
    assert scene.store.statuses("mail") == {handed.id: "sent"}
    assert scene.store.statuses() == {"d0": "dead", "d1": "dead", "d2": "pending"}


async def test_what_was_handed_over_meanwhile_is_known_to_be(autojump_clock):
    scene = Scene()
    scene.store.unavailable = FOR_EVER
    scene.outbox.take_over([delivery("d1")])
    handed = delivery(handed_id("a1"), channel="mail")
    await scene.outbox.record([Attempt(delivery="d1", status="pending", at=START, also=(handed,))])
    assert [each.id for each in await scene.outbox.told("a1", "mail")] == [handed.id]


async def test_only_those_are_woken_for_whom_there_is_something():
    scene = Scene()
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
    scene.outbox.take_over([delivery("d1", channel="phone")])
    assert rung() == (0, 1, 1)
    await scene.recover(delivery("d1", channel="phone"))
    assert rung() == (1, 2, 2)
