"""The queue in memory says what the store would say, whatever was committed, tried, handed over, given up or restarted."""

import random
from datetime import timedelta

import pytest
import trio

from support.daemon_parts import Lines
from support.outboxes import START, MemoryOutbox, TrioClock, delivery, handed_id
from tocsin.delivery.emergency import SteadfastOutbox
from tocsin.store.journal import Journal
from tocsin.store.model import Attempt, Batch

ALERTS = ("a0", "a1", "a2", "a3")
TARGETS = (("desk", 0), ("desk", 1), ("mail", 0))
LATER = START + timedelta(hours=1)


class Disk:
    """Writes into a `MemoryOutbox`, one thing after the other, each when it is let to."""

    def __init__(self, store):
        self.store = store
        self.lets = trio.Event()
        self.lets.set()

    async def commit(self, batch):
        await self.lets.wait()
        self.store.add(*batch.deliveries)

    async def record(self, attempts):
        await self.lets.wait()
        await self.store.record(attempts)

    async def free_reserve(self):
        return False


class Run:
    """One life of the daemon on a store; `rows`: how many of those that wait are read at its start."""

    def __init__(self, store, nursery, *, rows=1000):
        self.store, self.disk = store, Disk(store)
        self.journal = Journal(self.disk, TrioClock(), Lines())
        self.outbox = SteadfastOutbox(store, self.journal, lambda _channels: None)
        left = [row for row in store.rows.values() if row.status == "pending"]
        self.outbox.restore(left[:rows], more=len(left) > rows)
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run)

    async def _run(self):
        with self.scope:
            await self.journal.run()

    def commit(self, *deliveries):
        entry = self.journal.put(Batch(at=START, deliveries=list(deliveries)))
        self.outbox.expect(deliveries, entry.done)

    async def try_one(self, rng, channel, target):
        """What a channel's task does with what is due."""
        due = await self.outbox.due(channel, target, LATER, 1)
        if not due:
            return
        (first,) = due
        waiting = await self.outbox.waiting(first.alert, channel, target)
        assert waiting[0].id == first.id
        also = ()
        status = rng.choice(("sent", "pending", "dead"))
        if channel == "desk" and status != "sent" and first.handed_to is None:
            also = (delivery(handed_id(first.alert, first.state_told), alert=first.alert, channel="mail"),)
        ends = Attempt(
            delivery=first.id,
            status=status,
            at=START,
            next_at=START + timedelta(seconds=rng.randrange(9)),
            handed_to="mail" if also else None,
            also=also,
        )
        folded = waiting[1:] if status == "sent" and rng.random() < 0.5 else ()
        await self.outbox.record(
            [ends, *(Attempt(delivery=each.id, status="superseded", at=START) for each in folded)]
        )

    async def seen(self, of):
        """All that channels can ask, and the same asked of the store."""
        found = {}
        for target in TARGETS:
            # The order of what isn't all known is the store's; of what is, that of coming in.
            found["due", target] = sorted(each.id for each in await of.due(*target, LATER, 1000))
            found["next", target] = await of.next_due(*target)
            found["unhanded", target] = sorted(each.id for each in await of.unhanded(*target, None, 1000))
            for alert in ALERTS:
                found[alert, target] = await of.waiting(alert, *target)
        return found


@pytest.mark.parametrize("seed", range(60))
async def test_memory_says_what_the_store_would(autojump_clock, nursery, monkeypatch, seed):
    rng = random.Random(seed)
    monkeypatch.setattr("tocsin.delivery.pending.MOST_KNOWN", rng.choice((2, 5, 1000)))
    store = MemoryOutbox()
    run = Run(store, nursery)
    for number in range(120):
        match rng.randrange(12):
            case 0 | 1 | 2 | 3:
                rows = [
                    delivery(
                        f"d{number}-{n}",
                        rng.choice(("firing", "reminder", "resolved")),
                        alert=rng.choice(ALERTS),
                        channel=channel,
                        target=target,
                        severity=rng.choice(("warning", "critical")),
                    )
                    for n, (channel, target) in enumerate(rng.sample(TARGETS, rng.randrange(1, 4)))
                ]
                run.commit(*rows)
            case 4 | 5 | 6 | 7 | 8:
                await run.try_one(rng, *rng.choice(TARGETS))
            case 9:  # asked while the disk is slow: nothing that isn't there yet may be seen
                run.disk.lets = trio.Event()
                run.commit(delivery(f"slow-{number}", alert=rng.choice(ALERTS)))
                assert await run.seen(run.outbox) == await run.seen(store)
                run.disk.lets.set()
            case 10:
                await run.outbox.next_due(*rng.choice(TARGETS))
            case 11:
                await run.journal.drained()
                run.scope.cancel()
                run = Run(store, nursery, rows=rng.choice((0, 2, 1000)))
        await run.journal.drained()
        assert await run.seen(run.outbox) == await run.seen(store)


async def test_nothing_of_what_is_handed_over_is_lost_when_the_task_is_cancelled(autojump_clock, nursery):
    store = MemoryOutbox()
    run = Run(store, nursery)
    run.commit(delivery("d1"))
    await run.journal.drained()
    run.disk.lets = trio.Event()
    handed = delivery(handed_id("a1"), channel="mail")
    with trio.move_on_after(1):
        await run.outbox.record([Attempt(delivery="d1", status="dead", at=START, also=(handed,))])
    assert await run.outbox.due("mail", 0, LATER, 10) == []
    run.disk.lets.set()
    await run.journal.drained()
    assert [each.id for each in await run.outbox.due("mail", 0, LATER, 10)] == [handed.id]


async def test_what_somebody_else_took_out_of_the_database_is_not_sent_again_and_again(
    autojump_clock, nursery
):
    store = MemoryOutbox()
    run = Run(store, nursery)
    run.commit(delivery("d1"))
    await run.journal.drained()
    store.rows.clear()
    with pytest.raises(LookupError):
        await run.outbox.record([Attempt(delivery="d1", status="pending", at=START)])
    assert await run.outbox.due("desk", 0, LATER, 10) == []
