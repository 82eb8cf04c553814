"""The queue in memory says what the store would say, whatever was committed, tried, handed over, given up or restarted."""

import random
from datetime import timedelta
from itertools import islice

import msgspec
import pytest
import trio

from support.daemon_parts import Lines
from support.outboxes import START, MemoryOutbox, TrioClock, delivery, handed_id
from tocsin.delivery.outbox import DurableOutbox
from tocsin.delivery.pending import Pending, as_delivery
from tocsin.store.journal import Journal
from tocsin.store.model import Attempt, Batch, Delivery, Gathered

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
        return await self.store.record(attempts)

    async def gather(self, gathered):
        await self.lets.wait()
        return await self.store.gather(gathered)

    async def free_reserve(self):
        return False


class Run:
    """One life of the daemon on a store; `rows`: how many of those that wait are read at its start."""

    def __init__(self, store, nursery, *, rows=1000):
        self.store, self.disk = store, Disk(store)
        self.journal = Journal(self.disk, TrioClock(), Lines())
        self.outbox = DurableOutbox(store, self.journal, lambda _channels: None, Lines())
        left = [row for row in store.rows.values() if row.status == "pending"]
        self.outbox.restore(left[:rows], more=len(left) > rows)
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run)

    async def _run(self):
        with self.scope:
            await self.journal.run()

    def commit(self, *deliveries):
        self.journal.put(Batch(at=START, deliveries=list(deliveries)))

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
            found["later", target] = await of.next_due(*target, START + timedelta(seconds=3))
            for flag in (True, False):
                prompt = await of.due(*target, LATER, 1000, prompt=flag)
                found["prompt", target, flag] = sorted(each.id for each in prompt)
                gathered = await self._gatherable(of, target, critical=flag)
                found["gatherable", target, flag] = sorted(each.id for each in gathered)
            rows = [row for row in self.store.rows.values() if (row.channel, row.target) == target]
            for digest in [row.id for row in rows if (row.state_told, row.status) == ("digest", "pending")]:
                behind = await of.ends_behind(digest, *target)
                found["behind", target, digest] = sorted(each.id for each in behind)
            found["not_escalated", target] = sorted(await self._not_escalated(of, target, page=2))
            for alert in ALERTS:
                found[alert, target] = await of.waiting(alert, *target)
        return found

    async def gather(self, number, channel, target, *, critical):
        """What a channel's task does at the end of a digest's time."""
        parts = await self._gatherable(self.outbox, (channel, target), critical=critical)
        if not parts:
            return
        id_ = f"digest-{number}"
        digest = delivery(id_, "digest", alert=id_, channel=channel, target=target)
        await self.outbox.gather(
            Gathered(digest=digest, parts=tuple((each.id, each.alert) for each in parts), reason="digest")
        )

    @staticmethod
    async def _gatherable(of, target, *, critical):
        found: list[Delivery] = []
        while page := await of.gatherable(
            *target, LATER, found[-1].id if found else None, 5, critical=critical
        ):
            found += page
        assert len({each.id for each in found}) == len(found)
        return found

    @staticmethod
    async def _not_escalated(of, target, page):
        ids: list[str] = []
        while found := await of.not_escalated(*target, ids[-1] if ids else None, page):
            ids += [each.id for each in found]
        assert len(ids) == len(set(ids))
        return ids


@pytest.mark.parametrize("seed", range(24))
async def test_memory_says_what_the_store_would(autojump_clock, nursery, monkeypatch, seed):
    rng = random.Random(seed)
    monkeypatch.setattr("tocsin.delivery.pending.MOST_KNOWN", rng.choice((2, 5, 1000)))
    store = MemoryOutbox()
    run = Run(store, nursery)
    for number in range(120):
        match rng.randrange(13):
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
            case 12:
                await run.gather(number, *rng.choice(TARGETS), critical=rng.random() < 0.5)
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


@pytest.mark.parametrize("change", ["removed", "dead"])
async def test_what_somebody_else_changes_in_the_database_is_noticed_at_the_first_try(
    autojump_clock, nursery, change
):
    store = MemoryOutbox()
    run = Run(store, nursery)
    run.commit(*(delivery(f"d{n}", alert=f"a{n}") for n in range(5)))
    run.commit(delivery("end", "resolved", alert="a0"))
    await run.journal.drained()
    for id_ in ("d0", "d2", "d3"):
        if change == "removed":
            del store.rows[id_]
        else:
            store.rows[id_] = msgspec.structs.replace(store.rows[id_], status=change)
    folded = Attempt(delivery="d0", status="superseded", at=START)
    await run.outbox.record([folded, Attempt(delivery="end", status="pending", at=START, next_at=START)])
    assert [each.id for each in await run.outbox.due("desk", 0, LATER, 10)] == ["d1", "d4", "end"]
    assert await run.seen(run.outbox) == await run.seen(store)
    run.commit(delivery("new", alert="a9"))
    await run.journal.drained()
    assert "new" in [each.id for each in await run.outbox.due("desk", 0, LATER, 10)]


async def test_what_was_told_before_an_emergency_and_is_handed_over_again_in_it_waits_no_more_after_it(
    autojump_clock, nursery
):
    store = MemoryOutbox()
    told = delivery(handed_id("a1"), channel="mail")
    run = Run(store, nursery)
    run.commit(told, delivery("d1", target=1))
    await run.outbox.record([Attempt(delivery=told.id, status="sent", at=START)])
    run.scope.cancel()
    run = Run(store, nursery)
    run.disk.lets = trio.Event()
    await run.outbox.record(
        [Attempt(delivery="d1", status="pending", at=START, handed_to="mail", also=(told,))]
    )
    run.disk.lets.set()
    await run.journal.drained()
    await run.journal.until(overdue=False)
    assert await run.outbox.due("mail", 0, LATER, 10) == []
    assert await run.seen(run.outbox) == await run.seen(store)


async def test_what_is_sent_next_is_found_without_looking_at_all_that_waits():
    pending = Pending()
    pending.add((as_delivery(delivery(f"d{n}", alert=f"a{n}")) for n in range(2000)), bounded=True)
    looked = []
    pending._is_open = lambda id_: looked.append(id_) or True
    for n in range(2000):
        head = next(pending.heads(("desk", 0), committed=True))
        assert head.id == f"d{n}"
        pending.note(Attempt(delivery=head.id, status="sent", at=START))
    assert len(looked) == 2000


async def test_a_page_of_what_is_urgent_is_found_without_looking_at_those_before_it():
    pending = Pending()
    new = (delivery(f"d{n}", alert=f"a{n // 2}", severity="critical") for n in range(2000))
    pending.add(map(as_delivery, new), bounded=True)
    looked, ids = [], [None]
    pending._is_open = lambda id_: looked.append(id_) or True
    while page := [*islice(pending.not_escalated(("desk", 0), ids[-1], committed=True), 7)]:
        ids += [each.id for each in page]
    assert ids[1:] == [f"d{n}" for n in range(2000)]
    assert len(looked) == 2000


def test_of_which_alerts_a_message_tells():
    pending = Pending()
    waiting = [delivery(id_, alert=alert) for id_, alert in (("d1", "a1"), ("d2", "a2"), ("d3", "a3"))]
    pending.add(map(as_delivery, waiting), bounded=False)
    carrier = delivery("g", "digest", alert="g")
    pending.link(Gathered(digest=carrier, parts=(("d1", "a1"), ("d2", "a2")), reason="digest"), trio.Event())
    assert [pending.alerts_of(id_) for id_ in ("d3", "g", "unknown")] == [("a3",), ("g", "a1", "a2"), ()]
